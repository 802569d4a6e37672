"""The preflight of whole recordings: several faults at once, what is refused, blocks, memory, and whatever comes in."""

from __future__ import annotations

import json
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from preflight_signals import RATE, SECONDS, kinds, look, moved, pcm, room, voice

from bss.errors import InputError, UsageError
from bss.pipeline.analysis.preflight.channels import preflight, require_two
from bss.signals.channels import channel_faults

COPY_KINDS = {"duplicate", "stereo_of_mono", "near_duplicate", "delayed_duplicate"}

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
    assert "channel 3 is an exact mixture of channel 1 and channel 2 and does not help" in found.findings[0].message
    assert found.usable == (0, 1, 2, 3)


def test_more_microphones_than_voices_without_hiss() -> None:
    weights = np.random.default_rng(0).uniform(0.1, 0.5, (5, 3))
    found = look(weights @ np.stack([voice(k) for k in range(3)]))
    assert kinds(found) == [(3, "dependent"), (4, "dependent")]


def test_names_are_used() -> None:
    x = room(1).astype(np.float32)
    x[2] = x[0]
    found = preflight(x, RATE, ["desk.wav", "door.wav[1]", "door.wav[2]"])
    assert found.findings[0].message.startswith("door.wav[2] is a copy of desk.wav and is left out")
    assert found.names == ("desk.wav", "door.wav[1]", "door.wav[2]")


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("gain", [1.0, 0.5, -0.2])
def test_stereo_of_mono(gain: float, bits: int) -> None:
    mono = pcm(voice(1), bits)
    found = look(np.stack([mono, pcm(gain * mono, bits)]))
    assert kinds(found) == [(1, "stereo_of_mono")]
    assert found.findings[0].other == 0
    assert "this is one microphone in a stereo file" in found.findings[0].message
    with pytest.raises(InputError, match="both channels contain the same signal") as error:
        require_two(found)
    assert "one microphone copied to several channels" in error.value.why


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
    ("one channel", only(V), ["has only one channel, channel 1"], ["at least two microphones"], ["two or more microphones"]),
    ("one silent channel", only(0.0), ["has only one channel"], ["at least two microphones"], ["two or more microphones"]),
    ("two silent", only(0.0, 0.0), ["both channels are silent"], ["nothing to separate"], ["cables", "--start"]),
    ("all silent", only(0.0, 0.1, 0.0, 1e-8 * W), ["all 4 channels are silent"], ["nothing to"], ["cables"]),
    ("all the same", only(V, V, -0.5 * V), ["all 3 channels contain the same signal"], ["one microphone"], ["track"]),
    ("all NaN", only(np.nan, np.nan, np.nan), ["none of the 3 channels"], ["channel 2 contains NaN"], ["export", "--end"]),
    (
        "something of each", only(0.0, V, np.nan, V), ["only one of the 4 channels is usable"],
        ["channel 1 is silent", "channel 3 contains NaN", "channel 4 is a copy of channel 2", "needs two"],
        ["cables", "export", "own track"],
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
