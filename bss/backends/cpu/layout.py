"""Compiled way in: complex spectra to outputs with real and imaginary part apart, in blocks of frames."""

from __future__ import annotations

import numba
import numpy as np

from bss.backends.cpu.arithmetic.linalg import FAST, INNER_FAST
from bss.backends.cpu.compiling import compiled
from bss.backends.cpu.demixing.covariance import products, unpack


@numba.njit(**INNER_FAST)
def demix_block(X, W, f, b, Y):  # type: ignore[no-untyped-def]
    """Y[f, b] = W[f] X[f], the frames of one block."""
    m, size = Y.shape[2], Y.shape[4]
    begin = b * size
    here = min(size, X.shape[2] - begin)
    real = Y.dtype.type
    for i in range(m):
        for t in range(size):
            Y[f, b, i, 0, t] = 0
            Y[f, b, i, 1, t] = 0
        for j in range(m):
            a, c = real(W[f, i, j].real), real(W[f, i, j].imag)
            if a == 0 and c == 0:
                continue
            for t in range(here):
                x = X[f, j, begin + t]
                Y[f, b, i, 0, t] += a * x.real - c * x.imag
                Y[f, b, i, 1, t] += a * x.imag + c * x.real


@compiled(**FAST)
def fill(first, step, chunks, X, W, Y, C):  # type: ignore[no-untyped-def]
    """Y[f, b, i, 0 or 1, t] = sum_j W[f, i, j] X[f, j, t] with zeros behind the last frame, and C = E[y y^H], bin by bin."""
    bins, blocks, m, _, size = Y.shape
    P, G, V = np.empty((m * m, size), Y.dtype), np.empty((m * m, 1)), np.empty((1, m, m), np.complex128)
    for c in range(first, chunks, step):
        for f in range(c * bins // chunks, (c + 1) * bins // chunks):
            G[:] = 0.0
            for b in range(blocks):
                demix_block(X, W, f, b, Y)
                products(Y, f, b, P)
                for r in range(m * m):
                    total = Y.dtype.type(0)
                    for t in range(size):
                        total += P[r, t]
                    G[r, 0] += total
            unpack(G, 1.0 / X.shape[2], V)
            for i in range(m):
                for j in range(m):
                    C[f, i, j] = V[0, i, j]
