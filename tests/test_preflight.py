"""The preflight: every kind of fault is found, named and measured; a good recording has none."""

from __future__ import annotations

import json
import math
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from scipy.signal import butter, lfilter, sosfilt

from bss.errors import InputError, UsageError
from bss.pipeline.preflight import Preflight, preflight, require_two
from bss.signals import channel_faults

RATE = 16000
SECONDS = 5  # more than one block of 2^16 samples
COPY_KINDS = {"duplicate", "stereo_of_mono", "near_duplicate", "delayed_duplicate"}


def voice(seed: int, seconds: float = SECONDS, rate: int = RATE) -> np.ndarray:
    """Something like a voice, float64 with a peak of 0.5: coloured, sparse, and coming and going like syllables."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    colour = lfilter([1.0], [1.0, -1.77, 0.81], rng.laplace(size=n))
    pace = 0.5 - 0.5 * np.cos(2 * np.pi * 3.1 * np.arange(n) / rate + seed)
    speech = sosfilt(butter(2, 80, "highpass", fs=rate, output="sos"), colour * pace**3)
    return 0.5 * speech / np.abs(speech).max()


def room(seed: int, m: int = 3, seconds: float = SECONDS, rate: int = RATE) -> np.ndarray:
    """A good recording, (M, n) float64: m voices, delayed and weighted differently at each of m microphones, with hiss."""
    rng = np.random.default_rng(1000 + seed)
    voices = [voice(100 * seed + k, seconds, rate) for k in range(m)]
    x = np.zeros((m, voices[0].size))
    for row in x:
        for source in voices:
            delay = int(rng.integers(0, 40))
            row[delay:] += rng.uniform(0.2, 0.8) * source[: source.size - delay]
            row[delay + 500 :] += 0.1 * source[: source.size - delay - 500]
    return 0.8 * x / np.abs(x).max() + 1e-3 * rng.standard_normal(x.shape)


def pcm(x: np.ndarray, bits: int = 16) -> np.ndarray:
    """As a sound card of so many bits stores it: rounded, and cut off at full scale."""
    steps = 2.0 ** (bits - 1)
    return np.clip(np.round(x * steps), -steps, steps - 1) / steps


def look(x: np.ndarray, rate: int = RATE) -> Preflight:
    return preflight(x.astype(np.float32), rate)


def kinds(found: Preflight) -> list[tuple[int | None, str]]:
    return [(f.channel, f.kind) for f in found.findings]


def shifted(x: np.ndarray, delay: float) -> np.ndarray:
    """`x` later by `delay` samples, which need not be whole."""
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(x.size) * delay)
    return np.fft.irfft(np.fft.rfft(x) * turn, x.size)


def moved(x: np.ndarray, delay: int) -> np.ndarray:
    """`x` later by `delay` samples, zeros before or after."""
    y = np.zeros_like(x)
    if delay >= 0:
        y[delay:] = x[: x.size - delay]
    else:
        y[:delay] = x[-delay:]
    return y


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
SILENT = ("it is left out", "cable", "mute")
RMS2 = float(np.std(GOOD[1]))
PEAK2 = 20 * math.log10(np.abs(GOOD[1]).max())
DITHER = np.random.default_rng(5).integers(-1, 2, GOOD.shape[1]) * 2.0**-15  # RMS -92.1 dBFS

FAULTS = [
    Fault("zeros", lambda x: 0 * x[1], "silent", True, -math.inf, says=("digital silence", *SILENT)),
    Fault("only DC", lambda x: 0 * x[1] + 0.25, "silent", True, -math.inf, says=("a constant of +0.25", *SILENT)),
    Fault("last bit of 24", lambda x: pcm(x[1] * 1e-6, 24), "silent", True, -140, 5, ("RMS -14", "dB below", *SILENT)),
    Fault("only dither", lambda x: DITHER, "silent", True, -92.1, 0.1, ("RMS -92.", "dB below the loudest", *SILENT)),
    Fault("hum far down", lambda x: x[1] * 5e-5, "silent", True, 20 * math.log10(RMS2 * 5e-5), 0.1, SILENT),
    Fault(
        "one NaN", lambda x: with_bad(x, {24000: np.nan}), "nonfinite", True, 1,
        says=("holds 1 NaN sample, the first at 1.500 s", "it is left out"),
    ),
    Fault(
        "NaN and inf", lambda x: with_bad(x, {72000: np.inf, 70400: -np.inf, 79999: np.nan}), "nonfinite", True, 3,
        says=("holds 1 NaN and 2 infinite samples, the first at 4.400 s",),
    ),
    Fault("all NaN", lambda x: x[1] * np.nan, "nonfinite", True, 5 * RATE, says=("80000 NaN samples", "at 0.000 s")),
    Fault("inf at the start", lambda x: with_bad(x, {0: np.inf}), "nonfinite", True, 1, says=("1 infinite sample,",)),
    Fault(
        "the same", lambda x: x[0], "duplicate", True, -math.inf,
        says=("channel 2 is a copy of channel 1;", "it is left out"), other=0,
    ),
    Fault(
        "scaled", lambda x: 0.7 * x[0], "duplicate", True, -150, 10,
        ("channel 2 is a copy of channel 1 (-3.1 dB);", "it is left out"), 0,
    ),
    Fault("inverted", lambda x: -x[0], "duplicate", True, -math.inf, says=("of channel 1 (inverted)",), other=0),
    Fault(
        "scaled, inverted, other DC", lambda x: 0.01 - 1.5 * x[0], "duplicate", True, -130, 30,
        ("channel 1 (+3.5 dB, inverted)",), 0,
    ),
    Fault("scaled, 16 bits", lambda x: pcm(-0.3 * pcm(x[0])), "duplicate", True, -65, 1, ("(-10.5 dB, inverted)",), 0),
    Fault(
        "almost", lambda x: x[0] + 0.003 * np.std(x[0]) * np.random.default_rng(3).standard_normal(x.shape[1]),
        "near_duplicate", False, -50.5, 0.2, ("channel 2 is almost channel 1: they differ by -50.", "further apart"), 0,
    ),
    Fault(
        "later", lambda x: moved(x[0], 5), "delayed_duplicate", False, 5,
        says=("channel 2 is channel 1 delayed by 5 samples (0.31 ms)", "Leave one of them out"), other=0,
    ),
    Fault(
        "earlier, scaled, inverted", lambda x: moved(-0.7 * x[0], -320), "delayed_duplicate", False, -320,
        says=("channel 1 is channel 2 delayed by 320 samples (20.00 ms)",), other=0,
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
        ("a DC offset of -0.0", "50 % of its RMS", "removed for the estimation"),
    ),
    Fault(
        "very quiet", lambda x: x[1] * 2e-3, "low_level", False, PEAK2 - 54, 0.3,
        ("very quiet: its peak is -63.2 dBFS.", "more gain"),
    ),
    Fault(
        "very quiet, 16 bits", lambda x: pcm(x[1] * 2e-3), "low_level", False, PEAK2 - 54, 0.3,
        ("of the 65536 steps of 16 bits", "more gain"),
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


# Several channels at once


def test_copy_of_a_copy_names_the_first() -> None:
    x = room(1, 4)
    x[2], x[3] = 0.5 * x[0], -x[1]
    assert [(f.channel, f.kind, f.other) for f in look(x).findings] == [(2, "duplicate", 0), (3, "duplicate", 1)]
    x[2], x[3] = 0.5 * x[1], -x[1]
    assert [(f.channel, f.other) for f in look(x).findings] == [(2, 1), (3, 1)]


def test_copy_of_a_broken_channel_is_broken_too() -> None:
    x = room(1, 4)
    x[0, 5] = np.nan
    x[3] = x[0]
    found = look(x)
    assert kinds(found) == [(0, "nonfinite"), (3, "nonfinite")]
    assert found.usable == (1, 2)


def test_two_silent_channels_are_silent_and_not_copies() -> None:
    x = room(1, 4)
    x[[0, 2]] = 0.0
    assert kinds(look(x)) == [(0, "silent"), (2, "silent")]


def test_faults_of_one_channel_are_all_told() -> None:
    x = room(1)
    x[1] = np.clip(x[1], -0.1, 0.1) + 0.1
    assert kinds(look(x)) == [(1, "clipped"), (1, "dc_offset")]


def test_left_out_comes_first_and_only_once() -> None:
    x = room(1, 4)
    x[0] = np.clip(x[0], -0.1, 0.1)
    x[2] = x[0]
    x[3] = 0.3
    assert kinds(look(x)) == [(2, "duplicate"), (3, "silent"), (0, "clipped")]


def test_mixture_of_others_is_named() -> None:
    x = room(1, 4)
    x[2] = 0.5 * x[0] - 0.25 * x[1]
    found = look(x)
    assert kinds(found) == [(2, "dependent")]
    assert "channel 3 is an exact mixture of channel 1 and channel 2:" in found.findings[0].message
    assert found.usable == (0, 1, 2, 3)


def test_more_microphones_than_voices_without_hiss() -> None:
    weights = np.random.default_rng(0).uniform(0.1, 0.5, (5, 3))
    found = look(weights @ np.stack([voice(k) for k in range(3)]))
    assert kinds(found) == [(3, "dependent"), (4, "dependent")]


def test_names_are_used() -> None:
    x = room(1).astype(np.float32)
    x[2] = x[0]
    found = preflight(x, RATE, ["desk.wav", "door.wav[1]", "door.wav[2]"])
    assert found.findings[0].message.startswith("door.wav[2] is a copy of desk.wav;")
    assert found.names == ("desk.wav", "door.wav[1]", "door.wav[2]")


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("gain", [1.0, 0.5, -0.2])
def test_stereo_of_mono(gain: float, bits: int) -> None:
    mono = pcm(voice(1), bits)
    found = look(np.stack([mono, pcm(gain * mono, bits)]))
    assert kinds(found) == [(1, "stereo_of_mono")]
    assert found.findings[0].other == 0
    assert "a stereo recording of one microphone" in found.findings[0].message
    with pytest.raises(InputError, match="both channels hold the same signal") as error:
        require_two(found)
    assert "a stereo file made of one" in error.value.why


def test_levels() -> None:
    turn = 2 * np.pi * 1000 * np.arange(RATE) / RATE
    x = np.stack([0.5 * np.sin(turn), 0.1 + 0.01 * np.cos(turn), np.full(RATE, -0.25), np.zeros(RATE)])
    levels = look(x).levels
    assert [level.peak_dbfs for level in levels] == pytest.approx([-6.02, -19.17, -12.04, -math.inf], abs=0.01)
    assert [level.rms_dbfs for level in levels] == pytest.approx([-9.03, -43.01, -math.inf, -math.inf], abs=0.01)


def test_to_list_is_json() -> None:
    x = room(1, 4)
    x[1], x[2], x[3] = 0.0, x[0], np.nan
    entries = json.loads(json.dumps(look(x).to_list(), allow_nan=False))
    assert [(e["channel"], e["kind"], e["severity"], e["value"]) for e in entries] == [
        (1, "silent", "left out", None),
        (2, "duplicate", "left out", None),
        (3, "nonfinite", "left out", SECONDS * RATE),
    ]
    assert entries[1]["other"] == 0
    assert all(e["message"].endswith(".") for e in entries)


# Fewer than two channels left


def only(*rows: np.ndarray | float) -> np.ndarray:
    return np.stack([np.broadcast_to(row, voice(1).shape) for row in rows])


V, W = voice(1), voice(2)
REFUSED = [  # what, the recording, what the error says, why, what to try
    ("one channel", only(V), ["has one channel, channel 1"], ["single microphone"], ["two microphones or more"]),
    ("one silent channel", only(0.0), ["has one channel"], ["single microphone"], ["two microphones or more"]),
    ("two silent", only(0.0, 0.0), ["both channels are silent"], ["nothing to separate"], ["cables", "--start"]),
    ("all silent", only(0.0, 0.1, 0.0, 1e-8 * W), ["all 4 channels are silent"], ["nothing to"], ["cables"]),
    ("all the same", only(V, V, -0.5 * V), ["all 3 channels hold the same signal"], ["one microphone"], ["track"]),
    ("all NaN", only(np.nan, np.nan, np.nan), ["none of the 3 channels"], ["channel 2 holds NaN"], ["export", "--end"]),
    (
        "something of each", only(0.0, V, np.nan, V), ["only one of the 4 channels can be used"],
        ["channel 1 is silent", "channel 3 holds NaN", "channel 4 is a copy of channel 2", "needs two"],
        ["cables", "export", "track of its own"],
    ),
    ("one mute", only(V, 0.0), ["only one of the 2 channels"], ["channel 2 is silent"], ["mute"]),
]  # fmt: skip


@pytest.mark.parametrize(("x", "what", "why", "hint"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_fewer_than_two_usable(x: np.ndarray, what: list[str], why: list[str], hint: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        require_two(look(x))
    error = caught.value
    assert error.exit_code == 3
    for text, wanted in ((error.what, what), (error.why, why), (error.hint, hint)):
        assert all(words in text for words in wanted), text


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.zeros(100, np.float32), r"shape \(100,\)"),
        (np.zeros((2, 3, 4), np.float32), r"shape \(2, 3, 4\)"),
        (np.zeros((100, 2), np.float32), "100 channels of 2 samples"),
        (np.zeros((2, 0), np.float32), "empty"),
        (np.zeros((0, 5), np.float32), "empty"),
        (np.zeros((2, 100), np.int16), "int16"),
        (np.zeros((2, 100), np.complex64), "complex64"),
    ],
)
def test_refuses_what_is_no_recording(x: np.ndarray, says: str) -> None:
    with pytest.raises(InputError, match=says):
        preflight(x, RATE)


@pytest.mark.parametrize("arguments", [(0,), (-1,), (16000.5,), (RATE, ["one name"]), (RATE, [])])
def test_refuses_wrong_options(arguments: tuple[int]) -> None:
    with pytest.raises(UsageError):
        preflight(np.zeros((2, 100), np.float32), *arguments)


# Blocks, memory, inputs


@pytest.mark.parametrize("size", [97, 1000, 4096])
def test_result_does_not_depend_on_the_size_of_blocks(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    x = room(1, 4, seconds=1.0)
    x[1] = np.clip(x[1], -0.1, 0.1)
    x[2, 9000] = np.inf
    x[3] = moved(0.4 * x[0], 3)
    whole = look(x)
    monkeypatch.setattr(channel_faults, "BLOCK", size)
    parts = look(x)
    assert kinds(parts) == kinds(whole) == [(2, "nonfinite"), (1, "clipped"), (3, "delayed_duplicate")]
    assert [f.value for f in parts.findings] == pytest.approx([f.value for f in whole.findings])
    assert [level.rms_dbfs for level in parts.levels] == pytest.approx([level.rms_dbfs for level in whole.levels])


def test_copy_that_ends_early_is_no_copy() -> None:
    x = room(1)
    x[1] = x[0]
    x[1, -2000:] = room(2)[1, -2000:]
    assert "duplicate" not in [f.kind for f in look(x).findings]
    x[1] = moved(x[0], 4)
    x[1, :2000] = room(2)[1, :2000]
    assert "delayed_duplicate" not in [f.kind for f in look(x).findings]


def test_memory_is_that_of_a_block() -> None:
    x = np.zeros((8, 40 * channel_faults.BLOCK), np.float32)  # 84 MB
    for row, seed in zip(x, range(8), strict=True):
        row += 0.1 * np.random.default_rng(seed).standard_normal(row.size, dtype=np.float32)
    tracemalloc.start()
    preflight(x, 48000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.25 * x.nbytes


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_input_is_left_alone_and_its_type_does_not_matter(dtype: type[np.floating]) -> None:
    x = room(1).astype(dtype)
    x[1, 7] = np.nan
    before = x.tobytes()
    x.flags.writeable = False
    assert kinds(preflight(x, RATE)) == [(1, "nonfinite")]
    assert x.tobytes() == before


def test_number_too_large_for_float32_counts_as_infinite() -> None:
    x = room(1)
    x[2, 100] = 1e300
    (finding,) = preflight(x, RATE).findings
    assert "1 infinite sample" in finding.message


@st.composite
def recordings(draw: st.DrawFn) -> np.ndarray:
    m = draw(st.integers(1, 5))
    n = draw(st.integers(m, 90))
    numbers = st.one_of(
        st.floats(width=32),
        st.floats(-1, 1, width=32),
        st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0**-15, 1e-30, np.nan, np.inf, -np.inf]),
    )
    x = draw(hnp.arrays(np.float32, (m, n), elements=numbers, fill=draw(st.sampled_from([st.nothing(), st.just(0.0)]))))
    for k in range(1, m):
        if draw(st.booleans()):
            with np.errstate(over="ignore"):
                x[k] = draw(st.sampled_from([1.0, -1.0, 0.5])) * np.roll(x[draw(st.integers(0, k - 1))], draw(st.integers(0, 3)))
    return x


@settings(max_examples=300, deadline=None)
@given(recordings())
def test_never_raises_and_explains_every_channel_left_out(x: np.ndarray) -> None:
    found = preflight(x, RATE)
    left_out = [f.channel for f in found.findings if f.severity == "left out"]
    assert sorted([*left_out, *found.usable]) == list(range(len(x)))
    assert list(found.usable) == sorted(found.usable)
    assert all(np.isfinite(x[k]).all() and np.ptp(x[k].astype(np.float64)) > 0 for k in found.usable)
    bad = [k for k in range(len(x)) if not np.isfinite(x[k]).all()]
    assert [f.channel for f in found.findings if f.kind == "nonfinite"] == bad
    assert all(f.message.endswith(".") and not math.isnan(f.value) for f in found.findings)
    assert all(f.other is not None and f.other != f.channel for f in found.findings if f.kind in COPY_KINDS)
    json.dumps(found.to_list(), allow_nan=False)
    if len(found.usable) < 2:
        with pytest.raises(InputError):
            require_two(found)
    else:
        require_two(found)
