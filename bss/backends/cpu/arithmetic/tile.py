"""The compiled tile that sums of products are made in: two rows with four, in registers, so that six loads serve eight sums."""

from __future__ import annotations

import numba

from bss.backends.cpu.arithmetic.linalg import INLINED

ROWS = 4  # that a tile reads together, besides its two


@numba.njit(**INLINED)
def tile(u, v, p, q, r, s):  # type: ignore[no-untyped-def]
    """Inner products of u with p, q, r, s, and of v with them."""
    zero = u.dtype.type(0)
    a0, a1, a2, a3, b0, b1, b2, b3 = zero, zero, zero, zero, zero, zero, zero, zero
    for t in range(p.shape[0]):
        x, y = u[t], v[t]
        a0 += x * p[t]
        a1 += x * q[t]
        a2 += x * r[t]
        a3 += x * s[t]
        b0 += y * p[t]
        b1 += y * q[t]
        b2 += y * r[t]
        b3 += y * s[t]
    return a0, a1, a2, a3, b0, b1, b2, b3


@numba.njit(**INLINED)
def following(j, n):  # type: ignore[no-untyped-def]
    """j and the next three of n rows; the last stands for those that are not there, and is not to be added again."""
    return min(j + 1, n - 1), min(j + 2, n - 1), min(j + 3, n - 1)
