"""ICA in a subset of the frequencies of a recording, with long windows and as many outputs as microphones, for counting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bss.errors import SolverError
from bss.signals.stft import Stft
from bss.solvers.demixing.fdica import fdica

LEAST_FRAMES = 24  # fewer do not suffice for ICA
LOWEST, HIGHEST, BINS = 200.0, 6000.0, 370
ITERATIONS = 20
ACTIVITY = "shares"  # for aligning the bins: log powers would confuse an output of echo with its talker
PARTS, PART_SECONDS = 12, 10.0  # of a long recording, spread over all of it since talkers pause


@dataclass(frozen=True)
class SubsetSeparation:
    """The outputs of ICA in a subset of the bins of a recording.

    Attributes
    ----------
    powers : np.ndarray
        (F, N, T) power of the outputs, summed over the microphones.
    relative_powers : np.ndarray
        (F, M, N) power of each output at each microphone, relative to the total power of that microphone in the bin.
    halvings : int
        How often the window was halved because the recording is short.
    """

    powers: np.ndarray
    relative_powers: np.ndarray
    halvings: int


def parts(n: int, rate: int) -> list[slice]:
    """All n samples, or PARTS excerpts spread over the recording if it is longer than these together."""
    length = round(PART_SECONDS * rate)
    if n <= PARTS * length:
        return [slice(0, n)]
    return [slice(start, start + length) for start in np.linspace(0, n - length, PARTS).astype(int).tolist()]


def separate_subset(spectra: Sequence[np.ndarray], stft: Stft, rate: int, halvings: int) -> SubsetSeparation | None:
    """Separate spectra (F, M, T) of excerpts of a recording in about BINS bins; None if they are too short or ICA fails."""
    n_mics, frames = spectra[0].shape[1], sum(X.shape[2] for X in spectra)
    if frames < max(LEAST_FRAMES, 4 * n_mics):
        return None
    first, last = (round(min(f, 0.45 * rate) / rate * stft.n_fft) for f in (LOWEST, HIGHEST))
    step = max(1, (last - first) // BINS)
    X = np.ascontiguousarray(np.concatenate([X[first : last + 1 : step] for X in spectra], axis=2))
    try:
        solved = fdica(X, n_iter=ITERATIONS, tol=0.0, activity=ACTIVITY)
        gains = np.abs(solved.mixing) ** 2
    except (SolverError, np.linalg.LinAlgError):
        return None
    powers = np.abs(solved.sources) ** 2
    return SubsetSeparation(gains.sum(1)[:, :, None] * powers, relative_powers(gains, powers, X), halvings)


def relative_powers(gains: np.ndarray, powers: np.ndarray, X: np.ndarray) -> np.ndarray:
    """(F, M, N) share of each source in the power of each microphone of X (F, M, T), from |A|^2 (F, M, N) and |Y|^2 (F, N, T)."""
    total = np.mean(np.abs(X) ** 2, axis=2)[:, :, None]
    return np.asarray(gains * powers.mean(2)[:, None] / np.where(total > 0, total, 1))
