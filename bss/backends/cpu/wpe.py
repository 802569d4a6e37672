"""Compiled weighted prediction error (WPE): what a bin says that past frames predict of the present one, and what is left.

One bin at a time, in double precision and in cache. The taps of a frame are never laid out: a row of delayed frames is the
recording's row, read some frames earlier. Rows run over the microphones of the newest delayed frame, then of the one before.
"""

from __future__ import annotations

import numba
import numpy as np

from bss.backends.cpu import threads
from bss.backends.cpu.arithmetic.linalg import FAST, INNER, INNER_FAST, scaled
from bss.backends.cpu.compiling import compiled
from bss.backends.numeric import LOADING, SILENT_FRAME

BLOCK = 512  # frames whose products are summed before the next rows
ROUND = 16  # frames; no inner loop has a remainder
# Share of itself by which every diagonal element of the normal equations is raised: so little that only what no precision can
# tell apart is touched (a microphone twice over), and the same for a loud and a quiet microphone.
LOAD = LOADING[4]
CONTRACT = {**INNER, "fastmath": {"contract"}}  # multiply-adds, but infinities keep their meaning


@numba.njit(**INNER_FAST)
def real_parts(X, f, lead, scale, Z):  # type: ignore[no-untyped-def]
    """Z[m, 0 or 1, lead + t] = scale X[f, m, t], zeros around it."""
    frames = X.shape[2]
    Z[:] = 0
    for m in range(X.shape[1]):
        re, im = Z[m, 0, lead : lead + frames], Z[m, 1, lead : lead + frames]
        for t in range(frames):
            re[t] = X[f, m, t].real * scale
            im[t] = X[f, m, t].imag * scale


@numba.njit(**INNER_FAST)
def mean_power(Z, begin, power):  # type: ignore[no-untyped-def]
    """power[t] = mean over microphones of |z|^2."""
    frames, m = power.shape[0], Z.shape[0]
    power[:] = 0
    for i in range(m):
        re, im = Z[i, 0, begin : begin + frames], Z[i, 1, begin : begin + frames]
        for t in range(frames):
            power[t] += re[t] * re[t] + im[t] * im[t]
    for t in range(frames):
        power[t] /= m


@numba.njit(**INNER_FAST)
def smoothed(power, frames, context, work):  # type: ignore[no-untyped-def]
    """power := its mean over `context` frames to either side, as far as there are any."""
    for t in range(frames):
        low, high = max(0, t - context), min(frames, t + context + 1)
        total = 0.0
        for s in range(low, high):
            total += power[s]
        work[t] = total / (high - low)
    for t in range(frames):
        power[t] = work[t]


@numba.njit(**INNER_FAST)
def tile(U, a, b, c, d):  # type: ignore[no-untyped-def]
    """sum_t u_i conj(z_j) of two weighted rows u and two rows z = a + ib, c + id, as eight real sums."""
    p0, p1, p2, p3, q0, q1, q2, q3 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for t in range(U.shape[2]):
        ur, ui, vr, vi = U[0, 0, t], U[0, 1, t], U[1, 0, t], U[1, 1, t]
        p0 += ur * a[t] + ui * b[t]
        q0 += ui * a[t] - ur * b[t]
        p1 += ur * c[t] + ui * d[t]
        q1 += ui * c[t] - ur * d[t]
        p2 += vr * a[t] + vi * b[t]
        q2 += vi * a[t] - vr * b[t]
        p3 += vr * c[t] + vi * d[t]
        q3 += vi * c[t] - vr * d[t]
    return p0, q0, p1, q1, p2, q2, p3, q3


@numba.njit(**INNER_FAST)
def weigh_row(Z, row, taps, lead, delay, begin, phi, U, i):  # type: ignore[no-untyped-def]
    """U[i] = phi times a row of delayed frames, over the block that begins at `begin`."""
    start = begin + shifted(row, Z.shape[0], taps, lead, delay)
    size = U.shape[2]
    weight = phi[begin : begin + size]
    for c in range(2):
        z = Z[row % Z.shape[0], c, start : start + size]
        for t in range(size):
            U[i, c, t] = weight[t] * z[t]


@numba.njit(**INNER)
def shifted(row, m, taps, lead, delay):  # type: ignore[no-untyped-def]
    """Where frame 0 of a row lies: `taps` m rows of delayed frames, then the present ones."""
    return lead if row >= taps * m else lead - delay - row // m


