"""Compiled iteration of ILRMA, Gaussian or Student's t: demixing and low-rank variances in one pass, laid out as in `sweep`."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.extending import overload

from bss.kernels.small import FAST, INNER_FAST
from bss.kernels.sweep import all_outputs, covariance_sums, one_move

SILENCE = 1e-12  # 120 dB under the recording: no variance of a bin is less
DEEP = 24


@numba.njit(**INNER_FAST)
def lowest(B, H_mean, f, n, small):  # type: ignore[no-untyped-def]
    """The floor of the variances of source n in bin f: `small` of their mean, and never so little that 1 / R^2 overflows."""
    mean = 0.0
    for k in range(H_mean.shape[1]):
        mean += B[n, f, k] * H_mean[n, k]
    return B.dtype.type(small * mean + SILENCE)


@numba.njit(**INNER_FAST)
def variances(B, H, f, b, n, small, R):  # type: ignore[no-untyped-def]
    """R[t] = max(sum_k B[n, f, k] H[b, n, k, t], small)."""
    frames = R.shape[0]
    components = H.shape[2]
    for k in range(components % 2, components, 2):  # two at a time: half of the loads and stores of R
        u, v = B[n, f, k], B[n, f, k + 1]
        if k < 2:
            for t in range(frames):
                R[t] = u * H[b, n, k, t] + v * H[b, n, k + 1, t]
        else:
            for t in range(frames):
                R[t] += u * H[b, n, k, t] + v * H[b, n, k + 1, t]
    if components % 2 == 1:
        u = B[n, f, 0]
        for t in range(frames):
            R[t] = u * H[b, n, 0, t] + (R[t] if components > 1 else 0)
    for t in range(frames):
        R[t] = max(R[t], small)


@numba.njit(**INNER_FAST)
def spectral_step(Y, B, H, H_mean, f, n, small, tail, R, Q, sums):  # type: ignore[no-untyped-def]
    """B[n, f] by one multiplicative step, eq. 19 of Kitamura et al. (2016), or eq. 24 of Kitamura et al. (2018) with a tail."""
    floor = lowest(B, H_mean, f, n, small)
    blocks, components, frames = Y.shape[1], H.shape[2], Y.shape[4]
    one, zero = Y.dtype.type(1), Y.dtype.type(0)
    sums[:] = 0.0
    for b in range(blocks):
        variances(B, H, f, b, n, floor, R)
        for t in range(frames):
            inverse = one / R[t]
            power = Y[f, b, n, 0, t] * Y[f, b, n, 0, t] + Y[f, b, n, 1, t] * Y[f, b, n, 1, t]
            Q[t] = power * inverse * heavier(inverse, power, tail)
            R[t] = inverse
        for k in range(0, components, 2):
            j = min(k + 1, components - 1)  # the last of an odd number is done twice
            above, below, above_j, below_j = zero, zero, zero, zero
            for t in range(frames):
                above += Q[t] * H[b, n, k, t]
                below += R[t] * H[b, n, k, t]
                above_j += Q[t] * H[b, n, j, t]
                below_j += R[t] * H[b, n, j, t]
            sums[k, 0] += above
            sums[k, 1] += below
            if j > k:
                sums[j, 0] += above_j
                sums[j, 1] += below_j
    for k in range(components):
        if sums[k, 1] > 0.0:
            B[n, f, k] = max(B[n, f, k] * np.sqrt(sums[k, 0] / sums[k, 1]), SILENCE)


def heavier(inverse: Any, power: Any, tail: Any) -> Any:
    """1 / C, with the variance of the majoriser C = R + tail (power - R): R itself, of a Gauss, where there is no tail."""
    raise NotImplementedError  # only kernels call it: see below


@overload(heavier)
def _heavier(inverse, power, tail):  # type: ignore[no-untyped-def]
    if isinstance(tail, numba.types.NoneType):
        return lambda inverse, power, tail: inverse
    one = np.float32(1) if inverse is numba.types.float32 else np.float64(1)
    return lambda inverse, power, tail: inverse / (one + tail * (power * inverse - one))


@numba.njit(**INNER_FAST)
def log_sum(R, frames):  # type: ignore[no-untyped-def]
    """sum_t log R[t], a logarithm for every DEEP: the product of so many cannot underflow, with SILENCE the least of them."""
    width = frames // DEEP
    total = 0.0
    for i in range(width):
        product = 1.0
        for j in range(DEEP):
            product *= R[j * width + i]
        total += np.log(product)
    product = 1.0
    for t in range(width * DEEP, frames):
        product *= R[t]
    return total + np.log(product)


@numba.njit(**INNER_FAST)
def weights(Y, B, H, H_mean, f, n, frames, small, R, phi):  # type: ignore[no-untyped-def]
    """phi[b, n, t] = 1 / R; returns sum_t |y_n|^2 / R + log R over the frames that are not padding."""
    floor = lowest(B, H_mean, f, n, small)
    blocks, size = Y.shape[1], Y.shape[4]
    one = Y.dtype.type(1)
    loss = 0.0
    for b in range(blocks):
        variances(B, H, f, b, n, floor, R)
        loss += log_sum(R, min(size, frames - b * size))
        fit = Y.dtype.type(0)
        for t in range(size):
            phi[b, n, t] = one / R[t]
            fit += (Y[f, b, n, 0, t] * Y[f, b, n, 0, t] + Y[f, b, n, 1, t] * Y[f, b, n, 1, t]) * phi[b, n, t]
        loss += fit
    return loss


@numba.njit(**INNER_FAST)
def student_weights(Y, B, H, H_mean, f, n, frames, small, tail, R, phi, inverse):  # type: ignore[no-untyped-def]
    """phi = 1 / C, inverse = 1 / R; returns sum_t (log C / R - log(1 - tail)) / tail + log R: with tail = 2 / (dof + 2) that is
    (1 + dof / 2) log(1 + 2 |y|^2 / (dof R)) + log R."""
    floor = lowest(B, H_mean, f, n, small)
    blocks, size = Y.shape[1], Y.shape[4]
    one = Y.dtype.type(1)
    loss = 0.0
    for b in range(blocks):
        variances(B, H, f, b, n, floor, R)
        here = min(size, frames - b * size)
        spread = log_sum(R, here)
        for t in range(size):
            power = Y[f, b, n, 0, t] * Y[f, b, n, 0, t] + Y[f, b, n, 1, t] * Y[f, b, n, 1, t]
            inverse[b, n, t] = one / R[t]
            R[t] += tail * (power - R[t])
            phi[b, n, t] = one / R[t]
        loss += (log_sum(R, here) - spread - here * np.log(1.0 - tail)) / tail + spread
    return loss


@numba.njit(**INNER_FAST)
def temporal_sums(Y, B, inverse, f, tail, ratio, above, below, c):  # type: ignore[no-untyped-def]
    """above[c, b, n, k, t] += B |y|^2 / (R C), below += B / R: what one bin adds to the step of the activations.

    ratio[t] is room for |y|^2 / (R C).
    """
    blocks, n_sources, components, frames = above.shape[1:]
    for b in range(blocks):
        for n in range(n_sources):
            for t in range(frames):
                power = Y[f, b, n, 0, t] * Y[f, b, n, 0, t] + Y[f, b, n, 1, t] * Y[f, b, n, 1, t]
                ratio[t] = power * inverse[b, n, t] * heavier(inverse[b, n, t], power, tail)
            for k in range(components):
                value = B[n, f, k]
                for t in range(frames):
                    below[c, b, n, k, t] += value * inverse[b, n, t]
                    above[c, b, n, k, t] += value * ratio[t]


@numba.njit(**FAST)
def lowrank_sweep(first, step, Y, W, C, B, H, H_mean, frames, small, share, update, tail, above, below, change, loss):  # type: ignore[no-untyped-def]
    """One iteration: spectra of each bin, its demixing, then what its new outputs say of the activations.

    The sources are Gaussian where `tail` is None, else Student's t with tail = 2 / (dof + 2). above, below [chunk, b, n, k, t]
    are the sums of the activations' step; change as in `frame_sweep`; loss[chunk] is what `weights` returns, before the
    demixing moved.
    """
    bins, blocks, m, _, size = Y.shape
    n_sources, components, chunks = H.shape[1], H.shape[2], above.shape[0]
    P, S = np.empty((m * m, size), Y.dtype), np.empty((m, 2, size), Y.dtype)
    R, Q = np.empty(size, Y.dtype), np.empty(size, Y.dtype)
    phi = np.empty((blocks, n_sources, size), Y.dtype)
    inverse = phi if tail is None else np.empty((blocks, n_sources, size), Y.dtype)
    sums = np.empty((components, 2))
    G, V = np.empty((m * m, n_sources)), np.empty((n_sources, m, m), np.complex128)
    A, work, w = np.empty((m, m), np.complex128), np.empty((m, m), np.complex128), np.empty(m, np.complex128)
    loads = np.empty(n_sources)
    for c in range(first, chunks, step):
        above[c] = 0
        below[c] = 0
        change[c], loss[c] = 0.0, 0.0
        for f in range(c * bins // chunks, (c + 1) * bins // chunks):
            for n in range(n_sources):
                spectral_step(Y, B, H, H_mean, f, n, small, tail, R, Q, sums)
                if tail is None:
                    loss[c] += weights(Y, B, H, H_mean, f, n, frames, small, R, phi)
                else:
                    loss[c] += student_weights(Y, B, H, H_mean, f, n, frames, small, tail, R, phi, inverse)
            covariance_sums(update, Y, f, phi, P, G)
            change[c] += one_move(update, G, 1.0 / frames, V, C, A, W, f, share, loads, work, w)
            all_outputs(update, Y, f, A, S)
            temporal_sums(Y, B, inverse, f, tail, Q, above, below, c)
