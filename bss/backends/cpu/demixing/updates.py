"""Compiled updates of one frequency bin: from weighted covariances to a matrix for the outputs; letters as in `linalg`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numba.extending import overload

from bss.backends.cpu.arithmetic.linalg import INLINED, INNER, background_log_det, congruence, load, norm2, scaled
from bss.backends.cpu.demixing.covariance import unpack
from bss.backends.cpu.demixing.pair_updates import update_ip2, update_iss2
from bss.backends.cpu.demixing.row_updates import update_ip, update_iss
from bss.backends.numeric import SINGULAR_LOG_DET

# An update is the length of its tuple, which is a type: a kernel holds the code of one update, which makes it fast, and an
# update compiles when it is first used. TWO is ISS of two sources and microphones, in registers: without it and what else is
# made for two microphones, `auxiva` takes 1.44 and `fdica` 1.34 times as long.
ISS, IP, ISS2, IP2, TWO = (0,), (0, 0), (0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0, 0)
UPDATES = {
    len(update): function for update, function in ((ISS, update_iss), (IP, update_ip), (ISS2, update_iss2), (IP2, update_ip2))
}


class Solve(NamedTuple):
    """What the kernels of a solve share: outputs Y[f, b, m, 0 or 1, t], demixing W, covariance C of the outputs, T, and the share
    of their power by which weighted covariances are loaded."""

    Y: Any
    W: Any
    C: Any
    frames: int
    load: float


class Room(NamedTuple):
    """Arrays that one call of a kernel works in: products P (M M, size) and new outputs S (M, 2, size) of a block; of a bin the
    sums G (M M, N), weighted covariances V (N, M, M) and their loads (N,), the update A (M, M); work (M, M), w (M,)."""

    P: Any
    S: Any
    G: Any
    V: Any
    loads: Any
    A: Any
    work: Any
    w: Any


@numba.njit(**{**INLINED, "_nrt": True})
def make_room(Y, n_sources):  # type: ignore[no-untyped-def]
    """Room for n_sources weighted covariances."""
    m, size = Y.shape[2], Y.shape[4]
    return Room(
        np.empty((m * m, size), Y.dtype), np.empty((m, 2, size), Y.dtype), np.empty((m * m, n_sources)),
        np.empty((n_sources, m, m), np.complex128), np.empty(n_sources), np.empty((m, m), np.complex128),
        np.empty((m, m), np.complex128), np.empty(m, np.complex128),
    )  # fmt: skip


def update_rows(update: Any, C: Any, f: Any, room: Any) -> float:
    """A from V by the function of the update; returns log |det A|^2."""
    raise NotImplementedError  # only kernels call it: see below


@overload(update_rows)
def _update_rows(update, C, f, room):  # type: ignore[no-untyped-def]
    function = UPDATES[len(update)]
    return lambda update, C, f, room: function(C, f, room)


@numba.njit(**INNER)
def identity(A):  # type: ignore[no-untyped-def]
    """A := I."""
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            A[i, j] = 1.0 if i == j else 0.0


@numba.njit(**INNER)
def update_bin(update, solve, f, room):  # type: ignore[no-untyped-def]
    """One iteration in bin f: A from V and C, W := A W, C := A C A^H. Returns the change of log |det W|^2 - log |det C_b|,
    C_b being the covariance of the background's outputs. C stays what it was where there are none.

    C and W come whole: a slice of an array, taken in every bin, costs as much as the algebra of two microphones.
    """
    V, A, C, W, work, w = room.V, room.A, solve.C, solve.W, room.work, room.w
    n_sources, m = V.shape[0], V.shape[1]
    identity(A)
    if not load(V, solve.load, room.loads):
        return 0.0
    before = background_log_det(C, f, n_sources, work) if n_sources < m else 0.0
    change = update_rows(update, C, f, room)
    # of an output that is silent in this bin: better no update than one that cannot be undone
    if not change > SINGULAR_LOG_DET:
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
def update_two(solve, f, room):  # type: ignore[no-untyped-def]
    """`update_bin` by ISS for two sources and microphones, from the sums that `unpack` reads, all of it in registers."""
    G, A, W, share, scale = room.G, room.A, solve.W, solve.load, 1.0 / solve.frames
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
    if not change > SINGULAR_LOG_DET:
        identity(A)
        return 0.0
    a, b, c = size - v * c, -v, scaled(c, gain)
    A[0, 0], A[0, 1], A[1, 0], A[1, 1] = a, b, c, complex(gain, 0.0)
    for j in range(2):
        x, y = W[f, 0, j], W[f, 1, j]
        W[f, 0, j], W[f, 1, j] = a * x + b * y, c * x + scaled(y, gain)
    return change


@numba.njit(**INLINED)
def update_any(update, solve, f, room):  # type: ignore[no-untyped-def]
    """`update_bin` from the sums G."""
    unpack(room.G, 1.0 / solve.frames, room.V)
    return update_bin(update, solve, f, room)


def updated(update: Any, solve: Any, f: Any, room: Any) -> float:
    """A bin updated from its sums G, by the type of the update; the change of log |det W|^2 - log |det C_b|."""
    raise NotImplementedError  # only kernels call it: see below


@overload(updated)
def _updated(update, solve, f, room):  # type: ignore[no-untyped-def]
    if len(update) == len(TWO):
        return lambda update, solve, f, room: update_two(solve, f, room)
    return lambda update, solve, f, room: update_any(update, solve, f, room)
