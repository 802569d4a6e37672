"""Generalised cross-correlation with phase transform (GCC-PHAT): from cross-spectra to time delays.

References
----------
C. Knapp and G. Carter, "The generalized correlation method for estimation of time delay", IEEE TASSP 24(4), 1976.
"""

from __future__ import annotations

import numpy as np


def phase_transform(cross: np.ndarray, *, floor: float = 0.0) -> np.ndarray:
    """Cross-spectra (F, ...) scaled to magnitude one; zero where they are zero or at most `floor` times the largest bin."""
    magnitude = np.abs(cross)
    phases: np.ndarray = cross / np.maximum(magnitude, np.finfo(magnitude.dtype).tiny)
    if floor:
        phases[magnitude <= floor * magnitude.max(0)] = 0
    return phases


def correlate(cross: np.ndarray, max_lag: int, *, upsampling: int = 1) -> np.ndarray:
    """Cross-correlation (2 * max_lag + 1, ...) of cross-spectra (F, ...), for lags of -max_lag to max_lag.

    Lags are in samples divided by `upsampling`, the factor by which the correlation is interpolated. With the
    cross-spectrum ``X1 * X0.conj()``, a positive lag means that signal 1 is later than signal 0.
    """
    r = np.fft.irfft(cross, n=2 * (len(cross) - 1) * upsampling, axis=0)
    return np.concatenate([r[len(r) - max_lag :], r[: max_lag + 1]])


def peaks(correlation: np.ndarray, *, upsampling: int = 1, signed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Lag in samples and height (...) of the highest peak of correlations (2 * max_lag + 1, ...); 0 of silence.

    Both polarities count, since a microphone may be wired in reverse, unless `signed` is set.
    """
    heights = correlation if signed else np.abs(correlation)
    lags = (heights.argmax(0) - len(heights) // 2) / upsampling
    highest = heights.max(0)
    return np.where(highest > 0, lags, 0.0), highest
