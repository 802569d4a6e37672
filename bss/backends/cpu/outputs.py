"""The outputs of a solve in the convolutive family: in blocks of frames, with the demixing that makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bss.backends.cpu import layout, threads
from bss.backends.cpu.demixing import iva
from bss.backends.cpu.demixing.updates import IP, IP2, ISS, ISS2, TWO, Solve
from bss.backends.numeric import LOADING, floor

BLOCK_FRAMES = 512
ROUND_FRAMES = 16  # floats of the widest vector
UPDATES = {"iss": ISS, "ip": IP, "iss2": ISS2, "ip2": IP2}


def aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeros that begin on a cache line: rows of a multiple of ROUND_FRAMES floats then never straddle two."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    begin = -raw.ctypes.data % 64
    return np.asarray(raw[begin : begin + size].view(dtype).reshape(shape))


class Outputs:
    """Outputs Y = W X / level of all M rows (N sources, then background); W (F, M, M), C = E[y y^H] in complex128.

    Kernels change Y, W and C in place, and only by way of `run`: what is known of the outputs beside them, their powers and
    log |det W|^2, would otherwise be that of other outputs.
    """

    def __init__(self, X: np.ndarray, W: np.ndarray, n_sources: int, level: float = 1.0) -> None:
        bins, m, frames = X.shape
        self.n_sources, self.n_frames = n_sources, frames
        self.blocks = -(-frames // BLOCK_FRAMES)
        per_block = -(-frames // self.blocks)
        self.size = -(-per_block // ROUND_FRAMES) * ROUND_FRAMES
        self.blocks = -(-frames // self.size)  # rounding may have left the last ones empty
        self.dtype = X.real.dtype
        self.Y = aligned((bins, self.blocks, m, 2, self.size), self.dtype)
        self.W = np.asarray(W, np.complex128).copy()
        self.level = level
        self.C = np.empty((bins, m, m), np.complex128)
        self._fill(X)
        self.floor = float(floor(self.dtype))
        # Covariances are summed in double precision from outputs, which need no cancellation to be small: little loading will
        # do, and an output that is not above it holds nothing but roundings and keeps its row.
        self.load = LOADING[self.dtype.itemsize]
        self.change = np.zeros(threads.CHUNKS)  # of log_det, where kernels leave it
        self._log_det = 2.0 * float(np.linalg.slogdet(self.W)[1].sum())
        if n_sources < m:
            background = np.linalg.slogdet(self.C[:, n_sources:, n_sources:])[1]
            self._log_det -= float(background[np.isfinite(background)].sum())
        self._power_sums: np.ndarray | None = None
        self._power_known = False

    def _fill(self, X: np.ndarray) -> None:
        """Y, C from X; a few bins at a time where X has to be put in order."""
        W = self.W / self.level
        if X.flags.c_contiguous:
            threads.run(layout.fill, threads.CHUNKS, X, W, self.Y, self.C)
            return
        step = max(1, (1 << 21) // max(1, X[0].nbytes))
        for start in range(0, len(X), step):
            f = slice(start, start + step)
            part = np.ascontiguousarray(X[f])
            threads.run(layout.fill, threads.CHUNKS, part, W[f], self.Y[f], self.C[f])

    def run(self, kernel: Callable[..., Any], *arguments: Any, powers: bool = False) -> None:
        """Run a kernel that changes the outputs and leaves in `change` by how much log_det; with `powers`, one that leaves their
        powers in `power_sums`, too."""
        self._power_known = False  # also if it fails half-way
        threads.run(kernel, *arguments)
        self._log_det += float(self.change.sum())
        self._power_known = powers

    @property
    def log_det(self) -> float:
        """Sum over bins of log |det W|^2, less log det of the background's covariance."""
        return self._log_det

    @property
    def power_sums(self) -> np.ndarray:
        """[chunk, b, n, t]: room for sums of |y_n|^2 over the bins of a chunk."""
        if self._power_sums is None:
            self._power_sums = aligned((threads.CHUNKS, self.blocks, self.n_sources, self.size), self.dtype)
        return self._power_sums

    @property
    def solve(self) -> Solve:
        """For kernels."""
        return Solve(self.Y, self.W, self.C, self.n_frames, self.load)

    @property
    def n_bins(self) -> int:
        """F."""
        return len(self.Y)

    def demixing(self) -> np.ndarray:
        """(F, N, M) complex128 of X as it was given."""
        return np.asarray(self.W[:, : self.n_sources] / self.level)

    def bin_power(self) -> np.ndarray:
        """Mean over frames of |y_n|^2, (N, F), as C has it: of the first outputs, or of the last where there is background."""
        return np.asarray(np.diagonal(self.C, axis1=1, axis2=2).real[:, : self.n_sources].T)

    def power(self) -> np.ndarray:
        """Mean over bins of |y_n|^2, (N, T)."""
        if not self._power_known:
            threads.run(iva.frame_power, self.Y, self.power_sums)
            self._power_known = True
        return self.from_blocks(self.power_sums.sum(0, dtype=np.float64)) / self.n_bins

    def update(self, phi: np.ndarray, method: str) -> None:
        """One iteration with weights phi (N, T) that all bins share."""
        self.run(iva.frame_update, self.solve, self.to_blocks(phi), self.kind(method), self.power_sums, self.change, powers=True)

    def kind(self, method: str) -> tuple[int, ...]:
        """What kernels take for an update: two sources of two microphones have an ISS of their own."""
        return TWO if method == "iss" and self.Y.shape[2] == self.n_sources == 2 else UPDATES[method]

    def to_blocks(self, a: np.ndarray) -> np.ndarray:
        """(..., T) to (blocks, ..., size), zeros behind the last frame."""
        blocked = aligned((self.blocks, *a.shape[:-1], self.size), self.dtype)
        for b in range(self.blocks):
            part = a[..., b * self.size : (b + 1) * self.size]
            blocked[b, ..., : part.shape[-1]] = part
        return blocked

    def from_blocks(self, a: np.ndarray) -> np.ndarray:
        """(blocks, ..., size) to (..., T)."""
        return np.asarray(np.concatenate(list(a), axis=-1)[..., : self.n_frames])
