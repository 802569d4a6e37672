"""Compiled moves with a variance of its own for every source, bin and frame, laid out as in `sweep`."""

from __future__ import annotations

import numba
import numpy as np

from bss.backends.cpu import threads
from bss.backends.cpu.demixing.iva import all_outputs, covariance_sums, one_move
from bss.backends.cpu.linalg import FAST, INNER_FAST
from bss.backends.cpu.outputs import Outputs


@numba.njit(**INNER_FAST)
def known_weights(Y, R, f, b, frames, phi):  # type: ignore[no-untyped-def]
    """phi[b, n, t] = 1 / R[f, n, b size + t], zero behind the last frame; returns sum |y|^2 / R + log R."""
    size = phi.shape[2]
    here = min(size, frames - b * size)
    total = 0.0
    for n in range(phi.shape[1]):
        fit = Y.dtype.type(0)
        spread = 0.0
        for t in range(here):
            r = R[f, n, b * size + t]
            phi[b, n, t] = 1 / r
            fit += (Y[f, b, n, 0, t] * Y[f, b, n, 0, t] + Y[f, b, n, 1, t] * Y[f, b, n, 1, t]) / r
            spread += np.log(r)
        for t in range(here, size):
            phi[b, n, t] = 0
        total += fit + spread
    return total


@numba.njit(**FAST)
def known_variance_sweep(first, step, Y, W, C, R, frames, share, update, change, loss):  # type: ignore[no-untyped-def]
    """One iteration with variances R (F, N, T), Y, W, C in place; change as in `frame_sweep`, loss[chunk] as it began."""
    bins, blocks, m, _, size = Y.shape
    n_sources, chunks = R.shape[1], loss.shape[0]
    P, S = np.empty((m * m, size), Y.dtype), np.empty((m, 2, size), Y.dtype)
    phi = np.empty((blocks, n_sources, size), Y.dtype)
    G, V = np.empty((m * m, n_sources)), np.empty((n_sources, m, m), np.complex128)
    A, work, w = np.empty((m, m), np.complex128), np.empty((m, m), np.complex128), np.empty(m, np.complex128)
    loads = np.empty(n_sources)
    for c in range(first, chunks, step):
        change[c], loss[c] = 0.0, 0.0
        for f in range(c * bins // chunks, (c + 1) * bins // chunks):
            for b in range(blocks):
                loss[c] += known_weights(Y, R, f, b, frames, phi)
            covariance_sums(update, Y, f, phi, P, G)
            change[c] += one_move(update, G, 1.0 / frames, V, C, A, W, f, share, loads, work, w)
            all_outputs(update, Y, f, A, S)


class KnownVariances:
    """Gauss with known variances R (F, N, T), for outputs at their level."""

    def __init__(self, outputs: Outputs, R: np.ndarray) -> None:
        self.outputs = outputs
        self.R = np.ascontiguousarray(R, outputs.dtype)
        self.loss = np.zeros(threads.CHUNKS)

    def update(self, method: str) -> float:
        """One iteration; E[|y|^2 / R + log R] summed over sources and bins as it began."""
        y = self.outputs
        options = (y.n_frames, y.load, y.kind(method), y.change, self.loss)
        y.run(known_variance_sweep, y.Y, y.W, y.C, self.R, *options)
        loss: float = float(self.loss.sum()) / y.n_frames
        return loss
