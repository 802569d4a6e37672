"""ICA in some of the frequencies of a recording, with long windows and as many outputs as microphones: what counting needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bss.errors import SolverError
from bss.signals.stft import Stft
from bss.solvers.fdica import fdica

LEAST_FRAMES = 24  # below that nothing can be said
LOWEST, HIGHEST, BINS = 200.0, 6000.0, 370
ITERATIONS = 20
ACTIVITY = "shares"  # the bins are put in order by: log powers take an output of echo for its talker
PARTS, PART_SECONDS = 12, 10.0  # of a long recording: spread over all of it, for people do not speak all the time


@dataclass(frozen=True)
class SubsetSeparation:
    """What ICA makes of some bins of a recording.

    Attributes
    ----------
    powers : np.ndarray
        (F, N, T) of the outputs, summed over the microphones that hear them.
    spread : np.ndarray
        (F, M, N) power of each output at each microphone, relative to all that this microphone hears in the bin.
    halved : int
        How often the window was halved because the recording is short.
    """

    powers: np.ndarray
    spread: np.ndarray
    halved: int


def parts(n: int, rate: int) -> list[slice]:
    """The whole of n samples, or PARTS parts from the first to the last where they are longer than these together."""
    length = round(PART_SECONDS * rate)
    if n <= PARTS * length:
        return [slice(0, n)]
    return [slice(start, start + length) for start in np.linspace(0, n - length, PARTS).astype(int).tolist()]


def separate_subset(spectra: Sequence[np.ndarray], stft: Stft, rate: int, halved: int) -> SubsetSeparation | None:
    """Take spectra (F, M, T) of the parts of a recording apart in about BINS bins; None where ICA fails or they are too short."""
    n_mics, frames = spectra[0].shape[1], sum(X.shape[2] for X in spectra)
    if frames < max(LEAST_FRAMES, 4 * n_mics):
        return None
    first, last = (round(min(f, 0.45 * rate) / rate * stft.n_fft) for f in (LOWEST, HIGHEST))
    step = max(1, (last - first) // BINS)
    X = np.ascontiguousarray(np.concatenate([part[first : last + 1 : step] for part in spectra], axis=2))
    try:
        solved = fdica(X, n_iter=ITERATIONS, tol=0.0, activity=ACTIVITY)
        gains = np.abs(solved.mixing) ** 2
    except (SolverError, np.linalg.LinAlgError):
        return None
    own = np.abs(solved.sources) ** 2
    return SubsetSeparation(gains.sum(1)[:, :, None] * own, relative_powers(gains, own, X), halved)


def relative_powers(gains: np.ndarray, own: np.ndarray, X: np.ndarray) -> np.ndarray:
    """(F, M, N) from gains |A|^2 (F, M, N) and |Y|^2 (F, N, T): power of each source at each microphone of X, as its share."""
    heard = np.mean(np.abs(X) ** 2, axis=2)[:, :, None]
    return np.asarray(gains * own.mean(2)[:, None] / np.where(heard > 0, heard, 1))
