"""Delays between microphones: known ones are recovered, integer and fractional, for noise and for voices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from signals_for_tests import RATE, voices

from bss.signals import delays

N = 32_000
SIGNALS = {
    "noise": lambda: np.random.default_rng(0).standard_normal(N),
    "voice": lambda: voices(1, N, seed=3)[0],
}


def delayed(s: np.ndarray, samples: float) -> np.ndarray:
    """s delayed by `samples`: a phase ramp over its padded spectrum."""
    padded = np.pad(s, (1000, 1000))
    phase = np.exp(-2j * np.pi * np.fft.rfftfreq(len(padded)) * samples)
    return np.fft.irfft(np.fft.rfft(padded) * phase, n=len(padded))[1000:-1000]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("samples", [0, 1, -3, 17, -40, 120, 0.5, -2.25, 10.4, -33.7])
@pytest.mark.parametrize("kind", SIGNALS)
def test_a_known_delay_is_found(kind: str, samples: float, dtype: Any) -> None:
    s = SIGNALS[kind]()
    x = np.stack([s, delayed(s, samples)]).astype(dtype)
    kept = x.copy()
    estimated = delays.measure(x, RATE)
    np.testing.assert_allclose(estimated.earliest * RATE, [0, samples], atol=0.13)  # estimated on a grid of 1/8
    np.testing.assert_allclose(estimated.latest * RATE, [0, samples], atol=0.13)
    assert estimated.largest * RATE == pytest.approx(abs(samples), abs=0.13)
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_delays_are_in_seconds_and_per_microphone(rate: int) -> None:
    s = np.random.default_rng(1).standard_normal(2 * rate)
    x = np.stack([s, delayed(s, 8), 0.01 * delayed(s, -5)])
    estimated = delays.measure(x, rate)
    np.testing.assert_allclose(estimated.earliest, np.array([0, 8, -5]) / rate, atol=0.13 / rate)


def test_two_talkers_have_an_earliest_and_a_latest_delay() -> None:
    a, b = voices(2, 2 * N, seed=5)
    x = np.stack([a + b, delayed(a, 12) + delayed(b, -9)])
    estimated = delays.measure(x, RATE)
    assert estimated.earliest[1] * RATE == pytest.approx(-9, abs=0.5)
    assert estimated.latest[1] * RATE == pytest.approx(12, abs=0.5)
    assert estimated.largest * RATE == pytest.approx(12, abs=0.5)


def test_a_delay_is_found_in_noise_of_the_microphones() -> None:
    s, rng = voices(1, N, seed=6)[0], np.random.default_rng(0)
    x = np.stack([s, delayed(s, 21)]) + 0.05 * rng.standard_normal((2, N))
    assert delays.measure(x, RATE).latest[1] * RATE == pytest.approx(21, abs=0.25)


@pytest.mark.parametrize("n", [1, 20, 700])
def test_short_recordings(n: int) -> None:
    x = np.tile(np.random.default_rng(0).standard_normal(n), (2, 1))
    assert delays.measure(x, RATE).largest == 0


@pytest.mark.parametrize("gain", [0.0, 1e-30, 1e-6, 1e6])
def test_the_level_does_not_matter_and_silence_has_no_delay(gain: float) -> None:
    s = np.random.default_rng(0).standard_normal(N)
    x = gain * np.stack([s, delayed(s, 7)])
    assert delays.measure(x, RATE).largest * RATE == pytest.approx(7 if gain else 0, abs=0.13)


def test_a_microphone_that_is_off_has_no_delay() -> None:
    x = np.stack([np.random.default_rng(0).standard_normal(N), np.zeros(N)])
    assert delays.measure(x, RATE).largest == 0


def test_pauses_do_not_hide_a_delay() -> None:
    s = SIGNALS["voice"]()
    s[N // 8 :] = 0  # most of the recording is digital silence
    assert delays.measure(np.stack([s, delayed(s, 5)]).astype(np.float32), RATE).latest[1] * RATE == pytest.approx(5, abs=0.13)


@pytest.mark.parametrize("samples", [0, 6, -33.7])
@pytest.mark.parametrize("kind", SIGNALS)
def test_polarity_is_no_delay(kind: str, samples: float) -> None:
    s = SIGNALS[kind]()
    assert delays.measure(np.stack([s, -delayed(s, samples)]), RATE).latest[1] * RATE == pytest.approx(samples, abs=0.13)


def test_one_microphone_has_nothing_to_be_late_to() -> None:
    assert delays.measure(np.random.default_rng(0).standard_normal((1, N)), RATE).largest == 0
