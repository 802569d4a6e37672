"""What microphones have in common: their coherence in windows of seconds, compared with that of chance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bss.signals.stft import Stft

FRAME_SECONDS = 0.064  # holds the delays within a room, and enough of its echo
WINDOW_SECONDS = 4.0  # short enough for clocks that differ and for talkers that walk
LOWEST, HIGHEST = 200.0, 6000.0  # Hz; below, mains hum and rumble reach every microphone
EVERY = 4  # bins: neighbours say the same
SHIFTS = 4  # of one microphone against the other in time, which leave only what they have in common by chance
# Amplitudes are raised to this power, so that a few loud frames do not decide
COMPRESSION = 0.25
BANDS, SMOOTH, QUIET = 12, 4, 0.1  # of the fluctuation: frames that are averaged, and the quantile that counts as quiet
SUBSTANTIAL = 0.02  # excess coherence of microphones that clearly hear the same
TYPICAL = 0.75  # quantile of its excess over the windows: more than half of them may be deaf
LOST = 0.1  # of that excess: a channel that is deaf
HISS = 8.0  # dB of fluctuation
TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class CommonSound:
    """How much of the sound of each pair of microphones is the same, in B windows.

    Attributes
    ----------
    starts : np.ndarray
        (B,) first sample of each window.
    excess : np.ndarray
        (B, M, M) magnitude-squared coherence, mean over frequencies, minus that of chance; 0 on the diagonal.
    spread : np.ndarray
        (B, M, M) standard deviation of the coherence by chance.
    fluctuation : np.ndarray
        (M,) dB from the quietest tenth of the time to the loudest moment, the median over bands: large for speech, however short,
        and music, small for a hum or a hiss.
    within : np.ndarray
        (B, M) the same within each window.
    n : int
        Samples of the recording.
    """

    starts: np.ndarray
    excess: np.ndarray
    spread: np.ndarray
    fluctuation: np.ndarray
    within: np.ndarray
    n: int

    def mean_excess(self) -> np.ndarray:
        """(M, M) excess over the whole recording."""
        return np.asarray(self.excess.mean(0))

    def significance(self) -> np.ndarray:
        """(M, M) the mean excess, relative to its standard deviation by chance."""
        deviation = np.sqrt(np.sum(self.spread**2, axis=0)) + TINY
        return np.asarray(self.excess.sum(0) / deviation * (self.excess.any(0)))


def deaf_spans(common: CommonSound, channel: int) -> list[tuple[int, int]]:
    """Spans [start, stop) of two windows or more in which a channel loses what it otherwise has in common with others.

    It is as steady as a hiss there, while other channels still share sound. The windows before and after, perhaps deaf in part,
    are included. Empty for fewer than three channels: there is nothing to compare with.
    """
    best = common.excess.max(2)  # (B, M)
    typical = float(np.quantile(best[:, channel], TYPICAL))
    others = np.delete(np.delete(common.excess, channel, 1), channel, 2)
    if others.shape[1] < 2 or len(best) < 4 or typical < SUBSTANTIAL:
        return []
    shared = others.max((1, 2)) > SUBSTANTIAL
    lost = (best[:, channel] < LOST * typical) & shared & (common.within[:, channel] < HISS)
    limits = np.append(common.starts, common.n)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], lost.astype(np.int8), [0]]))).reshape(-1, 2)
    return [(int(limits[max(a - 1, 0)]), int(limits[min(b + 1, len(best))])) for a, b in edges.tolist() if b - a >= 2]


def measure(x: np.ndarray, rate: int) -> CommonSound | None:
    """The common sound of x (M, n) float32 at `rate` Hz, window by window; None if it is shorter than a few frames.

    Two microphones in one room have a coherence above chance in every window in which somebody speaks, however long the echo and
    whatever their gains. Chance is measured on the same frames with one microphone shifted in time, so that a steady tone that
    is in both, such as mains hum, does not count.
    """
    size = 1 << max(4, round(np.log2(FRAME_SECONDS * rate)))
    stft = Stft(size, size // 2)
    if stft.n_frames(x.shape[1]) < 4 * SHIFTS:
        return None
    bins = np.arange(round(LOWEST * size / rate), min(round(min(HIGHEST, 0.45 * rate) * size / rate), size // 2) + 1, EVERY)
    starts, excess, spread, bands = [], [], [], []
    for part in windows(x.shape[1], rate):
        X = stft.forward(np.ascontiguousarray(x[:, part], np.float32))[bins]
        power = X.real**2 + X.imag**2
        bands.append(_band_powers(power))
        own, chance = _coherence(X * np.maximum(power, TINY) ** ((COMPRESSION - 1) / 2))
        starts.append(part.start)
        excess.append(_off_diagonal(own - chance.mean(0)))
        # few shifts may agree by luck: the mean over bins has at least the deviation of as many independent coherences
        spread.append(_off_diagonal(np.maximum(chance.std(0), chance.mean(0) / np.sqrt(len(bins)))))
    within = np.stack([_fluctuation(part) for part in bands])
    return CommonSound(
        np.array(starts), np.array(excess), np.array(spread), _fluctuation(np.concatenate(bands, axis=2)), within, x.shape[1]
    )


def windows(n: int, rate: int) -> Iterator[slice]:
    """Parts of about WINDOW_SECONDS that cover n samples; the last is up to half as long again."""
    length = round(WINDOW_SECONDS * rate)
    count = max(1, round(n / length))
    for k in range(count):
        yield slice(k * length, (k + 1) * length if k < count - 1 else n)


def _coherence(Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(M, M) coherence of Z (F, M, T), mean over frequencies, and (SHIFTS, M, M) of shifted signals."""
    T = Z.shape[2]
    norm = np.sqrt(np.sum(Z.real**2 + Z.imag**2, axis=2, keepdims=True))
    Z = Z / np.maximum(norm, TINY)
    shifted = [Z] + [np.roll(Z, k * T // (SHIFTS + 1), axis=2) for k in range(1, SHIFTS + 1)]
    values = [np.mean(np.abs(Z @ other.conj().swapaxes(1, 2)) ** 2, axis=0) for other in shifted]
    return values[0], np.array(values[1:])


def _off_diagonal(a: np.ndarray) -> np.ndarray:
    a = np.asarray((a + a.T) / 2, np.float64)
    np.fill_diagonal(a, 0.0)
    return a


def _band_powers(power: np.ndarray) -> np.ndarray:
    """(B, M, T) power (F, M, T) in bands."""
    return np.stack([band.mean(0) for band in np.array_split(power, min(BANDS, len(power)))])


def _fluctuation(powers: np.ndarray) -> np.ndarray:
    """(M,) from powers (B, M, T) in bands, averaged over SMOOTH frames, so that the chances of noise are small."""
    cumulative = np.cumsum(powers, axis=2, dtype=np.float64)
    levels = 10 * np.log10((cumulative[:, :, SMOOTH:] - cumulative[:, :, :-SMOOTH]) / SMOOTH + TINY)
    return np.asarray(np.median(levels.max(2) - np.quantile(levels, QUIET, axis=2), axis=0), np.float64)
