"""Compiled moves of one frequency bin: from weighted covariances to a matrix for the outputs; letters as in `small`."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.extending import overload

from bss.backends.cpu.demixing.pair_updates import move_ip2, move_iss2
from bss.backends.cpu.demixing.row_updates import move_ip, move_iss
from bss.backends.cpu.linalg import INNER, background_log_det, congruence, load, norm2, scaled

# An update is the length of its tuple, which is a type: a kernel holds the code of one update, which makes it fast, and an
# update compiles when it is first used. TWO is ISS of two sources and microphones, in registers.
ISS, IP, ISS2, IP2, TWO = (0,), (0, 0), (0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0, 0)
SINGULAR = -200.0  # log |det|^2 of a move
MOVES = {len(update): rows for update, rows in ((ISS, move_iss), (IP, move_ip), (ISS2, move_iss2), (IP2, move_ip2))}


def update_rows(update: Any, V: Any, A: Any, C: Any, f: Any, loads: Any, work: Any, w: Any) -> float:
    """A from V by the function of the update; returns log |det A|^2."""
    raise NotImplementedError  # only kernels call it: see below


@overload(update_rows)
def _update_rows(update, V, A, C, f, loads, work, w):  # type: ignore[no-untyped-def]
    rows = MOVES[len(update)]
    return lambda update, V, A, C, f, loads, work, w: rows(V, A, C, f, loads, work, w)


@numba.njit(**INNER)
def identity(A):  # type: ignore[no-untyped-def]
    """A := I."""
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            A[i, j] = 1.0 if i == j else 0.0


@numba.njit(**INNER)
def move(update, V, C, A, W, f, share, loads, work, w):  # type: ignore[no-untyped-def]
    """One iteration in bin f: A from V and C, W := A W, C := A C A^H. Returns the change of log |det W|^2 - log |det C_b|,
    C_b being the covariance of the background rows. C stays what it was where there are none.

    C and W come whole: a slice of an array, taken in every bin, costs as much as the algebra of two microphones.
    """
    n_sources, m = V.shape[0], V.shape[1]
    identity(A)
    if not load(V, share, loads):
        return 0.0
    before = background_log_det(C, f, n_sources, work) if n_sources < m else 0.0
    change = update_rows(update, V, A, C, f, loads, work, w)
    if not change > SINGULAR:  # of an output that is silent in this bin: better no move than one that cannot be undone
        identity(A)
        change = 0.0
    if n_sources < m:
        congruence(A, C, f, work)
        change -= background_log_det(C, f, n_sources, work) - before
    for j in range(m):
        for i in range(m):
            z = 0j
            for q in range(m):
                z += A[i, q] * W[f, q, j]
            w[i] = z
        for i in range(m):
            W[f, i, j] = w[i]
    return change


@numba.njit(**INNER)
def move_two(G, scale, A, W, f, share):  # type: ignore[no-untyped-def]
    """`move` by ISS for two sources and microphones, from the sums that `unpack` reads, all of it in registers."""
    p0, q0, r0 = G[0, 0] * scale, G[3, 0] * scale, complex(G[1, 0] * scale, G[2, 0] * scale)
    p1, q1, r1 = G[0, 1] * scale, G[3, 1] * scale, complex(G[1, 1] * scale, G[2, 1] * scale)
    load0, load1 = 0.5 * share * (p0 + q0), 0.5 * share * (p1 + q1)
    if not (load0 > 0.0 and load1 > 0.0):
        identity(A)
        return 0.0
    p0, q0, p1, q1 = p0 + load0, q0 + load0, p1 + load1, q1 + load1
    # by output 0: what output 1 holds of it goes, and it gets unit power
    size = 1.0 / np.sqrt(p0) if p0 > 2.0 * load0 else 1.0
    c = scaled(r1.conjugate(), -1.0 / p1) if p1 > 2.0 * load1 else 0j
    # by output 1, which now is c y_0 + y_1: what output 0 holds of it goes
    length = 1.0 + norm2(c)
    part = scaled(c.conjugate(), p0) + r0
    power = norm2(c) * p0 + 2.0 * (c * r0).real + q0
    v = scaled(part, size / power) if power > 2.0 * load0 * length else 0j
    power = norm2(c) * p1 + 2.0 * (c * r1).real + q1
    gain = 1.0 / np.sqrt(power) if power > 2.0 * load1 * length else 1.0
    change = 2.0 * np.log(size * gain)
    if not change > SINGULAR:
        identity(A)
        return 0.0
    a, b, c = size - v * c, -v, scaled(c, gain)
    A[0, 0], A[0, 1], A[1, 0], A[1, 1] = a, b, c, complex(gain, 0.0)
    for j in range(2):
        x, y = W[f, 0, j], W[f, 1, j]
        W[f, 0, j], W[f, 1, j] = a * x + b * y, c * x + scaled(y, gain)
    return change
