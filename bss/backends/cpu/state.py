"""The state of a solve in the convolutive family: the outputs in planes and blocks, the demixing, and what the kernels leave."""

from __future__ import annotations

from typing import Any

import numpy as np

from bss.backends.cpu import layout, threads
from bss.backends.cpu.demixing import iss_batched, iva, low_rank
from bss.backends.cpu.demixing.updates import IP, IP2, ISS, ISS2, TWO
from bss.backends.numeric import floor

BLOCK_FRAMES = 512
ROUND_FRAMES = 16  # floats of the widest vector
# Share of the outputs' power by which covariances are loaded, by bytes of a sample. They are summed in double precision from
# outputs, which need no cancellation to be small: so little will do, and an output that is not above it holds nothing but
# roundings and keeps its row.
LOAD = {4: 1e-12, 8: 1e-15}
UPDATES = {"iss": ISS, "ip": IP, "iss2": ISS2, "ip2": IP2}


def aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeros that begin on a cache line: rows of a multiple of ROUND_FRAMES floats then never straddle two."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    begin = -raw.ctypes.data % 64
    return np.asarray(raw[begin : begin + size].view(dtype).reshape(shape))


class Frames:
    """Outputs Y = W X / level of all M rows (N sources, then background), in planes; W (F, M, M), C = E[y y^H] in complex128."""

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
        self.small = float(floor(self.dtype))
        self.share = LOAD[self.dtype.itemsize]
        self.change = np.zeros(threads.CHUNKS)
        self.log_det = 2.0 * float(np.linalg.slogdet(self.W)[1].sum())
        if n_sources < m:
            background = np.linalg.slogdet(self.C[:, n_sources:, n_sources:])[1]
            self.log_det -= float(background[np.isfinite(background)].sum())
        self._power: np.ndarray | None = None

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

    @property
    def outputs(self) -> tuple[int, ...]:
        """M as a type: a tuple of so many zeros, for which a kernel compiles code of its own."""
        m: int = self.Y.shape[2]
        return (0,) * m

    @property
    def n_bins(self) -> int:
        """F."""
        return len(self.Y)

    def demixing(self) -> np.ndarray:
        """(F, N, M) complex128 of X as it was given."""
        return np.asarray(self.W[:, : self.n_sources] / self.level)

    def bin_power(self) -> np.ndarray:
        """Mean over frames of |y_n|^2, (N, F)."""
        return np.asarray(np.diagonal(self.C, axis1=1, axis2=2).real[:, : self.n_sources].T)

    def power(self) -> np.ndarray:
        """Mean over bins of |y_n|^2, (N, T)."""
        if self._power is None:
            self._power = aligned((threads.CHUNKS, self.blocks, self.n_sources, self.size), self.dtype)
            threads.run(iva.frame_power, self.Y, self._power)
        return self.from_blocks(self._power.sum(0, dtype=np.float64)) / self.n_bins

    def move(self, phi: np.ndarray, update: str) -> None:
        """One iteration with weights phi (N, T) that all bins share."""
        if self._power is None:
            self._power = aligned((threads.CHUNKS, self.blocks, self.n_sources, self.size), self.dtype)
        blocked, group = self.to_blocks(phi), self.together(update)
        if group > 1:
            how = (blocked, self.n_frames, self.share, self._power, self.change)
            threads.run(iva.frame_sweep_together, self.outputs, group, self.Y, self.W, *how)
        else:
            options = (blocked, self.n_frames, self.share, self.kind(update), self._power, self.change)
            threads.run(iva.frame_sweep, self.Y, self.W, self.C, *options)
        self.log_det += float(self.change.sum())

    def kind(self, update: str) -> tuple[int, ...]:
        """What kernels take for an update: two sources of two microphones have an ISS of their own."""
        return TWO if update == "iss" and self.Y.shape[2] == self.n_sources == 2 else UPDATES[update]

    def together(self, update: str) -> int:
        """How many bins to steer at once; 1 where it is not ISS, of more than two sources, as many as microphones."""
        return iss_batched.together(self.Y) if update == "iss" and self.Y.shape[2] == self.n_sources > 2 else 1

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


class LowRank:
    """The variances of N sources as B H, and their step together with the demixing's; Student's t where dof is given."""

    def __init__(self, frames: Frames, B: np.ndarray, H: np.ndarray, dof: float | None = None) -> None:
        self.frames = frames
        self.tail = None if dof is None else frames.dtype.type(2.0 / (dof + 2.0))
        self.B = np.array(B, frames.dtype, order="C")  # a copy: the kernels write to it
        self.H = frames.to_blocks(H)
        shape = (threads.CHUNKS, *self.H.shape)
        self.above, self.below = aligned(shape, frames.dtype), aligned(shape, frames.dtype)
        self.loss = np.zeros(threads.CHUNKS)

    def H_mean(self) -> np.ndarray:
        """(N, K) mean of the activations."""
        return np.asarray(self.H.sum((0, 3), dtype=np.float64) / self.frames.n_frames)

    def move(self, update: str) -> float:
        """One iteration of spectra, demixing, activations; returns E[|y|^2 / R + log R] (or what Student's t has for it) summed
        over bins and sources as it was between the first two, and leaves the frames' log_det as it is after."""
        f = self.frames
        how = (f.n_frames, f.small, f.share, f.kind(update), self.tail)
        sums = (self.above, self.below, f.change, self.loss)
        threads.run(low_rank.lowrank_sweep, f.Y, f.W, f.C, self.B, self.H, self.H_mean(), *how, *sums)
        f.log_det += float(f.change.sum())
        f._power = None
        above, below = self.above.sum(0), self.below.sum(0)
        tiny = np.finfo(f.dtype).tiny
        self.H *= np.sqrt(above / np.maximum(below, tiny))
        mean = np.maximum(self.H_mean(), tiny)  # activations of mean one, the level in the spectra: neither drifts away
        np.maximum(self.H / mean[None, :, :, None].astype(f.dtype), f.dtype.type(f.small), out=self.H)
        self.B *= mean[:, None].astype(f.dtype)
        self.H[-1, ..., f.n_frames - (f.blocks - 1) * f.size :] = 0
        loss: float = float(self.loss.sum()) / f.n_frames
        return loss
