"""The order of the talkers over frequency."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bss.solvers import permutation


def shuffled(N: int, F: int, T: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Activities (F, N, T) in random order per bin, and for each bin which source stands where, (F, N)."""
    rng = np.random.default_rng(seed)
    common = rng.gamma(0.5, size=(1, N, T))
    activity = common * rng.gamma(1 / noise, noise, size=(F, N, T)) if noise else np.repeat(common, F, axis=0)
    order = np.stack([rng.permutation(N) for _ in range(F)])
    shares = permutation.shares(activity)
    return np.take_along_axis(shares, order[:, :, None], axis=1), order


@pytest.mark.parametrize("N", [1, 2, 3, 4])
@pytest.mark.parametrize("F", [1, 2, 33, 100])
@pytest.mark.parametrize("noise", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_shuffle_is_undone(N: int, F: int, noise: float, dtype: Any) -> None:
    activity, order = shuffled(N, F, 200, noise)
    kept = activity.copy()
    found = permutation.align(activity.astype(dtype))
    np.testing.assert_array_equal(activity, kept)
    np.testing.assert_array_equal(np.sort(found, axis=1), np.tile(np.arange(N), (F, 1)))
    sources = np.take_along_axis(order, found, axis=1)  # which source is put where, by bin
    np.testing.assert_array_equal(sources, np.tile(sources[0], (F, 1)))


def test_bins_that_say_nothing_do_no_harm() -> None:
    activity, order = shuffled(3, 60, 200, 1.0)
    activity[10:14] = 1 / 3
    activity[20] = 0
    told = np.setdiff1d(np.arange(60), [10, 11, 12, 13, 20])
    sources = np.take_along_axis(order, permutation.align(activity), axis=1)[told]
    np.testing.assert_array_equal(sources, np.tile(sources[0], (len(told), 1)))


def test_talkers_whose_neighbours_mislead_are_put_right_by_the_whole() -> None:
    activity, order = shuffled(2, 64, 300, 1.0)
    rng = np.random.default_rng(1)
    activity[::5] = 0.3 * activity[::5] + 0.7 * rng.uniform(size=activity[::5].shape)  # poor bins between good ones
    sources = np.take_along_axis(order, permutation.align(activity), axis=1)
    assert np.mean(sources[:, 0] == np.bincount(sources[:, 0]).argmax()) > 0.95


def test_shares_of_silence_are_zero() -> None:
    images = np.array([[[1.0, 0.0], [3.0, 0.0]]])
    np.testing.assert_array_equal(permutation.shares(images), [[[0.25, 0.0], [0.75, 0.0]]])
