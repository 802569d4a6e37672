"""A Wiener filter of the years before networks, frame by frame: its errors are others than those of a network.

The noise of a bin is what it had least of within a second or so (R. Martin, "Noise power spectral density estimation based on
optimal smoothing and minimum statistics", IEEE TSAP 9(5), 2001, in its simplest form); the a priori SNR is carried from frame to
frame (Y. Ephraim and D. Malah, "Speech enhancement using a minimum mean-square error short-time spectral amplitude
estimator", IEEE TASSP 32(6), 1984). Whatever blocks the frames come in, the gains are the same.
"""

from __future__ import annotations

import numpy as np

SMOOTH_SECONDS, PART_SECONDS, PARTS = 0.11, 0.24, 5  # of the power; of a part of the time in which the least is looked for
ABOVE = np.float32(1.5)  # noise over its least power
MEMORY_SECONDS = 0.4  # of the a priori SNR
LOWEST, HIGHEST = np.float32(10**-2.5), np.float32(1e3)  # a priori SNR at least, a posteriori SNR at most
TINY = np.float32(1e-12)


class Classic:
    """Real gains of spectra, frame after frame."""

    def __init__(self, channels: int, bins: int, frames_per_second: float) -> None:
        self.smooth = np.float32(1 - np.exp(-1 / (SMOOTH_SECONDS * frames_per_second)))
        self.memory = np.float32(np.exp(-1 / (MEMORY_SECONDS * frames_per_second)))
        self.part = max(1, round(PART_SECONDS * frames_per_second))
        self.count = 0
        self.power = np.zeros((channels, bins), np.float32)
        self.before = np.ones((channels, bins), np.float32)  # what of the last frame was speech, over the noise
        self.minima: list[np.ndarray] = []  # of the last parts, this one too
        self.past = np.full((channels, bins), np.inf, np.float32)  # least of the parts before

    def gains(self, X: np.ndarray) -> np.ndarray:
        """(B, T, F) float32 between 0 and 1, of spectra X (B, T, F)."""
        P = np.asarray(X.real**2 + X.imag**2, np.float32)
        found = np.empty_like(P)
        for t in range(P.shape[1]):
            found[:, t] = self._gain(P[:, t])
        return found

    def _gain(self, p: np.ndarray) -> np.ndarray:
        self.power = p.copy() if not self.count else self.power + self.smooth * (p - self.power)
        if self.count % self.part == 0:
            self.minima = [*self.minima, self.power.copy()][-PARTS:]
            if len(self.minima) > 1:
                self.past = np.min(self.minima[:-1], axis=0)
        else:
            np.minimum(self.minima[-1], self.power, out=self.minima[-1])
        self.count += 1
        noise = np.maximum(ABOVE * np.minimum(self.past, self.minima[-1]), TINY)
        posterior = np.minimum(p / noise, HIGHEST)
        prior = self.memory * self.before + (1 - self.memory) * np.maximum(posterior - 1, 0)
        np.maximum(prior, LOWEST, out=prior)
        gain = prior / (1 + prior)
        self.before = gain * gain * posterior
        return np.asarray(gain)
