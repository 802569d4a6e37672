"""Compiled ISS of many frequency bins at once: the same small algebra for each, so that every step is a loop over bins.

Alone, the covariances of a bin are too small for vectors, and steering takes longer than reading the outputs of ten seconds.
V (N, rows, bins) are the sums that `weighing.unpack` reads, A (M, M, 2, bins) becomes the moves, planes of double precision.
"""

from __future__ import annotations

import numba
import numpy as np

from bss.kernels.moves import SINGULAR
from bss.kernels.small import ALLOCATES, INNER

# Contracting a product and a sum is harmless; what is tested for NaN and signs needs the rest as it is written.
LANES = {**INNER, "fastmath": {"contract"}}
LANE_BYTES = 1 << 18  # of outputs, which are read again after the algebra: they should stay in the second-level cache
FEWEST, MOST = 8, 32


def together(Y: np.ndarray) -> int:
    """How many bins to take at once: as many as stay in cache until their outputs are made; 1 where those are too few."""
    group = min(MOST, LANE_BYTES // max(1, Y[0].nbytes))
    return group if group >= FEWEST else 1


@numba.njit(**ALLOCATES)
def rows_of(m):  # type: ignore[no-untyped-def]
    """(M, M) row of V that holds entry p, q: its diagonal, or its real part above it, with the imaginary part behind."""
    rows = np.empty((m, m), np.int64)
    row = 0
    for i in range(m):
        rows[i, i] = row
        row += 1
        for j in range(i + 1, m):
            rows[i, j], rows[j, i] = row, row
            row += 2
    return rows


@numba.njit(**ALLOCATES)
def lanes(group, m):  # type: ignore[no-untyped-def]
    """Room for a group of bins: V, A, rows, loads, v, z, sums, det, and for a column of W."""
    return (
        np.empty((m, m * m, group)), np.empty((m, m, 2, group)), rows_of(m), np.empty((m, group)),
        np.empty((m, 2, group)), np.empty((2, group)), np.empty((4, group)), np.empty(group), np.empty(m, np.complex128),
    )  # fmt: skip


@numba.njit(**LANES)
def gather(G, scale, lane, many):  # type: ignore[no-untyped-def]
    """The sums of one bin into its lane."""
    V = many[0]
    for n in range(G.shape[1]):
        for r in range(G.shape[0]):
            V[n, r, lane] = G[r, n] * scale


@numba.njit(**LANES)
def scatter(many, lane, move, W, f):  # type: ignore[no-untyped-def]
    """The move of one bin out of its lane, and W[f] := move W[f]."""
    A, column = many[1], many[8]
    m = move.shape[0]
    for i in range(m):
        for j in range(m):
            move[i, j] = complex(A[i, j, 0, lane], A[i, j, 1, lane])
    for j in range(m):
        for i in range(m):
            column[i] = W[f, i, j]
        for i in range(m):
            re, im = 0.0, 0.0
            for q in range(m):
                re += move[i, q].real * column[q].real - move[i, q].imag * column[q].imag
                im += move[i, q].real * column[q].imag + move[i, q].imag * column[q].real
            W[f, i, j] = complex(re, im)


@numba.njit(**LANES)
def load_lanes(V, rows, share, count, loads):  # type: ignore[no-untyped-def]
    """As `small.load`, for `count` bins; loads[n, lane]."""
    m = rows.shape[0]
    for n in range(V.shape[0]):
        for t in range(count):
            loads[n, t] = 0.0
        for i in range(m):
            r = rows[i, i]
            for t in range(count):
                loads[n, t] += V[n, r, t] * share / m
        for i in range(m):
            r = rows[i, i]
            for t in range(count):
                V[n, r, t] += loads[n, t]


@numba.njit(**LANES)
def product(V, n, p, rows, A, k, count, z):  # type: ignore[no-untyped-def]
    """z[0 or 1, lane] = sum_q V_n[p, q] conj(A[k, q]), q up to k."""
    for t in range(count):
        z[0, t], z[1, t] = 0.0, 0.0
    for q in range(k + 1):
        r = rows[p, q]
        if p == q:
            for t in range(count):
                z[0, t] += V[n, r, t] * A[k, q, 0, t]
                z[1, t] -= V[n, r, t] * A[k, q, 1, t]
        else:
            sign = 1.0 if q > p else -1.0
            for t in range(count):
                re, im, ar, ai = V[n, r, t], sign * V[n, r + 1, t], A[k, q, 0, t], A[k, q, 1, t]
                z[0, t] += re * ar + im * ai
                z[1, t] += im * ar - re * ai


@numba.njit(**LANES)
def part_along(V, n, k, rows, A, count, z, sums):  # type: ignore[no-untyped-def]
    """sums[0] = a_k V_n a_k^H and sums[1] + i sums[2] = a_n V_n a_k^H, of the rows as they are before step k."""
    for t in range(count):
        sums[0, t], sums[1, t], sums[2, t] = 0.0, 0.0, 0.0
    for p in range(k + 1):
        product(V, n, p, rows, A, k, count, z)
        for t in range(count):
            sums[0, t] += A[k, p, 0, t] * z[0, t] - A[k, p, 1, t] * z[1, t]
        if p < k and n != k:
            for t in range(count):
                sums[1, t] += A[n, p, 0, t] * z[0, t] - A[n, p, 1, t] * z[1, t]
                sums[2, t] += A[n, p, 0, t] * z[1, t] + A[n, p, 1, t] * z[0, t]
    if n > k:  # its own column, where it still is one
        product(V, n, n, rows, A, k, count, z)
        for t in range(count):
            sums[1, t] += z[0, t]
            sums[2, t] += z[1, t]


@numba.njit(**LANES)
def steer_lanes(many, share, count):  # type: ignore[no-untyped-def]
    """`rows.steer` of `count` bins, loaded first; returns the sum over bins of log |det A|^2. A bin with nothing in it, or with
    a move that could not be undone, gets the identity, as in `moves.move`."""
    V, A, rows, loads, v, z, sums, det, _ = many
    n_sources, m = V.shape[0], rows.shape[0]
    load_lanes(V, rows, share, count, loads)
    for i in range(m):
        for j in range(m):
            for t in range(count):
                A[i, j, 0, t], A[i, j, 1, t] = 1.0 if i == j else 0.0, 0.0
    for t in range(count):
        det[t] = 1.0
    for k in range(m):
        for t in range(count):
            sums[3, t] = 0.0
        for q in range(k + 1):
            for t in range(count):
                sums[3, t] += A[k, q, 0, t] * A[k, q, 0, t] + A[k, q, 1, t] * A[k, q, 1, t]
        for n in range(n_sources):
            part_along(V, n, k, rows, A, count, z, sums)
            if n == k:
                for t in range(count):
                    sounds = sums[0, t] > 2.0 * loads[n, t] * sums[3, t]
                    size = 1.0 / np.sqrt(sums[0, t] if sounds else 1.0)
                    det[t] *= size
                    v[n, 0, t], v[n, 1, t] = 1.0 - size, 0.0
            else:
                for t in range(count):
                    sounds = sums[0, t] > 2.0 * loads[n, t] * sums[3, t]
                    inverse = (1.0 if sounds else 0.0) / (sums[0, t] if sounds else 1.0)
                    v[n, 0, t], v[n, 1, t] = sums[1, t] * inverse, sums[2, t] * inverse
        for q in range(k + 1):
            for t in range(count):
                z[0, t], z[1, t] = A[k, q, 0, t], A[k, q, 1, t]
            for n in range(n_sources):
                for t in range(count):
                    A[n, q, 0, t] -= v[n, 0, t] * z[0, t] - v[n, 1, t] * z[1, t]
                    A[n, q, 1, t] -= v[n, 0, t] * z[1, t] + v[n, 1, t] * z[0, t]
    return undo_singular(loads, count, A, det)


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
