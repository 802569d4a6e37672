"""Is it speech? How far the statistics of a track are from those of the speech that the source model has learned from.

Levels in bands, how they spread, how fast they move, which move together, and how loud and quiet moments follow each other: a
Gaussian over these numbers knows what speech in rooms is like, and nothing of what else there is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bss.signals.stft import Stft

BANDS, LOWEST_HZ, HIGHEST_HZ = 18, 100.0, 7000.0
RATE, STFT = 16_000, Stft(512, 256)
SLOW = 8  # frames, 128 ms: about a syllable
RIDGE = 0.1  # of the variance: fewer tracks than would tell all covariances


@dataclass(frozen=True)
class Likeness:
    """Mean and scale (D,) of the numbers, and their precision (D, D) at that scale."""

    mean: np.ndarray
    scale: np.ndarray
    precision: np.ndarray

    def distance(self, track: np.ndarray) -> float:
        """Mahalanobis distance over the root of D of a track (n,) at 16 kHz: about 0.7 for speech in a room."""
        z = (statistics(track) - self.mean) / self.scale
        return float(np.sqrt(max(z @ self.precision @ z, 0.0) / len(z)))


def fit(tracks: list[np.ndarray]) -> Likeness:
    """From tracks (n,) of speech."""
    X = np.array([statistics(track) for track in tracks])
    mean, scale = X.mean(0), np.maximum(X.std(0), 1e-6)
    covariance = np.cov(((X - mean) / scale).T) + RIDGE * np.eye(X.shape[1])
    return Likeness(mean, scale, np.linalg.inv(covariance))


def statistics(track: np.ndarray) -> np.ndarray:
    """(D,) numbers of a track (n,) at 16 kHz; its level does not matter."""
    P = np.abs(STFT.forward(np.asarray(track, np.float32)[None])[:, 0]) ** 2
    E = _filters() @ P
    L = 10 * np.log10(E / max(float(E.mean()), float(np.finfo(np.float32).tiny)) + 1e-5)
    moves = np.abs(np.diff(L, axis=1)).mean(1)
    slow = np.abs(L[:, SLOW:] - L[:, :-SLOW]).mean(1) if L.shape[1] > SLOW else moves
    deviation = L - L.mean(1, keepdims=True)
    length = np.maximum(np.linalg.norm(deviation, axis=1), 1e-6)
    C = (deviation @ deviation.T) / np.outer(length, length)
    together = [C[i, i + 1] for i in range(0, BANDS - 1, 2)] + [C[i, i + 6] for i in range(0, BANDS - 6, 2)]
    whole = L.mean(0)
    low, high = np.percentile(whole, [10, 90])
    rhythm = [whole.std(), low - high, np.abs(np.diff(whole)).mean()]
    return np.concatenate([L.mean(1), L.std(1), moves / (slow + 0.1), together, rhythm]).astype(np.float64)


def _filters() -> np.ndarray:
    """(BANDS, F) triangles, equally far apart in mel."""
    low, high = 2595 * np.log10(1 + np.array([LOWEST_HZ, HIGHEST_HZ]) / 700)
    mel = np.linspace(low, high, BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    hertz = np.arange(STFT.n_bins) * RATE / STFT.n_fft
    rise = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    return np.asarray(np.maximum(np.minimum(rise, fall), 0), np.float32)
