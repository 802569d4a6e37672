"""Compiled sums of products of outputs, weighted for every source: what an update is made of. Y[f, b, m, 0 or 1, t] as in `iva`.

The rows of sums G[r, n] are |y_i|^2, and real and imaginary part of y_i conj(y_j) behind it, j > i, as `unpack` reads them.
"""

from __future__ import annotations

import numba

from bss.backends.cpu.arithmetic.linalg import INLINED, INNER_FAST
from bss.backends.cpu.arithmetic.tile import ROWS, following, tile

# Outputs whose products are weighed as they are made; of more, each product is made once and kept. With four microphones that
# makes `auxiva` by IP 1.18 and `fdica` 1.28 times as fast.
FEW = 4


@numba.njit(**INNER_FAST)
def products(Y, f, b, P):  # type: ignore[no-untyped-def]
    """P[r, t]: |y_i|^2, and real and imaginary part of y_i conj(y_j), in the order that `unpack` reads."""
    m, frames = Y.shape[2], Y.shape[4]
    row = 0
    for i in range(m):
        for t in range(frames):
            P[row, t] = Y[f, b, i, 0, t] * Y[f, b, i, 0, t] + Y[f, b, i, 1, t] * Y[f, b, i, 1, t]
        row += 1
        for j in range(i + 1, m):
            for t in range(frames):
                P[row, t] = Y[f, b, i, 0, t] * Y[f, b, j, 0, t] + Y[f, b, i, 1, t] * Y[f, b, j, 1, t]
                P[row + 1, t] = Y[f, b, i, 1, t] * Y[f, b, j, 0, t] - Y[f, b, i, 0, t] * Y[f, b, j, 1, t]
            row += 2


@numba.njit(**INNER_FAST)
def weigh(P, phi, b, G):  # type: ignore[no-untyped-def]
    """G[r, n] += sum_t P[r, t] phi[b, n, t], four rows and two sources at a time."""
    rows, n_sources = P.shape[0], phi.shape[1]
    for n in range(0, n_sources, 2):
        k = min(n + 1, n_sources - 1)  # the last of an odd number is done twice: no third loop
        for r in range(0, rows, ROWS):
            i, j, q = following(r, rows)
            a0, a1, a2, a3, b0, b1, b2, b3 = tile(phi[b, n], phi[b, k], P[r], P[i], P[j], P[q])
            put_column(G, n, r, i, j, q, a0, a1, a2, a3)
            if k > n:
                put_column(G, k, r, i, j, q, b0, b1, b2, b3)


@numba.njit(**INLINED)
def put_column(G, n, r, i, j, q, first, second, third, fourth):  # type: ignore[no-untyped-def]
    """Column n of G, of rows r <= i <= j <= q, each once."""
    G[r, n] += first
    if i > r:
        G[i, n] += second
    if j > i:
        G[j, n] += third
    if q > j:
        G[q, n] += fourth


@numba.njit(**INLINED)
def put(G, r, n, i, j, k, first, second, third, fourth):  # type: ignore[no-untyped-def]
    """Row r of G, and of sources n <= i <= j <= k, each once."""
    G[r, n] += first
    if i > n:
        G[r, i] += second
    if j > i:
        G[r, j] += third
    if k > j:
        G[r, k] += fourth


@numba.njit(**INNER_FAST)
def weigh_own(Y, f, b, i, j, phi, n, G):  # type: ignore[no-untyped-def]
    """G of |y_i|^2 and |y_j|^2, i <= j, and sources n to n + 3."""
    zero, last, m = Y.dtype.type(0), phi.shape[1] - 1, Y.shape[2]
    s, u, v = min(n + 1, last), min(n + 2, last), min(n + 3, last)
    a0, a1, a2, a3, b0, b1, b2, b3 = zero, zero, zero, zero, zero, zero, zero, zero
    for t in range(Y.shape[4]):
        p = Y[f, b, i, 0, t] * Y[f, b, i, 0, t] + Y[f, b, i, 1, t] * Y[f, b, i, 1, t]
        q = Y[f, b, j, 0, t] * Y[f, b, j, 0, t] + Y[f, b, j, 1, t] * Y[f, b, j, 1, t]
        a0 += p * phi[b, n, t]
        a1 += p * phi[b, s, t]
        a2 += p * phi[b, u, t]
        a3 += p * phi[b, v, t]
        b0 += q * phi[b, n, t]
        b1 += q * phi[b, s, t]
        b2 += q * phi[b, u, t]
        b3 += q * phi[b, v, t]
    put(G, i * (2 * m - i), n, s, u, v, a0, a1, a2, a3)
    if j > i:
        put(G, j * (2 * m - j), n, s, u, v, b0, b1, b2, b3)


