"""The estimate of the methods that learn a demixing matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from bss.errors import UsageError
from bss.pipeline.analysis.roles import Roles
from bss.pipeline.filters.models import Demixing
from bss.pipeline.methods.shared.base import Task
from bss.signals.stft import Stft
from bss.solvers.result import Separation

DELAY_FRAME_SECONDS = 0.256


@dataclass(frozen=True)
class LinearEstimate:
    """Outputs of a demixing matrix, before scaling and ordering.

    Attributes
    ----------
    method : str
        The name of the method in reports.
    separation : Separation
        The result of the last solver, for `observed`.
    observed : np.ndarray
        (M, n) samples, or (F, M, T) spectra.
    stft : Stft or None
        The window of the spectra.
    n_samples : int
        n of the recording.
    stages : mapping
        Name to result of each solver, in the order in which they ran; the last is `separation`.
    source_model : mapping or None
        Why the learned source model was not applied; None if the method does not use it.
    roles : Roles or None
        Which sounds are talkers; None if the method does not know.
    """

    method: str
    separation: Separation
    observed: np.ndarray = field(repr=False)
    stft: Stft | None
    n_samples: int
    stages: Mapping[str, Separation]
    source_model: Mapping[str, Any] | None = None
    roles: Roles | None = None

    @cached_property
    def demixing(self) -> Demixing:
        """W and A; scale, order and delays all follow from this A."""
        return Demixing(self.separation.demixing, self.separation.mixing)

    def image_powers(self) -> np.ndarray:
        """(N, M) power of each talker at each microphone, up to a common factor."""
        A, S = self.demixing.A, self.separation.sources
        if S.ndim == 2:
            S, A = S[None], A[None]
        powers = np.stack([np.einsum("ft,ft->f", S[:, n], S[:, n].conj()).real for n in range(S.shape[1])], axis=1)  # (F, N)
        return np.asarray(np.einsum("fmn,fn->nm", np.abs(A) ** 2, powers), np.float64)

    def cross_spectra(self, mics: np.ndarray) -> np.ndarray | None:
        """(F, N, M) of the images of talker n at every microphone and at mics[n]; None for an instantaneous mixture."""
        if self.stft is None:
            return None
        A = self.demixing.A.swapaxes(1, 2)  # (F, N, M)
        own = np.take_along_axis(A, np.broadcast_to(mics[:, None], (len(A), len(mics), 1)), axis=2)
        power = np.mean(np.abs(self.separation.sources) ** 2, axis=2)[:, :, None]
        return np.asarray(power * A * own.conj())

    def tracks(self, mics: np.ndarray) -> np.ndarray:
        """(N, n) float32: the image of talker n at microphone mics[n]."""
        Y = self.demixing.scaled(self.separation.sources, mics)
        return np.asarray(Y if self.stft is None else self.stft.inverse(Y, self.n_samples), np.float32)

    def linear_tracks(self, mics: np.ndarray) -> np.ndarray | None:
        """None: the tracks are linear already."""
        return None

    def separated(self, mics: np.ndarray) -> np.ndarray:
        """The tracks."""
        return self.tracks(mics)

    def model(self, order: np.ndarray, mics: np.ndarray) -> Demixing:
        """The demixing, with talker order[k] as track k."""
        return self.demixing.ordered(order)


def linear(method: str, task: Task, stages: Mapping[str, Separation]) -> LinearEstimate:
    """The estimate that consists of the last stage.

    Raises
    ------
    UsageError
        That stage has no demixing matrix.
    """
    last = list(stages.values())[-1]
    if last.demixing is None:
        raise UsageError(
            f"the method {method} returned a separation without a demixing matrix",
            "images at the microphones are computed from it", "a solver with a demixing matrix, such as bss.auxiva, or a method "
            "that returns an Estimate of its own (bss.pipeline.methods.shared.base)",
        )  # fmt: skip
    return LinearEstimate(method, last, task.X, task.stft, task.x.shape[1], stages)


def cross_spectra_of_tracks(tracks: Callable[[np.ndarray], np.ndarray], mics: np.ndarray, n_mics: int, rate: int) -> np.ndarray:
    """(F, N, M) cross-spectra of talkers without a demixing matrix, from their tracks (N, n) at each microphone."""
    stft = Stft(1 << max(5, round(np.log2(DELAY_FRAME_SECONDS * rate))))
    Y = stft.forward(tracks(mics))
    images = (stft.forward(tracks(np.full(len(mics), m))) for m in range(n_mics))
    return np.stack([np.einsum("fnt,fnt->fn", image, Y.conj()) for image in images], axis=2)