@numba.njit(**INNER_FAST)
def normal_equations(Z, phi, taps, lead, delay, U, Rr, Ri):  # type: ignore[no-untyped-def]
    """[R | P] = sum_t phi [z z^H | z x^H] of the delayed frames z and the present x, upper triangle, in squares of four."""
    m, size = Z.shape[0], U.shape[2]
    rows, columns = Rr.shape
    Rr[:] = 0.0
    Ri[:] = 0.0
    for begin in range(0, phi.shape[0], size):
        for i in range(0, rows, 2):
            k = min(i + 1, rows - 1)  # the last of an odd number is done twice, and counted once
            weigh_row(Z, i, taps, lead, delay, begin, phi, U, 0)
            weigh_row(Z, k, taps, lead, delay, begin, phi, U, 1)
            for j in range(i, columns, 2):
                h = min(j + 1, columns - 1)
                s, r = begin + shifted(j, m, taps, lead, delay), begin + shifted(h, m, taps, lead, delay)
                p0, q0, p1, q1, p2, q2, p3, q3 = tile(
                    U, Z[j % m, 0, s : s + size], Z[j % m, 1, s : s + size], Z[h % m, 0, r : r + size], Z[h % m, 1, r : r + size]
                )
                Rr[i, j] += p0
                Ri[i, j] += q0
                if h > j:
                    Rr[i, h] += p1
                    Ri[i, h] += q1
                if k > i:
                    Rr[k, j] += p2
                    Ri[k, j] += q2
                    if h > j:
                        Rr[k, h] += p3
                        Ri[k, h] += q3


@numba.njit(**CONTRACT)
def solve_normal(Rr, Ri, before, G):  # type: ignore[no-untyped-def]
    """G = R^-1 P of [R | P], R Hermitian of which the upper triangle is given, by elimination; [R | P] is overwritten.

    A row of which nothing is left above roundings gets no filter: silence, or a microphone twice over.
    """
    rows, columns = Rr.shape
    outputs = columns - rows
    for i in range(rows):
        before[i] = Rr[i, i] * (1.0 + LOAD)
        Rr[i, i] = before[i]
    for k in range(rows):
        if not Rr[k, k] > 0.5 * LOAD * before[k]:
            Rr[k, k] = 0.0
            continue
        inverse = 1.0 / Rr[k, k]
        for i in range(k + 1, rows):
            ar, ai = Rr[k, i] * inverse, -Ri[k, i] * inverse
            for j in range(i, columns):
                Rr[i, j] -= ar * Rr[k, j] - ai * Ri[k, j]
                Ri[i, j] -= ar * Ri[k, j] + ai * Rr[k, j]
    for k in range(rows - 1, -1, -1):
        inverse = 1.0 / Rr[k, k] if Rr[k, k] > 0.0 else 0.0
        for n in range(outputs):
            G[k, n] = complex(Rr[k, rows + n], Ri[k, rows + n])
        for j in range(k + 1, rows):
            a = complex(Rr[k, j], Ri[k, j])
            for n in range(outputs):
                G[k, n] -= a * G[j, n]
        for n in range(outputs):
            G[k, n] = scaled(G[k, n], inverse)


@numba.njit(**INNER_FAST)
def subtract_row(Z, m, begin, gr, gi, D, n):  # type: ignore[no-untyped-def]
    """D[n] -= conj(g) z of one row; counters that cannot be negative, or it is not vectorised."""
    for t in range(np.uint64(D.shape[2])):
        s = begin + t
        re = D[n, 0, t] - (gr * Z[m, 0, s] + gi * Z[m, 1, s])
        im = D[n, 1, t] - (gr * Z[m, 1, s] - gi * Z[m, 0, s])
        D[n, 0, t] = re
        D[n, 1, t] = im


@numba.njit(**INNER_FAST)
def remainder(Z, G, taps, lead, delay, D):  # type: ignore[no-untyped-def]
    """D = x - G^H z: what the delayed frames do not predict of the present one."""
    m = Z.shape[0]
    for n in range(m):
        for t in range(D.shape[2]):
            D[n, 0, t] = Z[n, 0, lead + t]
            D[n, 1, t] = Z[n, 1, lead + t]
        for k in range(taps * m):
            subtract_row(Z, k % m, np.uint64(shifted(k, m, taps, lead, delay)), G[k, n].real, G[k, n].imag, D, n)


