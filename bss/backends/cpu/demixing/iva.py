"""Compiled passes over spectra that are kept as real planes in blocks of frames: Y[f, b, m, 0 or 1, t].

A block holds all outputs of one bin for some hundred frames and fits in the first-level cache; every inner loop runs over the
frames of a block, contiguous and without a remainder, which is what lets the compiler use the widest vectors there are.
One iteration reads and writes the spectra once: the weighted covariances, the small algebra and the new outputs of a bin follow
one another while it is in cache, and nothing of size F x N x M x T exists.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.extending import overload

from bss.backends.cpu.demixing.covariance import sums_of_all, sums_of_two, unpack
from bss.backends.cpu.demixing.iss_batched import gather, lanes, scatter, steer_lanes
from bss.backends.cpu.demixing.updates import TWO, move, move_two
from bss.backends.cpu.linalg import FAST, INLINED, INNER_FAST


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
    put_back(Y, f, b, S, 0)


@numba.njit(**INNER_FAST)
def outputs_and_power(Y, f, b, A, S, power, c):  # type: ignore[no-untyped-def]
    """`outputs`, and power[c, b, n, t] += |y_n|^2 of the first rows."""
    n_sources = power.shape[2]
    for i in range(Y.shape[2]):
        row_of_outputs(Y, f, b, A, i, S)
    for n in range(n_sources):
        for t in range(Y.shape[4]):
            re, im = S[n, 0, t], S[n, 1, t]
            Y[f, b, n, 0, t], Y[f, b, n, 1, t] = re, im
            power[c, b, n, t] += re * re + im * im
    put_back(Y, f, b, S, n_sources)


@numba.njit(**INNER_FAST)
def put_back(Y, f, b, S, first):  # type: ignore[no-untyped-def]
    """Rows `first` and behind of Y := S."""
    for i in range(first, Y.shape[2]):
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


@numba.njit(**FAST)
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


@numba.njit(**INLINED)
def move_of_any(update, G, scale, V, C, A, W, f, share, loads, work, w):  # type: ignore[no-untyped-def]
    """`moves.move` of one bin from its sums G."""
    unpack(G, scale, V)
    return move(update, V, C, A, W, f, share, loads, work, w)


def covariance_sums(update: Any, Y: Any, f: Any, phi: Any, P: Any, G: Any) -> None:
    """`sums_of_two` or `sums_of_all`, by the type of the update."""


@overload(covariance_sums)
def _covariance_sums(update, Y, f, phi, P, G):  # type: ignore[no-untyped-def]
    chosen = sums_of_two if len(update) == len(TWO) else sums_of_all
    return lambda update, Y, f, phi, P, G: chosen(Y, f, phi, P, G)


def all_outputs(update: Any, Y: Any, f: Any, A: Any, S: Any) -> None:
    """`outputs_of_two` or `outputs_of_all`, by the type of the update."""


@overload(all_outputs)
def _all_outputs(update, Y, f, A, S):  # type: ignore[no-untyped-def]
    chosen = outputs_of_two if len(update) == len(TWO) else outputs_of_all
    return lambda update, Y, f, A, S: chosen(Y, f, A, S)


def one_move(
    update: Any, G: Any, scale: Any, V: Any, C: Any, A: Any, W: Any, f: Any, share: Any, loads: Any, work: Any, w: Any
) -> float:
    """`moves.move_two` or `moves.move` of one bin from its sums G, by the type of the update."""
    raise NotImplementedError  # only kernels call it: see below


@overload(one_move)
def _one_move(update, G, scale, V, C, A, W, f, share, loads, work, w):  # type: ignore[no-untyped-def]
    if len(update) == len(TWO):
        return lambda update, G, scale, V, C, A, W, f, share, loads, work, w: move_two(G, scale, A, W, f, share)
    return lambda update, G, scale, V, C, A, W, f, share, loads, work, w: move_of_any(
        update, G, scale, V, C, A, W, f, share, loads, work, w
    )


@numba.njit(**FAST)
def frame_sweep_together(first, step, size, group, Y, W, phi, frames, share, power, change):  # type: ignore[no-untyped-def]
    """`frame_sweep` by ISS of as many sources as microphones, a group of bins at a time."""
    bins, blocks, m, _, width = Y.shape
    chunks = power.shape[0]
    P, S = np.empty((m * m, width), Y.dtype), np.empty((m, 2, width), Y.dtype)
    G, A = np.empty((m * m, m)), np.empty((m, m), np.complex128)
    many = lanes(size)
    for c in range(first, chunks, step):
        power[c] = 0
        change[c] = 0.0
        end = (c + 1) * bins // chunks
        for begin in range(c * bins // chunks, end, group):
            count = min(group, end - begin)
            for f in range(begin, begin + count):
                sums_of_all(Y, f, phi, P, G)
                gather(G, 1.0 / frames, f - begin, many[0])
            change[c] += steer_lanes(size, many, share, count)
            for f in range(begin, begin + count):
                scatter(size, many, f - begin, A, W, f)
                for b in range(blocks):
                    outputs_and_power(Y, f, b, A, S, power, c)


@numba.njit(**FAST)
def frame_sweep(first, step, Y, W, C, phi, frames, share, update, power, change):  # type: ignore[no-untyped-def]
    """One iteration with weights phi[b, n, t] common to all bins. Y, W, C in place; power as `frame_power`; change[chunk]."""
    bins, blocks, m, _, size = Y.shape
    n_sources, chunks = phi.shape[1], power.shape[0]
    P, S = np.empty((m * m, size), Y.dtype), np.empty((m, 2, size), Y.dtype)
    G, V = np.empty((m * m, n_sources)), np.empty((n_sources, m, m), np.complex128)
    A, work, w = np.empty((m, m), np.complex128), np.empty((m, m), np.complex128), np.empty(m, np.complex128)
    loads = np.empty(n_sources)
    for c in range(first, chunks, step):
        power[c] = 0
        change[c] = 0.0
        for f in range(c * bins // chunks, (c + 1) * bins // chunks):
            covariance_sums(update, Y, f, phi, P, G)
            change[c] += one_move(update, G, 1.0 / frames, V, C, A, W, f, share, loads, work, w)
            all_outputs(update, Y, f, A, S)
            for b in range(blocks):
                add_power(Y, f, b, power, c)
