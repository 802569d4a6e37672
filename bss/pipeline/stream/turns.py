"""Whose turn it is: when each track holds sound of its own, and when only what the separation left of the others.

What a linear separation leaves of talker j in track k is, band by band, a fixed share of j. The share is measured where j is
alone; where track k has no more than the shares of all others and its own noise explain, in any band, k is silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bss.signals.stft import Stft

EDGES = (100, 250, 500, 1000, 2000, 4000, 8000)  # Hz, of the bands
FRAME_SECONDS = 0.064
DOMINANT = 0.9  # share of all tracks in the power of a band and frame, from which on it is one talker's
FEWEST = 40  # such frames (1.3 s) tell the share of a talker in another track; of fewer nothing is known, and nobody is silent
USUAL = 0.8  # quantile of what is left: the rest is sound of the track itself, or echo
ABOVE = 4.0  # 6 dB above what others leave, and its own noise, a track has sound of its own
QUIET = 0.1  # quantile of the frames of a track that is its noise: talkers pause as often
LOUDEST_NOISE = 0.03  # of the mean power: what never pauses is no noise
SMOOTH = 3  # frames over which powers are averaged
GAP_SECONDS, MARGIN_SECONDS = 0.6, 0.2  # a pause for breath is no silence; words begin and end softly
TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Turns:
    """What tracks hold without their own talkers.

    Attributes
    ----------
    left : np.ndarray
        (B, K, K) share of the power of talker j in track k, in each band; 0 where it is not known.
    noise : np.ndarray
        (B, K) power of the noise of each track.
    """

    left: np.ndarray
    noise: np.ndarray

    def active(self, power: np.ndarray, rate: int) -> np.ndarray:
        """(K, T) whether each track has sound of its own, from the powers (B, K, T) of its bands in each frame."""
        P = _smoothed(power)
        explained = np.einsum("bkj,bjt->bkt", self.left, P) + self.noise[:, :, None]
        own = (P / explained > ABOVE).any(0)
        seconds = hop(rate) / rate
        return np.stack([_widened(row, round(MARGIN_SECONDS / seconds), round(GAP_SECONDS / seconds)) for row in own])

    def ordered(self, order: np.ndarray) -> Turns:
        """The same with sound order[k] in place k."""
        return Turns(self.left[:, order][:, :, order], self.noise[:, order])

    def arrays(self) -> dict[str, np.ndarray]:
        """To be kept."""
        return {"left": self.left, "noise": self.noise}

    @staticmethod
    def of(arrays: Mapping[str, np.ndarray]) -> Turns:
        """The inverse of `arrays`."""
        return Turns(arrays["left"], arrays["noise"])


def hop(rate: int) -> int:
    """Samples from one frame to the next."""
    return _stft(rate).hop


def band_powers(y: np.ndarray, rate: int) -> np.ndarray:
    """(B, K, T) power of tracks y (K, n) in each band and frame; frame t is centred at sample t hop."""
    stft = _stft(rate)
    Y = stft.forward(np.ascontiguousarray(y, np.float32))
    edges = np.array([edge for edge in EDGES if edge < rate / 2] + [rate / 2])
    starts = np.ceil(edges * stft.n_fft / rate).astype(int)
    P = Y.real**2 + Y.imag**2
    return np.asarray(np.add.reduceat(P[: starts[-1]], starts[:-1]))


def learn(power: np.ndarray) -> Turns:
    """From the powers (B, K, T) of tracks that everybody speaks in."""
    P = _smoothed(power)
    mean = P.mean(2)
    noise = np.minimum(np.quantile(P, QUIET, axis=2), LOUDEST_NOISE * mean)
    B, K, _ = P.shape
    left = np.zeros((B, K, K))
    total = P.sum(1)
    for b in range(B):
        for j in range(K):
            alone = (P[b, j] > DOMINANT * total[b]) & (P[b, j] > mean[b, j])
            if alone.sum() >= FEWEST:
                left[b, :, j] = np.quantile(P[b][:, alone] / P[b, j, alone], USUAL, axis=1)
            left[b, j, j] = 0
    return Turns(left, noise)


def _stft(rate: int) -> Stft:
    size = 1 << max(4, round(np.log2(FRAME_SECONDS * rate)))
    return Stft(size, size // 2)


def _smoothed(power: np.ndarray) -> np.ndarray:
    """Mean over SMOOTH frames, as float64."""
    T = power.shape[2]
    padded = np.pad(power.astype(np.float64), ((0, 0), (0, 0), (SMOOTH // 2, SMOOTH // 2)), "edge")
    return np.asarray(sum(padded[:, :, k : k + T] for k in range(SMOOTH)) / SMOOTH + TINY)


def _widened(own: np.ndarray, margin: int, gap: int) -> np.ndarray:
    """Spans longer by a margin at both ends, and joined over gaps."""
    flips = np.flatnonzero(np.diff(np.concatenate([[0], own.astype(np.int8), [0]]))).reshape(-1, 2)
    out = np.zeros(len(own), bool)
    for k, (start, stop) in enumerate(flips):
        last = flips[k - 1, 1] if k else -len(own)
        out[max(0, (last if start - last <= gap else start) - margin) : stop + margin] = True
    return out
