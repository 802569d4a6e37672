"""Kernels on NumPy arrays: the arithmetic that is hot. Plain array code, blocked so that no temporary grows with the recording.

X (F, M, T) microphones, Y (F, N, T) sources, W (F, N, M) demixing, phi (N, 1 or F, T) weights. Sums over frames run in the
precision of the arrays (a few hundred to a few thousand terms); sums over samples of a recording run blockwise in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from bss.kernels.numbers import floor

BLOCK_BYTES = 1 << 21  # one temporary: about an L2 cache
BLOCK_SAMPLES = 1 << 14


def bins(X: np.ndarray) -> Iterator[slice]:
    """Slices over the frequency axis of (F, ., T), each about BLOCK_BYTES."""
    step = max(1, BLOCK_BYTES // max(1, X[0].nbytes))
    for start in range(0, X.shape[0], step):
        yield slice(start, min(start + step, X.shape[0]))


# ---------------------------------------------------------------- demixing


def demix(W: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Y = W X in every bin: (F, N, M), (F, M, T) -> (F, N, T)."""
    Y: np.ndarray = W @ X
    return Y


def log_det(W: np.ndarray) -> float:
    """Sum over bins of log |det W|: (F, N, N) -> float."""
    return float(np.sum(np.linalg.slogdet(W)[1], dtype=np.float64))


def covariance(X: np.ndarray) -> np.ndarray:
    """E[x x^H] over frames: (F, M, T) -> (F, M, M)."""
    C: np.ndarray = X @ X.conj().swapaxes(1, 2) / X.shape[2]
    return C


