"""Recorders put in step: what was done to synthetic recordings is found, to a few microseconds, and undone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.signal
from signals_for_tests import RATE, images, room, voices

import bss
from bss.backends.cpu import resampling
from bss.errors import UsageError
from bss.signals.sync.alignment import clock_time

SECONDS = 12


def recording(n_mics: int = 2, n_sources: int = 2, seconds: float = SECONDS, seed: int = 0) -> np.ndarray:
    """(M, n) float32 of talkers in a room, with noise of the microphones."""
    n = round(seconds * RATE)
    x = images(room(n_mics, n_sources, seed), voices(n_sources, n, seed)).sum(0)
    x += 0.01 * x.std() * np.random.default_rng(seed).normal(size=x.shape)
    b = scipy.signal.firwin(129, 0.85)  # nothing near half the rate, where no resampling is exact
    return np.asarray(scipy.signal.oaconvolve(x, b[None], mode="same") * 0.1, np.float32)


def late(x: np.ndarray, ppm: float = 0.0, offset: float = 0.0) -> np.ndarray:
    """x as recorded by a clock that is `ppm` fast and starts `offset` seconds later."""
    return resampling.at(x, offset * RATE, 1.0 / (1.0 + 1e-6 * ppm), len(x))


def lag_error(mic: Any, ppm: float, offset: float, seconds: float = SECONDS) -> float:
    """Microseconds by which the lag is wrong, apart from a constant: where the array's own delays end is not known."""
    t = np.linspace(2.0, seconds - 1.0, 10)
    error = mic.clock.at(t) - ((t - offset) * (1 + 1e-6 * ppm) - t)
    assert abs(error).max() < 2e-3
    return float(1e6 * np.ptp(error))


def test_an_array_in_step_is_not_touched() -> None:
    x = recording(3)
    result = bss.sync(x, RATE)
    assert result.x is x
    assert not result.alignment.changed
    assert result.messages == ()
    assert result.alignment.covered == (((0, x.shape[1]),),) * 3


@pytest.mark.parametrize(("ppm", "offset"), [(20.0, 0.0), (-80.0, 0.0), (400.0, 0.0), (41.3, 1.284), (-500.0, 4.0)])
def test_clocks_are_found_to_microseconds(ppm: float, offset: float) -> None:
    x = recording()
    y = np.stack([x[0], late(x[1], ppm, offset)])
    mic = bss.sync(y, RATE).alignment.mics[1]
    assert mic.ppm == pytest.approx(ppm, abs=0.5)
    assert mic.offset == pytest.approx(offset, abs=3e-3)
    assert lag_error(mic, ppm, offset) < 5.0
    assert mic.message is not None
    assert f"clock {mic.ppm:+.1f} ppm" in mic.message


def test_the_recording_is_as_one_clock_would_have_made_it() -> None:
    x = recording()
    y = bss.sync(np.stack([x[0], late(x[1], 60.0)]), RATE).x
    middle = slice(RATE // 2, -RATE // 2)
    assert np.square(y[1] - x[1])[middle].mean() < 1e-4 * np.square(x[1])[middle].mean()
    assert (y[0] == x[0]).all()


@pytest.mark.parametrize("offset", [0.25, 3.0, -5.0])
def test_an_offset_alone_moves_samples_and_changes_none(offset: float) -> None:
    x = recording()
    shift = round(offset * RATE)
    other = np.zeros_like(x[1])
    other[max(0, -shift) : len(other) - max(0, shift)] = x[1][max(0, shift) : len(other) - max(0, -shift)]
    result = bss.sync(np.stack([x[0], other]), RATE)
    moved = round(result.alignment.mics[1].offset * RATE)
    assert abs(moved - shift) <= 16  # the delay between the microphones of the array
    covered = slice(max(0, shift) + 20, len(other) + min(0, shift) - 20)
    assert (result.x[1][covered] == np.roll(x[1], moved - shift)[covered]).all()
    assert result.alignment.common == result.alignment.covered[1][0]


@pytest.mark.parametrize("lost", [160, 24, 1024, -480])
def test_lost_and_repeated_samples(lost: int) -> None:
    x = recording()
    cut = 5 * RATE
    tail = np.zeros(max(0, lost), np.float32)
    other = np.concatenate([x[1, :cut], x[1, cut + lost :], tail])[: x.shape[1]]
    mic = bss.sync(np.stack([x[0], other]), RATE).alignment.mics[1]
    assert len(mic.jumps) == 1
    assert mic.jumps[0].missing == pytest.approx(lost / RATE, abs=1e-9)
    assert mic.jumps[0].seconds == pytest.approx(cut / RATE, abs=0.02)
    assert mic.message is not None
    assert ("missing" if lost > 0 else "too many") in mic.message


def test_a_jump_and_a_drift_together() -> None:
    x = recording(seconds=16)
    cut = 9 * RATE
    other = late(x[1], 30.0)
    other = np.concatenate([other[:cut], other[cut + 320 :], np.zeros(320, np.float32)])
    mic = bss.sync(np.stack([x[0], other]), RATE).alignment.mics[1]
    assert [j.missing for j in mic.jumps] == [pytest.approx(0.02, abs=1e-6)]
    assert mic.clock is not None
    assert mic.clock.pieces[0].rate == pytest.approx(30e-6, abs=1e-6)


def test_channels_of_one_recorder_stay_together() -> None:
    x = recording(4)
    y = np.stack([*x[:2], late(x[2], 50.0, 0.5), late(x[3], 50.0, 0.5)])
    mics = bss.sync(y, RATE, devices=["a", "a", "b", "b"]).alignment.mics
    assert [mic.changed for mic in mics] == [False, False, True, True]
    assert mics[2].clock is mics[3].clock


def test_a_microphone_that_shares_no_sound_is_left_and_named() -> None:
    x = recording(2)
    strange = recording(1, 1, seed=9)
    result = bss.sync(np.concatenate([x, strange]), RATE, names=["a.wav", "b.wav", "c.wav"])
    assert [mic.found for mic in result.alignment.mics] == [True, True, False]
    assert result.messages == ("c.wav: shares no sound with the reference microphone, so it cannot be put in step",)
    assert not result.alignment.changed


def test_modes() -> None:
    x = recording()
    y = np.stack([x[0], late(x[1], 60.0, 0.5)])
    off, offset = bss.sync(y, RATE, mode="off"), bss.sync(y, RATE, mode="offset")
    assert not off.alignment.changed
    assert offset.alignment.mics[1].ppm == 0
    assert offset.alignment.mics[1].offset == pytest.approx(0.5, abs=3e-3)
    assert bss.sync(x, RATE, mode="drift").alignment.changed
    with pytest.raises(UsageError, match="did you mean 'drift'"):
        bss.sync(y, RATE, mode="drif")
    with pytest.raises(UsageError, match="3 devices for 2 channels"):
        bss.sync(y, RATE, devices=[0, 1, 1])


def test_times_are_read_as_clocks_are() -> None:
    assert [clock_time(s) for s in (10.04, 59.96, 3725.5)] == ["00:10.0", "01:00.0", "1:02:05.5"]
