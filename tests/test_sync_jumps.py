"""Jumps of recorders, and what looks like one; clocks whose rate changes."""

from __future__ import annotations

import numpy as np
import pytest
from signals_for_tests import RATE, voices
from test_sync import late, recording

import bss
from bss.backends.cpu import resampling


def without(x: np.ndarray, seconds: float, samples: int) -> np.ndarray:
    """x (n,) that lost samples at a time, or wrote some twice."""
    cut = round(seconds * RATE)
    return np.concatenate([x[:cut], x[cut + samples :], np.zeros(max(0, samples), np.float32)])[: len(x)]


@pytest.mark.parametrize("lost", [1600, 8000, 40_000])
def test_a_recorder_that_paused(lost: int) -> None:
    x = recording(seconds=40)
    mic = bss.sync(np.stack([x[0], without(x[1], 23.4, lost)]), RATE).alignment.mics[1]
    assert [jump.missing for jump in mic.jumps] == [pytest.approx(lost / RATE, abs=1e-9)]
    assert mic.jumps[0].seconds == pytest.approx(23.4, abs=0.05)
    if lost / RATE > 0.1:
        assert len(mic.covered) == 2
        assert mic.covered[1][0] - mic.covered[0][1] == pytest.approx(lost, abs=2)


def test_two_jumps() -> None:
    x = recording(seconds=40)
    mic = bss.sync(np.stack([x[0], without(without(x[1], 10.0, 333), 28.0, -512)]), RATE).alignment.mics[1]
    assert [round(jump.missing * RATE) for jump in mic.jumps] == [333, -512]
    assert [jump.seconds for jump in mic.jumps] == [pytest.approx(10.0, abs=0.02), pytest.approx(28.02, abs=0.03)]


def test_a_jump_of_the_first_is_told_of_the_first() -> None:
    x = recording(3)
    alignment = bss.sync(np.stack([without(x[0], 6.0, 160), x[1], x[2]]), RATE).alignment
    assert [len(mic.jumps) for mic in alignment.mics] == [1, 0, 0]
    assert alignment.mics[0].jumps[0].missing == pytest.approx(0.01, abs=1e-9)
    assert alignment.messages[0] == "mic1: 10 ms missing at 00:06.0"


@pytest.mark.parametrize("turns", [2, 6])
def test_talkers_who_take_turns_without_echo_are_no_jump(turns: int) -> None:
    """Between two of them the delay jumps, and nothing else changes."""
    n = 20 * RATE
    a, b = voices(2, n, 3) * np.stack([np.arange(n) * turns // n % 2 == k for k in range(2)])
    x = np.stack([a + b, 0.9 * np.roll(a, 8) + np.roll(b, -8)])
    x += 0.003 * np.random.default_rng(0).normal(size=x.shape)
    assert not bss.sync(np.asarray(0.1 * x, np.float32), RATE).alignment.changed


def test_a_short_hole_is_filled_and_not_counted_as_covered() -> None:
    x = recording()
    result = bss.sync(np.stack([x[0], without(x[1], 5.0, 160)]), RATE)
    (_, a), (b, _) = result.alignment.covered[1]
    assert 150 <= b - a <= 170
    hole, around = result.x[1, a:b], x[1, a - 800 : a]
    assert 0.1 < np.square(hole).mean() / np.square(x[1, a:b]).mean() < 10
    assert np.abs(np.diff(result.x[1, a - 20 : b + 20])).max() < 4 * np.abs(np.diff(around)).max()
    assert result.alignment.common == (0, x.shape[1])


def test_a_clock_whose_rate_changes() -> None:
    seconds = 60
    x = recording(seconds=seconds)
    t = np.arange(x.shape[1]) / RATE
    lag = 20e-6 * t - 25e-6 * t**2 / seconds  # from 20 ppm fast to 30 ppm slow
    at = (t - np.interp(t - lag, t, lag)) * RATE
    y = np.concatenate([resampling.at(x[1], at[k], (at[k + 1599] - at[k]) / 1599, 1600) for k in range(0, len(t), 1600)])
    mic = bss.sync(np.stack([x[0], y]), RATE).alignment.mics[1]
    assert mic.clock is not None
    times = np.linspace(2, seconds - 3, 20)
    error = mic.clock.at(times) - np.interp(times, t, lag)
    assert np.ptp(error) < 2e-5


def test_one_recorder_has_both_faults() -> None:
    x = recording(seconds=40)
    mic = bss.sync(np.stack([x[0], without(late(x[1], 45.0, 1.5), 21.0, 16_000)]), RATE).alignment.mics[1]
    assert mic.ppm == pytest.approx(45, abs=0.5)
    assert mic.offset == pytest.approx(1.5, abs=3e-3)
    assert [jump.missing for jump in mic.jumps] == [pytest.approx(1.0, abs=1e-4)]
