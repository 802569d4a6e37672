"""Compiled iteration of FastMNMF2: outputs z = Q x that share the sources' low-rank variances, in planes as in `sweep`.

Output m of bin f has, in frame t, the variance v = sum_n g[n, m] L[n, t], L[n, t] = sum_k B[n, f, k] H[n, k, t].
"""

from __future__ import annotations

import numba
import numpy as np

from bss.backends.cpu.demixing.covariance import products, unpack, weigh, weigh_pair
from bss.backends.cpu.demixing.iva import outputs, outputs_pair
from bss.backends.cpu.demixing.low_rank import SILENCE
from bss.backends.cpu.demixing.updates import move
from bss.backends.cpu.linalg import FAST, INNER_FAST
from bss.backends.cpu.logarithm import log_sum


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
def floors(B, H_mean, g, f, small, floor):  # type: ignore[no-untyped-def]
    """floor[m]: `small` of the mean variance of output m, and never so little that 1 / v^2 overflows."""
    floor[:] = SILENCE
    for n in range(B.shape[0]):
        mean = 0.0
        for k in range(B.shape[2]):
            mean += B[n, f, k] * H_mean[n, k]
        for m in range(g.shape[1]):
            floor[m] += small * mean * g[n, m]


@numba.njit(**INNER_FAST)
def inverse_variances(B, H, gT, f, b, floor, L, R):  # type: ignore[no-untyped-def]
    """L[n, t], and R[b, m, t] = 1 / max(v, floor)."""
    one = L.dtype.type(1)
    for n in range(L.shape[0]):
        combine(B[n, f], H[b, n], L[n])
    for m in range(R.shape[1]):
        combine(gT[m], L, R[b, m])
        least = L.dtype.type(floor[m])
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
    n, frames = rows.shape
    zero = rows.dtype.type(0)
    for j in range(0, n, 2):
        i = min(j + 1, n - 1)
        a, c, p, q = zero, zero, zero, zero
        for t in range(frames):
            a += rows[j, t] * U[t]
            c += rows[j, t] * D[t]
            p += rows[i, t] * U[t]
            q += rows[i, t] * D[t]
        sums[j, 0] += a
        sums[j, 1] += c
        if i > j:
            sums[i, 0] += p
            sums[i, 1] += q


@numba.njit(**INNER_FAST)
def scatter(c, U, D, above, below):  # type: ignore[no-untyped-def]
    """above[k, t] += c[k] U[t], below[k, t] += c[k] D[t]."""
    for k in range(above.shape[0]):
        value = c[k]
        for t in range(above.shape[1]):
            above[k, t] += value * U[t]
            below[k, t] += value * D[t]


@numba.njit(**INNER_FAST)
def spectral_step(Y, B, H, g, gT, f, floor, L, R, E, U, D, sums):  # type: ignore[no-untyped-def]
    """B[:, f] by one multiplicative step: all sources from the same variances."""
    sums[:] = 0.0
    for b in range(Y.shape[1]):
        inverse_variances(B, H, gT, f, b, floor, L, R)
        ratios(Y, f, b, R, E)
        for n in range(g.shape[0]):
            combine(g[n], E, U)
            combine(g[n], R[b], D)
            dots(H[b, n], U, D, sums[n])
    for n in range(B.shape[0]):
        for k in range(B.shape[2]):
            if sums[n, k, 1] > 0.0:
                B[n, f, k] = max(B[n, f, k] * np.sqrt(sums[n, k, 0] / sums[n, k, 1]), SILENCE)


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
def covariances(Y, B, H, gT, f, frames, floor, L, R, P, G, V):  # type: ignore[no-untyped-def]
    """V[m] of the outputs with weights R = 1 / v, and the sum over outputs and frames of |z|^2 / v + log v."""
    size, m = Y.shape[4], Y.shape[2]
    total = 0.0
    G[:] = 0.0
    for b in range(Y.shape[1]):
        inverse_variances(B, H, gT, f, b, floor, L, R)
        total += fit(Y, f, b, R, min(size, frames - b * size))
        if m == 2:
            weigh_pair(Y, f, b, R, G)
        else:
            products(Y, f, b, P)
            weigh(P, R, b, G)
    unpack(G, 1.0 / frames, V)
    return total


