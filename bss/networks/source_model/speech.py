"""Is it speech? How far the statistics of a track are from those of the speech that the source model has learned from.

Levels in bands, how they spread, how fast they change, which change together, and how loud and quiet moments follow each other:
a Gaussian over these numbers knows what speech in rooms is like, and nothing of what else there is. Sneezes, dogs, clocks, fires
and noise that swells and fades as syllables do may pass for speech by them; but no voice glides through them (`voiced`). Through
a saw it does, but few saws that sound like speech have syllables (`syllables`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bss.signals.stft import Stft

RATE = 16_000  # Hz, of all tracks here
BAND_STFT, PITCH_STFT = Stft(512, 256), Stft(1024, 256)
BANDS, LOWEST_HZ, HIGHEST_HZ = 18, 100.0, 7000.0
PITCH_BINS = 256  # up to 4 kHz, of which lag k of the cepstrum is k / 8 ms
LAGS = slice(20, 110)  # 2.5 to 13.8 ms: voices of 73 to 400 Hz
LOUD_PERCENTILE = 60  # of the frames' power, above which a frame counts
PITCH_PEAK = 0.2  # of the cepstrum, where there is a pitch: noise in a room seldom reaches it
GLIDE = 0.06  # share by which the period of a voice may change in 16 ms
SYLLABLES_HZ, RHYTHM_HZ = (1.5, 9.0), (0.3, 30.0)
SYLLABLE_FRAMES = 8  # 128 ms, about a syllable
RIDGE = 0.1  # of the variance, added to the covariance: fitted to fewer tracks than would determine all of it


@dataclass(frozen=True)
class SpeechDistribution:
    """A Gaussian over the `statistics` of speech: their mean and scale (D,), and the precision (D, D) at that scale."""

    mean: np.ndarray
    scale: np.ndarray
    precision: np.ndarray

    def distance(self, numbers: np.ndarray) -> float:
        """Mahalanobis distance over the root of D of the statistics (D,) of a track: about 0.7 for speech in a room."""
        z = (numbers - self.mean) / self.scale
        return float(np.sqrt(max(z @ self.precision @ z, 0.0) / len(z)))


def fit(tracks: list[np.ndarray]) -> SpeechDistribution:
    """From tracks (n,) of speech at RATE."""
    X = np.array([statistics(BAND_STFT.forward(np.asarray(track, np.float32)[None])[:, 0]) for track in tracks])
    mean, scale = X.mean(0), np.maximum(X.std(0), 1e-6)
    covariance = np.cov(((X - mean) / scale).T) + RIDGE * np.eye(X.shape[1])
    return SpeechDistribution(mean, scale, np.linalg.inv(covariance))


def n_statistics() -> int:
    """D of `statistics`."""
    return len(statistics(np.zeros((BAND_STFT.n_bins, 2 * SYLLABLE_FRAMES), np.complex64)))


def statistics(X: np.ndarray) -> np.ndarray:
    """(D,) numbers of a track with the spectra X (F, T) of BAND_STFT; its level does not matter."""
    E = _mel_filters() @ np.abs(X) ** 2
    L = 10 * np.log10(E / max(float(E.mean()), float(np.finfo(np.float32).tiny)) + 1e-5)
    fast = np.abs(np.diff(L, axis=1)).mean(1)
    slow = np.abs(L[:, SYLLABLE_FRAMES:] - L[:, :-SYLLABLE_FRAMES]).mean(1) if L.shape[1] > SYLLABLE_FRAMES else fast
    deviation = L - L.mean(1, keepdims=True)
    length = np.maximum(np.linalg.norm(deviation, axis=1), 1e-6)
    C = (deviation @ deviation.T) / np.outer(length, length)
    together = [C[i, i + 1] for i in range(0, BANDS - 1, 2)] + [C[i, i + 6] for i in range(0, BANDS - 6, 2)]
    whole = L.mean(0)
    low, high = np.percentile(whole, [10, 90])
    rhythm = [whole.std(), low - high, np.abs(np.diff(whole)).mean()]
    return np.concatenate([L.mean(1), L.std(1), fast / (slow + 0.1), together, rhythm]).astype(np.float64)


def voiced(X: np.ndarray) -> float:
    """Share, 0 to 1, of the loud neighbouring frames of the spectra X (F, T) of PITCH_STFT through which one period glides.

    0.45 to 0.9 for a voice in a room, 0.3 where the echo is long and others are left; 0.2 to 0.34 for barks and sneezes, whose
    periods jump; below 0.1 for rain.
    """
    P = np.abs(X[:PITCH_BINS]) ** 2
    power = P.sum(0)
    loud = power >= np.percentile(power, LOUD_PERCENTILE)
    level = np.log(P[:, loud] + np.float32(1e-6) * P[:, loud].mean() + np.finfo(np.float32).tiny)
    level -= level.mean(1, keepdims=True)  # a room colours noise with periods of its own, but always the same ones
    cepstrum = np.abs(np.fft.irfft(level, n=2 * PITCH_BINS, axis=0)[LAGS])
    clear, period = cepstrum.max(0) > PITCH_PEAK, cepstrum.argmax(0) + LAGS.start
    neighbours = np.diff(np.flatnonzero(loud)) == 1
    glides = np.abs(np.diff(period)) <= GLIDE * period[1:]
    return float((neighbours & glides & clear[1:] & clear[:-1]).sum() / max(neighbours.sum(), 1))


def syllables(X: np.ndarray) -> float:
    """Share, 0 to 1, of the rhythm in the spectra X (F, T) of PITCH_STFT that is as fast as syllables.

    About 0.9 for speech, at least 0.3 in long echo; 0.1 to 0.45 for saws.
    """
    envelope = np.sqrt((np.abs(X[:PITCH_BINS]) ** 2).sum(0))
    rhythm = np.abs(np.fft.rfft((envelope - envelope.mean()) * np.hanning(len(envelope)))) ** 2
    hertz = np.fft.rfftfreq(len(envelope), PITCH_STFT.hop / RATE)
    within = [float(rhythm[(hertz > low) & (hertz < high)].sum()) for low, high in (SYLLABLES_HZ, RHYTHM_HZ)]
    return within[0] / max(within[1], float(np.finfo(np.float32).tiny))


def _mel_filters() -> np.ndarray:
    """(BANDS, F) triangles, equally far apart in mel."""
    low, high = 2595 * np.log10(1 + np.array([LOWEST_HZ, HIGHEST_HZ]) / 700)
    mel = np.linspace(low, high, BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    hertz = np.arange(BAND_STFT.n_bins) * RATE / BAND_STFT.n_fft
    rise = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    return np.asarray(np.maximum(np.minimum(rise, fall), 0), np.float32)
