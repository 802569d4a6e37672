"""The full-rank local Gaussian model: a multichannel Wiener filter per bin and frame, learned from masks to begin with."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bss.backends import dispatch, protocol
from bss.errors import SolverError
from bss.solvers import mm
from bss.solvers.mm import Callback

NOISE = 1e-4  # of the microphones in every bin and frame, as a share of its power: 40 dB under it
BLUR = 1e-3  # share of sound from everywhere with which a spread begins


@dataclass
class FullRank:
    """N talkers, each with a power per bin and frame and a spread over the microphones per bin, and the filter they make.

    References
    ----------
    N. Q. K. Duong, E. Vincent and R. Gribonval, "Under-determined reverberant audio source separation using a full-rank
    spatial covariance model", IEEE TASLP 18(7), 2010.
    """

    state: protocol.FullRank
    losses: list[float] = field(default_factory=list)

    def learn(self, n_iter: int, callback: Callback | None = None) -> None:
        """So many iterations of EM. The likelihood rises long after the separation is at its best: there is no tolerance.

        Raises
        ------
        SolverError
            It diverged.
        """
        spectra = self.state.outputs
        for i in range(n_iter):
            self.losses.append(self.state.step() / (spectra.n_bins * spectra.n_frames))
            if not np.isfinite(self.losses[-1]):
                raise SolverError(
                    "the full-rank model diverged", "its likelihood is no longer finite", "`bss check` on the recording"
                )
            if callback is not None:
                callback(i, self.losses[-1])

    def images(self, mic: int) -> tuple[np.ndarray, np.ndarray]:
        """(F, N, T) what microphone `mic` hears of each talker, and (N, M) the powers of the talkers at the microphones."""
        return self.state.images(mic)

    def covariances(self) -> np.ndarray:
        """R (F, N, M, M) of the talkers in every bin."""
        return self.state.covariances()


def with_known_covariances(X: np.ndarray, R: np.ndarray, n_iter: int) -> FullRank:
    """The model of X (F, M, T) by talkers whose covariances R (F, N, M, M) are known: EM of their powers alone."""
    F, M, _ = X.shape
    backend, level = dispatch.of(X), mm.level(X)
    outputs = backend.outputs(X, np.broadcast_to(np.eye(M), (F, M, M)), M, level)
    power = np.sum(np.abs(X) ** 2, axis=1, keepdims=True) / (M * level**2)
    v = np.repeat(power / R.shape[1], R.shape[1], axis=1).astype(X.real.dtype)
    state = backend.full_rank(outputs, v, R, noise=NOISE)
    for _ in range(n_iter):
        state.step_powers()
    return FullRank(state)


def from_masks(X: np.ndarray, masks: np.ndarray) -> FullRank:
    """The model as masks (F, N, T) on X (F, M, T) suggest it: spreads of what is under each mask, its powers."""
    F, M, _ = X.shape
    backend, level = dispatch.of(X), mm.level(X)
    outputs = backend.outputs(X, np.broadcast_to(np.eye(M), (F, M, M)), M, level)
    R = np.empty((F, masks.shape[1], M, M), np.complex128)
    v = np.empty(masks.shape, X.real.dtype)
    for f in range(F):
        power = np.sum(np.abs(X[f]) ** 2, axis=0)
        v[f] = masks[f] * power / (M * level**2)
        Z = X[f] / np.sqrt(np.where(power > 0, power, 1))
        C = np.einsum("nt,mt,kt->nmk", masks[f], Z, Z.conj())  # not BLAS, whose sums depend on its number of threads
        trace = np.trace(C, axis1=1, axis2=2).real[:, None, None]
        R[f] = C * (M / np.maximum(trace, 1e-6)) + BLUR * np.eye(M)
    return FullRank(backend.full_rank(outputs, v, R, noise=NOISE))
