"""Compiled passes over the samples of a recording: moments, and what instantaneous ICA needs to know of its outputs.

A pass reads the recording once, block by block, on all threads; a block and everything made of it stay in the first-level
cache. Sums within a block run in the precision of the samples, over blocks in float64.
"""

from __future__ import annotations

import numba
import numpy as np

from bss.kernels.small import FAST, INNER_FAST

BLOCK = 1024
ROWS = 4  # of a block, that are read together
LOGCOSH, EXP, CUBE = 0, 1, 2


@numba.njit(**{**FAST, "fastmath": {"reassoc", "contract"}})  # what is not finite is not finite in the sum
def square_sums(first, step, flat, sums):  # type: ignore[no-untyped-def]
    """sums[chunk] = the sum of the squares of that part of flat (n,)."""
    n, chunks = flat.shape[0], sums.shape[0]
    for c in range(first, chunks, step):
        begin = c * n // chunks
        part = flat[begin : (c + 1) * n // chunks]
        total = 0.0
        for t in range(part.shape[0]):
            total += np.float64(part[t]) * np.float64(part[t])
        sums[c] = total


@numba.njit(**INNER_FAST)
def tanh32(y, g):  # type: ignore[no-untyped-def]
    """g = tanh(y) in single precision, within 4e-7: y P(y^2) / Q(y^2), fitted on +-8 for the least largest error."""
    f = np.float32
    for t in range(y.shape[0]):
        x = min(max(y[t], f(-8)), f(8))
        s = x * x
        p = (((f(1.50617208e-08) * s + f(2.17731818e-05)) * s + f(0.00356415223)) * s + f(0.134381878)) * s + f(0.99999997)
        q = (((f(8.4536255e-07) * s + f(0.000339917302)) * s + f(0.0261360008)) * s + f(0.467715086)) * s + f(1)
        g[t] = min(max(x * p / q, f(-1)), f(1))


@numba.njit(**INNER_FAST)
def tanh64(y, g):  # type: ignore[no-untyped-def]
    """g = tanh(y) in double precision."""
    for t in range(y.shape[0]):
        g[t] = np.tanh(y[t])


@numba.njit(**INNER_FAST)
def bell32(y, g):  # type: ignore[no-untyped-def]
    """g = exp(-y^2 / 2) in single precision, within 1e-7: expm1 of a 64th by its series, doubled six times as w (2 + w)."""
    f = np.float32
    for t in range(y.shape[0]):
        v = f(-1 / 128) * min(y[t] * y[t], f(88))
        w = ((((f(1 / 720) * v + f(1 / 120)) * v + f(1 / 24)) * v + f(1 / 6)) * v + f(0.5)) * v + f(1)
        w = w * v
        w = w * (f(2) + w)
        w = w * (f(2) + w)
        w = w * (f(2) + w)
        w = w * (f(2) + w)
        w = w * (f(2) + w)
        g[t] = f(1) + w * (f(2) + w)


@numba.njit(**INNER_FAST)
def bell64(y, g):  # type: ignore[no-untyped-def]
    """g = exp(-y^2 / 2) in double precision."""
    for t in range(y.shape[0]):
        g[t] = np.exp(-0.5 * y[t] * y[t])


@numba.njit(**INNER_FAST)
def log_cosh_sum(y, g, q, count):  # type: ignore[no-untyped-def]
    """sum_t log cosh y = sum |y| - log(1 + |tanh y|) over the first `count`, one logarithm for 64 samples. q is overwritten."""
    one = y.dtype.type(1)
    total = y.dtype.type(0)
    size = y.shape[0]
    for t in range(size):
        total += abs(y[t])
        q[t] = one + abs(g[t])
    width = size
    while width > size // 64:
        width //= 2
        for t in range(width):
            q[t] *= q[t + width]
    logs = 0.0
    for t in range(width):
        logs += np.log(q[t])
    return np.float64(total) - logs


@numba.njit(**INNER_FAST)
def nonlinear(kind, y, g, q, need_value):  # type: ignore[no-untyped-def]
    """g(y), and the sums of g'(y) and of G(y) over a block."""
    size = y.shape[0]
    slope, value = 0.0, 0.0
    total = y.dtype.type(0)
    if kind == LOGCOSH:
        if y.itemsize == 4:
            tanh32(y, g)
        else:
            tanh64(y, g)
        for t in range(size):
            total += g[t] * g[t]
        slope = size - np.float64(total)
        if need_value:
            value = log_cosh_sum(y, g, q, size)
    elif kind == EXP:
        if y.itemsize == 4:
            bell32(y, q)
        else:
            bell64(y, q)
        steep = y.dtype.type(0)
        for t in range(size):
            total += q[t]
            g[t] = y[t] * q[t]
            steep += y[t] * g[t]
        slope, value = np.float64(total) - np.float64(steep), -np.float64(total)
    else:
        fourth = y.dtype.type(0)
        for t in range(size):
            s = y[t] * y[t]
            total += s
            fourth += s * s
            g[t] = s * y[t]
        slope, value = 3.0 * total, 0.25 * fourth
    return slope, value


@numba.njit(**INNER_FAST)
def weighted(W, i, z, y):  # type: ignore[no-untyped-def]
    """y = sum_j W[i, j] z[j], ROWS of them at a time: a load and a store of y for each would take longer than the arithmetic."""
    zero, m = y.dtype.type(0), z.shape[0]
    for j in range(0, m, ROWS):
        k, p, q = min(j + 1, m - 1), min(j + 2, m - 1), min(j + 3, m - 1)
        a, b = W[i, j], W[i, k] if k > j else zero
        c, d = W[i, p] if p > k else zero, W[i, q] if q > p else zero
        if j == 0 and m == 2:
            for t in range(BLOCK):
                y[t] = a * z[0, t] + b * z[1, t]
        elif j == 0:
            for t in range(BLOCK):
                y[t] = a * z[j, t] + b * z[k, t] + c * z[p, t] + d * z[q, t]
        else:
            for t in range(BLOCK):
                y[t] += a * z[j, t] + b * z[k, t] + c * z[p, t] + d * z[q, t]


@numba.njit(**INNER_FAST)
def add_products(g, z, j, sums):  # type: ignore[no-untyped-def]
    """sums[j] += g . z[j], and the next, ROWS of them while there are."""
    zero, m = z.dtype.type(0), z.shape[0]
    k, p, q = min(j + 1, m - 1), min(j + 2, m - 1), min(j + 3, m - 1)
    a, b, c, d = zero, zero, zero, zero
    for t in range(BLOCK):
        value = g[t]
        a += value * z[j, t]
        b += value * z[k, t]
        c += value * z[p, t]
        d += value * z[q, t]
    sums[j] += a
    if k > j:
        sums[k] += b
    if p > k:
        sums[p] += c
    if q > p:
        sums[q] += d


@numba.njit(**FAST)
def ica_sums(first, step, x, W, mean, kind, stride, need_value, cross, slope, value):  # type: ignore[no-untyped-def]
    """Of y = W (x - mean), over every `stride`-th block: cross[chunk] = sum g(y) (x - mean)^T, slope = sum g', value = sum G.

    The last block is filled up with zeros, of which g is 0, g' is 1 and G is 0 or, for EXP, -1: the caller takes them out.
    """
    m, n = x.shape
    n_sources, chunks = W.shape[0], cross.shape[0]
    blocks = (n + BLOCK - 1) // BLOCK
    z, y = np.empty((m, BLOCK), x.dtype), np.empty(BLOCK, x.dtype)
    g, q = np.empty(BLOCK, x.dtype), np.empty(BLOCK, x.dtype)
    for c in range(first, chunks, step):
        cross[c] = 0.0
        slope[c] = 0.0
        value[c] = 0.0
        begin = (c * blocks // chunks + stride - 1) // stride * stride
        for b in range(begin, (c + 1) * blocks // chunks, stride):
            centred(x, mean, b, z)
            for i in range(n_sources):
                weighted(W, i, z, y)
                s, v = nonlinear(kind, y, g, q, need_value)
                slope[c, i] += s
                value[c, i] += v
                for j in range(0, m, ROWS):
                    add_products(g, z, j, cross[c, i])


@numba.njit(**INNER_FAST)
def centred(x, mean, b, z):  # type: ignore[no-untyped-def]
    """z = block b of x minus the mean, zeros behind the end."""
    here = min(BLOCK, x.shape[1] - b * BLOCK)
    for j in range(x.shape[0]):
        row = x[j, b * BLOCK : b * BLOCK + here]
        offset = mean[j]
        for t in range(here):
            z[j, t] = row[t] - offset
        for t in range(here, BLOCK):
            z[j, t] = 0


@numba.njit(**FAST)
def moment_sums(first, step, x, origin, total, second):  # type: ignore[no-untyped-def]
    """total[chunk] = sum of x - origin, second[chunk] = sum of its products (upper triangle), in double precision throughout:
    whether a channel is a copy of others shows in the 13th digit."""
    m, n = x.shape
    chunks = total.shape[0]
    blocks = (n + BLOCK - 1) // BLOCK
    z = np.empty((m, BLOCK), np.float64)
    for c in range(first, chunks, step):
        total[c] = 0.0
        second[c] = 0.0
        for b in range(c * blocks // chunks, (c + 1) * blocks // chunks):
            centred(x, origin, b, z)
            for i in range(m):
                a = 0.0
                for t in range(BLOCK):
                    a += z[i, t]
                total[c, i] += a
                for j in range(i, m, ROWS):
                    add_products(z[i], z, j, second[c, i])
