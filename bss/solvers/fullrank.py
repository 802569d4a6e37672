"""The full-rank local Gaussian model: a multichannel Wiener filter per bin and frame, learned from masks to begin with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bss.errors import SolverError
from bss.kernels import numbers, seam
from bss.solvers.mm import Callback

NOISE = 1e-6  # of the microphones, relative to the recording: 60 dB under it
PRIOR = 1e-4  # frames of sound from everywhere, as a share of all: keeps the spreads of the talkers from being singular


@dataclass
class FullRank:
    """N talkers, each with a power per bin and frame and a spread over the microphones per bin, and the filter they make.

    References
    ----------
    N. Q. K. Duong, E. Vincent and R. Gribonval, "Under-determined reverberant audio source separation using a full-rank
    spatial covariance model", IEEE TASLP 18(7), 2010.
    """

    state: Any
    losses: list[float] = field(default_factory=list)

    def learn(self, n_iter: int, callback: Callback | None = None) -> None:
        """So many iterations of EM. The likelihood rises long after the separation is at its best: there is no tolerance.

        Raises
        ------
        SolverError
            It diverged.
        """
        f = self.state.frames
        for i in range(n_iter):
            self.losses.append(self.state.step() / (f.n_bins * f.n_frames))
            if not np.isfinite(self.losses[-1]):
                raise SolverError("the full-rank model diverged", "its likelihood is no longer finite", "`bss check` on the recording")
            if callback is not None:
                callback(i, self.losses[-1])

    def images(self, mic: int) -> tuple[np.ndarray, np.ndarray]:
        """(F, N, T) what microphone `mic` hears of each talker, and (N, M) the powers of the talkers at the microphones."""
        images: tuple[np.ndarray, np.ndarray] = self.state.images(mic)
        return images


def from_masks(X: np.ndarray, masks: np.ndarray) -> FullRank:
    """The model as masks (F, N, T) on X (F, M, T) suggest it: spreads of what is under each mask, its powers."""
    F, M, T = X.shape
    kernels, level = seam.of(X), numbers.level(X)
    frames = kernels.Frames(X, np.broadcast_to(np.eye(M), (F, M, M)), M, level)
    R = np.empty((F, masks.shape[1], M, M), np.complex128)
    v = np.empty(masks.shape, X.real.dtype)
    for f in range(F):
        power = np.sum(np.abs(X[f]) ** 2, axis=0)
        v[f] = masks[f] * power / (M * level**2)
        Z = X[f] / np.sqrt(np.where(power > 0, power, 1))
        for n, mask in enumerate(masks[f]):
            C = (Z * mask) @ Z.conj().T
            R[f, n] = C * (M / max(np.trace(C).real, 1e-6)) + 10 * PRIOR * np.eye(M)
    return FullRank(kernels.FullRank(frames, v, R, noise=NOISE, prior=PRIOR * T))
