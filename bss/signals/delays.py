"""How far apart in time the microphones hear things: delays by the generalised cross-correlation with phase transform."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bss.signals.stft import Stft

FRAME_SECONDS = 0.128
UPSAMPLING = 8


@dataclass(frozen=True)
class Delays:
    """Delays of each microphone behind the first, in seconds: of the earliest and the latest of the loud frames.

    Attributes
    ----------
    earliest, latest : np.ndarray
        (M,) the 10 % and 90 % quantiles over frames, weighted by energy; zero for the first microphone.
    """

    earliest: np.ndarray
    latest: np.ndarray

    @property
    def largest(self) -> float:
        """The largest delay between the first and another microphone, in seconds."""
        return float(max(np.abs(self.earliest).max(), np.abs(self.latest).max()))


def measure(x: np.ndarray, rate: int) -> Delays:
    """Delays between the microphones of x (M, n), per frame, by GCC-PHAT.

    References
    ----------
    C. Knapp and G. Carter, "The generalized correlation method for estimation of time delay", IEEE TASSP 24(4), 1976.
    """
    size = 1 << max(5, round(np.log2(FRAME_SECONDS * rate)))
    X = Stft(size, size // 2).forward(x)
    energy = np.sum(np.abs(X) ** 2, axis=(0, 1))  # (T,)
    quiet = np.finfo(x.dtype).eps * energy.max()
    loud = energy > max(float(np.median(energy)), quiet)
    if not loud.any():
        loud = energy >= energy.max()
    earliest, latest = np.zeros(len(x)), np.zeros(len(x))
    for m in range(1, len(x)):
        lags = frame_lags(X[:, m, loud], X[:, 0, loud], size) / rate
        earliest[m], latest[m] = _weighted_quantiles(lags, energy[loud], (0.1, 0.9))
    return Delays(earliest, latest)


def frame_lags(Xm: np.ndarray, X0: np.ndarray, size: int) -> np.ndarray:
    """(T,) samples by which Xm (F, T) lags X0, at the peak of the phase transform of each frame; 0 of silence."""
    cross = Xm * X0.conj()
    cross /= np.maximum(np.abs(cross), np.finfo(cross.real.dtype).tiny)
    cross[0] = 0
    correlation = np.fft.irfft(cross, n=size * UPSAMPLING, axis=0)
    reach = size // 4 * UPSAMPLING
    window = np.abs(np.concatenate([correlation[-reach:], correlation[: reach + 1]]))  # a microphone may be wired in reverse
    lags = (window.argmax(0) - reach) / UPSAMPLING
    return np.asarray(np.where(window.max(0) > 0, lags, 0.0))


def _weighted_quantiles(values: np.ndarray, weights: np.ndarray, quantiles: tuple[float, ...]) -> np.ndarray:
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order])
    return np.asarray(values[order][np.searchsorted(cumulated, np.asarray(quantiles) * cumulated[-1])])
