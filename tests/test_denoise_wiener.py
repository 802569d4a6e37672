"""The classical half of the denoiser: gains that follow from the frames alone, however they come."""

from __future__ import annotations

import numpy as np
import pytest

from bss.networks.denoiser.wiener import HIGHEST_POSTERIOR, LOWEST_PRIOR, WienerFilter

FRAMES = 62.5  # per second


def noise(frames: int, seed: int = 0, level: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (level * (rng.normal(size=(2, frames, 9)) + 1j * rng.normal(size=(2, frames, 9)))).astype(np.complex64)


@pytest.mark.parametrize("cuts", [[], [1], [7, 8, 100], list(range(1, 300))])
def test_however_the_frames_come(cuts: list[int]) -> None:
    X = noise(300)
    whole = WienerFilter(2, 9, FRAMES).gains(X)
    pieces = WienerFilter(2, 9, FRAMES)
    np.testing.assert_array_equal(np.concatenate([pieces.gains(part) for part in np.split(X, cuts, axis=1)], axis=1), whole)
    assert whole.dtype == np.float32
    assert (whole.min(), whole.max()) >= (0, 0)
    assert whole.max() < 1


def test_steady_noise_goes_and_what_begins_in_it_stays() -> None:
    X = noise(600)
    X[0, 400:430, 4] += 30
    gains = WienerFilter(2, 9, FRAMES).gains(X)
    left = np.abs(gains * X) ** 2
    assert left[1, 100:].sum() < 0.1 * (np.abs(X[1, 100:]) ** 2).sum()
    assert gains[0, 405:430, 4].min() > 0.9
    others = np.delete(gains[0, 405:430], 4, axis=1)
    assert others.mean() < 0.4, "bins are judged by themselves"
    np.testing.assert_array_equal(gains[1], WienerFilter(1, 9, FRAMES).gains(X[1:])[0])  # and so are channels


def test_noise_that_grows_is_noise_again_after_a_while() -> None:
    X = np.concatenate((noise(200), noise(400, 1, 10.0)), axis=1)
    gains = WienerFilter(2, 9, FRAMES).gains(X)
    assert gains[:, 205:230].mean() > 0.8
    assert gains[:, 400:].mean() < 0.4


def test_silence_and_what_follows_it_are_finite() -> None:
    X = np.concatenate((np.zeros((2, 100, 9), np.complex64), noise(50, level=1e4), np.zeros((2, 50, 9), np.complex64)), axis=1)
    gains = WienerFilter(2, 9, FRAMES).gains(X)
    assert np.isfinite(gains).all()
    assert gains[:, :100].max() <= 1
    assert gains[:, 105:150].min() > 0.9  # after digital silence nothing is known to be noise
    assert gains[:, -1].max() < float(LOWEST_PRIOR) * float(HIGHEST_POSTERIOR)
