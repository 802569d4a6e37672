"""Kernels: each against its twin in `reference`, at every precision and across blocks; what they write to; and silence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference

from bss.kernels import cpu, numbers

DTYPES = [np.float32, np.float64, np.complex64, np.complex128]
REAL = [np.float32, np.float64]
F, M, T = 5, 4, 60
SIZES = {"one block": None, "many blocks": 1}


@pytest.fixture(params=SIZES, ids=lambda name: name.replace(" ", "-"))
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything in one block, or one bin at a time, where the kernels have such a thing."""
    if SIZES[request.param] is not None:
        monkeypatch.setattr(cpu, "BLOCK_BYTES", 1, raising=False)


def numbers_of(dtype: Any, *shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    a = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        a = a + 1j * rng.standard_normal(shape)
    return a.astype(dtype)


def positive(dtype: Any, *shape: int, seed: int = 0) -> np.ndarray:
    """Weights, powers, factors: real in the precision of dtype."""
    return (np.random.default_rng(seed).gamma(1.0, size=shape) + 0.1).astype(np.finfo(dtype).dtype)


def square(dtype: Any, n_bins: int = F, m: int = M, seed: int = 0) -> np.ndarray:
    """(F, M, M) far from singular."""
    return np.asarray(numbers_of(dtype, n_bins, m, m, seed=seed) + 4 * np.eye(m), dtype)


def hermitian(dtype: Any, m: int = M) -> np.ndarray:
    """(F, M, M) positive definite."""
    A = numbers_of(dtype, F, m, 3 * m, seed=7)
    return np.asarray(A @ A.conj().swapaxes(1, 2) / (3 * m), dtype)


def assert_near(got: np.ndarray, want: np.ndarray, dtype: Any, roundings: float = 300.0) -> None:
    """Equal to within so many roundings of the largest number, in the expected precision and shape."""
    assert got.shape == want.shape
    assert got.dtype == np.dtype(dtype)
    assert np.abs(got - want).max() <= roundings * np.finfo(dtype).eps * np.abs(want).max()


# ---- out of place: value, dtype, inputs left alone

OUT_OF_PLACE: dict[str, Callable[[Any], tuple[np.ndarray, ...]]] = {
    "demix": lambda d: (numbers_of(d, F, 2, M), numbers_of(d, F, M, T, seed=1)),
    "covariance": lambda d: (numbers_of(d, F, M, T),),
    "weighted_covariance": lambda d: (numbers_of(d, F, M, T), positive(d, F, T)),
    "frame_power": lambda d: (numbers_of(d, F, 3, T),),
    "power": lambda d: (numbers_of(d, F, T),),
}
REAL_VALUED = ("frame_power", "power")


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OUT_OF_PLACE)
def test_kernel_is_its_twin(name: str, dtype: Any) -> None:
    arguments = OUT_OF_PLACE[name](dtype)
    before = [a.copy() for a in arguments]
    got = getattr(cpu, name)(*arguments)
    want = getattr(reference, name)(*before)
    assert_near(got, want, np.finfo(dtype).dtype if name in REAL_VALUED else dtype)
    for a, b in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("dtype", DTYPES)
def test_weighted_covariance_takes_one_weight_for_all_bins(dtype: Any) -> None:
    X, phi = numbers_of(dtype, F, M, T), positive(dtype, 1, T)
    assert_near(cpu.weighted_covariance(X, phi), reference.weighted_covariance(X, phi), dtype)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_kernels_take_what_is_not_contiguous(dtype: Any) -> None:
    X = numbers_of(dtype, M, T, F).transpose(2, 0, 1)
    Y = numbers_of(dtype, F, 2 * M, T)[:, ::2]
    phi = positive(dtype, T, F).T
    assert_near(cpu.weighted_covariance(X, phi), reference.weighted_covariance(X, phi), dtype)
    assert_near(cpu.frame_power(Y), reference.frame_power(Y), np.finfo(dtype).dtype)
    assert_near(cpu.demix(square(dtype), X), reference.demix(square(dtype), X), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [1, 2, 3, 6])
