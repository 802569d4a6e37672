"""GCC-PHAT, step by step against its definition, and bit by bit against the code that it replaces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bss.signals import gcc_phat

F, T, UPSAMPLING = 129, 40, 8


def cross_spectra(dtype: Any = np.complex64, seed: int = 0) -> np.ndarray:
    """(F, T) with silent bins and a silent frame."""
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((2, F, T)) + 1j * rng.standard_normal((2, F, T))) * 10.0 ** rng.integers(-6, 3, (1, F, T))
    X[:, ::7] = 0
    X[:, :, 3] = 0
    return (X[0] * X[1].conj()).astype(dtype)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_phases_have_magnitude_one_or_are_zero(dtype: Any) -> None:
    cross = cross_spectra(dtype)
    kept = cross.copy()
    phases = gcc_phat.phase_transform(cross)
    assert phases.dtype == dtype
    np.testing.assert_allclose(np.abs(phases), cross != 0, atol=1e-6)
    np.testing.assert_allclose(phases * np.abs(cross), cross, rtol=1e-6)
    np.testing.assert_array_equal(cross, kept)


def test_bins_below_the_floor_do_not_count() -> None:
    cross = cross_spectra(np.complex128)
    phases = gcc_phat.phase_transform(cross, floor=1e-3)
    loud = np.abs(cross) > 1e-3 * np.abs(cross).max(0)
    np.testing.assert_array_equal(phases, np.where(loud, cross / np.where(loud, np.abs(cross), 1), 0))
    assert 0 < np.count_nonzero(phases) < np.count_nonzero(cross)


@pytest.mark.parametrize("upsampling", [1, 4, 8])
@pytest.mark.parametrize("max_lag", [1, 16, 64])
def test_the_correlation_lies_around_lag_zero(max_lag: int, upsampling: int) -> None:
    phases = gcc_phat.phase_transform(cross_spectra(np.complex128))
    phases[0] = phases[-1] = 0
    r = gcc_phat.correlate(phases, max_lag, upsampling=upsampling)
    lags = np.arange(-max_lag, max_lag + 1) / upsampling
    angle = np.exp(2j * np.pi * np.outer(lags, np.arange(F)) / (2 * (F - 1)))
    np.testing.assert_allclose(r, (angle @ phases).real / ((F - 1) * upsampling), atol=1e-12)


@pytest.mark.parametrize("gain", [1.0, -1.0])
@pytest.mark.parametrize("samples", [0.0, 3.0, -7.25, 12.5])
def test_the_peak_is_at_the_delay_whatever_the_polarity(samples: float, gain: float) -> None:
    cross = gain * np.exp(-2j * np.pi * np.arange(F) * samples / (2 * (F - 1)))
    lag, height = gcc_phat.peaks(gcc_phat.correlate(cross, 32 * UPSAMPLING, upsampling=UPSAMPLING), upsampling=UPSAMPLING)
    assert (lag, height) == (samples, pytest.approx(1 / UPSAMPLING, rel=0.01))


def test_signed_peaks_are_positive_ones() -> None:
    r = np.array([[0.1, -0.9, 0.3, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]]).T
    lags, heights = gcc_phat.peaks(r)
    assert (lags.tolist(), heights.tolist()) == ([-1.0, 0.0], [0.9, 0.0])
    lags, heights = gcc_phat.peaks(r, signed=True)
    assert (lags.tolist(), heights.tolist()) == ([0.0, 0.0], [0.3, 0.0])


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_same_bytes_as_frame_by_frame_before(dtype: Any) -> None:
    cross = cross_spectra(dtype)
    reach, size = 64 * UPSAMPLING, 2 * (F - 1)
    phases = cross / np.maximum(np.abs(cross), np.finfo(cross.real.dtype).tiny)
    phases[0] = 0
    correlation = np.fft.irfft(phases, n=size * UPSAMPLING, axis=0)
    near = np.abs(np.concatenate([correlation[-reach:], correlation[: reach + 1]]))
    expected = np.where(near.max(0) > 0, (near.argmax(0) - reach) / UPSAMPLING, 0.0)
    new = gcc_phat.phase_transform(cross)
    new[0] = 0
    lags, _ = gcc_phat.peaks(gcc_phat.correlate(new, reach, upsampling=UPSAMPLING), upsampling=UPSAMPLING)
    assert lags.tobytes() == expected.tobytes()
    assert len(set(lags)) > T // 2


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_same_bytes_as_of_images_before(rate: int) -> None:
    cross = np.stack([cross_spectra(np.complex128, seed) for seed in range(3)], axis=2)
    cross[:, 5, 1] = 0
    magnitude = np.abs(cross)
    heard = magnitude > 1e-6 * magnitude.max(0, keepdims=True)
    phases = np.where(heard, cross / np.where(heard, magnitude, 1), 0)
    correlation = np.fft.irfft(phases, n=2 * (F - 1) * UPSAMPLING, axis=0)
    reach = min((F - 1) // 2, round(0.05 * rate)) * UPSAMPLING
    near = np.abs(np.concatenate([correlation[-reach:], correlation[: reach + 1]]))
    expected = (near.argmax(0) - reach) * (near.max(0) > 0) / (UPSAMPLING * rate)
    new = gcc_phat.correlate(gcc_phat.phase_transform(cross, floor=1e-6), reach, upsampling=UPSAMPLING)
    assert (gcc_phat.peaks(new, upsampling=UPSAMPLING)[0] / rate).tobytes() == expected.tobytes()
