"""A quick look inside a recording: ICA in some of its frequencies, long windows, as many outputs as microphones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bss.errors import SolverError
from bss.signals.stft import Stft, nearest_size
from bss.solvers import scaling
from bss.solvers.fdica import fdica

FRAME_SECONDS = 0.512  # long: echo that is left outside of a window looks like one more talker
SHORTEST_SECONDS = 0.064
FEWEST_FRAMES, LEAST_FRAMES = 70, 24  # below the first the window is halved; below the second nothing can be told
LOWEST, HIGHEST, BINS = 200.0, 6000.0, 370
ITERATIONS = 20
ACTIVITY = "shares"  # the bins are put in order by: log powers take an output of echo for its talker
PARTS, PART_SECONDS = 12, 10.0  # of a long recording: spread over all of it, for people do not speak all the time


@dataclass(frozen=True)
class Trial:
    """What was found in some bins of a recording.

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


def trial(x: np.ndarray, rate: int) -> Trial | None:
    """Take x (M, n) apart in about BINS bins; None where it is too short for that, or ICA fails."""
    parts = _parts(x, rate)
    lengths = [part.shape[1] for part in parts]
    n_fft, halved = long_window(lengths, rate)
    if n_frames(lengths, n_fft) < max(LEAST_FRAMES, 4 * len(x)):
        return None
    first, last = (round(min(f, 0.45 * rate) / rate * n_fft) for f in (LOWEST, HIGHEST))
    step = max(1, (last - first) // BINS)
    spectra = [Stft(n_fft).forward(part)[first : last + 1 : step] for part in parts]
    X = np.ascontiguousarray(np.concatenate(spectra, axis=2))
    try:
        found = fdica(X, n_iter=ITERATIONS, tol=0.0, activity=ACTIVITY)
        gains = np.abs(scaling.mixing(found, X)) ** 2
    except (SolverError, np.linalg.LinAlgError):
        return None
    own = np.abs(found.sources) ** 2
    return Trial(gains.sum(1)[:, :, None] * own, relative_powers(gains, own, X), halved)


def relative_powers(gains: np.ndarray, own: np.ndarray, X: np.ndarray) -> np.ndarray:
    """(F, M, N) from gains |A|^2 (F, M, N) and |Y|^2 (F, N, T): power of each source at each microphone of X, as its share."""
    heard = np.mean(np.abs(X) ** 2, axis=2)[:, :, None]
    return np.asarray(gains * own.mean(2)[:, None] / np.where(heard > 0, heard, 1))


def long_window(lengths: Sequence[int], rate: int) -> tuple[int, int]:
    """Samples of a window of about FRAME_SECONDS, halved until there are FEWEST_FRAMES of it; and how often it was halved."""
    n_fft, halved = nearest_size(FRAME_SECONDS * rate), 0
    while n_fft > SHORTEST_SECONDS * rate and n_frames(lengths, n_fft) < FEWEST_FRAMES:
        n_fft, halved = n_fft // 2, halved + 1
    return n_fft, halved


def n_frames(lengths: Sequence[int], n_fft: int) -> int:
    """Frames of signals of these lengths, together."""
    return sum(Stft(n_fft).n_frames(length) for length in lengths)


def _parts(x: np.ndarray, rate: int) -> list[np.ndarray]:
    """x, or PARTS parts of it from its beginning to its end where it is longer than these."""
    length = round(PART_SECONDS * rate)
    if x.shape[1] <= PARTS * length:
        return [x]
    starts = np.linspace(0, x.shape[1] - length, PARTS).astype(int)
    return [np.ascontiguousarray(x[:, start : start + length]) for start in starts]
