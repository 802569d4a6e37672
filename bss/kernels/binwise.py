"""Compiled iteration of ICA in every bin by itself, with weights 1 / |y| of a Laplace contrast, laid out as in `sweep`."""

from __future__ import annotations

import numba
import numpy as np

from bss.kernels import threads
from bss.kernels.frames import UPDATES, Frames
from bss.kernels.moves import move
from bss.kernels.small import FAST, INNER_FAST
from bss.kernels.sweep import outputs, outputs_pair, products, unpack, weigh, weigh_pair

# |y| below which the contrast is quadratic, smooth at zero. The solution has E|y| = 1, whatever the level of a bin.
CORE = 1e-3


@numba.njit(**INNER_FAST)
def laplace_weights(Y, f, b, here, phi):  # type: ignore[no-untyped-def]
    """phi[b, n, t] = 1 / max(|y_n|, CORE); returns the sum of the contrast over the frames that are not padding."""
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
        for t in range(here, phi.shape[2]):
            phi[b, n, t] = 0
        total += part
    return total


@numba.njit(**FAST)
def binwise_sweep(first, step, Y, W, C, n_sources, frames, share, update, change, loss):  # type: ignore[no-untyped-def]
    """One iteration, Y, W, C in place; change as in `frame_sweep`, loss[chunk] the contrast as the iteration began."""
    bins, blocks, m, _, size = Y.shape
    chunks = loss.shape[0]
    P, S = np.empty((m * m, size), Y.dtype), np.empty((m, 2, size), Y.dtype)
    phi = np.empty((blocks, n_sources, size), Y.dtype)
    G, V = np.empty((m * m, n_sources)), np.empty((n_sources, m, m), np.complex128)
    A, work, w = np.empty((m, m), np.complex128), np.empty((m, m), np.complex128), np.empty(m, np.complex128)
    loads = np.empty(n_sources)
    for c in range(first, chunks, step):
        change[c], loss[c] = 0.0, 0.0
        for f in range(c * bins // chunks, (c + 1) * bins // chunks):
            G[:] = 0.0
            for b in range(blocks):
                loss[c] += laplace_weights(Y, f, b, min(size, frames - b * size), phi)
                if m == 2:
                    weigh_pair(Y, f, b, phi, G)
                else:
                    products(Y, f, b, P)
                    weigh(P, phi, b, G)
            unpack(G, 1.0 / frames, V)
            change[c] += move(update, V, C, A, W, f, share, loads, work, w)
            for b in range(blocks):
                if m == 2:
                    outputs_pair(Y, f, b, A)
                else:
                    outputs(Y, f, b, A, S)


class Binwise:
    """ICA in every bin by itself, on the outputs in `frames`."""

    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        self.loss = np.zeros(threads.CHUNKS)

    def move(self, update: str) -> float:
        """One iteration; E[2 |y|] summed over bins and sources as it began."""
        f = self.frames
        how = (f.n_sources, f.n_frames, f.share, UPDATES[update])
        threads.run(binwise_sweep, f.Y, f.W, f.C, *how, f.change, self.loss)
        f.log_det += float(f.change.sum())
        loss: float = float(self.loss.sum()) / f.n_frames
        return loss
