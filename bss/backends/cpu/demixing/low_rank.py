"""Compiled iteration of ILRMA, Gaussian or Student's t: demixing and low-rank variances in one pass, laid out as in `iva`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numba.extending import overload

from bss.backends.cpu import threads
from bss.backends.cpu.arithmetic.linalg import FAST, INNER_FAST
from bss.backends.cpu.arithmetic.logarithm import add_up, added_up, log_sum, split
from bss.backends.cpu.arithmetic.tile import ROWS, following, tile
from bss.backends.cpu.compiling import compiled
from bss.backends.cpu.demixing.iva import iteration
from bss.backends.cpu.demixing.updates import make_room
from bss.backends.cpu.outputs import Outputs, aligned
from bss.backends.numeric import LEAST_VARIANCE

BINS = 4  # whose sums for the activations are stored at once


class Model(NamedTuple):
    """Low-rank variances: B[n, f, k], H[b, n, k, t], the mean of H (N, K), and the share of its mean that a variance keeps."""

    B: Any
    H: Any
    H_mean: Any
    floor: float


@numba.njit(**INNER_FAST)
def lowest(model, f, n):  # type: ignore[no-untyped-def]
    """The least variance of source n in bin f: a share of their mean, and never so little that 1 / R^2 overflows."""
    B, H_mean = model.B, model.H_mean
    mean = 0.0
    for k in range(H_mean.shape[1]):
        mean += B[n, f, k] * H_mean[n, k]
    return B.dtype.type(model.floor * mean + LEAST_VARIANCE)


@numba.njit(**INNER_FAST)
def coefficient(B, n, f, k):  # type: ignore[no-untyped-def]
    """B[n, f, k], or 0 behind the last."""
    return B[n, f, k] if k < B.shape[2] else B.dtype.type(0)


@numba.njit(**INNER_FAST)
def variances(B, H, f, b, n, small, R):  # type: ignore[no-untyped-def]
    """R[t] = max(sum_k B[n, f, k] H[b, n, k, t], small)."""
    frames, last = R.shape[0], H.shape[2] - 1
    if last < 2:
        u, v = B[n, f, 0], coefficient(B, n, f, 1)
        for t in range(frames):
            R[t] = max(u * H[b, n, 0, t] + v * H[b, n, last, t], small)
        return
    for t in range(frames):
        R[t] = 0
    for k in range(0, last + 1, ROWS):  # a quarter of the loads and stores of R
        i, j, q = following(k, last + 1)
        u, v = B[n, f, k], coefficient(B, n, f, k + 1)
        x, y = coefficient(B, n, f, k + 2), coefficient(B, n, f, k + 3)
        for t in range(frames):
            R[t] += u * H[b, n, k, t] + v * H[b, n, i, t] + x * H[b, n, j, t] + y * H[b, n, q, t]
    for t in range(frames):
        R[t] = max(R[t], small)


@numba.njit(**INNER_FAST)
def sums_of_pair(Y, B, H, f, b, n, floor, tail, sums):  # type: ignore[no-untyped-def]
    """`sums_of_many` for one component or two: nothing is stored in between."""
    one, zero, last = Y.dtype.type(1), Y.dtype.type(0), H.shape[2] - 1
    u, v = B[n, f, 0], coefficient(B, n, f, 1)
    above_u, below_u, above_v, below_v = zero, zero, zero, zero
    for t in range(Y.shape[4]):
        h, g = H[b, n, 0, t], H[b, n, last, t]
        inverse = one / max(u * h + v * g, floor)
        power = Y[f, b, n, 0, t] * Y[f, b, n, 0, t] + Y[f, b, n, 1, t] * Y[f, b, n, 1, t]
        ratio = power * inverse * heavier(inverse, power, tail)
        above_u += ratio * h
        below_u += inverse * h
        above_v += ratio * g
        below_v += inverse * g
    sums[last, 0] += above_v
    sums[last, 1] += below_v
    if last > 0:
        sums[0, 0] += above_u
        sums[0, 1] += below_u


@numba.njit(**INNER_FAST)
def sums_of_many(Y, B, H, f, b, n, floor, tail, R, Q, sums):  # type: ignore[no-untyped-def]
    """sums[k] += sum_t |y|^2 / (R C) H[k] and 1 / R H[k] over one block of frames; R, Q (T,) are room for them."""
    one, components, frames = Y.dtype.type(1), H.shape[2], Y.shape[4]
    variances(B, H, f, b, n, floor, R)
    for t in range(frames):
        inverse = one / R[t]
        power = Y[f, b, n, 0, t] * Y[f, b, n, 0, t] + Y[f, b, n, 1, t] * Y[f, b, n, 1, t]
        Q[t] = power * inverse * heavier(inverse, power, tail)
        R[t] = inverse
    for k in range(0, components, ROWS):
        i, j, q = following(k, components)
        a0, a1, a2, a3, b0, b1, b2, b3 = tile(Q, R, H[b, n, k], H[b, n, i], H[b, n, j], H[b, n, q])
        add(sums, k, a0, b0)
        add(sums, k + 1, a1, b1)
        add(sums, k + 2, a2, b2)
        add(sums, k + 3, a3, b3)


@numba.njit(**INNER_FAST)
def add(sums, k, above, below):  # type: ignore[no-untyped-def]
    """Two sums of component k, if there is such a one."""
    if k < sums.shape[0]:
        sums[k, 0] += above
        sums[k, 1] += below


@numba.njit(**INNER_FAST)
def spectral_step(Y, model, f, n, tail, R, Q, sums):  # type: ignore[no-untyped-def]
    """B[n, f] by one multiplicative step, eq. 19 of Kitamura et al. (2016), or eq. 24 of Kitamura et al. (2018) with a tail."""
    B, H, floor = model.B, model.H, lowest(model, f, n)
    sums[:] = 0.0
    for b in range(Y.shape[1]):
        if H.shape[2] > 2:
            sums_of_many(Y, B, H, f, b, n, floor, tail, R, Q, sums)
        else:
            sums_of_pair(Y, B, H, f, b, n, floor, tail, sums)
    for k in range(H.shape[2]):
        if sums[k, 1] > 0.0:
            B[n, f, k] = max(B[n, f, k] * np.sqrt(sums[k, 0] / sums[k, 1]), LEAST_VARIANCE)


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
def weights(Y, model, f, n, frames, R, phi, total):  # type: ignore[no-untyped-def]
    """phi[b, n, t] = 1 / R, of the frames that are not padding; adds up sum_t |y_n|^2 / R + log R of them."""
    floor = lowest(model, f, n)
    blocks, size = Y.shape[1], Y.shape[4]
    one, zero = Y.dtype.type(1), Y.dtype.type(0)
    for b in range(blocks):
        variances(model.B, model.H, f, b, n, floor, R)
        fit, exponents, mantissas = zero, zero, 1.0
        for t in range(min(size, frames - b * size)):
            inverse = one / R[t]
            phi[b, n, t] = inverse
            fit += (Y[f, b, n, 0, t] * Y[f, b, n, 0, t] + Y[f, b, n, 1, t] * Y[f, b, n, 1, t]) * inverse
            exponent, mantissa = split(R[t])
            exponents += exponent
            mantissas *= mantissa
        add_up(total, fit, exponents, mantissas)


@numba.njit(**INNER_FAST)
def student_weights(Y, model, f, n, frames, tail, R, phi, inverse, total):  # type: ignore[no-untyped-def]
    """phi = 1 / C, inverse = 1 / R; adds up (log C / R - log(1 - tail)) / tail + log R.

    With tail = 2 / (dof + 2) that is (1 + dof / 2) log(1 + 2 |y|^2 / (dof R)) + log R.
    """
    floor = lowest(model, f, n)
    blocks, size = Y.shape[1], Y.shape[4]
    one = Y.dtype.type(1)
    for b in range(blocks):
        variances(model.B, model.H, f, b, n, floor, R)
        here = min(size, frames - b * size)
        spread = log_sum(R, here)
        for t in range(here):
            power = Y[f, b, n, 0, t] * Y[f, b, n, 0, t] + Y[f, b, n, 1, t] * Y[f, b, n, 1, t]
            inverse[b, n, t] = one / R[t]
            R[t] += tail * (power - R[t])
            phi[b, n, t] = one / R[t]
        total[0] += (log_sum(R, here) - spread - here * np.log(1.0 - tail)) / tail + spread


@numba.njit(**INNER_FAST)
def ratios(Y, inverse, f, i, tail, below, above):  # type: ignore[no-untyped-def]
    """below[i, b, n, t] = 1 / R, above[i, b, n, t] = |y|^2 / (R C) of the outputs of bin f."""
    for b in range(inverse.shape[0]):
        for n in range(inverse.shape[1]):
            for t in range(inverse.shape[2]):
                power = Y[f, b, n, 0, t] * Y[f, b, n, 0, t] + Y[f, b, n, 1, t] * Y[f, b, n, 1, t]
                over = inverse[b, n, t]
                below[i, b, n, t] = over
                above[i, b, n, t] = power * over * heavier(over, power, tail)


@numba.njit(**INNER_FAST)
def temporal_sums(values, B, f, count, c, sums):  # type: ignore[no-untyped-def]
    """sums[c, b, n, k, t] += sum_i B[n, f + i, k] values[i, b, n, t] of `count` bins, at most BINS."""
    zero = B.dtype.type(0)
    blocks, n_sources, components, frames = sums.shape[1:]
    for b in range(blocks):
        for n in range(n_sources):
            for k in range(components):
                b0, b1 = B[n, f, k], B[n, f + 1, k] if count > 1 else zero
                b2, b3 = B[n, f + 2, k] if count > 2 else zero, B[n, f + 3, k] if count > 3 else zero
                for t in range(frames):
                    more = b0 * values[0, b, n, t] + b1 * values[1, b, n, t]
                    sums[c, b, n, k, t] += more + b2 * values[2, b, n, t] + b3 * values[3, b, n, t]


@compiled(**FAST)
def low_rank_update(first, step, solve, model, tail, update, sums, change, loss):  # type: ignore[no-untyped-def]
    """One iteration: spectra of each bin, its demixing, then what its new outputs say of the activations.

    The sources are Gaussian where `tail` is None, else Student's t with tail = 2 / (dof + 2). sums: above, below [chunk, b, n, k,
    t] of the activations' step; change as in `frame_update`; loss[chunk] is what `weights` adds up, before the demixing's update.
    """
    Y, above, below = solve.Y, sums[0], sums[1]
    bins, blocks, size = Y.shape[0], Y.shape[1], Y.shape[4]
    n_sources, components, chunks = model.H.shape[1], model.H.shape[2], above.shape[0]
    R, Q = np.empty(size, Y.dtype), np.empty(size, Y.dtype)
    phi = np.zeros((blocks, n_sources, size), Y.dtype)  # padding stays zero
    inverse = phi if tail is None else np.zeros((blocks, n_sources, size), Y.dtype)
    over, under = np.zeros((BINS, *phi.shape), Y.dtype), np.zeros((BINS, *phi.shape), Y.dtype)
    steps, total, room = np.empty((components, 2)), np.array([0.0, 0.0, 1.0]), make_room(Y, n_sources)
    for c in range(first, chunks, step):
        above[c] = 0
        below[c] = 0
        change[c] = 0.0
        end = (c + 1) * bins // chunks
        for begin in range(c * bins // chunks, end, BINS):
            count = min(BINS, end - begin)
            for i in range(count):
                f = begin + i
                for n in range(n_sources):
                    spectral_step(Y, model, f, n, tail, R, Q, steps)
                    if tail is None:
                        weights(Y, model, f, n, solve.frames, R, phi, total)
                    else:
                        student_weights(Y, model, f, n, solve.frames, tail, R, phi, inverse, total)
                change[c] += iteration(update, solve, f, phi, room)
                ratios(Y, inverse, f, i, tail, under, over)
            temporal_sums(over, model.B, begin, count, c, above)
            temporal_sums(under, model.B, begin, count, c, below)
        loss[c] = added_up(total)


class LowRank:
    """The variances of N sources as B H, and their iteration together with the demixing's; Student's t where dof is given."""

    def __init__(self, outputs: Outputs, B: np.ndarray, H: np.ndarray, dof: float | None = None) -> None:
        self.outputs = outputs
        self.tail = None if dof is None else outputs.dtype.type(2.0 / (dof + 2.0))
        self.B = np.array(B, outputs.dtype, order="C")  # a copy: the kernels write to it
        self.H = outputs.to_blocks(H)
        shape = (threads.CHUNKS, *self.H.shape)
        self.above, self.below = aligned(shape, outputs.dtype), aligned(shape, outputs.dtype)
        self.loss = np.zeros(threads.CHUNKS)

    def H_mean(self) -> np.ndarray:
        """(N, K) mean of the activations."""
        return np.asarray(self.H.sum((0, 3), dtype=np.float64) / self.outputs.n_frames)

    @property
    def model(self) -> Model:
        """For kernels."""
        return Model(self.B, self.H, self.H_mean(), self.outputs.floor)

    def update(self, method: str) -> float:
        """One iteration of spectra, demixing, activations; returns E[|y|^2 / R + log R] (or what Student's t has for it) summed
        over bins and sources as it was between the first two, and leaves log_det as it is after."""
        y = self.outputs
        y.run(low_rank_update, y.solve, self.model, self.tail, y.kind(method), (self.above, self.below), y.change, self.loss)
        above, below = self.above.sum(0), self.below.sum(0)
        tiny = np.finfo(y.dtype).tiny
        self.H *= np.sqrt(above / np.maximum(below, tiny))
        mean = np.maximum(self.H_mean(), tiny)  # activations of mean one, the level in the spectra: neither drifts away
        np.maximum(self.H / mean[None, :, :, None].astype(y.dtype), y.dtype.type(y.floor), out=self.H)
        self.B *= mean[:, None].astype(y.dtype)
        self.H[-1, ..., y.n_frames - (y.blocks - 1) * y.size :] = 0
        loss: float = float(self.loss.sum()) / y.n_frames
        return loss
