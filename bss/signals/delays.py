"""Time delays between the microphones of a recording."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bss.signals import gcc_phat
from bss.signals.stft import Stft

FRAME_SECONDS = 0.128
UPSAMPLING = 8


@dataclass(frozen=True)
class Delays:
    """Delays of each microphone relative to the first, in seconds.

    Attributes
    ----------
    earliest, latest : np.ndarray
        (M,) the 10 % and 90 % quantiles over the loud frames, weighted by energy; zero for the first microphone.
    """

    earliest: np.ndarray
    latest: np.ndarray

    @property
    def largest(self) -> float:
        """The largest delay between the first and another microphone, in seconds."""
        return float(max(np.abs(self.earliest).max(), np.abs(self.latest).max()))


def measure(x: np.ndarray, rate: int) -> Delays:
    """Delays between the microphones of x (M, n), by GCC-PHAT in each frame."""
    size = 1 << max(5, round(np.log2(FRAME_SECONDS * rate)))
    X = Stft(size, size // 2).forward(x)
    energy = np.sum(np.abs(X) ** 2, axis=(0, 1))  # (T,)
    rounding = np.finfo(x.dtype).eps * energy.max()
    loud = energy > max(float(np.median(energy)), rounding)
    if not loud.any():
        loud = energy >= energy.max()
    earliest, latest = np.zeros(len(x)), np.zeros(len(x))
    for m in range(1, len(x)):
        lags = frame_lags(X[:, m, loud], X[:, 0, loud]) / rate
        earliest[m], latest[m] = _weighted_quantiles(lags, energy[loud], (0.1, 0.9))
    return Delays(earliest, latest)


def frame_lags(Xm: np.ndarray, X0: np.ndarray) -> np.ndarray:
    """(T,) samples by which Xm (F, T) lags behind X0 in each frame; 0 of silence."""
    phases = gcc_phat.phase_transform(Xm * X0.conj())
    phases[0] = 0
    max_lag = (len(phases) - 1) // 2 * UPSAMPLING  # a quarter of the frame
    return gcc_phat.peaks(gcc_phat.correlate(phases, max_lag, upsampling=UPSAMPLING), upsampling=UPSAMPLING)[0]


def _weighted_quantiles(values: np.ndarray, weights: np.ndarray, quantiles: tuple[float, ...]) -> np.ndarray:
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order])
    return np.asarray(values[order][np.searchsorted(cumulated, np.asarray(quantiles) * cumulated[-1])])
