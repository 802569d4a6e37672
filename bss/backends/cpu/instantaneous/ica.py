"""Compiled passes over the samples of a recording: moments, and what instantaneous ICA needs to know of its outputs.

A pass reads the recording once, block by block, on all threads; a block and everything made of it stay in the first-level
cache. Sums within a block run in the precision of the samples, over blocks in float64.
"""

from __future__ import annotations

import numba
import numpy as np

from bss.backends.cpu.arithmetic.linalg import FAST, INNER_FAST
from bss.backends.cpu.arithmetic.prefetch import fetch
from bss.backends.cpu.arithmetic.tile import ROWS, following, tile
from bss.backends.cpu.compiling import compiled

BLOCK = 512  # of eight channels in single precision, with what is made of them, it is less than the first-level cache
PIECE = 128  # samples in a row, of which a block is put together where a pass reads a part of the recording
HALF = BLOCK // 2  # in double precision as many bytes
LOGCOSH, EXP, CUBE = 0, 1, 2


@compiled(**{**FAST, "fastmath": {"reassoc", "contract"}})  # what is not finite is not finite in the sum
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
    """g = tanh(y) in single precision, within 4e-7: y P(y^2) / Q(y^2), fitted on +-8 for the least largest error; and sum g^2."""
    f = np.float32
    total = f(0)
    for t in range(y.shape[0]):
        x = min(max(y[t], f(-8)), f(8))
        s = x * x
        p = (((f(1.50617208e-08) * s + f(2.17731818e-05)) * s + f(0.00356415223)) * s + f(0.134381878)) * s + f(0.99999997)
        q = (((f(8.4536255e-07) * s + f(0.000339917302)) * s + f(0.0261360008)) * s + f(0.467715086)) * s + f(1)
        g[t] = x * p / q
        total += g[t] * g[t]
    return total


@numba.njit(**INNER_FAST)
def tanh64(y, g):  # type: ignore[no-untyped-def]
    """g = tanh(y) in double precision; and sum g^2."""
    total = 0.0
    for t in range(y.shape[0]):
        g[t] = np.tanh(y[t])
        total += g[t] * g[t]
    return total


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
        total = tanh32(y, g) if y.itemsize == 4 else tanh64(y, g)
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
def weighted(W, i, k, z, y):  # type: ignore[no-untyped-def]
    """y[0] = sum_j W[i, j] z[j], y[1] with W[k], ROWS of z at a time: a load and a store of y for each would take longer than
    the arithmetic, as would a load of z for each of y."""
    zero, m, u, v = y.dtype.type(0), z.shape[0], y[0], y[1]
    for j in range(0, m, ROWS):
        p, q, r = following(j, m)
        a, b, c, d = W[i, j], W[i, p], W[i, q], W[i, r]
        e, f, g, h = W[k, j], W[k, p], W[k, q], W[k, r]
        if p == j:
            b, f = zero, zero
        if q == p:
            c, g = zero, zero
        if r == q:
            d, h = zero, zero
        if j == 0:
            for t in range(BLOCK):
                u[t] = a * z[j, t] + b * z[p, t] + c * z[q, t] + d * z[r, t]
                v[t] = e * z[j, t] + f * z[p, t] + g * z[q, t] + h * z[r, t]
        else:
            for t in range(BLOCK):
                u[t] += a * z[j, t] + b * z[p, t] + c * z[q, t] + d * z[r, t]
                v[t] += e * z[j, t] + f * z[p, t] + g * z[q, t] + h * z[r, t]


@numba.njit(**INNER_FAST)
def add(sums, j, p, q, r, a, b, c, d):  # type: ignore[no-untyped-def]
    """a, b, c, d onto sums j, p, q, r, of which the last ones may be one and the same: it is added to once."""
    sums[j] += a
    if p > j:
        sums[p] += b
    if q > p:
        sums[q] += c
    if r > q:
        sums[r] += d