@numba.njit(**INNER_FAST)
def weights(power, heard, frames, floor, phi):  # type: ignore[no-untyped-def]
    """phi = 1 / power, and 0 where the microphones hear nothing and behind the last frame."""
    phi[:] = 0
    for t in range(frames):
        if heard[t] > floor:
            phi[t] = 1.0 / max(power[t], floor)


@compiled(**FAST)
def wpe_bins(first, step, X, known, scale, options, chunks, filters):  # type: ignore[no-untyped-def]
    """filters[f] (M taps, M) of every bin after n_iter rounds of weights and normal equations.

    known (F, T) is the power that the first round weighs with, of X scaled by `scale`; of no bins, the power of X itself.
    """
    taps, delay, n_iter, context = options
    bins, m, frames = X.shape
    rows, lead = taps * m, delay + taps - 1
    size = min(BLOCK, (frames + ROUND - 1) // ROUND * ROUND)
    padded = (frames + size - 1) // size * size
    Z, D = np.empty((m, 2, lead + padded)), np.empty((m, 2, padded))
    power, heard, phi, work = np.empty(padded), np.empty(padded), np.empty(padded), np.empty(padded)
    U, Rr, Ri, before = np.empty((2, 2, size)), np.empty((rows, rows + m)), np.empty((rows, rows + m)), np.empty(rows)
    for c in range(first, chunks, step):
        for f in range(c * bins // chunks, (c + 1) * bins // chunks):
            real_parts(X, f, lead, scale, Z)
            mean_power(Z, lead, heard)
            floor = 0.0
            for t in range(frames):
                floor += SILENT_FRAME / frames * heard[t]
            filters[f] = 0
            if not floor > 0.0:
                continue
            for i in range(n_iter):
                if i > 0:
                    remainder(Z, filters[f], taps, lead, delay, D)
                    mean_power(D, 0, power)
                elif len(known) > 0:
                    for t in range(frames):
                        power[t] = known[f, t]
                else:
                    for t in range(frames):
                        power[t] = heard[t]
                if context > 0 and (i > 0 or len(known) == 0):
                    smoothed(power, frames, context, work)
                weights(power, heard, frames, floor, phi)
                normal_equations(Z, phi, taps, lead, delay, U, Rr, Ri)
                solve_normal(Rr, Ri, before, filters[f])


@compiled(**FAST)
def filter_bins(first, step, X, filters, chunks, delay, out):  # type: ignore[no-untyped-def]
    """out = x - G^H z of every bin."""
    bins, m, frames = X.shape
    taps = filters.shape[1] // m
    lead = delay + taps - 1
    Z, D = np.empty((m, 2, lead + frames)), np.empty((m, 2, frames))
    for c in range(first, chunks, step):
        for f in range(c * bins // chunks, (c + 1) * bins // chunks):
            real_parts(X, f, lead, 1.0, Z)
            remainder(Z, filters[f], taps, lead, delay, D)
            for n in range(m):
                for t in range(frames):
                    out[f, n, t] = complex(D[n, 0, t], D[n, 1, t])


def prediction_filters(
    X: np.ndarray, *, taps: int, delay: int, n_iter: int, context: int, power: np.ndarray | None, level: float
) -> np.ndarray:
    """G (F, M taps, M) complex128 of WPE, of X (F, M, T) at that level; `power` (F, T) is what its first round weighs with."""
    known = np.zeros((0, 0)) if power is None else np.ascontiguousarray(power, np.float64) / level**2
    filters = np.zeros((X.shape[0], X.shape[1] * taps, X.shape[1]), np.complex128)
    options = (taps, delay, n_iter, context)
    threads.run(wpe_bins, np.ascontiguousarray(X), known, 1.0 / level, options, threads.CHUNKS, filters)
    return filters


def without_prediction(X: np.ndarray, filters: np.ndarray, delay: int) -> np.ndarray:
    """x - G^H z of every frame: X (F, M, T) less what G (F, M taps, M) predicts from `delay` frames ago and before."""
    out = np.empty_like(X, order="C")
    threads.run(filter_bins, np.ascontiguousarray(X), np.ascontiguousarray(filters), threads.CHUNKS, delay, out)
    return out
