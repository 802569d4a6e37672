"""Masks and the full-rank filter: the EM is the papers', its loss never rises, and more talkers than microphones come apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from signals_for_tests import complex_normal

import bss
from bss.backends.cpu import backend, threads
from bss.errors import BssError, InputError, UsageError
from bss.solvers.models import fullrank, masks

COMPLEX = [np.complex64, np.complex128]
SIZES = [(2, 2), (2, 3), (3, 4), (3, 2), (4, 5)]  # M, N


def crowd(M: int, N: int, F: int = 9, T: int = 300, dtype: Any = np.complex128, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """X (F, M, T) and the images (F, N, T) at microphone 0 of talkers who mostly speak one at a time."""
    rng = np.random.default_rng(seed)
    loud = rng.gamma(0.1, size=(1, N, T)) + 1e-4
    S = complex_normal(rng, F, N, T) * np.sqrt(loud * rng.gamma(2.0, size=(F, N, T)))
    A = complex_normal(rng, F, M, N)
    return np.ascontiguousarray(A @ S, dtype), A[:, 0, :, None] * S


def frames_of(X: np.ndarray, level: float = 1.0) -> Any:
    F, M, _ = X.shape
    return backend.outputs(X, np.broadcast_to(np.eye(M), (F, M, M)), M, level)


def matrices(F: int, N: int, M: int, seed: int = 1) -> np.ndarray:
    A = complex_normal(np.random.default_rng(seed), F, N, M, M)
    return A @ A.conj().swapaxes(2, 3) + 0.1 * np.eye(M)


def random_weights(N: int, T: int) -> np.ndarray:
    weights = np.random.default_rng(2).uniform(0.1, 1, (N, T))
    return np.asarray(weights / weights.sum(0))


# ---- the kernels against the equations


def angular_em(X: np.ndarray, B: np.ndarray, weights: np.ndarray, blur: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Loss, posteriors (F, N, T) and new B: Ito, Araki and Nakatani (2016), directions z as they define them."""
    F, M, T = X.shape
    N = B.shape[1]
    Z = X / np.linalg.norm(X, axis=1, keepdims=True)
    loss, gamma, new = 0.0, np.empty((F, N, T)), np.empty_like(B)
    for f in range(F):
        inverse, det = np.linalg.inv(B[f]), np.linalg.det(B[f]).real
        q = np.einsum("mt,nmk,kt->nt", Z[f].conj(), inverse, Z[f]).real
        q += blur / M * np.trace(inverse, axis1=1, axis2=2).real[:, None]
        joint = weights / det[:, None] / q**M
        loss -= float(np.log(joint.sum(0)).sum())
        gamma[f] = joint / joint.sum(0)
        V = M * np.einsum("nt,mt,kt->nmk", gamma[f] / q, Z[f], Z[f].conj())
        V += blur * np.eye(M) * (gamma[f] / q).sum(1)[:, None, None]
        new[f] = V * M / np.trace(V, axis1=1, axis2=2)[:, None, None]
    return loss, gamma, new


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize(("M", "N"), SIZES)
@pytest.mark.parametrize("T", [37, 700])  # a part of a block, two blocks
def test_an_iteration_of_the_mixture_is_the_paper_s(M: int, N: int, T: int, dtype: Any) -> None:
    X, _ = crowd(M, N, 5, T, dtype)
    B, weights = matrices(5, N, M), random_weights(N, T)
    state = backend.angular_mixture(frames_of(X), B, 0.2)
    masks = state.posteriors(weights)
    np.testing.assert_array_equal(state.B, B)
    loss, share = state.step(weights)
    expected, gamma, new = angular_em(X.astype(np.complex128), B, weights, 0.2)
    exact = 1e-9 if dtype is np.complex128 else 2e-4
    assert loss == pytest.approx(expected, rel=exact)
    np.testing.assert_allclose(masks, gamma, atol=exact)
    np.testing.assert_allclose(share, gamma.sum(0), atol=10 * exact)
    np.testing.assert_allclose(state.B, new, atol=exact * np.abs(new).max())


