"""Scale: projection back and minimal distortion, square and not, instantaneous and per bin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from array_kinds import Kind
from signals_for_tests import complex_normal, mixing_matrices

import bss
from bss.errors import UsageError
from bss.solvers import result as results, scaling
from bss.solvers.result import mixing_of

F, T = 6, 300
PAIRS = [(1, 1), (2, 2), (3, 3), (3, 2), (4, 1)]
PRECISIONS = [np.complex64, np.complex128, np.float32, np.float64]  # the real ones are instantaneous


def separation(n_mics: int, n_sources: int, dtype: Any, gain: float = 1.0) -> tuple[bss.Separation, np.ndarray]:
    """Some demixing, good or not, and the recording it is of."""
    rng = np.random.default_rng(n_mics)
    if np.dtype(dtype).kind == "c":
        X = mixing_matrices(F, n_mics, n_mics) @ complex_normal(rng, F, n_mics, T)
        W = complex_normal(rng, F, n_sources, n_mics) + 2 * np.eye(n_sources, n_mics)
        W *= np.geomspace(1e-3, 1e3, F)[:, None, None]  # the scale of every bin is arbitrary
    else:
        X = rng.standard_normal((n_mics, n_mics)) @ rng.laplace(size=(n_mics, T))
        W = rng.standard_normal((n_sources, n_mics)) + 2 * np.eye(n_sources, n_mics)
    X, W = (gain * X).astype(dtype), W.astype(dtype)
    return bss.Separation(W, X, np.zeros(1), 1, True, "made by hand"), X


def of(kind: Kind, separation: bss.Separation) -> tuple[bss.Separation, Any]:
    """The separation, and its recording, with arrays of a kind."""
    X = kind.array(separation.observed)
    return replace(separation, demixing=kind.array(separation.demixing), observed=X), X


def tolerance(dtype: Any) -> float:
    return float(2000 * np.finfo(dtype).eps)


def assert_consistent(result: bss.Separation, X: np.ndarray, before: bss.Separation) -> None:
    """`sources == demixing @ X`, nothing but scales changed, and the rest of the result kept."""
    size = np.abs(result.sources).max()
    np.testing.assert_allclose(result.sources, result.demixing @ X, atol=tolerance(X.dtype) * size)
    assert result.sources.dtype == result.demixing.dtype == X.dtype
    gain = result.demixing / before.demixing
    np.testing.assert_allclose(gain, np.broadcast_to(gain[..., :1], gain.shape), rtol=tolerance(X.dtype))
    assert (result.loss is before.loss, result.n_iter, result.converged, result.message) == (True, 1, True, "made by hand")


@pytest.mark.parametrize("gain", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_sources_of_a_square_demixing_sum_to_the_reference_microphone(n: int, dtype: Any, gain: float, kind: Kind) -> None:
    before, X = separation(n, n, dtype, gain)
    kept = before.sources.copy(), before.demixing.copy(), X.copy()
    solved, given = of(kind, before)
    for k in range(n):
        result = kind.result(bss.projection_back(solved, given, reference_mic=k))
        mic = X[..., k, :]
        np.testing.assert_allclose(result.sources.sum(-2), mic, atol=tolerance(dtype) * np.abs(mic).max())
        assert_consistent(result, X, before)
    np.testing.assert_array_equal(before.sources, kept[0])
    np.testing.assert_array_equal(before.demixing, kept[1])
    np.testing.assert_array_equal(X, kept[2])


def correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|<a, b>| / |a| |b| over the last axis."""
    return np.abs(np.sum(a * b.conj(), -1)) / np.sqrt(np.sum(np.abs(a) ** 2, -1) * np.sum(np.abs(b) ** 2, -1))


