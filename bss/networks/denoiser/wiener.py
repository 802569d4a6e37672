"""A Wiener filter, frame by frame, as before there were networks: it errs elsewhere than a network does.

The power of the noise in a bin is the least power there within a second or so (R. Martin, "Noise power spectral density
estimation based on optimal smoothing and minimum statistics", IEEE TSAP 9(5), 2001, in its simplest form); the a priori SNR is
carried from frame to frame (Y. Ephraim and D. Malah, "Speech enhancement using a minimum mean-square error short-time spectral
amplitude estimator", IEEE TASSP 32(6), 1984). However the frames are cut into blocks, the gains are the same.
"""

from __future__ import annotations

import numpy as np

SMOOTHING_SECONDS = 0.11  # of the power
MINIMUM_SECONDS, MINIMA = 0.24, 5  # the least power is that of so many stretches of so many seconds
BIAS = np.float32(1.5)  # power of noise over the least of its smoothed powers
MEMORY_SECONDS = 0.4  # of the a priori SNR
LOWEST_PRIOR, HIGHEST_POSTERIOR = np.float32(10**-2.5), np.float32(1e3)  # SNR, as ratios of powers
LEAST_NOISE = np.float32(1e-12)  # power, below the rounding of samples: digital silence has none


class WienerFilter:
    """Real gains of spectra, frame after frame."""

    def __init__(self, channels: int, bins: int, frames_per_second: float) -> None:
        self.smoothing = np.float32(1 - np.exp(-1 / (SMOOTHING_SECONDS * frames_per_second)))
        self.memory = np.float32(np.exp(-1 / (MEMORY_SECONDS * frames_per_second)))
        self.stretch = max(1, round(MINIMUM_SECONDS * frames_per_second))
        self.count = 0
        self.power = np.zeros((channels, bins), np.float32)
        self.speech = np.ones((channels, bins), np.float32)  # power of speech over noise in the frame before
        self.minima: list[np.ndarray] = []  # of the last stretches, the present one included
        self.earlier = np.full((channels, bins), np.inf, np.float32)  # least of all but the present one

    def gains(self, X: np.ndarray) -> np.ndarray:
        """(B, T, F) float32 between 0 and 1, of spectra X (B, T, F)."""
        P = np.asarray(X.real**2 + X.imag**2, np.float32)
        gains = np.empty_like(P)
        for t in range(P.shape[1]):
            gains[:, t] = self._gain(P[:, t])
        return gains

    def _gain(self, p: np.ndarray) -> np.ndarray:
        self.power = p.copy() if not self.count else self.power + self.smoothing * (p - self.power)
        if self.count % self.stretch == 0:
            self.minima = [*self.minima, self.power.copy()][-MINIMA:]
            if len(self.minima) > 1:
                self.earlier = np.min(self.minima[:-1], axis=0)
        else:
            np.minimum(self.minima[-1], self.power, out=self.minima[-1])
        self.count += 1
        noise = np.maximum(BIAS * np.minimum(self.earlier, self.minima[-1]), LEAST_NOISE)
        posterior = np.minimum(p / noise, HIGHEST_POSTERIOR)
        prior = self.memory * self.speech + (1 - self.memory) * np.maximum(posterior - 1, 0)
        np.maximum(prior, LOWEST_PRIOR, out=prior)
        gain = prior / (1 + prior)
        self.speech = gain * gain * posterior
        return np.asarray(gain)