def gauss_em(X: np.ndarray, v: np.ndarray, R: np.ndarray, noise: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Loss, new v and R, by the posterior covariances of every talker: Duong et al. (2010), eqs. 25-32, and R at a trace of M."""
    F, M, T = X.shape
    loss, new_v, new_R = 0.0, np.empty_like(v), np.empty_like(R)
    for f in range(F):
        sums = np.zeros_like(R[f])
        for t in range(T):
            x = X[f, :, t]
            S = np.einsum("n,nmk->mk", v[f, :, t], R[f]) + (noise / M * np.vdot(x, x).real + 1e-12) * np.eye(M)
            loss += np.linalg.slogdet(S)[1] + (x.conj() @ np.linalg.inv(S) @ x).real
            for n in range(R.shape[1]):
                G = v[f, n, t] * R[f, n] @ np.linalg.inv(S)
                C = np.outer(G @ x, (G @ x).conj()) + (np.eye(M) - G) @ (v[f, n, t] * R[f, n])
                new_v[f, n, t] = np.trace(np.linalg.inv(R[f, n]) @ C).real / M
                sums[n] += C / new_v[f, n, t]
        new_R[f] = sums / T
        level = np.trace(new_R[f], axis1=1, axis2=2).real / M
        new_R[f] /= level[:, None, None]
        new_v[f] *= level[:, None]
    return loss, new_v, new_R


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize(("M", "N"), SIZES)
def test_an_iteration_of_the_full_rank_model_is_the_paper_s(M: int, N: int, dtype: Any) -> None:
    X, _ = crowd(M, N, 3, 40, dtype)
    R, v = matrices(3, N, M), np.random.default_rng(3).uniform(0.1, 1, (3, N, 40))
    state = backend.full_rank(frames_of(X), v, R, noise=0.01)
    loss = state.step()
    expected, new_v, new_R = gauss_em(X.astype(np.complex128), v, R, 0.01)
    exact = 1e-9 if dtype is np.complex128 else 1e-3
    assert loss == pytest.approx(expected, rel=exact)
    np.testing.assert_allclose(state.v[:, 0, :, :40], new_v, atol=exact * new_v.max())
    np.testing.assert_allclose(state.R, new_R, atol=exact * np.abs(new_R).max())
    images, powers = state.images(1)
    wanted = np.empty((3, N, M, 40), complex)
    for f in range(3):
        for t in range(40):
            x = X[f, :, t].astype(complex)
            S = np.einsum("n,nmk->mk", state.v[f, 0, :, t].astype(float), state.R[f]) + 0.01 / M * np.vdot(x, x).real * np.eye(M)
            y = np.linalg.solve(S, x)
            wanted[f, :, :, t] = np.einsum("n,nmk,k->nm", state.v[f, 0, :, t].astype(float), state.R[f], y)
    np.testing.assert_allclose(images, wanted[:, :, 1], atol=exact * np.abs(wanted).max())
    np.testing.assert_allclose(powers, np.sum(np.abs(wanted) ** 2, axis=(0, 3)), rtol=10 * exact)


# ---- the loss


def degraded(X: np.ndarray, how: str) -> np.ndarray:
    X = X.copy()
    if how == "silent frames and bins":
        X[:, :, 50:90] = 0
        X[2] = 0
    elif how == "quiet":
        X *= 1e-4
    elif how == "one talker only":
        X[:, 1] = 0.5 * X[:, 0]
    return X


HOW = ["clean", "silent frames and bins", "quiet", "one talker only"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize(("M", "N"), SIZES)
def test_the_loss_of_masks_never_rises(M: int, N: int, dtype: Any, how: str) -> None:
    X = degraded(crowd(M, N, dtype=dtype)[0], how)
    kept = X.copy()
    result = bss.cacgmm(X, n_sources=N, n_iter=40, tol=0)
    np.testing.assert_array_equal(X, kept)
    assert result.loss.shape == (40,)
    assert np.diff(result.loss).max() <= (1e-9 if dtype is np.complex128 else 1e-5) * np.abs(result.loss).max()
    assert result.loss[-1] < result.loss[0] or how == "one talker only"  # which is found before the first iteration
    assert np.isfinite(result.sources).all()


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("dtype", COMPLEX)
def test_the_loss_with_fixed_weights_and_that_of_the_full_rank_model_never_rise(dtype: Any, how: str) -> None:
    X = degraded(crowd(2, 3, dtype=dtype)[0], how)
    level = float(np.sqrt(np.mean(np.abs(X) ** 2)))
    weights = random_weights(3, X.shape[2])
    state = backend.angular_mixture(frames_of(X, level), matrices(len(X), 3, 2), 0.1)
    fixed = np.array([state.step(weights)[0] for _ in range(40)])
    model = fullrank.from_masks(X, state.posteriors(weights))
    model.learn(40)
    exact = 1e-9 if dtype is np.complex128 else 2e-5
    for losses in (fixed, np.array(model.losses)):
        assert np.diff(losses).max() <= exact * np.abs(losses).max()
        assert losses[-1] < losses[0]


def test_it_stops_when_the_loss_falls_by_less_than_tol_and_says_so() -> None:
    X, _ = crowd(2, 3)
    all_of_them = bss.cacgmm(X, n_sources=3, n_iter=60, tol=0)
    early = bss.cacgmm(X, n_sources=3, n_iter=60, tol=1e-3)
    assert early.converged
    assert "converged" in early.message
    assert not all_of_them.converged
    assert early.n_iter < all_of_them.n_iter == 60
    np.testing.assert_array_equal(early.loss, all_of_them.loss[: early.n_iter])


# ---- the result


@pytest.mark.parametrize("dtype", COMPLEX)
def test_masks_share_out_the_reference_microphone(dtype: Any) -> None:
    X, _ = crowd(2, 3, dtype=dtype)
    for mic in (0, 1):
        result = bss.cacgmm(X, n_sources=3, n_iter=10, reference_mic=mic)
        assert result.demixing is None
        assert result.sources.dtype == dtype
        np.testing.assert_allclose(result.sources.sum(1), X[:, mic], atol=1e-4)


@pytest.mark.parametrize(("M", "N"), [(2, 3), (2, 4), (3, 4)])
def test_more_talkers_than_microphones_come_apart(M: int, N: int) -> None:
    X, images = crowd(M, N, F=65, T=400, dtype=np.complex64)
    result = bss.cacgmm(X, n_sources=N, rng=1)
    model = fullrank.from_masks(X, result.sources.real * 0 + np.abs(result.sources) / np.abs(X[:, :1]))
    model.learn(15)

    def best_ratio(Y: np.ndarray) -> float:
        """Mean over talkers of the energy of the truth against that of the error, in dB, each with its nearest estimate."""
        errors = np.sum(np.abs(images[:, :, None] - Y[:, None]) ** 2, axis=(0, 3))
        ratios = 10 * np.log10(np.sum(np.abs(images) ** 2, axis=(0, 2))[:, None] / errors)
        assert len(set(ratios.argmax(1))) == N, "two talkers in one estimate"
        return float(ratios.max(1).mean())

    masked, filtered = best_ratio(result.sources), best_ratio(model.images(0)[0])
    assert masked > 7, masked
    assert filtered > masked + 1, (masked, filtered)


def test_bytes_depend_on_the_seed_and_not_on_threads() -> None:
    X, _ = crowd(2, 3, F=40, T=600, dtype=np.complex64)
    found = []
    for count in (1, 3):
        with threads.limited(count):
            masked = bss.cacgmm(X, n_sources=3, n_iter=25, rng=4)
            model = fullrank.from_masks(X, np.abs(masked.sources) / np.abs(X[:, :1]))
            model.learn(5)
            found.append(masked.sources.tobytes() + model.images(0)[0].tobytes())
    assert found[0] == found[1]


def test_first_masks_of_one_s_own_decide_the_order() -> None:
    X, images = crowd(2, 3)
    shares = np.abs(images) ** 2 / np.sum(np.abs(images) ** 2, axis=1, keepdims=True)
    for order in ([0, 1, 2], [2, 0, 1]):
        result = bss.cacgmm(X, n_sources=3, start=shares[:, order], n_iter=10)
        like = np.abs(np.einsum("fnt,fkt->nk", result.sources, images[:, order].conj()))
        np.testing.assert_array_equal(like.argmax(1), [0, 1, 2])


def test_delays_between_microphones_are_found() -> None:
    F, T, delays = 257, 120, [-3.0, 0.5, 4.0]
    rng = np.random.default_rng(0)
    S = complex_normal(rng, F, 3, T) * (rng.integers(0, 3, T) == np.arange(3)[:, None])
    A = np.exp(-1j * np.pi * np.arange(F)[:, None] / (F - 1) * delays)
    X = np.stack([S.sum(1), np.einsum("fn,fnt->ft", A, S)], axis=1)
    found = masks.standing_out(X, 3)
    assert found is not None
    np.testing.assert_allclose(found[:, 0], 0)
    np.testing.assert_allclose(np.sort(found[:, 1]), delays, atol=0.25)
    assert masks.standing_out(X, 5) is None  # there are no more


# ---- what is refused


X2 = crowd(2, 3)[0]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: bss.cacgmm(X2[:, 0]), InputError, r"shape \(9, 300\)"),
        (lambda: bss.cacgmm(X2[:, :1], n_sources=2), InputError, "one microphone"),
        (lambda: bss.cacgmm(0 * X2, n_sources=3), InputError, "silent"),
        (lambda: bss.cacgmm(X2 * np.nan, n_sources=3), InputError, "NaN"),
        (lambda: bss.cacgmm(X2, n_sources=0), UsageError, "n_sources=0"),
        (lambda: bss.cacgmm(X2, n_iter=0), UsageError, "n_iter=0"),
        (lambda: bss.cacgmm(X2, tol=-1.0), UsageError, "tol=-1"),
        (lambda: bss.cacgmm(X2, reference_mic=2), UsageError, "reference_mic=2"),
        (lambda: bss.cacgmm(X2, n_sources=3, start=np.ones((9, 2, 300))), UsageError, r"\(9, 2, 300\)"),
        (lambda: bss.cacgmm(X2, n_sources=3, start=-np.ones((9, 3, 300))), UsageError, "between 0 and 1"),
        (lambda: bss.projection_back(bss.cacgmm(X2, n_sources=3, n_iter=2), X2), UsageError, "no demixing"),
        (lambda: bss.minimal_distortion(bss.cacgmm(X2, n_sources=3, n_iter=2), X2), UsageError, "no demixing"),
        (lambda: bss.auxiva(X2, n_sources=3), UsageError, "bss.cacgmm"),
    ],
)
def test_what_cannot_work_is_refused(call: Any, error: type[BssError], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
