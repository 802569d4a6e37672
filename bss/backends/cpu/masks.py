"""What masks begin with, once per solve: covariances of the directions under them, and the delays of single frames."""

from __future__ import annotations

import numpy as np


def masked_covariances(X: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums over frames of masks (F, N, T) times z z^H, z = x / |x| of X (F, M, T): (F, N, M, M); and |x|^2 (F, T)."""
    F, M, T = X.shape
    C = np.empty((F, masks.shape[1], M, M), np.result_type(masks.dtype, X.dtype))
    power = np.empty((F, T), X.real.dtype)
    for f in range(F):
        power[f] = np.sum(np.abs(X[f]) ** 2, axis=0)
        Z = X[f] / np.sqrt(np.where(power[f] > 0, power[f], 1))
        C[f] = np.einsum("nt,mt,kt->nmk", masks[f], Z, Z.conj())  # not BLAS, whose sums depend on its number of threads
    return C, power


def frame_delays(X: np.ndarray, first: int, upsampling: int, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """(T, M - 1) delays of every frame of X (F, M, T) in samples, by the bins from `first` on, and (T,) how clearly they stand
    out: 1 for sound from one direction. `reach` is the largest delay looked for, in parts of a sample."""
    F, M, T = X.shape
    size = 2 * (F - 1) * upsampling
    lags, heights = np.zeros((T, M - 1)), np.zeros(T)
    step = max(1, (1 << 20) // size)
    for begin in range(0, T, step):
        t = slice(begin, begin + step)
        for m in range(1, M):
            cross = X[:, m, t] * X[:, 0, t].conj()
            cross /= np.maximum(np.abs(cross), np.finfo(cross.real.dtype).tiny)
            cross[:first] = 0
            correlation = np.fft.irfft(cross, n=size, axis=0)
            near = np.concatenate([correlation[-reach:], correlation[: reach + 1]])
            lags[t, m - 1] = (near.argmax(0) - reach) / upsampling
            heights[t] += near.max(0) * (size / (2 * (F - first) * (M - 1)))
    return lags, heights
