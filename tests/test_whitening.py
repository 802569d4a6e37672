"""Whitening: an identity covariance, and the number of independent channels whatever their levels and offsets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import bss
from bss.errors import BssError, InputError, UsageError

REAL = [np.float32, np.float64]
N = 20_000
RNG = np.random.default_rng(0)
SOURCES = RNG.laplace(size=(5, N))
MIXED = RNG.standard_normal((4, 4)) @ SOURCES[:4]


def covariance(x: np.ndarray) -> np.ndarray:
    """Of x as it is: about zero and not about its mean."""
    return x.astype(float) @ x.astype(float).T / x.shape[1]


def assert_white(x: np.ndarray, white: bss.Whitening, atol: float) -> None:
    np.testing.assert_allclose(covariance(white.whitened), np.eye(white.rank), atol=atol)
    np.testing.assert_allclose(white.whitened.mean(1, dtype=np.float64), 0, atol=atol)
    np.testing.assert_allclose(white.whitened, white.matrix @ (x - white.mean[:, None]), atol=20 * atol)


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("gain", [1e-6, 1.0, 1e6])
def test_whitened_channels_are_white(gain: float, channels: int, dtype: Any) -> None:
    x = (gain * (MIXED[:channels] + 3)).astype(dtype)
    kept = x.copy()
    white = bss.whiten(x)
    assert white.rank == channels
    assert white.whitened.dtype == dtype
    assert white.whitened.shape == x.shape
    assert white.matrix.dtype == white.mean.dtype == np.float64
    assert_white(x, white, 1e-10 if dtype is np.float64 else 1e-4)
    np.testing.assert_array_equal(x, kept)


def test_badly_conditioned_mixtures_are_whitened_too() -> None:
    U, _, V = np.linalg.svd(RNG.standard_normal((4, 4)))
    x = (U * np.geomspace(1, 1e-5, 4)) @ V @ SOURCES[:4]
    assert_white(x, bss.whiten(x), 1e-5)


@pytest.mark.parametrize("n_components", [1, 2, 3, 4])
def test_components_are_the_strongest_of_the_recording(n_components: int) -> None:
    U, _ = np.linalg.qr(RNG.standard_normal((4, 4)))
    x = (U * np.array([4.0, 3.0, 2.0, 1.0])) @ bss.whiten(SOURCES[:4]).whitened
    white = bss.whiten(x, n_components=n_components)
    assert white.rank == len(white.whitened) == n_components
    assert_white(x, white, 1e-9)
    # the rows span the directions of largest variance
    P = np.linalg.pinv(white.matrix) @ white.matrix
    np.testing.assert_allclose(P, U[:, :n_components] @ U[:, :n_components].T, atol=1e-9)


DEPENDENT = {
    "a copy": [[1, 0], [0, 1], [1, 0]],
    "a scaled copy": [[1, 0], [0, 1], [0, 0.3]],
    "an inverted copy": [[1, 0], [0, 1], [-1, 0]],
    "a quiet copy": [[1, 0], [0, 1], [1e-4, 0]],
    "a sum": [[1, 0], [0, 1], [0.7, 0.6]],
    "a silent channel": [[1, 0], [0, 0], [0, 1]],
    "sums of many": [[1, 0], [0, 1], [0.7, 0.6], [0.1, -0.5], [2, 3], [1e-3, 1e-3]],
}


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("offset", [0.0, 20.0, 1000.0])
@pytest.mark.parametrize("n", [300, N])
@pytest.mark.parametrize("case", DEPENDENT)
def test_channels_that_add_nothing_do_not_count(case: str, n: int, offset: float, dtype: Any) -> None:
    x = (np.array(DEPENDENT[case]) @ SOURCES[:2, :n] + offset).astype(dtype)
    white = bss.whiten(x)
    assert white.rank == 2
    assert_white(x, white, 1e-2 if offset and dtype is np.float32 else 1e-4)


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("level", [1e-3, 1e-6, 1e-12])
def test_a_very_quiet_channel_counts(level: float, dtype: Any) -> None:
    x = (np.array([[1.0], [level], [1.0]]) * MIXED[:3]).astype(dtype)
    white = bss.whiten(x)
    assert white.rank == 3
    assert_white(x, white, 1e-4)


@pytest.mark.parametrize("dtype", REAL)
def test_nearly_alike_is_not_alike(dtype: Any) -> None:
    # the third channel adds something at -80 dB, well above what a float32 sample can resolve
    x = np.vstack([SOURCES[:2], SOURCES[0] + 1e-4 * SOURCES[2]]).astype(dtype)
    assert bss.whiten(x).rank == 3


@pytest.mark.parametrize("value", [0.0, 0.1, -1000.3])
@pytest.mark.parametrize("dtype", REAL)
def test_a_constant_channel_does_not_count(value: float, dtype: Any) -> None:
    x = np.vstack([1e-3 * SOURCES[:2], np.full((1, N), value)]).astype(dtype)
    assert bss.whiten(x).rank == 2


@pytest.mark.parametrize(("offset", "atol"), [(1.0, 1e-6), (1000.0, 1e-3)])
def test_mean_and_scale_under_a_large_offset_in_float32(offset: float, atol: float) -> None:
    x = (MIXED[:2] * 0.1 + offset).astype(np.float32)
    white = bss.whiten(x)
    np.testing.assert_allclose(white.mean, x.astype(float).mean(1), rtol=1e-12)  # a float32 sum would be off by 1e-4
    np.testing.assert_allclose(covariance(white.whitened), np.eye(2), atol=1e3 * atol**2 + 1e-5)
    np.testing.assert_allclose(white.whitened.mean(1, dtype=np.float64), 0, atol=atol)


@pytest.mark.parametrize(
    ("x", "options", "error", "said"),
    [
        (np.zeros((2, 100)), {}, InputError, "every channel is constant"),
        (np.full((2, 100), 0.3), {}, InputError, "every channel is constant"),
        (np.where(np.arange(200).reshape(2, 100) == 150, np.nan, 1.0), {}, InputError, "channel 1 of x contains 1 NaN"),
        (MIXED.T, {}, InputError, "20000 channels of 4 samples"),
        (MIXED[0], {}, InputError, r"\(20000,\)"),
        ((1000 * MIXED).astype(np.int16), {}, InputError, "int16"),
        (MIXED.astype(complex), {}, InputError, "complex128"),
        (MIXED, {"n_components": 5}, UsageError, "5 components asked for, 4 of 4"),
        (MIXED[[0, 1, 0]], {"n_components": 3}, UsageError, "3 components asked for, 2 of 3"),
        (MIXED, {"n_components": 0}, UsageError, "n_components=0"),
        (MIXED, {"n_components": 1.5}, UsageError, r"n_components=1.5"),
    ],
)
def test_refusals(x: Any, options: dict[str, Any], error: type[BssError], said: str) -> None:
    with pytest.raises(BssError, match=said) as caught:
        bss.whiten(x, **options)
    assert type(caught.value) is error
