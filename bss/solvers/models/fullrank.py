"""The full-rank local Gaussian model: a multichannel Wiener filter per bin and frame, learned from masks to begin with."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bss.backends import dispatch, protocol
from bss.backends.operations import Array
from bss.backends.protocol import Backend, Outputs
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
            self.losses.append(float(self.state.step()) / (spectra.n_bins * spectra.n_frames))
            if not np.isfinite(self.losses[-1]):
                raise SolverError(
                    "the full-rank model diverged", "its likelihood is no longer finite", "`bss check` on the recording"
                )
            if callback is not None:
                callback(i, self.losses[-1])

    def images(self, mic: int) -> tuple[Array, Array]:
        """(F, N, T) what microphone `mic` hears of each talker, and (N, M) the powers of the talkers at the microphones."""
        return self.state.images(mic)

    def covariances(self) -> Array:
        """R (F, N, M, M) of the talkers in every bin."""
        return self.state.covariances()


def with_known_covariances(X: Array, R: Array, n_iter: int) -> FullRank:
    """The model of X (F, M, T) by talkers whose covariances R (F, N, M, M) are known: EM of their powers alone."""
    M, N = X.shape[1], R.shape[1]
    backend, level = dispatch.of(X), mm.level(X)
    power = (abs(X) ** 2).sum(1) / (M * level**2)
    v = backend.cast(backend.stack([power / N] * N, 1), X.real)
    state = backend.full_rank(_outputs(backend, X, level), v, R, noise=NOISE)
    for _ in range(n_iter):
        state.step_powers()
    return FullRank(state)


def from_masks(X: Array, masks: Array) -> FullRank:
    """The model as masks (F, N, T) on X (F, M, T) suggest it: spreads of what is under each mask, its powers."""
    M = X.shape[1]
    backend, level = dispatch.of(X), mm.level(X)
    C, power = backend.masked_covariances(X, masks)
    v = masks * power[:, None]
    v /= M * level**2
    trace = backend.diagonal(C).sum(-1).real[:, :, None, None]
    R = C * (M / backend.where(trace > 1e-6, trace, 1e-6)) + BLUR * backend.array(np.eye(M), C)
    return FullRank(backend.full_rank(_outputs(backend, X, level), backend.cast(v, X.real), R, noise=NOISE))


def _outputs(backend: Backend, X: Array, level: float) -> Outputs:
    F, M, _ = X.shape
    return backend.outputs(X, np.broadcast_to(np.eye(M), (F, M, M)), M, level)
