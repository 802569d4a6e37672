"""Compiled iteration of ICA in every bin by itself, with weights 1 / |y| of a Laplace contrast, laid out as in `sweep`."""

from __future__ import annotations

import numba
import numpy as np

from bss.backends.cpu import threads
from bss.backends.cpu.demixing.covariance import sums_of_all
from bss.backends.cpu.demixing.iss_batched import gather, lanes, scatter, steer_lanes
from bss.backends.cpu.demixing.iva import all_outputs, covariance_sums, one_move, outputs_of_all
from bss.backends.cpu.linalg import FAST, INLINED, INNER_FAST
from bss.backends.cpu.outputs import Outputs

# |y| below which the contrast is quadratic, smooth at zero. The solution has E|y| = 1, whatever the level of a bin.
CORE = 1e-3


@numba.njit(**INNER_FAST)
def laplace_weights(Y, f, b, here, phi):  # type: ignore[no-untyped-def]
    """phi[b, n, t] = 1 / max(|y_n|, CORE), and the sum of the contrast, of the frames `here` that are not padding."""
    total = 0.0
    core = Y.dtype.type(CORE)
    one = Y.dtype.type(1)
    for n in range(phi.shape[1]):
        part = Y.dtype.type(0)
        for t in range(here):
            square = Y[f, b, n, 0, t] * Y[f, b, n, 0, t] + Y[f, b, n, 1, t] * Y[f, b, n, 1, t]
            r = max(np.sqrt(square), core)
            phi[b, n, t] = one / r
            part += square / r + r
        total += part
    return total


@numba.njit(**INLINED)
def bin_weights(Y, f, frames, phi):  # type: ignore[no-untyped-def]
    """The weights of bin f in phi; returns the contrast."""
    total = 0.0
    for b in range(Y.shape[1]):
        total += laplace_weights(Y, f, b, min(Y.shape[4], frames - b * Y.shape[4]), phi)
    return total


@numba.njit(**FAST)
def binwise_sweep_together(first, step, size, group, Y, W, frames, share, change, loss):  # type: ignore[no-untyped-def]
    """`binwise_sweep` by ISS of as many sources as microphones, a group of bins at a time."""
    bins, blocks, m, _, width = Y.shape
    chunks = loss.shape[0]
    P, S, phi = np.empty((m * m, width), Y.dtype), np.empty((m, 2, width), Y.dtype), np.zeros((blocks, m, width), Y.dtype)
    G, A = np.empty((m * m, m)), np.empty((m, m), np.complex128)
    many = lanes(size)
    for c in range(first, chunks, step):
        change[c], loss[c] = 0.0, 0.0
        end = (c + 1) * bins // chunks
        for begin in range(c * bins // chunks, end, group):
            count = min(group, end - begin)
            for f in range(begin, begin + count):
                loss[c] += bin_weights(Y, f, frames, phi)
                sums_of_all(Y, f, phi, P, G)
                gather(G, 1.0 / frames, f - begin, many[0])
            change[c] += steer_lanes(size, many, share, count)
            for f in range(begin, begin + count):
                scatter(size, many, f - begin, A, W, f)
                outputs_of_all(Y, f, A, S)


@numba.njit(**FAST)
def binwise_sweep(first, step, Y, W, C, n_sources, frames, share, update, change, loss):  # type: ignore[no-untyped-def]
    """One iteration, Y, W, C in place; change as in `frame_sweep`, loss[chunk] the contrast as the iteration began."""
    bins, blocks, m, _, size = Y.shape
    chunks = loss.shape[0]
    P, S = np.empty((m * m, size), Y.dtype), np.empty((m, 2, size), Y.dtype)
    phi = np.zeros((blocks, n_sources, size), Y.dtype)  # padding stays zero
    G, V = np.empty((m * m, n_sources)), np.empty((n_sources, m, m), np.complex128)
    A, work, w = np.empty((m, m), np.complex128), np.empty((m, m), np.complex128), np.empty(m, np.complex128)
    loads = np.empty(n_sources)
    for c in range(first, chunks, step):
        change[c], loss[c] = 0.0, 0.0
        for f in range(c * bins // chunks, (c + 1) * bins // chunks):
            loss[c] += bin_weights(Y, f, frames, phi)
            covariance_sums(update, Y, f, phi, P, G)
            change[c] += one_move(update, G, 1.0 / frames, V, C, A, W, f, share, loads, work, w)
            all_outputs(update, Y, f, A, S)


class BinwiseLaplace:
    """ICA in every bin by itself."""

    def __init__(self, outputs: Outputs) -> None:
        self.outputs = outputs
        self.loss = np.zeros(threads.CHUNKS)

    def update(self, method: str) -> float:
        """One iteration; E[2 |y|] summed over bins and sources as it began."""
        y = self.outputs
        group = y.together(method)
        if group > 1:
            y.run(binwise_sweep_together, y.size_type, group, y.Y, y.W, y.n_frames, y.load, y.change, self.loss)
        else:
            options = (y.n_sources, y.n_frames, y.load, y.kind(method))
            y.run(binwise_sweep, y.Y, y.W, y.C, *options, y.change, self.loss)
        loss: float = float(self.loss.sum()) / y.n_frames
        return loss
