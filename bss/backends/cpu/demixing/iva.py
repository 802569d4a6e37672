"""Compiled passes over the outputs, kept in blocks of frames, real and imaginary part apart: Y[f, b, m, 0 or 1, t].

A block holds all outputs of one bin for some hundred frames and fits in the first-level cache; every inner loop runs over the
frames of a block, contiguous and without a remainder, which is what lets the compiler use the widest vectors there are.
One iteration reads and writes the spectra once: the weighted covariances, the small algebra and the new outputs of a bin follow
one another while it is in cache, and nothing of size F x N x M x T exists.
"""

from __future__ import annotations

from typing import Any

import numba
from numba.extending import overload

from bss.backends.cpu.arithmetic.linalg import FAST, INLINED, INNER_FAST
from bss.backends.cpu.compiling import compiled
from bss.backends.cpu.demixing.covariance import sums_of_all, sums_of_two
from bss.backends.cpu.demixing.updates import TWO, make_room, updated


@numba.njit(**INNER_FAST)
def row_of_outputs(Y, f, b, A, i, S):  # type: ignore[no-untyped-def]
    """S[i, 0 or 1, t] = sum_j A[i, j] y_j for one block, four j at a time: sums that are stored in between take longer."""
    m, real = Y.shape[2], Y.dtype.type
    for j in range(0, m, 4):
        k, p, q = min(j + 1, m - 1), min(j + 2, m - 1), min(j + 3, m - 1)
        ar, ai, br, bi = real(A[i, j].real), real(A[i, j].imag), real(A[i, k].real), real(A[i, k].imag)
        cr, ci, dr, di = real(A[i, p].real), real(A[i, p].imag), real(A[i, q].real), real(A[i, q].imag)
        if k == j:
            br, bi = real(0), real(0)
        if p == k:
            cr, ci = real(0), real(0)
        if q == p:
            dr, di = real(0), real(0)
        if j == 0:
            for t in range(Y.shape[4]):
                xr, xi, yr, yi = Y[f, b, j, 0, t], Y[f, b, j, 1, t], Y[f, b, k, 0, t], Y[f, b, k, 1, t]
                ur, ui, vr, vi = Y[f, b, p, 0, t], Y[f, b, p, 1, t], Y[f, b, q, 0, t], Y[f, b, q, 1, t]
                S[i, 0, t] = ar * xr - ai * xi + br * yr - bi * yi + cr * ur - ci * ui + dr * vr - di * vi
                S[i, 1, t] = ar * xi + ai * xr + br * yi + bi * yr + cr * ui + ci * ur + dr * vi + di * vr
        else:
            for t in range(Y.shape[4]):
                xr, xi, yr, yi = Y[f, b, j, 0, t], Y[f, b, j, 1, t], Y[f, b, k, 0, t], Y[f, b, k, 1, t]
                ur, ui, vr, vi = Y[f, b, p, 0, t], Y[f, b, p, 1, t], Y[f, b, q, 0, t], Y[f, b, q, 1, t]
                S[i, 0, t] += ar * xr - ai * xi + br * yr - bi * yi + cr * ur - ci * ui + dr * vr - di * vi
                S[i, 1, t] += ar * xi + ai * xr + br * yi + bi * yr + cr * ui + ci * ur + dr * vi + di * vr


@numba.njit(**INNER_FAST)
def outputs(Y, f, b, A, S):  # type: ignore[no-untyped-def]
    """Y := A Y for one block, by way of S."""
    for i in range(Y.shape[2]):
        row_of_outputs(Y, f, b, A, i, S)
    for i in range(Y.shape[2]):
        for t in range(Y.shape[4]):
            Y[f, b, i, 0, t] = S[i, 0, t]
            Y[f, b, i, 1, t] = S[i, 1, t]