def test_log_det(m: int, dtype: Any) -> None:
    W = square(dtype, m=m)
    assert cpu.log_det(W) == pytest.approx(reference.log_det(W), rel=float(100 * np.finfo(dtype).eps))


def test_log_det_does_not_overflow() -> None:
    W = square(np.complex64, n_bins=300) * np.float32(1e20)
    assert cpu.log_det(W) == pytest.approx(reference.log_det(W), rel=1e-5)


def test_frame_power_of_many_blocks_as_large_as_they_come() -> None:
    Y = numbers_of(np.complex64, 700, 2, 900)  # 10 MB
    assert_near(cpu.frame_power(Y), reference.frame_power(Y), np.float32, roundings=4)


# ---- in place


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "n_rows"), [(1, 1), (2, 2), (4, 4), (4, 2), (3, 1)])
@pytest.mark.parametrize("weights", ["one for all bins", "one for each bin"])
def test_iss_is_its_twin_in_place(rows: int, n_rows: int, weights: str, dtype: Any) -> None:
    Y, W = numbers_of(dtype, F, rows, T), square(dtype, m=rows)
    phi = positive(dtype, n_rows, F if weights == "one for each bin" else 1, T)
    want_Y, want_W = reference.iss(Y, W, phi, n_rows)
    kept = phi.copy()
    assert cpu.iss(Y, W, phi, n_rows) is None
    assert_near(Y, want_Y, dtype)
    assert_near(W, want_W, dtype)
    np.testing.assert_array_equal(phi, kept)


