"""The STFT windows of the methods: long compared with the echo, but shorter in short recordings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bss.errors import InputError
from bss.signals.stft import Stft, nearest_size
from bss.signals.windows import fit_n_fft, n_frames

MEDIUM_SECONDS, LONG_SECONDS = 0.256, 0.512
FEWEST_FRAMES = 60  # of a medium window that overlaps by three quarters
# Frames of a long window, overlapping by three quarters, that ICA in every bin needs; with fewer than PLENTY they overlap by
# seven eighths, which helps the more the shorter the recording is.
FEWEST_LONG, PLENTY = 32, 500
FEWEST_SUBSET, SHORTEST_SUBSET_SECONDS = 70, 0.064  # frames and window length for counting talkers


def medium_window(n: int, rate: int) -> Stft:
    """A window of about MEDIUM_SECONDS, shorter if n samples have fewer than FEWEST_FRAMES frames.

    Raises
    ------
    InputError
        The recording is too short for any window.
    """
    n_fft = fit_n_fft(n, 1 << round(np.log2(MEDIUM_SECONDS * rate)), FEWEST_FRAMES)
    if n_frames(n, n_fft) < FEWEST_FRAMES:
        raise InputError(
            f"the recording is only {n / rate:.2f} s long ({n} samples)", "that is too short to learn demixing filters from",
            "a longer part; ten seconds or more work well",
        )  # fmt: skip
    return Stft(n_fft, n_fft // 4)


def long_window(n: int, rate: int) -> Stft:
    """A window of about LONG_SECONDS, for ICA in each bin; shorter if there would be too few frames.

    Raises
    ------
    InputError
        The recording is too short for any window.
    """
    medium_window(n, rate)
    n_fft = fit_n_fft(n, nearest_size(LONG_SECONDS * rate), FEWEST_LONG)
    return Stft(n_fft, n_fft // (8 if n_frames(n, n_fft) < PLENTY else 4))


def subset_window(lengths: Sequence[int], rate: int) -> tuple[Stft, int]:
    """A window of about LONG_SECONDS for signals of these lengths, and how often it was halved to get enough frames."""
    longest = nearest_size(LONG_SECONDS * rate)
    n_fft = fit_n_fft(lengths, longest, FEWEST_SUBSET, shortest=SHORTEST_SUBSET_SECONDS * rate)
    return Stft(n_fft), (longest // n_fft).bit_length() - 1
