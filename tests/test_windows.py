"""The window length that fits a recording, against the four rules it replaces, each written out."""

from __future__ import annotations

import numpy as np
import pytest

from bss.signals.stft import Stft, nearest_size
from bss.signals.windows import fit_n_fft, n_frames

RATES = (1000, 8000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000)
LENGTHS = sorted({round(n) for n in np.geomspace(1, 3_000_000, 300)})


def frames(n: int, n_fft: int, hop: int) -> int:
    """Frames of n samples that start every `hop` samples, the first ending with the first `hop` samples."""
    return -(-(n + n_fft - hop) // hop)


@pytest.mark.parametrize("rate", RATES)
def test_short_windows_of_a_power_of_two(rate: int) -> None:
    for n in LENGTHS:
        expected = longest = 1 << round(np.log2(0.256 * rate))
        while expected > 64 and frames(n, expected, expected // 4) < 60:
            expected //= 2
        assert fit_n_fft(n, longest, 60) == expected


@pytest.mark.parametrize("rate", RATES)
def test_long_windows_where_the_short_ones_fit(rate: int) -> None:
    for n in LENGTHS:
        if n_frames(n, fit_n_fft(n, 1 << round(np.log2(0.256 * rate)), 60)) < 60:
            continue  # refused
        expected = longest = nearest_size(0.512 * rate)
        while frames(n, expected, expected // 4) < 32:
            expected //= 2
        assert fit_n_fft(n, longest, 32) == expected


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("excerpts", [1, 2, 12])
def test_windows_of_several_excerpts(rate: int, excerpts: int) -> None:
    for n in LENGTHS:
        expected, halved = longest, _ = nearest_size(0.512 * rate), 0
        while expected > 0.064 * rate and excerpts * frames(n, expected, expected // 4) < 70:
            expected, halved = expected // 2, halved + 1
        n_fft = fit_n_fft([n] * excerpts, longest, 70, shortest=0.064 * rate)
        assert n_fft == expected
        assert (longest // n_fft).bit_length() - 1 == halved


@pytest.mark.parametrize("rate", RATES)
def test_windows_with_more_overlap(rate: int) -> None:
    for n in LENGTHS:
        expected = longest = nearest_size(1.0 * rate)
        while expected > 64 and frames(n, expected, expected // 8) < 64:
            expected //= 2
        assert fit_n_fft(n, longest, 64, overlap=8) == expected


def test_frames_are_those_of_the_stft() -> None:
    x = np.zeros((1, 1234), np.float32)
    assert n_frames(1234, 128) == Stft(128, 32).forward(x).shape[2]
    assert n_frames([1234, 7], 128, overlap=8) == Stft(128, 16).n_frames(1234) + Stft(128, 16).n_frames(7)
