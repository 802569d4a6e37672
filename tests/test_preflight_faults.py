"""The preflight, channel by channel: every kind of fault is found, named and measured; a good recording has none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from preflight_signals import RATE, kinds, look, moved, pcm, room, shifted, voice
from scipy.signal import butter, sosfilt

from bss.pipeline.analysis.preflight.channels import require_two

# What is done to channel 2 of a good recording of three, and what must be found


@dataclass(frozen=True)
class Fault:
    name: str
    do: Callable[[np.ndarray], np.ndarray]  # the (3, n) recording -> channel 2 (index 1) as it goes wrong
    kind: str
    left_out: bool
    value: float
    within: float = 0.0
    says: tuple[str, ...] = field(default=())
    other: int | None = None


def with_bad(x: np.ndarray, at: dict[int, float]) -> np.ndarray:
    y = x[1].copy()
    for k, value in at.items():
        y[k] = value
    return y


def clipped(level: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.clip(x[1], -level, level)


def share_above(x: np.ndarray, level: float) -> float:
    return 100 * float(np.mean(np.abs(x) >= level))


GOOD = room(1)
SILENT = ("is left out", "cable", "mute")
RMS2 = float(np.std(GOOD[1]))
PEAK2 = 20 * math.log10(np.abs(GOOD[1]).max())
DITHER = np.random.default_rng(5).integers(-1, 2, GOOD.shape[1]) * 2.0**-15  # RMS -92.1 dBFS

FAULTS = [
    Fault("zeros", lambda x: 0 * x[1], "silent", True, -math.inf, says=("digital silence", *SILENT)),
    Fault("only DC", lambda x: 0 * x[1] + 0.25, "silent", True, -math.inf, says=("a constant offset of +0.25", *SILENT)),
    Fault("last bit of 24", lambda x: pcm(x[1] * 1e-6, 24), "silent", True, -140, 5, ("RMS -14", "dB below", *SILENT)),
    Fault("only dither", lambda x: DITHER, "silent", True, -92.1, 0.1, ("RMS -92.", "dB below the loudest", *SILENT)),
    Fault("hum far down", lambda x: x[1] * 5e-5, "silent", True, 20 * math.log10(RMS2 * 5e-5), 0.1, SILENT),
    Fault(
        "one NaN", lambda x: with_bad(x, {24000: np.nan}), "nonfinite", True, 1,
        says=("contains 1 NaN sample, the first at 1.500 s", "is left out"),
    ),
    Fault(
        "NaN and inf", lambda x: with_bad(x, {72000: np.inf, 70400: -np.inf, 79999: np.nan}), "nonfinite", True, 3,
        says=("contains 1 NaN and 2 infinite samples, the first at 4.400 s",),
    ),
    Fault("all NaN", lambda x: x[1] * np.nan, "nonfinite", True, 5 * RATE, says=("80000 NaN samples", "at 0.000 s")),
    Fault("inf at the start", lambda x: with_bad(x, {0: np.inf}), "nonfinite", True, 1, says=("1 infinite sample,",)),
    Fault(
        "the same", lambda x: x[0], "duplicate", True, -math.inf,
        says=("channel 2 is a copy of channel 1 and is left out",), other=0,
    ),
    Fault(
        "scaled", lambda x: 0.7 * x[0], "duplicate", True, -150, 10,
        ("channel 2 is a copy of channel 1 (-3.1 dB) and is left out",), 0,
    ),
    Fault("inverted", lambda x: -x[0], "duplicate", True, -math.inf, says=("of channel 1 (inverted)",), other=0),
    Fault(
        "scaled, inverted, other DC", lambda x: 0.01 - 1.5 * x[0], "duplicate", True, -130, 30,
        ("channel 1 (+3.5 dB, inverted)",), 0,
    ),
    Fault("scaled, 16 bits", lambda x: pcm(-0.3 * pcm(x[0])), "duplicate", True, -65, 1, ("(-10.5 dB, inverted)",), 0),
    Fault(
        "almost", lambda x: x[0] + 0.003 * np.std(x[0]) * np.random.default_rng(3).standard_normal(x.shape[1]),
        "near_duplicate", False, -50.5, 0.2, ("channel 2 is nearly identical to channel 1 (difference -50.", "further apart"), 0,
    ),
    Fault(
        "later", lambda x: moved(x[0], 5), "delayed_duplicate", False, 5,
        says=("channel 2 is a copy of channel 1 delayed by 5 samples (0.31 ms)", "Leave one of them out"), other=0,
    ),
    Fault(
        "earlier, scaled, inverted", lambda x: moved(-0.7 * x[0], -320), "delayed_duplicate", False, -320,
        says=("channel 1 is a copy of channel 2 delayed by 320 samples (20.00 ms)",), other=0,
    ),
    Fault(
        "later, 16 bits", lambda x: pcm(moved(0.5 * x[0], 1)), "delayed_duplicate", False, 1,
        says=("delayed by 1 sample (0.06 ms)",), other=0,
    ),
    Fault(
        "clipped at full scale", lambda x: pcm(np.clip(5 * x[1], -1, 1)), "clipped", False,
        share_above(5 * GOOD[1], 1), 0.3, ("channel 2 is clipped:", "% of its samples", "at 0.0 dBFS", "less gain"),
    ),
    Fault(
        "clipped below it", clipped(0.2), "clipped", False, share_above(GOOD[1], 0.2), 0.3, ("at -14.0 dBFS",),
    ),
    Fault(
        "clipped on one side", lambda x: np.minimum(x[1], 0.2), "clipped", False, share_above(GOOD[1], 0.2) / 2, 0.3,
        ("at -14.0 dBFS",),
    ),
    Fault("clipped with DC", lambda x: np.clip(x[1], -0.2, 0.2) + 0.004, "clipped", False, share_above(GOOD[1], 0.2), 0.3),
    Fault(
        "DC offset", lambda x: x[1] - 0.5 * RMS2, "dc_offset", False, 50, 1,
        ("a DC offset of -0.0", "50 % of its RMS", "bss removes it"),
    ),
    Fault(
        "very quiet", lambda x: x[1] * 2e-3, "low_level", False, PEAK2 - 54, 0.3,
        ("very quiet: its peak is -63.2 dBFS.", "more gain"),
    ),
    Fault(
        "very quiet, 16 bits", lambda x: pcm(x[1] * 2e-3), "low_level", False, PEAK2 - 54, 0.3,
        ("of the 65536 levels of 16 bits", "more gain"),
    ),
    Fault("very quiet on DC", lambda x: x[1] * 2e-3 + 3e-6, "low_level", False, PEAK2 - 54, 0.3),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
def test_fault_is_found_named_and_measured(fault: Fault) -> None:
    x = GOOD.copy()
    x[1] = fault.do(GOOD)
    found = look(x)
    assert kinds(found) == [(1, fault.kind)]
    (finding,) = found.findings
    assert finding.severity == ("left out" if fault.left_out else "warning")
    assert found.usable == ((0, 2) if fault.left_out else (0, 1, 2))
    assert finding.other == fault.other
    assert finding.value == pytest.approx(fault.value, abs=fault.within)
    assert finding.message.startswith("channel ")
    for words in fault.says:
        assert words in finding.message
    require_two(found)


# What must not be found


def close_pair(band: float, snr_db: float, delay: float) -> np.ndarray:
    """Two microphones about 1 cm apart, of unequal gain, that hear only up to `band` Hz, each with hiss of its own."""
    low = sosfilt(butter(4, band, fs=RATE, output="sos"), voice(7) + voice(8))
    low *= 0.3 / np.abs(low).max()
    pair = np.stack([low, 0.8 * shifted(low, delay)])
    hiss = np.random.default_rng(9).standard_normal(pair.shape) * pair.std(axis=1, keepdims=True)
    return pair + 10 ** (-snr_db / 20) * hiss


def sines(hz: float, rate: int = 48000) -> np.ndarray:
    turn = 2 * np.pi * hz * np.arange(3 * rate) / rate
    return np.stack([0.9 * np.sin(turn), 0.9 * np.sin(turn + 1)])


FINE = [
    *((f"room {k}", room(k, m), RATE) for k, m in enumerate((2, 3, 4, 6))),
    ("room in 16 bits", pcm(room(1)), RATE),
    ("room in 8 bits", pcm(room(1), 8), RATE),
    ("room normalised to full scale, 16 bits", pcm(room(1) / np.abs(room(1)).max()), RATE),
    ("room over full scale, float", 3 * room(1), RATE),
    ("room at 44.1 kHz", room(2, 2, rate=44100), 44100),
    ("room, short", room(3, seconds=0.25), RATE),
    ("30 dB between the gains", room(1) * np.array([[1.0], [0.03], [0.3]]), RATE),
    ("a little DC", room(1) + 0.003, RATE),
    ("a pause at the end", np.concatenate([room(1), np.zeros((3, RATE))], axis=1), RATE),
    ("a pause beside DC", np.concatenate([room(1) + 0.003, np.zeros((3, RATE))], axis=1), RATE),
    *((f"close, {b} Hz, {s} dB, {d}", close_pair(b, s, d), RATE)
      for b in (60, 200, 1000) for s in (30, 40) for d in (0.0, 0.48)),
    *((f"sines of {hz} Hz", pcm(sines(hz)), 48000) for hz in (5, 50, 100, 440, 1000)),
    ("slow wave, full scale, 8 bits", pcm(close_pair(60, 60, 300.0) / 0.31, 8), RATE),
    ("two voices at a mixing desk", np.array([[0.6, 0.4], [0.5, 0.45]]) @ np.stack([voice(1), voice(2)]), RATE),
]  # fmt: skip


@pytest.mark.parametrize(("x", "rate"), [f[1:] for f in FINE], ids=[f[0] for f in FINE])
def test_good_recording_has_no_finding(x: np.ndarray, rate: int) -> None:
    found = look(x, rate)
    assert [f.message for f in found.findings] == []
    assert found.usable == tuple(range(len(x)))
    require_two(found)


def test_random_signals_have_no_finding() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        assert kinds(look(0.1 * rng.standard_normal((4, 4000)))) == []
        assert kinds(look(0.05 * rng.laplace(size=(4, 4000)))) == []
