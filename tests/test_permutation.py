"""The order of the talkers over frequency."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from array_kinds import Kind

from bss.solvers import permutation


def shuffled(N: int, F: int, T: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Activities (F, N, T) in random order per bin, and for each bin which source stands where, (F, N)."""
    rng = np.random.default_rng(seed)
    common = rng.gamma(0.5, size=(1, N, T))
    activity = common * rng.gamma(1 / noise, noise, size=(F, N, T)) if noise else np.repeat(common, F, axis=0)
    order = np.stack([rng.permutation(N) for _ in range(F)])
    shares = permutation.shares(activity)
    return np.take_along_axis(shares, order[:, :, None], axis=1), order


@pytest.mark.parametrize("N", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("F", [1, 2, 33, 100])
@pytest.mark.parametrize("noise", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_shuffle_is_undone(N: int, F: int, noise: float, dtype: Any, kind: Kind) -> None:
    activity, order = shuffled(N, F, 200, noise)
    activity = activity.astype(dtype)
    given = kind.array(activity.copy())
    found = permutation.align(given)
    np.testing.assert_array_equal(kind.numpy(given), activity)
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


@pytest.mark.parametrize("n_frames", [2, 599, 601, 5000])
def test_any_number_of_frames_will_do(n_frames: int, kind: Kind) -> None:
    activity, order = shuffled(2, 40, n_frames, 0.5)
    found = permutation.align(kind.array(activity))
    np.testing.assert_array_equal(np.sort(found, axis=1), np.tile([0, 1], (40, 1)))
    if n_frames > 2:
        sources = np.take_along_axis(order, found, axis=1)
        np.testing.assert_array_equal(sources, np.tile(sources[0], (40, 1)))


@pytest.mark.parametrize("N", [2, 3])
def test_phases_tell_the_bins_that_activities_do_not(N: int, kind: Kind) -> None:
    F, n_mics = 257, 3
    activity, order = shuffled(N, F, 60, 1.0)
    rng = np.random.default_rng(2)
    poor = rng.choice(F, 120, replace=False)
    activity[poor] = rng.uniform(size=activity[poor].shape)
    delays = rng.permuted(np.tile(np.arange(-6, 7), (N, n_mics - 1, 1)), axis=2)[:, :, 0]
    phases = np.exp(-1j * np.pi * np.arange(F)[:, None, None] / (F - 1) * delays)
    phases = np.take_along_axis(phases, order[:, :, None], axis=1)
    right = []
    for options in ({}, {"phases": kind.array(phases), "candidates": 3}):
        sources = np.take_along_axis(order, permutation.align(kind.array(activity), **options), axis=1)
        right.append(np.mean(sources == sources[np.setdiff1d(np.arange(F), poor)[0]]))
    assert right[1] > right[0] + 0.1


def test_log_powers_do_not_depend_on_the_level_of_a_bin_and_silence_is_finite(kind: Kind) -> None:
    powers = np.random.default_rng(0).gamma(0.5, size=(4, 2, 9)).astype(np.float32)
    loud = powers * np.float32([1, 10, 1e-3, 1])[:, None, None]
    here, there = (kind.numpy(permutation.log_powers(kind.array(p))) for p in (loud, powers))
    np.testing.assert_allclose(here, there, rtol=1e-4)
    loud[2] = 0
    assert not permutation.unit(permutation.log_powers(kind.array(loud)))[2].any()


@pytest.mark.parametrize("n_frames", [9, 100, 600])
def test_what_is_constant_says_nothing_whatever_its_mean_is_rounded_to(n_frames: int, kind: Kind) -> None:
    level = np.linspace(-7, 7, 300, dtype=np.float32)[:, None, None]
    constant = np.broadcast_to(level, (300, 2, n_frames)).copy()
    assert not permutation.unit(kind.array(constant)).any()
    constant[:, 0, 0] += 0.01
    assert permutation.unit(kind.array(constant))[:, 0].any(1).all()


def test_shares_of_silence_are_zero(kind: Kind) -> None:
    images = kind.array(np.array([[[1.0, 0.0], [3.0, 0.0]]]))
    np.testing.assert_array_equal(kind.numpy(permutation.shares(images)), [[[0.25, 0.0], [0.75, 0.0]]])
