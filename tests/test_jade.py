"""JADE: its moments are those of a plain twin, its rotations only ever lower what they should, and it separates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from signals_for_tests import independent, interference_db, mixing_matrix

import bss
from bss.backends.cpu import backend, threads
from bss.errors import BssError, InputError, UsageError
from bss.solvers.instantaneous.jade import cumulant_matrices, off_diagonal

REAL = [np.float32, np.float64]


def twin(x: np.ndarray, K: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """E[z_i z_j z_k z_l], as it is written."""
    z = K @ (x.astype(float) - mean[:, None])
    return np.einsum("it,jt,kt,lt->ijkl", z, z, z, z) / z.shape[1]


# ---- the pass


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("n", [1, 255, 256, 257, 9001])  # less than a block, a block, and more than there are chunks
@pytest.mark.parametrize(("rank", "n_mics"), [(1, 1), (1, 3), (2, 2), (3, 5), (4, 4), (7, 7)])
def test_fourth_moments_are_their_twin(rank: int, n_mics: int, n: int, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    x, K, mean = rng.laplace(size=(n_mics, n)).astype(dtype), rng.standard_normal((rank, n_mics)), rng.normal(size=n_mics)
    kept = x.copy(), K.copy(), mean.copy()
    got, want = backend.fourth_moments(x, K, mean), twin(x, K, mean)
    assert got.shape == (rank,) * 4
    assert got.dtype == np.float64
    assert np.abs(got - want).max() <= 100 * np.finfo(dtype).eps * np.abs(want).max()
    for now, before in zip((x, K, mean), kept, strict=True):
        np.testing.assert_array_equal(now, before)


def test_fourth_moments_are_symmetric_in_all_indices() -> None:
    moments = backend.fourth_moments(np.random.default_rng(0).normal(size=(3, 500)), np.eye(3), np.zeros(3))
    for order in ((1, 0, 2, 3), (3, 1, 2, 0), (2, 3, 0, 1), (1, 2, 3, 0)):
        np.testing.assert_array_equal(moments, moments.transpose(order))


def test_fourth_moments_of_samples_in_any_order_in_memory() -> None:
    x = np.random.default_rng(0).laplace(size=(3000, 3))
    np.testing.assert_array_equal(
        backend.fourth_moments(x.T, np.eye(3), np.zeros(3)), backend.fourth_moments(x.T.copy(), np.eye(3), np.zeros(3))
    )


# ---- the cumulants


def test_cumulants_of_gaussian_moments_vanish() -> None:
    one = np.eye(3)
    moments = sum(np.einsum(f"{a},{b}->ijkl", one, one) for a, b in (("ij", "kl"), ("ik", "jl"), ("il", "jk")))
    np.testing.assert_allclose(cumulant_matrices(np.asarray(moments)), 0, atol=1e-15)


def test_cumulant_matrices_of_independent_sources_are_diagonal_in_their_frame() -> None:
    # E[s^4] of a Laplacian of unit variance is 6, of a uniform one 1.8; all else as of independent signals
    one, kurtosis = np.eye(2), np.array([3.0, -1.2])
    moments = sum(np.einsum(f"{a},{b}->ijkl", one, one) for a, b in (("ij", "kl"), ("ik", "jl"), ("il", "jk")))
    moments = moments + np.einsum("n,in,jn,kn,ln->ijkl", kurtosis, *4 * [one])
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    turned = np.einsum("ijkl,ai,bj,ck,dl->abcd", moments, *4 * [turn])
    assert off_diagonal(cumulant_matrices(moments)) < 1e-28
    assert off_diagonal(cumulant_matrices(turned)) > 0.1
    assert off_diagonal(turn.T @ cumulant_matrices(turned) @ turn) < 1e-28
    # the energy does not depend on the basis that k and l are in
    energy = np.sum(cumulant_matrices(moments) ** 2)
    assert np.sum(cumulant_matrices(turned) ** 2) == pytest.approx(energy)


# ---- the method


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize(("kind", "enough"), [("super", -27), ("sub", -35), ("mixed", -27), ("voices", -30)])
def test_sources_are_separated(kind: str, enough: float, dtype: Any) -> None:
    A = mixing_matrix(3, 3)
    X = (A @ independent(kind)).astype(dtype)
    kept = X.copy()
    result = bss.jade(X)
    assert interference_db(result.demixing @ A) < enough
    assert result.converged
    assert result.demixing.dtype == result.sources.dtype == dtype
    assert result.n_iter == len(result.loss) < 12
    np.testing.assert_array_equal(X, kept)
    np.testing.assert_allclose(np.cov(result.sources.astype(float), bias=True), np.eye(3), atol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("count", [2, 5])
def test_the_loss_never_rises_and_ends_where_no_rotation_helps(count: int) -> None:
    X = np.random.default_rng(0).laplace(size=(count, 5000))
    result = bss.jade(X)
    assert np.all(np.diff(result.loss) <= 1e-14 * result.loss[0])
    assert result.loss[-1] < result.loss[0] / 2
    for p in range(count):
        for angle in (-1e-3, 1e-3, 0.3, np.pi / 4):
            turn = np.eye(count)
            q = (p + 1) % count
            turn[[p, p, q, q], [p, q, p, q]] = np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)
            B = turn @ result.demixing
            moments = twin(X, B, X.mean(1))
            assert off_diagonal(cumulant_matrices(moments)) > result.loss[-1] * (1 + 1e-9)


@pytest.mark.parametrize("gain", [1e-6, 1e6])
def test_equivariance(gain: float) -> None:
    s, A = independent("mixed"), mixing_matrix(3, 3)
    one, other = bss.jade(s), bss.jade(gain * (A @ s) + 3 * gain)
    match = np.abs(np.corrcoef(one.sources, other.sources)[:3, 3:])
    np.testing.assert_allclose(np.sort(match, axis=1), [[0, 0, 1]] * 3, atol=1e-6)


def test_fewer_sources_than_microphones_and_channels_that_add_nothing() -> None:
    A = mixing_matrix(5, 2)
    X = A @ independent("super", 2) + 0.003 * np.random.default_rng(0).standard_normal((5, 20_000))
    assert interference_db(bss.jade(X, n_sources=2).demixing @ A) < -22
    A = np.vstack([mixing_matrix(2, 2), np.zeros(2), [[0.3, -0.2]]])
    copied = bss.jade(A @ independent("super", 2))
    assert copied.demixing.shape == (2, 4)
    assert interference_db(copied.demixing @ A) < -27
    assert bss.jade(independent("super", 1)).converged


@pytest.mark.parametrize("dtype", REAL)
def test_same_seed_same_bytes_on_any_number_of_threads(dtype: Any) -> None:
    X = (mixing_matrix(3, 3) @ independent("super")).astype(dtype)
    results = [bss.jade(X, rng=r) for r in (7, 7, np.random.default_rng(7))]
    for count in (1, 2):
        with threads.limited(count):
            results.append(bss.jade(X, rng=7))
    assert len({r.demixing.tobytes() for r in results}) == 1
    assert len({r.loss.tobytes() for r in results}) == 1
    assert bss.jade(X, rng=8).loss[0] != results[0].loss[0]


def test_callbacks_and_too_few_sweeps() -> None:
    heard: list[tuple[int, float]] = []
    result = bss.jade(mixing_matrix(3, 3) @ independent("super"), n_iter=2, callback=lambda i, v: heard.append((i, v)))
    assert heard == list(enumerate(result.loss))
    assert not result.converged
    assert result.message.startswith("stopped after 2 iterations; try a larger n_iter")


@pytest.mark.parametrize(
    ("X", "options", "error", "said"),
    [
        (np.zeros((2, 500), complex), {}, UsageError, "X is complex"),
        (np.zeros((2, 500)), {}, InputError, "every channel is constant"),
        (np.full((2, 500), np.nan), {}, InputError, "channel 0 of X contains 500 NaN"),
        (np.ones((500, 2)), {}, InputError, "500 channels of 2 samples"),
        (np.random.default_rng(0).normal(size=(33, 500)), {}, UsageError, "JADE of 33 sources would need 1185921 moments"),
        (np.random.default_rng(0).normal(size=(2, 500)), {"n_sources": 3}, UsageError, "3 sources asked for, 2 microphones"),
        (np.random.default_rng(0).normal(size=(2, 500)), {"n_iter": 0}, UsageError, "n_iter=0"),
        (np.random.default_rng(0).normal(size=(2, 500)), {"tol": -1.0}, UsageError, "tol=-1.0"),
    ],
)
def test_refusals(X: Any, options: dict[str, Any], error: type[BssError], said: str) -> None:
    with pytest.raises(BssError, match=said) as caught:
        bss.jade(X, **options)
    assert type(caught.value) is error
