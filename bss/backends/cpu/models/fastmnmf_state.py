"""The state of FastMNMF2 beside the outputs: low-rank variances of the sources, and how they spread over the outputs."""

from __future__ import annotations

import numpy as np

from bss.backends.cpu import threads
from bss.backends.cpu.models import fastmnmf
from bss.backends.cpu.outputs import UPDATES, Outputs, aligned
from bss.backends.numeric import LEAST_VARIANCE


class FastMnmf:
    """Low-rank variances B H of N sources, spread by g (N, M) over the outputs, and their steps together with Q's.

    B (N, F, K), H (N, K, T) of mean one, and g of rows that sum to one: the level is in B.
    """

    def __init__(self, outputs: Outputs, B: np.ndarray, H: np.ndarray, g: np.ndarray) -> None:
        self.outputs = outputs
        self.B = np.array(B, outputs.dtype, order="C")  # copies: the kernels and steps write to them
        self.H = outputs.to_blocks(H)
        self.g = np.array(g, outputs.dtype, order="C")
        shape = (threads.CHUNKS, *self.H.shape)
        self.above, self.below = aligned(shape, outputs.dtype), aligned(shape, outputs.dtype)
        self.sums = np.zeros((threads.CHUNKS, *self.g.T.shape, 2))
        self.loss = np.zeros(threads.CHUNKS)
        self._level()

    def H_mean(self) -> np.ndarray:
        """(N, K) mean of the activations."""
        return np.asarray(self.H.sum((0, 3), dtype=np.float64) / self.outputs.n_frames)

    @property
    def model(self) -> fastmnmf.Model:
        """For kernels."""
        return fastmnmf.Model(self.B, self.H, self.H_mean(), self.g, self.outputs.floor)

    def update(self, method: str) -> float:
        """One iteration of spectra, diagonaliser, activations and g, each with the others as they are by then.

        Returns E[|z|^2 / v + log v] summed over bins and outputs as it was between the first two, and leaves log_det as
        it is after.
        """
        y = self.outputs
        sums = (self.above, self.below)
        y.run(fastmnmf.diagonaliser_update, y.solve, self.model, UPDATES[method], sums, y.change, self.loss)
        above, below = self.above.sum(0), self.below.sum(0)
        self.H *= np.sqrt(above / np.maximum(below, np.finfo(y.dtype).tiny))
        self._level()
        threads.run(fastmnmf.spread_sums, y.Y, self.model, self.sums)
        ratio = self.sums.sum(0).T
        self.g *= np.sqrt(ratio[0] / np.maximum(ratio[1], np.finfo(np.float64).tiny)).astype(y.dtype)
        self._level()
        loss: float = float(self.loss.sum()) / y.n_frames
        return loss

    def _level(self) -> None:
        """Activations of mean one and rows of g that sum to one, the level in the spectra: none of them drifts away."""
        y = self.outputs
        mean = np.maximum(self.H_mean(), np.finfo(y.dtype).tiny)
        np.maximum(self.H / mean[None, :, :, None].astype(y.dtype), y.dtype.type(y.floor), out=self.H)
        self.H[-1, ..., y.n_frames - (y.blocks - 1) * y.size :] = 0
        np.maximum(self.g, y.dtype.type(LEAST_VARIANCE), out=self.g)
        total = self.g.sum(1, dtype=np.float64)
        self.g /= total[:, None].astype(y.dtype)
        self.B *= (mean * total[:, None])[:, None].astype(y.dtype)
        np.maximum(self.B, y.dtype.type(LEAST_VARIANCE), out=self.B)

    def covariances(self) -> np.ndarray:
        """(F, N, M, M), of trace M: Q^-1 diag(g_n) Q^-H, eq. 31 of Sekiguchi et al. (2020)."""
        A = np.linalg.inv(self.outputs.W)
        R = np.einsum("fim,nm,fjm->fnij", A, self.g.astype(np.float64), A.conj())
        return np.asarray(R * (R.shape[-1] / np.trace(R, axis1=2, axis2=3).real[:, :, None, None]))

    def wiener(self, reference_mic: int) -> np.ndarray:
        """(F, N, T) sources at one microphone, in its units; they sum to what it recorded."""
        y = self.outputs
        mixing = np.ascontiguousarray(np.linalg.inv(y.W)[:, reference_mic] * y.level)
        images = np.empty((y.n_bins, len(self.g), y.n_frames, 2), y.dtype)
        threads.run(fastmnmf.wiener_filter, threads.CHUNKS, y.Y, self.model, mixing, images)
        return np.asarray(images.view(np.result_type(y.dtype, np.complex64))[..., 0])