@numba.njit(**INNER_FAST)
def add_products(g, i, k, z, j, sums, row):  # type: ignore[no-untyped-def]
    """sums[row, j] += g[i] . z[j], and the next columns, ROWS of them while there are; the next row with g[k], if k > i."""
    p, q, r = following(j, z.shape[0])
    a, b, c, d, e, f, o, h = tile(g[i], g[k], z[j], z[p], z[q], z[r])
    add(sums[row], j, p, q, r, a, b, c, d)
    if k > i:
        add(sums[row + 1], j, p, q, r, e, f, o, h)


@compiled(**FAST)
def ica_sums(first, step, x, W, mean, kind, stride, need_value, cross, slope, value):  # type: ignore[no-untyped-def]
    """Of y = W (x - mean), over every `stride`-th piece: cross[chunk] = sum g(y) (x - mean)^T, slope = sum g', value = sum G.

    The last block is filled up with zeros, of which g is 0, g' is 1 and G is 0 or, for EXP, -1: the caller takes them out.
    """
    m, n = x.shape
    n_sources, chunks = W.shape[0], cross.shape[0]
    blocks = (n + BLOCK * stride - 1) // (BLOCK * stride)
    z, y = np.empty((m, BLOCK), x.dtype), np.empty((2, BLOCK), x.dtype)
    g, q = np.empty((2, BLOCK), x.dtype), np.empty(BLOCK, x.dtype)
    for c in range(first, chunks, step):
        cross[c] = 0.0
        slope[c] = 0.0
        value[c] = 0.0
        for b in range(c * blocks // chunks, (c + 1) * blocks // chunks):
            centred(x, mean, b, stride, z)
            for i in range(0, n_sources, 2):
                k = min(i + 1, n_sources - 1)
                weighted(W, i, k, z, y)
                for row in range(i, k + 1):
                    ask(x, row * m // n_sources, (row + 1) * m // n_sources, b + 1, stride, BLOCK)
                    s, v = nonlinear(kind, y[row - i], g[row - i], q, need_value)
                    slope[c, row] += s
                    value[c, row] += v
                for j in range(0, m, ROWS):
                    add_products(g, 0, k - i, z, j, cross[c], i)


@numba.njit(**INNER_FAST)
def centred(x, mean, b, stride, z):  # type: ignore[no-untyped-def]
    """z = block b of x minus the mean, zeros behind the end: every `stride`-th piece of x, so many as make a block."""
    n, block = x.shape[1], z.shape[1]
    length = block if stride == 1 else PIECE
    for j in range(x.shape[0]):
        row, offset = x[j], mean[j]
        for piece in range(0, block, length):
            begin = min(n, (b * block + piece) * stride)
            part = row[begin : begin + length]  # slices: of an index, the compiler does not know that it is not negative
            out = z[j, piece : piece + length]
            for t in range(part.shape[0]):
                out[t] = part[t] - offset
            out[part.shape[0] :] = 0


@numba.njit(**INNER_FAST)
def ask(x, first, last, b, stride, block):  # type: ignore[no-untyped-def]
    """Ask for block b of rows first .. last of x, as `centred` will read it."""
    length = block if stride == 1 else PIECE
    for j in range(first, last):
        for piece in range(0, block, length):
            begin = (b * block + piece) * stride
            fetch(x[j], begin, begin + length)


@compiled(**FAST)
def moment_sums(first, step, x, origin, total, second):  # type: ignore[no-untyped-def]
    """total[chunk] = sum of x - origin, second[chunk] = sum of its products (upper triangle; what is below it means nothing), in
    double precision throughout: whether a channel is a copy of others shows in the 13th digit."""
    m, n = x.shape
    chunks = total.shape[0]
    blocks = (n + HALF - 1) // HALF
    z = np.empty((m, HALF), np.float64)
    for c in range(first, chunks, step):
        total[c] = 0.0
        second[c] = 0.0
        for b in range(c * blocks // chunks, (c + 1) * blocks // chunks):
            centred(x, origin, b, 1, z)
            for i in range(m):
                a = 0.0
                for t in range(HALF):
                    a += z[i, t]
                total[c, i] += a
            for i in range(0, m, 2):
                ask(x, i, min(i + 2, m), b + 1, 1, HALF)
                for j in range(i, m, ROWS):
                    add_products(z, i, min(i + 1, m - 1), z, j, second[c], i)
