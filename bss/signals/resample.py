"""Conversion of the sample rate."""

from __future__ import annotations

import numpy as np

from bss.errors import check_int


def resampled_length(n: int, rate: int, new_rate: int) -> int:
    """Samples at `new_rate` that cover `n` samples at `rate`."""
    return -(-n * new_rate // rate)


def resample(x: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Audio at another rate, with sample 0 at the same instant.

    Band-limited by libsoxr at its high quality setting. Samples that are not finite stay where they are, and spoil no others.

    Parameters
    ----------
    x : (M, n) float32
    rate, new_rate : int
        Hz.

    Returns
    -------
    (M, ceil(n * new_rate / rate)) float32

    Raises
    ------
    UsageError
        A rate below 1 Hz.

    References
    ----------
    R. Sykes, "The SoX Resampler library", https://sourceforge.net/projects/soxr

    Examples
    --------
    >>> x = np.zeros((2, 48000), np.float32)
    >>> resample(x, 48000, 16000).shape
    (2, 16000)
    """
    check_int("rate", rate, 1)
    check_int("new_rate", new_rate, 1)
    if rate == new_rate:
        return np.array(x)
    import librosa

    bad = ~np.isfinite(x)
    clean = np.where(bad, np.float32(0), x) if bad.any() else x
    converted = librosa.resample(clean, orig_sr=rate, target_sr=new_rate, res_type="soxr_hq", axis=-1)
    n = resampled_length(x.shape[-1], rate, new_rate)
    y: np.ndarray = librosa.util.fix_length(converted, size=n).astype(np.float32, copy=False)
    for channel, at in zip(*np.nonzero(bad), strict=True):
        y[channel, at * new_rate // rate] = x[channel, at]
    return y
