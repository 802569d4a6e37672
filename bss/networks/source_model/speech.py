"""Is it speech? How far the statistics of a track are from those of the speech that the source model has learned from.

Levels in bands, how they spread, how fast they move, which move together, and how loud and quiet moments follow each other: a
Gaussian over these numbers knows what speech in rooms is like, and nothing of what else there is. Sneezes, dogs, clocks, fires
and noise that comes and goes as syllables do may pass for speech by them; but no voice glides through them (`voiced`). Through a
saw it does, but few saws that sound like speech have syllables (`syllables`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bss.signals.stft import Stft

BANDS, LOWEST_HZ, HIGHEST_HZ = 18, 100.0, 7000.0
RATE, STFT = 16_000, Stft(512, 256)
PITCH = Stft(1024, 256)
PITCH_BINS = 256  # up to 4 kHz, of which lag k of the cepstrum is k / 8 ms
LAGS = slice(20, 110)  # 2.5 to 13.8 ms: voices of 73 to 400 Hz
LOUD = 60  # percentile of the frames' power, above which a frame is looked at
PEAK = 0.2  # of the cepstrum, where there is a pitch: noise in a room seldom has as much
GLIDE = 0.06  # share by which the period of a voice may change in 16 ms
SYLLABLES_HZ, RHYTHM_HZ = (1.5, 9.0), (0.3, 30.0)
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


def voiced(track: np.ndarray) -> float:
    """Share of the loud neighbouring frames of a track (n,) at 16 kHz through which one period glides, from 0 to 1.

    0.45 to 0.9 for a voice in a room, 0.3 where the echo is long and others are left; 0.2 to 0.34 for barks and sneezes, whose
    periods jump; below 0.1 for rain.
    """
    P = np.abs(PITCH.forward(np.asarray(track, np.float32)[None])[:PITCH_BINS, 0]) ** 2
    power = P.sum(0)
    loud = power >= np.percentile(power, LOUD)
    level = np.log(P[:, loud] + np.float32(1e-6) * P[:, loud].mean() + np.finfo(np.float32).tiny)
    level -= level.mean(1, keepdims=True)  # a room colours noise with periods of its own, but always the same ones
    cepstrum = np.abs(np.fft.irfft(level, n=2 * PITCH_BINS, axis=0)[LAGS])
    clear, period = cepstrum.max(0) > PEAK, cepstrum.argmax(0) + LAGS.start
    neighbours = np.diff(np.flatnonzero(loud)) == 1
    glides = np.abs(np.diff(period)) <= GLIDE * period[1:]
    return float((neighbours & glides & clear[1:] & clear[:-1]).sum() / max(neighbours.sum(), 1))


def syllables(track: np.ndarray) -> float:
    """Share of the rhythm of a track (n,) at 16 kHz that is as fast as syllables, from 0 to 1.

    About 0.9 for speech, at least 0.3 in long echo; 0.1 to 0.45 for saws.
    """
    envelope = np.sqrt((np.abs(PITCH.forward(np.asarray(track, np.float32)[None])[:PITCH_BINS, 0]) ** 2).sum(0))
    rhythm = np.abs(np.fft.rfft((envelope - envelope.mean()) * np.hanning(len(envelope)))) ** 2
    hertz = np.fft.rfftfreq(len(envelope), PITCH.hop / RATE)
    within = [float(rhythm[(hertz > low) & (hertz < high)].sum()) for low, high in (SYLLABLES_HZ, RHYTHM_HZ)]
    return within[0] / max(within[1], float(np.finfo(np.float32).tiny))


def _filters() -> np.ndarray:
    """(BANDS, F) triangles, equally far apart in mel."""
    low, high = 2595 * np.log10(1 + np.array([LOWEST_HZ, HIGHEST_HZ]) / 700)
    mel = np.linspace(low, high, BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    hertz = np.arange(STFT.n_bins) * RATE / STFT.n_fft
    rise = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    return np.asarray(np.maximum(np.minimum(rise, fall), 0), np.float32)
