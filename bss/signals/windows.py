"""Choosing the window length of an STFT for recordings that may be short."""

from __future__ import annotations

from collections.abc import Sequence

from bss.signals.stft import Stft

SHORTEST = 64  # samples


def fit_n_fft(lengths: int | Sequence[int], n_fft: int, min_frames: int, *, overlap: int = 4, shortest: float = SHORTEST) -> int:
    """`n_fft`, halved until the recording has `min_frames` frames or the window has `shortest` samples or fewer.

    Parameters
    ----------
    lengths : int, or list of int
        Samples of the recording, or of several excerpts whose frames are added up.
    n_fft : int
        The preferred window length in samples.
    min_frames : int
        Number of frames wanted. It may not be reached: see `n_frames`.
    overlap : int
        n_fft over hop.
    shortest : float
        Windows of at most this many samples are not halved.

    Examples
    --------
    >>> fit_n_fft(160_000, 8192, 60), fit_n_fft(32_000, 8192, 60), fit_n_fft([16_000, 16_000], 8192, 60)
    (8192, 2048, 2048)
    """
    while n_fft > shortest and n_frames(lengths, n_fft, overlap=overlap) < min_frames:
        n_fft //= 2
    return n_fft


def n_frames(lengths: int | Sequence[int], n_fft: int, *, overlap: int = 4) -> int:
    """Number of STFT frames of a recording of this length, or of several excerpts together."""
    stft = Stft(n_fft, n_fft // overlap)
    return sum(stft.n_frames(n) for n in ([lengths] if isinstance(lengths, int) else lengths))