@numba.njit(**INNER_FAST)
def outputs_pair(Y, f, b, A):  # type: ignore[no-untyped-def]
    """Y := A Y for two microphones, in registers."""
    real = Y.dtype.type
    ar, ai, br, bi = real(A[0, 0].real), real(A[0, 0].imag), real(A[0, 1].real), real(A[0, 1].imag)
    cr, ci, dr, di = real(A[1, 0].real), real(A[1, 0].imag), real(A[1, 1].real), real(A[1, 1].imag)
    for t in range(Y.shape[4]):
        xr, xi, yr, yi = Y[f, b, 0, 0, t], Y[f, b, 0, 1, t], Y[f, b, 1, 0, t], Y[f, b, 1, 1, t]
        Y[f, b, 0, 0, t] = ar * xr - ai * xi + br * yr - bi * yi
        Y[f, b, 0, 1, t] = ar * xi + ai * xr + br * yi + bi * yr
        Y[f, b, 1, 0, t] = cr * xr - ci * xi + dr * yr - di * yi
        Y[f, b, 1, 1, t] = cr * xi + ci * xr + dr * yi + di * yr


@numba.njit(**INNER_FAST)
def add_power(Y, f, b, power, c):  # type: ignore[no-untyped-def]
    """power[c, b, n, t] += |y_n|^2."""
    for n in range(power.shape[2]):
        for t in range(power.shape[3]):
            power[c, b, n, t] += Y[f, b, n, 0, t] * Y[f, b, n, 0, t] + Y[f, b, n, 1, t] * Y[f, b, n, 1, t]


@compiled(**FAST)
def frame_power(first, step, Y, power):  # type: ignore[no-untyped-def]
    """power[chunk, b, n, t] = sum over the chunk's bins of |y_n|^2."""
    chunks, bins = power.shape[0], Y.shape[0]
    for c in range(first, chunks, step):
        power[c] = 0
        for f in range(c * bins // chunks, (c + 1) * bins // chunks):
            for b in range(Y.shape[1]):
                add_power(Y, f, b, power, c)


@numba.njit(**INLINED)
def outputs_of_two(Y, f, A, S):  # type: ignore[no-untyped-def]
    """`outputs_of_all` for two microphones."""
    for b in range(Y.shape[1]):
        outputs_pair(Y, f, b, A)


@numba.njit(**INLINED)
def outputs_of_all(Y, f, A, S):  # type: ignore[no-untyped-def]
    """Y[f] := A Y[f]."""
    for b in range(Y.shape[1]):
        outputs(Y, f, b, A, S)


def covariance_sums(update: Any, Y: Any, f: Any, phi: Any, room: Any) -> None:
    """The sums G of a bin with weights phi[b, n, t], by the type of the update."""


@overload(covariance_sums)
def _covariance_sums(update, Y, f, phi, room):  # type: ignore[no-untyped-def]
    chosen = sums_of_two if len(update) == len(TWO) else sums_of_all
    return lambda update, Y, f, phi, room: chosen(Y, f, phi, room.P, room.G)


def new_outputs(update: Any, Y: Any, f: Any, room: Any) -> None:
    """Y[f] := A Y[f], by the type of the update."""


@overload(new_outputs)
def _new_outputs(update, Y, f, room):  # type: ignore[no-untyped-def]
    chosen = outputs_of_two if len(update) == len(TWO) else outputs_of_all
    return lambda update, Y, f, room: chosen(Y, f, room.A, room.S)


@numba.njit(**INLINED)
def iteration(update, solve, f, phi, room):  # type: ignore[no-untyped-def]
    """Bin f with weights phi[b, n, t]: covariances, update, new outputs. Returns the change of log |det W|^2 - log |det C_b|."""
    covariance_sums(update, solve.Y, f, phi, room)
    change = updated(update, solve, f, room)
    new_outputs(update, solve.Y, f, room)
    return change


@compiled(**FAST)
def frame_update(first, step, solve, phi, update, power, change):  # type: ignore[no-untyped-def]
    """One iteration with weights phi[b, n, t] common to all bins. Y, W, C in place; power as `frame_power`; change[chunk]."""
    Y, chunks = solve.Y, power.shape[0]
    room = make_room(Y, phi.shape[1])
    for c in range(first, chunks, step):
        power[c] = 0
        change[c] = 0.0
        for f in range(c * Y.shape[0] // chunks, (c + 1) * Y.shape[0] // chunks):
            change[c] += iteration(update, solve, f, phi, room)
            for b in range(Y.shape[1]):
                add_power(Y, f, b, power, c)
