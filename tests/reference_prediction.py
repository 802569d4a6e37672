"""Twins of the kernels of linear prediction: the equations as they stand in the papers, in loops and einsum, complex128.

Letters as in `reference`; z_t = [x_(t - delay); x_(t - delay - 1); ...] are the past frames, filters G (F, M taps, M).
"""

from __future__ import annotations

import numpy as np


def past(X: np.ndarray, taps: int, delay: int) -> np.ndarray:
    """z (F, M taps, T), a frame and a tap at a time; nothing is heard before the first frame."""
    F, M, T = X.shape
    z = np.zeros((F, M * taps, T), np.complex128)
    for t in range(T):
        for k in range(taps):
            if t - delay - k >= 0:
                z[:, k * M : (k + 1) * M, t] = X[:, :, t - delay - k]
    return z


def without_prediction(X: np.ndarray, G: np.ndarray, delay: int) -> np.ndarray:
    """x_t - G^H z_t; Nakatani et al. (2010), eq. 8, of all microphones."""
    M = X.shape[1]
    return np.asarray(X - np.einsum("fpm,fpt->fmt", G.conj(), past(X, G.shape[1] // M, delay)))


def wpe(X: np.ndarray, taps: int, delay: int, n_iter: int, context: int = 0, power: np.ndarray | None = None) -> np.ndarray:
    """G after n_iter rounds of: power of what is left, R = sum z z^H / power, P = sum z x^H / power, G = R^-1 P."""
    X = X.astype(np.complex128)
    F, M, T = X.shape
    z = past(X, taps, delay)
    G = np.zeros((F, M * taps, M), np.complex128)
    for i in range(n_iter):
        if i == 0 and power is not None:
            p = power
        else:
            raw = np.mean(np.abs(without_prediction(X, G, delay)) ** 2, axis=1)
            p = np.stack([raw[:, max(0, t - context) : t + context + 1].mean(1) for t in range(T)], axis=1)
        R = np.einsum("fpt,fqt,ft->fpq", z, z.conj(), 1 / p)
        P = np.einsum("fpt,fmt,ft->fpm", z, X.conj(), 1 / p)
        G = np.stack([np.linalg.lstsq(R[f], P[f], rcond=None)[0] for f in range(F)])
    return G


def steer_by_past(Y: np.ndarray, X: np.ndarray, phi: np.ndarray, taps: int, delay: int) -> tuple[np.ndarray, np.ndarray]:
    """New Y, and V (F, N, M taps) in Y - V z: for every row k of z, y_n <- y_n - v_nk z_k; Nakashima et al. (2021), eqs. 14-15.

    phi (N, 1 or F, T).
    """
    z, Y = past(X, taps, delay), Y.astype(np.complex128)
    F, N, T = Y.shape
    V = np.zeros((F, N, z.shape[1]), np.complex128)
    phi = np.broadcast_to(phi, (N, F, T))
    for f in range(F):
        for n in range(N):
            for k in range(z.shape[1]):
                pivot, weights = z[f, k], phi[n, f]
                V[f, n, k] = np.sum(weights * Y[f, n] * pivot.conj()) / np.sum(weights * np.abs(pivot) ** 2)
                Y[f, n] = Y[f, n] - V[f, n, k] * pivot
    return Y, V
