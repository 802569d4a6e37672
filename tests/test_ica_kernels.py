"""Kernels that pass over samples, each against its twin; the rule for small numbers; the seam of backends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference

from bss.backends import dispatch, numeric, small
from bss.backends.cpu import backend
from bss.errors import InputError
from bss.solvers import mm

REAL = [np.float32, np.float64]
N, M = 2, 3
blocks = pytest.mark.parametrize("n", [100, 1023, 1024, 1025, 20_000])  # of 1024 samples each


def samples(dtype: Any, n: int = 1500, offset: float = 0.0, m: int = M) -> np.ndarray:
    return (np.random.default_rng(0).laplace(size=(m, n)) + offset).astype(dtype)


def roundings(dtype: Any, count: float) -> float:
    return float(count * np.finfo(dtype).eps)


# ---- passes over the samples


@blocks
@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("offset", [0.0, -300.0])
def test_moments_are_their_twin_in_float64(offset: float, dtype: Any, n: int) -> None:
    x = samples(dtype, n, offset)
    kept = x.copy()
    mean, covariance = backend.moments(x)
    want_mean, want_covariance = reference.moments(x)
    assert mean.dtype == covariance.dtype == np.float64
    np.testing.assert_allclose(mean, want_mean, rtol=1e-13, atol=1e-13)
    # of the samples as they are: their precision does not matter; an offset costs little
    np.testing.assert_allclose(covariance, want_covariance, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("dtype", REAL)
def test_moments_of_a_long_recording_with_an_offset_that_begins_late(dtype: Any) -> None:
    x = samples(dtype, n=100_001)
    x[:, 40_000:] += dtype(1000)
    mean, covariance = backend.moments(x)
    want_mean, want_covariance = reference.moments(x)
    np.testing.assert_allclose(mean, want_mean, rtol=1e-12)
    np.testing.assert_allclose(covariance, want_covariance, rtol=1e-10)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_moments_of_few_samples(n: int) -> None:
    mean, covariance = backend.moments(samples(np.float64, n=n))
    want_mean, want_covariance = reference.moments(samples(np.float64, n=n))
    np.testing.assert_allclose(mean, want_mean)
    np.testing.assert_allclose(covariance, want_covariance, atol=1e-15)


@blocks
@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("rows", [1, N, M])
@pytest.mark.parametrize("name", reference.PENALTIES)
def test_ica_pass_is_its_twin_in_float64(name: str, rows: int, dtype: Any, n: int) -> None:
    x, mean = samples(dtype, n), np.array([0.5, -0.25, 0.125])
    W = np.random.default_rng(1).standard_normal((rows, M))
    kept = x.copy(), W.copy(), mean.copy()
    gots = backend.ica_pass(x, W, mean, name)
    wants = reference.ica_pass(x, W, mean, name)
    for got, want in zip(gots, wants, strict=True):
        assert got.dtype == np.float64
        assert got.shape == want.shape
        assert np.abs(got - want).max() <= roundings(dtype, 100) * np.abs(want).max()
    for now, before in zip((x, W, mean), kept, strict=True):
        np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize("dtype", REAL)
def test_passes_take_what_is_not_contiguous(dtype: Any) -> None:
    x, W, mean = samples(dtype, 6000), np.eye(M)[:N], np.zeros(M)
    for view in (np.asfortranarray(x), x[:, ::2], x[::-1]):
        np.testing.assert_allclose(backend.moments(view)[1], reference.moments(view)[1], rtol=1e-10, atol=1e-12)
        for got, want in zip(backend.ica_pass(view, W, mean, "exp"), reference.ica_pass(view, W, mean, "exp"), strict=True):
            assert np.abs(got - want).max() <= roundings(dtype, 100) * np.abs(want).max()


@pytest.mark.parametrize("name", reference.PENALTIES)
def test_the_twin_s_derivatives_are_derivatives(name: str) -> None:
    y, h = np.linspace(-3, 3, 61), 1e-5
    G, g, dg = reference.PENALTIES[name]
    np.testing.assert_allclose((G(y + h) - G(y - h)) / (2 * h), g(y), atol=1e-8)
    np.testing.assert_allclose((g(y + h) - g(y - h)) / (2 * h), dg(y), atol=1e-8)


@pytest.mark.parametrize("dtype", REAL)
def test_ica_pass_over_a_long_recording(dtype: Any) -> None:
    x, W, mean = samples(dtype, n=50_001), np.eye(M)[:N], np.zeros(M)
    for got, want in zip(backend.ica_pass(x, W, mean, "logcosh"), reference.ica_pass(x, W, mean, "logcosh"), strict=True):
        # sums over samples lose nothing to their number: as near as the samples' own roundings allow
        assert np.abs(got - want).max() <= roundings(dtype, 20) * np.abs(want).max()


@pytest.mark.parametrize("dtype", REAL)
def test_logcosh_of_loud_samples_does_not_overflow(dtype: Any) -> None:
    x = samples(dtype) * dtype(1e4)
    _, slope, value = backend.ica_pass(x, np.eye(M), np.zeros(M), "logcosh")
    far = np.abs(x) > 100  # all but a few: there log cosh y = |y| - log 2
    assert far.mean() > 0.9
    assert np.isfinite(slope).all()
    np.testing.assert_allclose(value, np.abs(x.astype(float)).mean(1) - np.log(2), rtol=1e-4)


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("nonlinearity", ["logcosh", "exp", "cube"])
@pytest.mark.parametrize(("n", "stride"), [(300, 1), (9000, 1), (20_000, 16)])
def test_passes_over_few_samples_are_those_of_the_kernels(dtype: Any, nonlinearity: str, n: int, stride: int) -> None:
    x = samples(dtype, n, offset=2.0)
    W, mean = np.random.default_rng(1).normal(size=(N, M)), x.mean(1, dtype=np.float64)
    ours, theirs = (passes.ica_pass(x, W, mean, nonlinearity, stride=stride) for passes in (small, backend))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=roundings(dtype, 300), atol=roundings(dtype, 300))
    without = small.ica_pass(x, W, mean, nonlinearity, stride=stride, value=False)
    np.testing.assert_array_equal(without[0], ours[0])
    np.testing.assert_array_equal(without[1], ours[1])


@pytest.mark.parametrize("dtype", REAL)
def test_moments_of_few_samples_are_those_of_the_kernels(dtype: Any) -> None:
    x = samples(dtype, 3000, offset=-300.0)
    for a, b in zip(small.moments(x), backend.moments(x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    K = np.random.default_rng(1).normal(size=(M, M))
    fourth = [passes.fourth_moments(x, K, x.mean(1, dtype=np.float64)) for passes in (small, backend)]
    np.testing.assert_allclose(*fourth, rtol=roundings(dtype, 3e3), atol=roundings(dtype, 3e3))


def test_many_samples_are_for_the_kernels() -> None:
    assert dispatch.passes_of(np.zeros((2, small.FEW // 2))) is small
    assert dispatch.passes_of(np.zeros((2, small.FEW // 2 + 1))) is backend


# ---- small numbers


@pytest.mark.parametrize(("dtype", "twin"), [(np.complex64, np.float32), (np.complex128, np.float64)])
def test_floor_goes_with_the_real_precision_and_the_level(dtype: Any, twin: Any) -> None:
    assert numeric.floor(dtype) == numeric.floor(twin) == 10 * np.finfo(twin).eps
    np.testing.assert_allclose(numeric.floor(dtype, np.array([1e-6, 1e6])), numeric.floor(twin) * np.array([1e-6, 1e6]))


@pytest.mark.parametrize("dtype", [np.float32, np.complex64, np.complex128])
@pytest.mark.parametrize("gain", [1e-24, 1e-6, 1.0, 1e6, 1e24])  # squares beyond the range of single precision
def test_level_is_the_root_mean_square(gain: float, dtype: Any) -> None:
    X = (np.random.default_rng(0).standard_normal((3, 5, 9000)) * gain).astype(dtype)
    for view in (X, X.transpose(2, 0, 1), X[:, ::2]):
        assert mm.level(view) == pytest.approx(np.sqrt(np.mean(np.abs(view).astype(float) ** 2)), rel=1e-9)


def test_level_of_silence_is_an_error() -> None:
    with pytest.raises(InputError, match="silent"):
        mm.level(np.zeros((3, 2, 5), np.complex64))


# ---- the seam


def test_seam_finds_the_kernels_by_the_type_of_the_array() -> None:
    assert dispatch.of(np.zeros(3, np.float32)) is backend


@pytest.mark.parametrize("X", [[1.0, 2.0], None, "x.wav"])
def test_seam_names_the_type_it_does_not_know(X: Any) -> None:
    with pytest.raises(InputError, match=type(X).__name__) as caught:
        dispatch.of(X)
    assert "numpy.asarray" in caught.value.hint