@pytest.mark.parametrize("dtype", DTYPES)
def test_iss_keeps_sources_and_demixing_together_and_the_background_alone(dtype: Any) -> None:
    X, W = numbers_of(dtype, F, M, T), square(dtype)
    Y = cpu.demix(W, X)
    background = Y[:, 2:].copy(), W[:, 2:].copy()
    cpu.iss(Y, W, positive(dtype, 2, 1, T), 2)
    assert_near(Y, reference.demix(W, X), dtype)
    np.testing.assert_array_equal(Y[:, 2:], background[0])
    np.testing.assert_array_equal(W[:, 2:], background[1])


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("m", "n"), [(1, 0), (2, 1), (4, 0), (4, 3)])
@pytest.mark.parametrize("bins", [1, F])
def test_ip_is_its_twin_in_place(m: int, n: int, bins: int, dtype: Any) -> None:
    X, W, phi = numbers_of(dtype, F, m, T), square(dtype, m=m), positive(dtype, m, bins, T)
    before = X.copy(), W.copy(), phi.copy()
    want = reference.ip(X, W, phi, n)
    assert cpu.ip(X, W, phi, n) is None
    assert_near(W, want, dtype, roundings=3000)  # a solve
    others = [k for k in range(m) if k != n]
    np.testing.assert_array_equal(W[:, others], before[1][:, others])
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(phi, before[2])


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_ip_meets_its_equations(dtype: Any) -> None:
    X, W, phi = numbers_of(dtype, F, M, T), square(dtype), positive(dtype, M, 1, T)
    n = 2
    cpu.ip(X, W, phi, n)
    V = reference.weighted_covariance(X, phi[n])
    products = W @ V @ W[:, n, :, None].conj()  # w_k^H V_n w_n = delta_kn
    np.testing.assert_allclose(products[:, :, 0], np.broadcast_to(np.eye(M)[n], (F, M)), atol=1e3 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_orthogonal_background_is_its_twin_in_place(n: int, dtype: Any) -> None:
    C, W = hermitian(dtype), square(dtype)
    kept, sources = C.copy(), W[:, :n].copy()
    want = reference.orthogonal_background(C, W, n)
    assert cpu.orthogonal_background(C, W, n) is None
    assert_near(W, want, dtype, roundings=3000)  # a solve
    np.testing.assert_array_equal(W[:, :n], sources)
    np.testing.assert_array_equal(C, kept)
    crossed = W[:, n:] @ C @ W[:, :n].conj().swapaxes(1, 2)  # U C W^H = 0
    assert np.abs(crossed).max() < 1e3 * np.finfo(dtype).eps * np.abs(W).max() ** 2 * np.abs(C).max()


@pytest.mark.parametrize("dtype", DTYPES)
def test_load_diagonal_is_its_twin_in_place(dtype: Any) -> None:
    V = hermitian(dtype)
    want = reference.load_diagonal(V, numbers.floor(dtype))
    assert cpu.load_diagonal(V) is V
    assert_near(V, want, dtype, roundings=2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_load_diagonal_makes_what_is_singular_invertible(dtype: Any) -> None:
    V = np.zeros((3, M, M), dtype)
    V[1, :, :] = 1e-6  # rank one
    V[2, 0, 0] = 1e6
    inverse = np.linalg.inv(cpu.load_diagonal(V))
    assert np.isfinite(inverse).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_load_rows_changes_nothing_but_singular_bins(dtype: Any) -> None:
    W = square(dtype)
    np.testing.assert_array_equal(cpu.load_rows(W), W)
    W[2, 1] = 0
    before = W.copy()
    loaded = cpu.load_rows(W)
    np.testing.assert_array_equal(W, before)
    assert loaded.dtype == dtype
    assert np.isfinite(np.linalg.slogdet(loaded)[1]).all()
    np.testing.assert_array_equal(np.delete(loaded, 2, 0), np.delete(W, 2, 0))


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("components", [1, 2, 5])
def test_nmf_step_is_its_twin_in_place(components: int, dtype: Any) -> None:
    P, B, H = positive(dtype, 20, 30), positive(dtype, 20, components, seed=1), positive(dtype, components, 30, seed=2)
    kept = P.copy()
    wants = reference.nmf_step(P, B, H)
    R = cpu.nmf_step(P, B, H)
    for got, want in zip((B, H, R), wants, strict=True):
        assert_near(got, want, dtype)
    np.testing.assert_array_equal(P, kept)


def test_nmf_step_lowers_the_itakura_saito_divergence_and_keeps_a_perfect_fit() -> None:
    B, H = positive(np.float64, 20, 2), positive(np.float64, 2, 30, seed=1)
    P = B @ H
    perfect = B.copy(), H.copy()
    np.testing.assert_allclose(cpu.nmf_step(P, *perfect), P)
    B, H = positive(np.float64, 20, 2, seed=2), positive(np.float64, 2, 30, seed=3)
    R = B @ H
    for _ in range(20):
        before = np.sum(P / R - np.log(P / R) - 1)
        R = cpu.nmf_step(P, B, H)
        assert np.sum(P / R - np.log(P / R) - 1) < before


# ---- silence


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("bins", [1, F])
def test_updates_of_silence_are_finite(bins: int, dtype: Any) -> None:
    X, phi = numbers_of(dtype, F, M, T), positive(dtype, M, bins, T)
    X[1], X[3, 2], X[:, :, :7] = 0, 0, 0  # an empty bin, a source that is empty in one, a pause
    W = np.broadcast_to(np.eye(M, dtype=dtype), (F, M, M)).copy()
    Y = X.copy()
    cpu.iss(Y, W, phi, M)
    assert np.isfinite(W).all()
    assert not Y[1].any()
    for n in range(M):
        cpu.ip(X, W, phi, n)
    assert np.isfinite(W).all()
    assert np.isfinite(cpu.log_det(W))
    cpu.orthogonal_background(cpu.covariance(X), W, 2)
    assert np.isfinite(W).all()


@pytest.mark.parametrize("dtype", REAL)
def test_nmf_of_silence_stays_positive(dtype: Any) -> None:
    P, B, H = np.zeros((6, 9), dtype), positive(dtype, 6, 2), positive(dtype, 2, 9)
    for _ in range(50):
        R = cpu.nmf_step(P, B, H)
    assert all(np.isfinite(a).all() and (a > 0).all() for a in (B, H, R, 1 / R))
