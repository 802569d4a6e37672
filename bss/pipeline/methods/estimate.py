"""The estimate of every method that learns a demixing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from bss.errors import UsageError
from bss.pipeline.filters import Demixing
from bss.pipeline.methods.base import Task
from bss.signals.stft import Stft
from bss.solvers.result import Separation

DELAY_FRAME_SECONDS = 0.256


@dataclass(frozen=True)
class LinearEstimate:
    """Talkers that a demixing makes of a recording, before they have a scale and an order.

    Attributes
    ----------
    method : str
        The name under which it is reported.
    separation : Separation
        Of `observed`.
    observed : np.ndarray
        (M, n) samples, or (F, M, T) spectra.
    stft : Stft or None
        What made the spectra.
    n_samples : int
        n of the recording.
    stages : mapping
        The solves that led here, by name, in order; the last is `separation`.
    source_model : mapping or None
        Why the learned source model was not applied, where it was asked.
    """

    method: str
    separation: Separation
    observed: np.ndarray = field(repr=False)
    stft: Stft | None
    n_samples: int
    stages: Mapping[str, Separation]
    source_model: Mapping[str, Any] | None = None

    @cached_property
    def demixing(self) -> Demixing:
        """W, and A, the one estimate of the mixing that scale, order and delays are read from."""
        return Demixing(self.separation.demixing, self.separation.mixing)

    def image_powers(self) -> np.ndarray:
        """(N, M) power of each talker at each microphone, up to one factor."""
        A, S = self.demixing.A, self.separation.sources
        if S.ndim == 2:
            S, A = S[None], A[None]
        own = np.stack([np.einsum("ft,ft->f", S[:, n], S[:, n].conj()).real for n in range(S.shape[1])], axis=1)  # (F, N)
        return np.asarray(np.einsum("fmn,fn->nm", np.abs(A) ** 2, own), np.float64)

    def cross_spectra(self, mics: np.ndarray) -> np.ndarray | None:
        """(F, N, M) of the images of each talker at every microphone and at their own; None where the mixing has no delays."""
        if self.stft is None:
            return None
        A = self.demixing.A.swapaxes(1, 2)  # (F, N, M)
        own = np.take_along_axis(A, np.broadcast_to(mics[:, None], (len(A), len(mics), 1)), axis=2)
        power = np.mean(np.abs(self.separation.sources) ** 2, axis=2)[:, :, None]
        return np.asarray(power * A * own.conj())

    def tracks(self, mics: np.ndarray) -> np.ndarray:
        """(N, n) float32: talker n as microphone mics[n] hears them."""
        Y = self.demixing.scaled(self.separation.sources, mics)
        return np.asarray(Y if self.stft is None else self.stft.inverse(Y, self.n_samples), np.float32)

    def linear_tracks(self, mics: np.ndarray) -> np.ndarray | None:
        """None: the tracks are linear already."""
        return None

    def separated(self, mics: np.ndarray) -> np.ndarray:
        """The tracks."""
        return self.tracks(mics)

    def model(self, order: np.ndarray, mics: np.ndarray) -> Demixing:
        """The demixing, in that order."""
        return self.demixing.ordered(order)


def linear(method: str, task: Task, stages: Mapping[str, Separation]) -> LinearEstimate:
    """The estimate whose last stage is the result.

    Raises
    ------
    UsageError
        That stage has no demixing.
    """
    last = list(stages.values())[-1]
    if last.demixing is None:
        raise UsageError(
            f"the method {method} gave a separation without a demixing",
            "tracks at any microphone need one, or an estimate of their own (bss.pipeline.methods.base.Estimate)",
            "a solver with a demixing, such as bss.auxiva",
        )  # fmt: skip
    return LinearEstimate(method, last, task.X, task.stft, task.x.shape[1], stages)


def cross_spectra_of_tracks(tracks: Callable[[np.ndarray], np.ndarray], mics: np.ndarray, n_mics: int, rate: int) -> np.ndarray:
    """(F, N, M) of talkers that no matrix makes: `tracks` gives them (N, n) at one microphone after another."""
    stft = Stft(1 << max(5, round(np.log2(DELAY_FRAME_SECONDS * rate))))
    own = stft.forward(tracks(mics))
    images = (stft.forward(tracks(np.full(len(mics), m))) for m in range(n_mics))
    return np.stack([np.einsum("fnt,fnt->fn", image, own.conj()) for image in images], axis=2)
