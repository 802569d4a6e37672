"""One block of the source model's network, compiled: BLAS's matrix products, and the rest while its piece is in the cache.

x is (C, T, K): channels, patches along time, bands. A step of time is then K numbers in a row. Pieces are some patches of all
channels and bands.
"""

from __future__ import annotations

import numba
import numpy as np
import scipy.linalg.cython_blas  # noqa: F401 - numba's BLAS, here so that a limit on the threads of BLAS finds it

from bss.backends.cpu.arithmetic.linalg import ALLOCATES, FAST, INNER_FAST
from bss.backends.cpu.compiling import compiled

PIECE = 4  # patches along time: with 96 channels and 128 bands 0.2 MB, and three taps of them; 2, 3, 6 and 8 were no faster
TAPS = 3
ZERO, LOWEST = np.float32(0), np.finfo(np.float32).min


@numba.njit(**ALLOCATES)
def product(a, b, c):  # type: ignore[no-untyped-def]
    """c = a b by BLAS. A function of its own: the checks around a call of BLAS then compile once."""
    np.dot(a, b, c)


@compiled(**FAST)
def mix_bands(x, mix, scale, shift, mean):  # type: ignore[no-untyped-def]
    """x += relu(scale x + shift) mix, channel by channel, those of one group by one matrix of mix (groups, K, K); mean (C, K)
    gets the mean of the result over time."""
    C, T, K = x.shape
    groups = mix.shape[0]
    size = C // groups
    h, y = np.zeros((groups, size * PIECE, K), x.dtype), np.empty((groups, size * PIECE, K), x.dtype)
    mean[:] = 0
    for t in range(0, T, PIECE):
        count = min(PIECE, T - t)
        for g in range(groups):
            for row in range(size * PIECE):
                c, i = g * size + row // PIECE, row % PIECE
                if i < count:
                    affine(x[c, t + i], scale[c], shift[c], ZERO, h[g, row])
            product(h[g], mix[g], y[g])
            for row in range(size * PIECE):
                c, i = g * size + row // PIECE, row % PIECE
                if i < count:
                    add(x[c, t + i], y[g, row], ZERO)
                    add(mean[c], x[c, t + i], ZERO)
    for c in range(C):
        for k in range(K):
            mean[c, k] /= T


@compiled(**FAST)
def mix_times(x, taps, scale, shift, offset, narrow, bias, dilation):  # type: ignore[no-untyped-def]
    """x += narrow relu(taps over time of (scale x + shift) + offset (C, K)) + bias.

    Results are held until no later piece needs what they replace: taps reach back `dilation` patches.
    """
    C, T, K = x.shape
    pieces = (T + PIECE - 1) // PIECE
    stacked, h = np.empty((TAPS * C, PIECE * K), x.dtype), np.empty((C, PIECE * K), x.dtype)
    held = np.empty((dilation // PIECE + 2, C, PIECE * K), x.dtype)
    done = 0
    for p in range(pieces + 1):
        if p < pieces:
            gather(x, p * PIECE, dilation, scale, shift, stacked)
            product(taps, stacked, h)
            for c in range(C):
                for i in range(PIECE):
                    part = h[c, i * K : (i + 1) * K]
                    for k in range(K):
                        part[k] = max(part[k] + offset[c, k], ZERO)
            product(narrow, h, held[p % len(held)])
        while done < pieces and (p == pieces or (done + 1) * PIECE + dilation <= (p + 1) * PIECE):
            y = held[done % len(held)]
            for c in range(C):
                for t in range(done * PIECE, min((done + 1) * PIECE, T)):
                    begin = (t - done * PIECE) * K
                    add(x[c, t], y[c, begin : begin + K], bias[c])
            done += 1


@numba.njit(**INNER_FAST)
def gather(x, t, dilation, scale, shift, taps):  # type: ignore[no-untyped-def]
    """taps (TAPS C, PIECE K) = scale x + shift, `dilation` patches before t, at t, and after; zeros beyond the ends of x."""
    C, T, K = x.shape
    for tap in range(TAPS):
        for c in range(C):
            for i in range(PIECE):
                patch, out = t + i + (tap - 1) * dilation, taps[tap * C + c, i * K : (i + 1) * K]
                if 0 <= patch < T:
                    affine(x[c, patch], scale[c], shift[c], LOWEST, out)
                else:
                    out[:] = 0


@numba.njit(**INNER_FAST)
def affine(row, scale, shift, least, out):  # type: ignore[no-untyped-def]
    """out = scale row + shift, or `least` where that is more."""
    for k in range(row.shape[0]):
        out[k] = max(scale * row[k] + shift, least)


@numba.njit(**INNER_FAST)
def add(row, part, offset):  # type: ignore[no-untyped-def]
    """row += part + offset."""
    for k in range(row.shape[0]):
        row[k] += part[k] + offset
