"""Compiled iteration of ICA in every bin by itself, with weights 1 / |y| of a Laplace contrast, laid out as in `iva`."""

from __future__ import annotations

import numba
import numpy as np

from bss.backends.cpu import threads
from bss.backends.cpu.arithmetic.linalg import FAST, INLINED, INNER_FAST
from bss.backends.cpu.compiling import compiled
from bss.backends.cpu.demixing.iva import iteration
from bss.backends.cpu.demixing.updates import make_room
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


@compiled(**FAST)
def bin_update(first, step, solve, n_sources, update, change, loss):  # type: ignore[no-untyped-def]
    """One iteration, Y, W, C in place; change as in `frame_update`, loss[chunk] the contrast as the iteration began."""
    Y, chunks = solve.Y, loss.shape[0]
    phi = np.zeros((Y.shape[1], n_sources, Y.shape[4]), Y.dtype)  # padding stays zero
    room = make_room(Y, n_sources)
    for c in range(first, chunks, step):
        change[c], loss[c] = 0.0, 0.0
        for f in range(c * Y.shape[0] // chunks, (c + 1) * Y.shape[0] // chunks):
            loss[c] += bin_weights(Y, f, solve.frames, phi)
            change[c] += iteration(update, solve, f, phi, room)


class BinwiseLaplace:
    """ICA in every bin by itself."""

    def __init__(self, outputs: Outputs) -> None:
        self.outputs = outputs
        self.loss = np.zeros(threads.CHUNKS)

    def update(self, method: str) -> float:
        """One iteration; E[2 |y|] summed over bins and sources as it began."""
        y = self.outputs
        y.run(bin_update, y.solve, y.n_sources, y.kind(method), y.change, self.loss)
        loss: float = float(self.loss.sum()) / y.n_frames
        return loss
