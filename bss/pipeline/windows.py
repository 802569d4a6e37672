"""The STFT windows of the methods: as long as the echo wants, and as short as the recording makes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bss.errors import InputError
from bss.signals.stft import Stft, nearest_size
from bss.signals.windows import fit_n_fft, n_frames

MEDIUM_SECONDS, LONG_SECONDS = 0.256, 0.512
FEWEST_FRAMES = 60  # of a medium window that overlaps by three quarters
# Frames of a long window, overlapping by three quarters, that ICA in every bin needs; below PLENTY of them they overlap by seven
# eighths, which is the better the shorter the recording.
FEWEST_LONG, PLENTY = 32, 500
FEWEST_SUBSET, SHORTEST_SUBSET_SECONDS = 70, 0.064  # frames and length of the window that talkers are counted with


def medium_window(n: int, rate: int) -> Stft:
    """About MEDIUM_SECONDS, shorter where n samples give fewer than FEWEST_FRAMES of them.

    Raises
    ------
    InputError
        Too short even so.
    """
    n_fft = fit_n_fft(n, 1 << round(np.log2(MEDIUM_SECONDS * rate)), FEWEST_FRAMES)
    if n_frames(n, n_fft) < FEWEST_FRAMES:
        raise InputError(
            f"the recording is too short: {n} samples, {n / rate:.2f} s", "the echo of a room cannot be learned from so little",
            "a longer part of the recording; ten seconds or more are good",
        )  # fmt: skip
    return Stft(n_fft, n_fft // 4)


def long_window(n: int, rate: int) -> Stft:
    """About LONG_SECONDS, for ICA in every bin by itself; shorter where there would be too few frames.

    Raises
    ------
    InputError
        Too short for windows of any length.
    """
    medium_window(n, rate)
    n_fft = fit_n_fft(n, nearest_size(LONG_SECONDS * rate), FEWEST_LONG)
    return Stft(n_fft, n_fft // (8 if n_frames(n, n_fft) < PLENTY else 4))


def subset_window(lengths: Sequence[int], rate: int) -> tuple[Stft, int]:
    """A window of about LONG_SECONDS for a look into signals of these lengths, and how often it was halved to fit them."""
    longest = nearest_size(LONG_SECONDS * rate)
    n_fft = fit_n_fft(lengths, longest, FEWEST_SUBSET, shortest=SHORTEST_SUBSET_SECONDS * rate)
    return Stft(n_fft), (longest // n_fft).bit_length() - 1
