"""From a choice to separated sources: which solvers run, in which order, on which arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bss.pipeline.choose import INSTANTANEOUS, Choice
from bss.pipeline.rooms import EFFORTS, polished, progressing, separate_room
from bss.signals.stft import Stft
from bss.solvers import iva, scaling
from bss.solvers.ica import fastica
from bss.solvers.infomax import infomax
from bss.solvers.result import Separation

AUXIVA_ITERATIONS = 50
NEURAL = "neural"  # FD-ICA first; what the source model makes of it comes after the tracks have their order


@dataclass(frozen=True)
class Solved:
    """Separated sources before they are given a scale and an order.

    Attributes
    ----------
    separation : Separation
        Of `observed`.
    observed : np.ndarray
        (M, n) samples, or (F, M, T) spectra.
    stft : Stft or None
        What made the spectra.
    n_samples : int
        n of the recording.
    stages : dict[str, Separation]
        The solves that led there, by name, in order; the last is `separation`.
    """

    separation: Separation
    observed: np.ndarray
    stft: Stft | None
    n_samples: int
    stages: dict[str, Separation]

    def mixing(self) -> np.ndarray:
        """A (M, N) or (F, M, N), see `scaling.mixing`."""
        return scaling.mixing(self.separation, self.observed)

    def image_powers(self) -> np.ndarray:
        """(N, M) power of each source at each microphone, up to one factor."""
        A, S = self.mixing(), self.separation.sources
        if S.ndim == 2:
            S, A = S[None], A[None]
        own = np.stack([np.einsum("ft,ft->f", S[:, n], S[:, n].conj()).real for n in range(S.shape[1])], axis=1)  # (F, N)
        return np.asarray(np.einsum("fmn,fn->nm", np.abs(A) ** 2, own), np.float64)

    def at(self, mics: np.ndarray) -> np.ndarray:
        """(N, n) float32: source n as microphone mics[n] hears it."""
        gain = np.take_along_axis(self.mixing(), np.broadcast_to(mics, (*self.mixing().shape[:-2], 1, len(mics))), -2)
        scaled = self.separation.sources * gain.swapaxes(-1, -2)
        return self.to_samples(scaled)

    def to_samples(self, Y: np.ndarray) -> np.ndarray:
        """(N, n) float32 of spectra (F, N, T), or of samples."""
        return np.asarray(Y if self.stft is None else self.stft.inverse(Y, self.n_samples), np.float32)


def separate(
    x: np.ndarray, choice: Choice, n_sources: int, *, rng: int = 0, progress: Callable[[float], Any] | None = None
) -> Solved:
    """Separate x (M, n) into n_sources as the choice says."""
    if choice.method in INSTANTANEOUS:
        solver = fastica if choice.method == "fastica" else infomax
        step = progressing(progress, 0, 50)
        separation = solver(x, n_sources=n_sources, rng=rng, callback=step)
        return Solved(separation, x, None, x.shape[1], {choice.method: separation})
    stft = Stft(choice.n_fft, choice.hop)
    X = stft.forward(x)
    if choice.method == "cacgmm":
        from bss.pipeline.masking import masked  # it builds on this module

        return masked(X, stft, x.shape[1], n_sources, rng=rng, progress=progress)
    if choice.method == "auxiva":
        step = progressing(progress, 0, AUXIVA_ITERATIONS)
        stages = {"auxiva": iva.auxiva(X, n_sources=n_sources, n_iter=AUXIVA_ITERATIONS, rng=rng, callback=step)}
    else:
        polish = choice.method == "ilrma"
        stages = separate_room(X, n_sources, effort=choice.effort, polish=polish, rng=rng, progress=progress)
    return Solved(list(stages.values())[-1], X, stft, x.shape[1], stages)


def without_model(solved: Solved, effort: str, rng: int) -> Solved:
    """What the source model steps aside for: ILRMA from the FD-ICA that was found, where it is any better."""
    first = solved.separation
    square = first.demixing.shape[1] == first.demixing.shape[2]
    if not square or not EFFORTS[effort].ilrma:
        return solved
    second = polished(solved.observed, first, effort=effort, rng=rng)
    return replace(solved, separation=second, stages={**solved.stages, "ilrma": second})
