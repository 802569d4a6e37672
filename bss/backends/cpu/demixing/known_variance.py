"""Compiled updates with a variance of its own for every source, bin and frame, laid out as in `iva`."""

from __future__ import annotations

import numba
import numpy as np

from bss.backends.cpu import threads
from bss.backends.cpu.arithmetic.linalg import FAST, INNER_FAST
from bss.backends.cpu.compiling import compiled
from bss.backends.cpu.demixing.iva import iteration
from bss.backends.cpu.demixing.updates import make_room
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


@compiled(**FAST)
def known_variance_update(first, step, solve, R, update, change, loss):  # type: ignore[no-untyped-def]
    """One iteration with variances R (F, N, T), Y, W, C in place; change as in `frame_update`, loss[chunk] as it began."""
    Y, n_sources, chunks = solve.Y, R.shape[1], loss.shape[0]
    phi = np.empty((Y.shape[1], n_sources, Y.shape[4]), Y.dtype)
    room = make_room(Y, n_sources)
    for c in range(first, chunks, step):
        change[c], loss[c] = 0.0, 0.0
        for f in range(c * Y.shape[0] // chunks, (c + 1) * Y.shape[0] // chunks):
            for b in range(Y.shape[1]):
                loss[c] += known_weights(Y, R, f, b, solve.frames, phi)
            change[c] += iteration(update, solve, f, phi, room)


class KnownVariances:
    """Gauss with known variances R (F, N, T), for outputs at their level."""

    def __init__(self, outputs: Outputs, R: np.ndarray) -> None:
        self.outputs = outputs
        self.R = np.ascontiguousarray(R, outputs.dtype)
        self.loss = np.zeros(threads.CHUNKS)

    def update(self, method: str) -> float:
        """One iteration; E[|y|^2 / R + log R] summed over sources and bins as it began."""
        y = self.outputs
        y.run(known_variance_update, y.solve, self.R, y.kind(method), y.change, self.loss)
        loss: float = float(self.loss.sum()) / y.n_frames
        return loss