@numba.njit(**INNER_FAST)
def weigh_cross(Y, f, b, i, j, phi, n, G):  # type: ignore[no-untyped-def]
    """G of real and imaginary part of y_i conj(y_j), i < j, and sources n to n + 3."""
    zero, last, m = Y.dtype.type(0), phi.shape[1] - 1, Y.shape[2]
    s, u, v = min(n + 1, last), min(n + 2, last), min(n + 3, last)
    a0, a1, a2, a3, b0, b1, b2, b3 = zero, zero, zero, zero, zero, zero, zero, zero
    for t in range(Y.shape[4]):
        xr, xi, yr, yi = Y[f, b, i, 0, t], Y[f, b, i, 1, t], Y[f, b, j, 0, t], Y[f, b, j, 1, t]
        p, q = xr * yr + xi * yi, xi * yr - xr * yi
        a0 += p * phi[b, n, t]
        a1 += p * phi[b, s, t]
        a2 += p * phi[b, u, t]
        a3 += p * phi[b, v, t]
        b0 += q * phi[b, n, t]
        b1 += q * phi[b, s, t]
        b2 += q * phi[b, u, t]
        b3 += q * phi[b, v, t]
    r = i * (2 * m - i) + 1 + 2 * (j - i - 1)
    put(G, r, n, s, u, v, a0, a1, a2, a3)
    put(G, r + 1, n, s, u, v, b0, b1, b2, b3)


@numba.njit(**INNER_FAST)
def weigh_few(Y, f, b, phi, G):  # type: ignore[no-untyped-def]
    """`products` and `weigh` in one: nothing is stored in between."""
    m = Y.shape[2]
    for n in range(0, phi.shape[1], 4):
        for i in range(0, m, 2):
            weigh_own(Y, f, b, i, min(i + 1, m - 1), phi, n, G)
        for i in range(m):
            for j in range(i + 1, m):
                weigh_cross(Y, f, b, i, j, phi, n, G)


@numba.njit(**INNER_FAST)
def weigh_pair(Y, f, b, phi, G):  # type: ignore[no-untyped-def]
    """`products` and `weigh` in one, for two microphones: nothing is stored in between."""
    frames, n_sources = Y.shape[4], phi.shape[1]
    zero = Y.dtype.type(0)
    a0, b0, c0, d0, a1, b1, c1, d1 = zero, zero, zero, zero, zero, zero, zero, zero
    k = n_sources - 1
    for t in range(frames):
        xr, xi, yr, yi = Y[f, b, 0, 0, t], Y[f, b, 0, 1, t], Y[f, b, 1, 0, t], Y[f, b, 1, 1, t]
        u, v = phi[b, 0, t], phi[b, k, t]
        p, q = xr * xr + xi * xi, yr * yr + yi * yi
        r, s = xr * yr + xi * yi, xi * yr - xr * yi
        a0 += u * p
        b0 += u * q
        c0 += u * r
        d0 += u * s
        a1 += v * p
        b1 += v * q
        c1 += v * r
        d1 += v * s
    G[0, 0] += a0
    G[1, 0] += c0
    G[2, 0] += d0
    G[3, 0] += b0
    if k == 1:
        G[0, 1] += a1
        G[1, 1] += c1
        G[2, 1] += d1
        G[3, 1] += b1


@numba.njit(**INNER_FAST)
def unpack(G, scale, V):  # type: ignore[no-untyped-def]
    """V (N, M, M) complex Hermitian from the rows of G, times scale."""
    m = V.shape[1]
    for n in range(V.shape[0]):
        row = 0
        for i in range(m):
            V[n, i, i] = G[row, n] * scale
            row += 1
            for j in range(i + 1, m):
                V[n, i, j] = complex(G[row, n] * scale, G[row + 1, n] * scale)
                V[n, j, i] = complex(G[row, n] * scale, -G[row + 1, n] * scale)
                row += 2


@numba.njit(**INLINED)
def sums_of_two(Y, f, phi, P, G):  # type: ignore[no-untyped-def]
    """`sums_of_all` for two microphones."""
    G[:] = 0.0
    for b in range(Y.shape[1]):
        weigh_pair(Y, f, b, phi, G)


@numba.njit(**INLINED)
def sums_of_all(Y, f, phi, P, G):  # type: ignore[no-untyped-def]
    """G[r, n] = sum of the products of bin f with weights phi[b, n, t]; P is room for the products."""
    G[:] = 0.0
    for b in range(Y.shape[1]):
        if Y.shape[2] <= FEW:
            weigh_few(Y, f, b, phi, G)
        else:
            products(Y, f, b, P)
            weigh(P, phi, b, G)
