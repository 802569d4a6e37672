"""Compiled ISS of many frequency bins at once: the same small algebra for each, so that every step is a loop over bins.

Alone, the covariances of a bin are too small for vectors, and steering takes longer than reading the outputs of ten seconds.
V (N, M, M, 2, LANES) are the weighted covariances, A (M, M, 2, LANES) becomes the moves: planes of double precision.

What the compiler does not know costs more than the arithmetic here: it would have to make sure, before each short loop, that no
two rows overlap. So the number of lanes is a constant, M is the length of a tuple, which is a type, and everything is inlined.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from bss.backends.cpu.demixing.updates import SINGULAR
from bss.backends.cpu.linalg import INNER

# Contracting a product and a sum is harmless; what is tested for NaN and signs needs the rest as it is written.
ONE_LANE: dict[str, Any] = {**INNER, "fastmath": {"contract"}}
IN_LANES: dict[str, Any] = {**ONE_LANE, "forceinline": True}
LANES = 16
LANE_BYTES = 1 << 19  # of outputs, which are read again after the algebra: they should stay in the second-level cache
FEWEST = 8
MOST_OUTPUTS = 6  # code for eight compiles for 7 s, longer than ten seconds take to separate, and saves a fifth of the sweeps


def together(Y: np.ndarray) -> int:
    """How many bins to take at once: as many as stay in cache until their outputs are made; 1 where it is not worth it."""
    group = min(LANES, LANE_BYTES // max(1, Y[0].nbytes))
    return group if group >= FEWEST and Y.shape[2] <= MOST_OUTPUTS else 1


@numba.njit(**{**IN_LANES, "_nrt": True})
def lanes(size):  # type: ignore[no-untyped-def]
    """Room for a group of bins of len(size) outputs: V, A, loads (N, LANES), v (N, 2, LANES), sums (4, LANES), det (LANES,), and
    for a column of W (M, 2)."""
    m = len(size)
    return (
        np.zeros((m, m, m, 2, LANES)), np.empty((m, m, 2, LANES)), np.empty((m, LANES)),
        np.empty((m, 2, LANES)), np.empty((4, LANES)), np.empty(LANES), np.empty((m, 2)),
    )  # fmt: skip


@numba.njit(**ONE_LANE)
def gather(G, scale, lane, V):  # type: ignore[no-untyped-def]
    """The sums of one bin, as `weighing.unpack` reads them, into its lane."""
    m = V.shape[1]
    for n in range(m):
        row = 0
        for i in range(m):
            V[n, i, i, 0, lane], V[n, i, i, 1, lane] = G[row, n] * scale, 0.0
            row += 1
            for j in range(i + 1, m):
                re, im = G[row, n] * scale, G[row + 1, n] * scale
                V[n, i, j, 0, lane], V[n, i, j, 1, lane] = re, im
                V[n, j, i, 0, lane], V[n, j, i, 1, lane] = re, -im
                row += 2


@numba.njit(**IN_LANES)
def scatter(size, many, lane, move, W, f):  # type: ignore[no-untyped-def]
    """The move of one bin out of its lane, and W[f] := move W[f]."""
    A, column = many[1], many[6]
    m = len(size)
    for i in range(m):
        for j in range(m):
            move[i, j] = complex(A[i, j, 0, lane], A[i, j, 1, lane])
    for j in range(m):
        for i in range(m):
            column[i, 0], column[i, 1] = W[f, i, j].real, W[f, i, j].imag
        for i in range(m):
            re, im = 0.0, 0.0
            for q in range(m):
                a, b = A[i, q, 0, lane], A[i, q, 1, lane]
                re += a * column[q, 0] - b * column[q, 1]
                im += a * column[q, 1] + b * column[q, 0]
            W[f, i, j] = complex(re, im)


@numba.njit(**IN_LANES)
def load_lanes(size, V, share, loads):  # type: ignore[no-untyped-def]
    """As `small.load`; loads[n, lane]."""
    m = len(size)
    for n in range(m):
        for t in range(LANES):
            total = 0.0
            for i in range(m):
                total += V[n, i, i, 0, t]
            loads[n, t] = total * share / m
            for i in range(m):
                V[n, i, i, 0, t] += total * share / m


@numba.njit(**IN_LANES)
def part_along(size, V, A, n, k, sums):  # type: ignore[no-untyped-def]
    """sums[0] = a_k V_n a_k^H and sums[1] + i sums[2] = a_n V_n a_k^H, of the rows as they are before step k.

    Rows then end at column k, but for their own one.
    """
    m = len(size)
    for step in range(k + 2 if n > k else k + 1):
        p = step if step <= k else n
        for t in range(LANES):
            re, im = 0.0, 0.0
            for q in range(m):
                re += V[n, p, q, 0, t] * A[k, q, 0, t] + V[n, p, q, 1, t] * A[k, q, 1, t]
                im += V[n, p, q, 1, t] * A[k, q, 0, t] - V[n, p, q, 0, t] * A[k, q, 1, t]
            a, b, c, d = A[k, p, 0, t], A[k, p, 1, t], A[n, p, 0, t], A[n, p, 1, t]
            if step == 0:
                sums[0, t], sums[1, t], sums[2, t] = 0.0, 0.0, 0.0
            sums[0, t] += a * re - b * im
            sums[1, t] += c * re - d * im
            sums[2, t] += c * im + d * re


@numba.njit(**IN_LANES)
def steer_lanes(size, many, share, count):  # type: ignore[no-untyped-def]
    """`rows.steer` of all lanes, loaded first; returns the sum over the first `count` of log |det A|^2. A bin with nothing in
    it, or with a move that could not be undone, gets the identity, as in `moves.move`."""
    V, A, loads, v, sums, det, _ = many
    m = len(size)
    load_lanes(size, V, share, loads)
    for i in range(m):
        for j in range(m):
            for t in range(LANES):
                A[i, j, 0, t], A[i, j, 1, t] = 1.0 if i == j else 0.0, 0.0
    for t in range(LANES):
        det[t] = 1.0
    for k in range(m):
        for t in range(LANES):
            length = 0.0
            for q in range(m):
                length += A[k, q, 0, t] * A[k, q, 0, t] + A[k, q, 1, t] * A[k, q, 1, t]
            sums[3, t] = 2.0 * length
        for n in range(m):
            part_along(size, V, A, n, k, sums)
            if n == k:
                for t in range(LANES):
                    sounds = sums[0, t] > loads[n, t] * sums[3, t]
                    v[n, 0, t] = 1.0 / np.sqrt(sums[0, t] if sounds else 1.0)
                    det[t] *= v[n, 0, t]
            else:
                for t in range(LANES):
                    sounds = sums[0, t] > loads[n, t] * sums[3, t]
                    inverse = (1.0 if sounds else 0.0) / (sums[0, t] if sounds else 1.0)
                    v[n, 0, t], v[n, 1, t] = sums[1, t] * inverse, sums[2, t] * inverse
        take_out(size, A, v, k)
    return undo_singular(loads, count, A, det)


@numba.njit(**IN_LANES)
def take_out(size, A, v, k):  # type: ignore[no-untyped-def]
    """Of row k of A, v[n] times out of every other row n; then row k times v[k]."""
    for n in range(len(size)):
        for q in range(0 if n == k else k + 1):
            for t in range(LANES):
                re, im, a, b = v[n, 0, t], v[n, 1, t], A[k, q, 0, t], A[k, q, 1, t]
                A[n, q, 0, t] -= re * a - im * b
                A[n, q, 1, t] -= re * b + im * a
    for q in range(k + 1):
        for t in range(LANES):
            A[k, q, 0, t] *= v[k, 0, t]
            A[k, q, 1, t] *= v[k, 0, t]


@numba.njit(**INNER)
def undo_singular(loads, count, A, det):  # type: ignore[no-untyped-def]
    """The identity where nothing sounds or det is next to nothing; the sum of log det^2 of the others."""
    total = 0.0
    for t in range(count):
        sounding = True
        for n in range(loads.shape[0]):
            sounding = sounding and loads[n, t] > 0.0
        change = 2.0 * np.log(det[t])
        if sounding and change > SINGULAR:
            total += change
            continue
        for i in range(A.shape[0]):
            for j in range(A.shape[1]):
                A[i, j, 0, t], A[i, j, 1, t] = 1.0 if i == j else 0.0, 0.0
    return total