def weighted_covariance(X: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """E[phi x x^H] over frames: (F, M, T), (1 or F, T) -> (F, M, M)."""
    V = np.empty((X.shape[0], X.shape[1], X.shape[1]), X.dtype)
    for f in bins(X):
        weights = phi if phi.shape[0] == 1 else phi[f]
        V[f] = (X[f] * weights[:, None]) @ X[f].conj().swapaxes(1, 2)
    V /= X.shape[2]
    return V


def load_diagonal(V: np.ndarray) -> np.ndarray:
    """V with its diagonal raised by `floor` of its mean, an empty bin by one, so that it can be inverted: (F, M, M). In place."""
    m = V.shape[1]
    mean = np.trace(V, axis1=1, axis2=2).real / m
    V[:, range(m), range(m)] += np.where(mean > 0, floor(V.dtype, mean), 1)[:, None]
    return V


# ---------------------------------------------------------------- updates


def iss(Y: np.ndarray, W: np.ndarray, phi: np.ndarray, n_rows: int) -> None:
    """One sweep of iterative source steering, eqs. 9-11 of Scheibler and Ono (2020). Y and W change in place.

    The first `n_rows` rows of Y (F, R, T) have weights phi; each of the R rows is the pivot once.
    """
    frames = Y.shape[2]
    for f in bins(Y):
        Yf, Wf = Y[f], W[f]
        weights = phi if phi.shape[1] == 1 else phi[:, f]
        weights = weights.swapaxes(0, 1)  # (1 or B, n_rows, T)
        for k in range(Y.shape[1]):
            pivot = Yf[:, k].copy()
            power = np.abs(pivot) ** 2
            below = np.einsum("fnt,ft->fn", weights, power) / frames
            above = np.matmul(weights * Yf[:, :n_rows], pivot.conj()[:, :, None])[:, :, 0] / frames
            v = above / (below + floor(Y.dtype, below.mean(1, keepdims=True)) + np.finfo(Y.dtype).tiny)
            if k < n_rows:
                own = below[:, k]
                v[:, k] = 1 - 1 / np.sqrt(np.where(own > 0, own, 1))
            Yf[:, :n_rows] -= v[:, :, None] * pivot[:, None, :]
            Wf[:, :n_rows] -= v[:, :, None] * Wf[:, k, None, :].copy()


def ip(X: np.ndarray, W: np.ndarray, phi: np.ndarray, n: int) -> None:
    """Iterative projection of row n, eqs. 18-19 of Ono (2011): w_n = (W V_n)^-1 e_n, then w_n^H V_n w_n = 1. W in place."""
    V = load_diagonal(weighted_covariance(X, phi[n]))
    e = np.zeros((W.shape[1], 1), W.dtype)
    e[n] = 1
    w = np.linalg.solve(load_rows(W) @ V, np.broadcast_to(e, (W.shape[0], *e.shape)))
    scale = np.sqrt((w.conj().swapaxes(1, 2) @ V @ w).real)
    W[:, n] = (w / np.maximum(scale, np.finfo(W.dtype).tiny))[:, :, 0].conj()


def load_rows(W: np.ndarray) -> np.ndarray:
    """W, where a bin has become singular with a small identity added, so that the next solve goes on."""
    dead = ~np.isfinite(np.linalg.slogdet(W)[1])
    if dead.any():
        W = W.copy()
        W[dead] += np.eye(W.shape[1], dtype=W.dtype)
    return W


def orthogonal_background(C: np.ndarray, W: np.ndarray, n_sources: int) -> None:
    """Rows n_sources.. of W (F, M, M) := [J, -I], uncorrelated with the sources, eq. 13 of Scheibler and Ono (2019). In place."""
    n = n_sources
    CW = C @ W[:, :n].conj().swapaxes(1, 2)  # (F, M, N)
    J = np.linalg.solve(load_rows(CW[:, :n].swapaxes(1, 2)), CW[:, n:].swapaxes(1, 2)).swapaxes(1, 2)
    W[:, n:, :n] = J
    W[:, n:, n:] = -np.eye(W.shape[1] - n, dtype=W.dtype)


# ---------------------------------------------------------------- contrasts


def frame_power(Y: np.ndarray) -> np.ndarray:
    """Mean over bins of |y|^2: (F, N, T) -> (N, T), in the real precision of Y."""
    total = np.zeros(Y.shape[1:], np.float64)
    for f in bins(Y):
        total += np.sum(Y[f].real ** 2 + Y[f].imag ** 2, axis=0)
    return np.asarray(total / Y.shape[0], np.finfo(Y.dtype).dtype)


def power(y: np.ndarray) -> np.ndarray:
    """|y|^2 of one source: (F, T) complex -> (F, T) real."""
    P: np.ndarray = y.real**2 + y.imag**2
    return P


def nmf_step(P: np.ndarray, B: np.ndarray, H: np.ndarray) -> np.ndarray:
    """One multiplicative step of Itakura-Saito NMF, eqs. 19-20 of Kitamura et al. (2016). B (F, K), H (K, T) in place.

    P (F, T) powers of about 1. Returns the new variances R = B H (F, T).
    """
    small = floor(P.dtype)
    for left in (True, False):
        R = np.maximum(B @ H, small)
        inverse = 1 / R
        ratio = P * inverse * inverse
        if left:
            B *= np.sqrt((ratio @ H.T) / np.maximum(inverse @ H.T, small))
            np.maximum(B, small, out=B)
        else:
            H *= np.sqrt((B.T @ ratio) / np.maximum(B.T @ inverse, small))
            np.maximum(H, small, out=H)
    return np.asarray(np.maximum(B @ H, small))


# ---------------------------------------------------------------- instantaneous ICA

Block = tuple[np.ndarray, np.ndarray, np.ndarray]


def _logcosh(y: np.ndarray) -> Block:
    g = np.tanh(y)
    magnitude = np.abs(y)
    return g, 1 - g * g, magnitude + np.log1p(np.exp(-2 * magnitude)) - np.log(2.0)


def _exp(y: np.ndarray) -> Block:
    e = np.exp(-y * y / 2)
    return y * e, (1 - y * y) * e, -e


def _cube(y: np.ndarray) -> Block:
    square = y * y
    return square * y, 3 * square, square * square / 4


NONLINEARITIES: dict[str, Callable[[np.ndarray], Block]] = {"logcosh": _logcosh, "exp": _exp, "cube": _cube}


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (M,) and covariance (M, M) of x (M, n), in float64, block by block."""
    m, n = x.shape
    total, second = np.zeros(m), np.zeros((m, m))
    origin = x[:, : min(n, BLOCK_SAMPLES)].mean(1, dtype=np.float64)  # near the mean, so that a large offset cancels early
    for start in range(0, n, BLOCK_SAMPLES):
        block = x[:, start : start + BLOCK_SAMPLES] - origin[:, None]
        total += block.sum(1)
        second += block @ block.T
    mean = total / n
    return origin + mean, second / n - np.outer(mean, mean)


def ica_pass(x: np.ndarray, W: np.ndarray, mean: np.ndarray, nonlinearity: str) -> Block:
    """One pass over the data with y = W (x - mean): E[g(y) (x - mean)^T] (N, M), E[g'(y)] (N,), E[G(y)] (N,), in float64."""
    function = NONLINEARITIES[nonlinearity]
    n = x.shape[1]
    cross, slope, value = np.zeros(W.shape), np.zeros(W.shape[0]), np.zeros(W.shape[0])
    matrix, centre = W.astype(x.dtype), mean.astype(x.dtype)[:, None]
    for start in range(0, n, BLOCK_SAMPLES):
        block = x[:, start : start + BLOCK_SAMPLES] - centre
        g, dg, G = function(matrix @ block)
        cross += g @ block.T
        slope += dg.sum(1, dtype=np.float64)
        value += G.sum(1, dtype=np.float64)
    return cross / n, slope / n, value / n
