"""The state of FastMNMF2 beside the outputs: low-rank variances of the sources, and how they spread over the outputs."""

from __future__ import annotations

import numpy as np

from bss.backends.cpu import threads
from bss.backends.cpu.demixing.low_rank import SILENCE
from bss.backends.cpu.models import fastmnmf
from bss.backends.cpu.state import UPDATES, Frames, aligned


class Directions:
    """Low-rank variances B H of N sources, spread by g (N, M) over the outputs of `frames`, and their steps together with Q's.

    B (N, F, K), H (N, K, T) of mean one, and g of rows that sum to one: the level is in B.
    """

    def __init__(self, frames: Frames, B: np.ndarray, H: np.ndarray, g: np.ndarray) -> None:
        self.frames = frames
        self.B = np.array(B, frames.dtype, order="C")  # copies: the kernels and steps write to them
        self.H = frames.to_blocks(H)
        self.g = np.array(g, frames.dtype, order="C")
        shape = (threads.CHUNKS, *self.H.shape)
        self.above, self.below = aligned(shape, frames.dtype), aligned(shape, frames.dtype)
        self.sums = np.zeros((threads.CHUNKS, *self.g.T.shape, 2))
        self.loss = np.zeros(threads.CHUNKS)
        self._level()

    def H_mean(self) -> np.ndarray:
        """(N, K) mean of the activations."""
        return np.asarray(self.H.sum((0, 3), dtype=np.float64) / self.frames.n_frames)

    def move(self, update: str) -> float:
        """One iteration of spectra, diagonaliser, activations and g, each with the others as they are by then.

        Returns E[|z|^2 / v + log v] summed over bins and outputs as it was between the first two, and leaves the frames'
        log_det as it is after.
        """
        f = self.frames
        how = (f.n_frames, f.small, f.share, UPDATES[update])
        sums = (self.above, self.below, f.change, self.loss)
        threads.run(fastmnmf.diagonal_sweep, f.Y, f.W, f.C, self.B, self.H, self.H_mean(), self.g, *how, *sums)
        f.log_det += float(f.change.sum())
        f._power = None
        above, below = self.above.sum(0), self.below.sum(0)
        self.H *= np.sqrt(above / np.maximum(below, np.finfo(f.dtype).tiny))
        self._level()
        threads.run(fastmnmf.direction_sweep, f.Y, self.B, self.H, self.H_mean(), self.g, f.small, self.sums)
        ratio = self.sums.sum(0).T
        self.g *= np.sqrt(ratio[0] / np.maximum(ratio[1], np.finfo(np.float64).tiny)).astype(f.dtype)
        self._level()
        loss: float = float(self.loss.sum()) / f.n_frames
        return loss

    def _level(self) -> None:
        """Activations of mean one and rows of g that sum to one, the level in the spectra: none of them drifts away."""
        f = self.frames
        mean = np.maximum(self.H_mean(), np.finfo(f.dtype).tiny)
        np.maximum(self.H / mean[None, :, :, None].astype(f.dtype), f.dtype.type(f.small), out=self.H)
        self.H[-1, ..., f.n_frames - (f.blocks - 1) * f.size :] = 0
        np.maximum(self.g, f.dtype.type(SILENCE), out=self.g)
        total = self.g.sum(1, dtype=np.float64)
        self.g /= total[:, None].astype(f.dtype)
        self.B *= (mean * total[:, None])[:, None].astype(f.dtype)
        np.maximum(self.B, f.dtype.type(SILENCE), out=self.B)

    def wiener(self, reference_mic: int) -> np.ndarray:
        """(F, N, T) sources at one microphone, in its units; they sum to what it recorded."""
        f = self.frames
        mixing = np.ascontiguousarray(np.linalg.inv(f.W)[:, reference_mic] * f.level)
        images = np.empty((f.n_bins, len(self.g), f.n_frames, 2), f.dtype)
        threads.run(fastmnmf.wiener_sweep, threads.CHUNKS, f.Y, self.B, self.H, self.g, mixing, images)
        return np.asarray(images.view(np.result_type(f.dtype, np.complex64))[..., 0])