@numba.njit(**INNER_FAST)
def temporal_sums(Y, B, g, f, A, R, E, S, U, D, above, below):  # type: ignore[no-untyped-def]
    """New outputs A z, and above, below [b, n, k, t] += B |z|^2 / v^2 and B / v, weighted by g and summed over outputs."""
    for b in range(Y.shape[1]):
        if Y.shape[2] == 2:
            outputs_pair(Y, f, b, A)
        else:
            outputs(Y, f, b, A, S)
        ratios(Y, f, b, R, E)
        for n in range(g.shape[0]):
            combine(g[n], E, U)
            combine(g[n], R[b], D)
            scatter(B[n, f], U, D, above[b, n], below[b, n])


@numba.njit(**FAST)
def diagonal_sweep(first, step, Y, W, C, B, H, H_mean, g, frames, small, share, update, above, below, change, loss):  # type: ignore[no-untyped-def]
    """One iteration but for g: spectra of each bin, its diagonaliser, then what its new outputs say of the activations.

    above, below [chunk, b, n, k, t] as `temporal_sums`; change as in `frame_sweep`; loss[chunk] is the sum of |z|^2 / v + log v
    before the diagonaliser moved.
    """
    bins, blocks, m, _, size = Y.shape
    n_sources, components, chunks = H.shape[1], H.shape[2], above.shape[0]
    P, S = np.empty((m * m, size), Y.dtype), np.empty((m, 2, size), Y.dtype)
    R, L, E = np.empty((blocks, m, size), Y.dtype), np.empty((n_sources, size), Y.dtype), np.empty((m, size), Y.dtype)
    U, D = np.empty(size, Y.dtype), np.empty(size, Y.dtype)
    sums, floor, gT = np.empty((n_sources, components, 2)), np.empty(m), g.T.copy()
    G, V = np.empty((m * m, m)), np.empty((m, m, m), np.complex128)
    A, work, w = np.empty((m, m), np.complex128), np.empty((m, m), np.complex128), np.empty(m, np.complex128)
    loads = np.empty(m)
    for c in range(first, chunks, step):
        above[c] = 0
        below[c] = 0
        change[c], loss[c] = 0.0, 0.0
        for f in range(c * bins // chunks, (c + 1) * bins // chunks):
            floors(B, H_mean, g, f, small, floor)
            spectral_step(Y, B, H, g, gT, f, floor, L, R, E, U, D, sums)
            floors(B, H_mean, g, f, small, floor)
            loss[c] += covariances(Y, B, H, gT, f, frames, floor, L, R, P, G, V)
            change[c] += move(update, V, C, A, W, f, share, loads, work, w)
            temporal_sums(Y, B, g, f, A, R, E, S, U, D, above[c], below[c])


@numba.njit(**FAST)
def direction_sweep(first, step, Y, B, H, H_mean, g, small, sums):  # type: ignore[no-untyped-def]
    """sums[chunk, m, n, 0 or 1] over bins and frames of L |z|^2 / v^2 and of L / v: what the step of g needs."""
    bins, blocks, m, _, size = Y.shape
    n_sources, chunks = H.shape[1], sums.shape[0]
    R, L, E = np.empty((blocks, m, size), Y.dtype), np.empty((n_sources, size), Y.dtype), np.empty((m, size), Y.dtype)
    floor, gT = np.empty(m), g.T.copy()
    for c in range(first, chunks, step):
        sums[c] = 0.0
        for f in range(c * bins // chunks, (c + 1) * bins // chunks):
            floors(B, H_mean, g, f, small, floor)
            for b in range(blocks):
                inverse_variances(B, H, gT, f, b, floor, L, R)
                ratios(Y, f, b, R, E)
                for j in range(m):
                    dots(L, E[j], R[b, j], sums[c, j])


@numba.njit(**FAST)
def wiener_sweep(first, step, chunks, Y, B, H, g, mixing, images):  # type: ignore[no-untyped-def]
    """images[f, n, t, 0 or 1] = sum_m mixing[f, m] z_m L[n] g[n, m] / v: sources as a microphone hears them, which sum to it."""
    bins, blocks, m, _, size = Y.shape
    n_sources, frames = images.shape[1], images.shape[2]
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