@pytest.mark.parametrize("gain", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize(("n_mics", "n_sources"), [(3, 2), (4, 1), (4, 3)])
def test_what_fewer_sources_leave_over_is_uncorrelated_with_them(
    n_mics: int, n_sources: int, dtype: Any, gain: float, kind: Kind
) -> None:
    before, X = separation(n_mics, n_sources, dtype, gain)
    solved, given = of(kind, before)
    for k in range(n_mics):
        result = kind.result(bss.projection_back(solved, given, reference_mic=k))
        rest = X[..., k, :] - result.sources.sum(-2)
        assert np.linalg.norm(rest) > 0.01 * np.linalg.norm(X[..., k, :])
        assert correlation(rest[..., None, :], result.sources).max() < tolerance(dtype)
        assert_consistent(result, X, before)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize(("n_mics", "n_sources"), PAIRS)
def test_minimal_distortion_puts_each_source_at_its_own_microphone(n_mics: int, n_sources: int, dtype: Any, kind: Kind) -> None:
    before, X = separation(n_mics, n_sources, dtype)
    result = kind.result(bss.minimal_distortion(*of(kind, before)))
    assert_consistent(result, X, before)
    if n_mics == n_sources:
        diagonal = np.diagonal(np.linalg.inv(result.demixing), axis1=-2, axis2=-1)
        np.testing.assert_allclose(diagonal, np.ones_like(diagonal), rtol=tolerance(dtype))
    for n in range(n_sources):
        back = bss.projection_back(before, X, reference_mic=n)
        np.testing.assert_allclose(result.sources[..., n, :], back.sources[..., n, :], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize(("n_mics", "n_sources"), PAIRS)
def test_scaling_twice_is_scaling_once(n_mics: int, n_sources: int, dtype: Any) -> None:
    before, X = separation(n_mics, n_sources, dtype)
    once = bss.projection_back(before, X)
    twice = bss.projection_back(once, X)
    np.testing.assert_allclose(twice.demixing, once.demixing, atol=tolerance(dtype) * np.abs(once.demixing).max())
    moved = bss.projection_back(bss.minimal_distortion(before, X), X)
    np.testing.assert_allclose(moved.demixing, once.demixing, atol=tolerance(dtype) * np.abs(once.demixing).max())


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_mixing_is_the_inverse_of_a_square_demixing(dtype: Any) -> None:
    before, X = separation(3, 3, dtype)
    products = scaling.mixing(before, X) @ before.demixing
    np.testing.assert_allclose(products, np.broadcast_to(np.eye(3), products.shape), atol=tolerance(dtype))


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize(("n_mics", "n_sources"), PAIRS)
def test_another_order_takes_a_known_mixing_along_and_another_demixing_does_not(
    n_mics: int, n_sources: int, dtype: Any, kind: Kind
) -> None:
    before, X = of(kind, separation(n_mics, n_sources, dtype)[0])
    order = np.random.default_rng(0).permuted(np.tile(np.arange(n_sources), (len(X), 1)), axis=1)
    unknown = before.permuted(order)
    assert before.mixing is scaling.mixing(before, X)
    known = before.permuted(order)
    assert "mixing" in vars(known)
    assert "mixing" not in vars(unknown)
    np.testing.assert_array_equal(kind.numpy(known.demixing), kind.numpy(unknown.demixing))
    np.testing.assert_allclose(kind.numpy(known.mixing), kind.numpy(unknown.mixing), rtol=1e-3, atol=tolerance(dtype))
    halved = replace(before, demixing=before.demixing / 2)
    np.testing.assert_allclose(kind.numpy(halved.mixing), 2 * kind.numpy(before.mixing), rtol=1e-3, atol=tolerance(dtype))


@pytest.mark.parametrize(("n_mics", "n_sources", "solves"), [(2, 2, 1), (3, 2, 2)])
def test_fdica_learns_the_mixing_once_for_every_solve(
    n_mics: int, n_sources: int, solves: int, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    _, X = separation(n_mics, n_mics, np.complex64)
    counted: list[Any] = []

    def counting(*args: Any) -> Any:
        counted.append(args)
        return mixing_of(*args)

    monkeypatch.setattr(results, "mixing_of", counting)
    found = bss.fdica(X, n_sources=n_sources, n_iter=3)
    assert len(counted) == solves
    if n_sources == n_mics:
        assert "mixing" in vars(found)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize(("n_mics", "n_sources"), [(2, 2), (3, 2), (3, 1)])
def test_an_empty_bin_stays_empty_and_its_demixing_finite(n_mics: int, n_sources: int, dtype: Any, kind: Kind) -> None:
    before, X = separation(n_mics, n_sources, dtype)
    X[[0, 3]] = 0
    solved, given = of(kind, bss.Separation(before.demixing, X, before.loss, 1, True, ""))
    for result in map(kind.result, (bss.projection_back(solved, given), bss.minimal_distortion(solved, given))):
        assert np.isfinite(result.demixing).all()
        assert result.demixing[[0, 3]].any(axis=2).all()  # another recording may have something there
        assert not result.sources[[0, 3]].any()


@pytest.mark.parametrize(("mic", "said"), [(-1, "reference_mic=-1"), (3, "reference_mic=3"), (0.5, "reference_mic=0.5")])
@pytest.mark.parametrize("n_sources", [2, 3])
def test_no_such_microphone(n_sources: int, mic: Any, said: str) -> None:
    before, X = separation(3, n_sources, np.complex128)
    with pytest.raises(UsageError, match=said):
        bss.projection_back(before, X, reference_mic=mic)
