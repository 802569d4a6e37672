"""Compiled iteration of FastMNMF2: outputs z = Q x that share the sources' low-rank variances, laid out as in `iva`.

Output m of bin f has, in frame t, the variance v = sum_n g[n, m] L[n, t], L[n, t] = sum_k B[n, f, k] H[n, k, t].
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from bss.backends.cpu.arithmetic.linalg import FAST, INLINED, INNER_FAST
from bss.backends.cpu.arithmetic.logarithm import log_sum
from bss.backends.cpu.arithmetic.tile import ROWS, following, tile
from bss.backends.cpu.compiling import compiled
from bss.backends.cpu.demixing.covariance import products, put_column, unpack, weigh, weigh_pair
from bss.backends.cpu.demixing.iva import outputs, outputs_pair
from bss.backends.cpu.demixing.updates import make_room, update_bin
from bss.backends.numeric import LEAST_VARIANCE


class Model(NamedTuple):
    """B[n, f, k], H[b, n, k, t] and the mean of H (N, K); g (N, M); and the share of its mean that a variance keeps."""

    B: Any
    H: Any
    H_mean: Any
    g: Any
    floor: float


class Bin(NamedTuple):
    """Arrays that are made anew in every bin: floors of the variances (M,), 1 / v (blocks, M, size), L (N, size), |z|^2 / v^2
    (M, size), two weighted sums (size,), sums of the step of B (N, K, 2). g transposed stays."""

    gT: Any
    floor: Any
    R: Any
    L: Any
    E: Any
    U: Any
    D: Any
    sums: Any


@numba.njit(**{**INLINED, "_nrt": True})
def make_bin(Y, model):  # type: ignore[no-untyped-def]
    """Room for the outputs Y."""
    _, blocks, m, _, size = Y.shape
    n_sources, components = model.H.shape[1], model.H.shape[2]
    return Bin(
        model.g.T.copy(), np.empty(m), np.empty((blocks, m, size), Y.dtype), np.empty((n_sources, size), Y.dtype),
        np.empty((m, size), Y.dtype), np.empty(size, Y.dtype), np.empty(size, Y.dtype), np.empty((n_sources, components, 2)),
    )  # fmt: skip


@numba.njit(**INNER_FAST)
def combine(c, rows, out):  # type: ignore[no-untyped-def]
    """out[t] = sum_j c[j] rows[j, t], two rows at a time."""
    n, frames = rows.shape
    j = n % 2
    if j == 1:
        c0 = c[0]
        for t in range(frames):
            out[t] = c0 * rows[0, t]
    else:
        c0, c1 = c[0], c[1]
        for t in range(frames):
            out[t] = c0 * rows[0, t] + c1 * rows[1, t]
        j = 2
    while j < n:
        c0, c1 = c[j], c[j + 1]
        for t in range(frames):
            out[t] += c0 * rows[j, t] + c1 * rows[j + 1, t]
        j += 2


@numba.njit(**INNER_FAST)
def floors(model, f, floor):  # type: ignore[no-untyped-def]
    """floor[m]: a share of the mean variance of output m, and never so little that 1 / v^2 overflows."""
    B, g = model.B, model.g
    floor[:] = LEAST_VARIANCE
    for n in range(B.shape[0]):
        mean = 0.0
        for k in range(B.shape[2]):
            mean += B[n, f, k] * model.H_mean[n, k]
        for m in range(g.shape[1]):
            floor[m] += model.floor * mean * g[n, m]


@numba.njit(**INNER_FAST)
def inverse_variances(model, f, b, bin_):  # type: ignore[no-untyped-def]
    """L[n, t], and R[b, m, t] = 1 / max(v, floor)."""
    B, L, R = model.B, bin_.L, bin_.R
    one = L.dtype.type(1)
    for n in range(L.shape[0]):
        combine(B[n, f], model.H[b, n], L[n])
    for m in range(R.shape[1]):
        combine(bin_.gT[m], L, R[b, m])
        least = L.dtype.type(bin_.floor[m])
        for t in range(R.shape[2]):
            R[b, m, t] = one / max(R[b, m, t], least)


@numba.njit(**INNER_FAST)
def ratios(Y, f, b, R, E):  # type: ignore[no-untyped-def]
    """E[m, t] = |z|^2 / v^2."""
    for m in range(E.shape[0]):
        for t in range(E.shape[1]):
            E[m, t] = (Y[f, b, m, 0, t] * Y[f, b, m, 0, t] + Y[f, b, m, 1, t] * Y[f, b, m, 1, t]) * R[b, m, t] * R[b, m, t]


@numba.njit(**INNER_FAST)
def dots(rows, U, D, sums):  # type: ignore[no-untyped-def]
    """sums[j] += sum_t of rows[j, t] U[t], and of rows[j, t] D[t]."""
    n = rows.shape[0]
    for j in range(0, n, ROWS):
        i, p, q = following(j, n)
        a0, a1, a2, a3, b0, b1, b2, b3 = tile(U, D, rows[j], rows[i], rows[p], rows[q])
        put_column(sums, 0, j, i, p, q, a0, a1, a2, a3)
        put_column(sums, 1, j, i, p, q, b0, b1, b2, b3)


@numba.njit(**INNER_FAST)
def scatter(c, U, D, above, below):  # type: ignore[no-untyped-def]
    """above[k, t] += c[k] U[t], below[k, t] += c[k] D[t]."""
    for k in range(above.shape[0]):
        value = c[k]
        for t in range(above.shape[1]):
            above[k, t] += value * U[t]
            below[k, t] += value * D[t]


@numba.njit(**INNER_FAST)
def spectral_step(Y, model, f, bin_):  # type: ignore[no-untyped-def]
    """B[:, f] by one multiplicative step: all sources from the same variances."""
    B, sums = model.B, bin_.sums
    sums[:] = 0.0
    for b in range(Y.shape[1]):
        inverse_variances(model, f, b, bin_)
        ratios(Y, f, b, bin_.R, bin_.E)
        for n in range(model.g.shape[0]):
            combine(model.g[n], bin_.E, bin_.U)
            combine(model.g[n], bin_.R[b], bin_.D)
            dots(model.H[b, n], bin_.U, bin_.D, sums[n])
    for n in range(B.shape[0]):
        for k in range(B.shape[2]):
            if sums[n, k, 1] > 0.0:
                B[n, f, k] = max(B[n, f, k] * np.sqrt(sums[n, k, 0] / sums[n, k, 1]), LEAST_VARIANCE)


@numba.njit(**INNER_FAST)
def fit(Y, f, b, R, here):  # type: ignore[no-untyped-def]
    """sum over outputs and the `here` frames that are not padding of |z|^2 / v + log v."""
    total = 0.0
    for m in range(R.shape[1]):
        part = Y.dtype.type(0)
        for t in range(R.shape[2]):
            part += (Y[f, b, m, 0, t] * Y[f, b, m, 0, t] + Y[f, b, m, 1, t] * Y[f, b, m, 1, t]) * R[b, m, t]
        total += part - log_sum(R[b, m], here)
    return total


@numba.njit(**INNER_FAST)
def covariances(Y, model, f, frames, bin_, room):  # type: ignore[no-untyped-def]
    """V[m] of the outputs with weights R = 1 / v, and the sum over outputs and frames of |z|^2 / v + log v."""
    size, m = Y.shape[4], Y.shape[2]
    total = 0.0
    room.G[:] = 0.0
    for b in range(Y.shape[1]):
        inverse_variances(model, f, b, bin_)
        total += fit(Y, f, b, bin_.R, min(size, frames - b * size))
        if m == 2:
            weigh_pair(Y, f, b, bin_.R, room.G)
        else:
            products(Y, f, b, room.P)
            weigh(room.P, bin_.R, b, room.G)
    unpack(room.G, 1.0 / frames, room.V)
    return total


@numba.njit(**INNER_FAST)
def temporal_sums(Y, model, f, bin_, room, above, below):  # type: ignore[no-untyped-def]
    """New outputs A z, and above, below [b, n, k, t] += B |z|^2 / v^2 and B / v, weighted by g and summed over outputs."""
    for b in range(Y.shape[1]):
        if Y.shape[2] == 2:
            outputs_pair(Y, f, b, room.A)
        else:
            outputs(Y, f, b, room.A, room.S)
        ratios(Y, f, b, bin_.R, bin_.E)
        for n in range(model.g.shape[0]):
            combine(model.g[n], bin_.E, bin_.U)
            combine(model.g[n], bin_.R[b], bin_.D)
            scatter(model.B[n, f], bin_.U, bin_.D, above[b, n], below[b, n])


@compiled(**FAST)
def diagonaliser_update(first, step, solve, model, update, sums, change, loss):  # type: ignore[no-untyped-def]
    """One iteration but for g: spectra of each bin, its diagonaliser, then what its new outputs say of the activations.

    sums: above, below [chunk, b, n, k, t] as `temporal_sums`; change as in `frame_update`; loss[chunk] is the sum of
    |z|^2 / v + log v before the diagonaliser's update.
    """
    Y, above, below = solve.Y, sums[0], sums[1]
    bins, chunks = Y.shape[0], above.shape[0]
    bin_, room = make_bin(Y, model), make_room(Y, Y.shape[2])
    for c in range(first, chunks, step):
        above[c] = 0
        below[c] = 0
        change[c], loss[c] = 0.0, 0.0
        for f in range(c * bins // chunks, (c + 1) * bins // chunks):
            floors(model, f, bin_.floor)
            spectral_step(Y, model, f, bin_)
            floors(model, f, bin_.floor)
            loss[c] += covariances(Y, model, f, solve.frames, bin_, room)
            change[c] += update_bin(update, solve, f, room)
            temporal_sums(Y, model, f, bin_, room, above[c], below[c])


@compiled(**FAST)
def spread_sums(first, step, Y, model, sums):  # type: ignore[no-untyped-def]
    """sums[chunk, m, n, 0 or 1] over bins and frames of L |z|^2 / v^2 and of L / v: what the step of g needs."""
    bins, chunks, bin_ = Y.shape[0], sums.shape[0], make_bin(Y, model)
    for c in range(first, chunks, step):
        sums[c] = 0.0
        for f in range(c * bins // chunks, (c + 1) * bins // chunks):
            floors(model, f, bin_.floor)
            for b in range(Y.shape[1]):
                inverse_variances(model, f, b, bin_)
                ratios(Y, f, b, bin_.R, bin_.E)
                for j in range(Y.shape[2]):
                    dots(bin_.L, bin_.E[j], bin_.R[b, j], sums[c, j])


@compiled(**FAST)
def wiener_filter(first, step, chunks, Y, model, mixing, images):  # type: ignore[no-untyped-def]
    """images[f, n, t, 0 or 1] = sum_m mixing[f, m] z_m L[n] g[n, m] / v: sources as a microphone hears them, which sum to it."""
    bins, blocks, m, _, size = Y.shape
    B, H, g, n_sources, frames = model.B, model.H, model.g, images.shape[1], images.shape[2]
    real, one, gT = Y.dtype.type, Y.dtype.type(1), g.T.copy()
    L, R, S = np.empty((n_sources, size), Y.dtype), np.empty((m, size), Y.dtype), np.empty((m, 2, size), Y.dtype)
    for c in range(first, chunks, step):
        for f in range(c * bins // chunks, (c + 1) * bins // chunks):
            for b in range(blocks):
                for n in range(n_sources):
                    combine(B[n, f], H[b, n], L[n])
                for i in range(m):
                    combine(gT[i], L, R[i])
                    ar, ai = real(mixing[f, i].real), real(mixing[f, i].imag)
                    for t in range(size):
                        inverse = one / R[i, t] if R[i, t] > 0 else real(0)  # padding has no variance
                        S[i, 0, t] = (ar * Y[f, b, i, 0, t] - ai * Y[f, b, i, 1, t]) * inverse
                        S[i, 1, t] = (ar * Y[f, b, i, 1, t] + ai * Y[f, b, i, 0, t]) * inverse
                for n in range(n_sources):
                    for t in range(min(size, frames - b * size)):
                        x, y = real(0), real(0)
                        for i in range(m):
                            x += g[n, i] * S[i, 0, t]
                            y += g[n, i] * S[i, 1, t]
                        images[f, n, b * size + t, 0] = x * L[n, t]
                        images[f, n, b * size + t, 1] = y * L[n, t]
