"""Where a recording lies beside another that began at another time: GCC-PHAT of excerpts against all of it.

References
----------
C. Knapp and G. Carter, "The generalized correlation method for estimation of time delay", IEEE TASSP 24(4), 1976.
"""

from __future__ import annotations

import numpy as np

LOW, HIGH = 100.0, 4000.0  # Hz: a clock that drifts blurs what is higher
EXCERPT_SECONDS = 4.0
EXCERPTS = 6
BLOCK_SECONDS = 12.0  # short, so that an excerpt meets little else than what it holds itself
POOLED_SECONDS = 4e-3  # echoes, and what a clock drifts between excerpts
CANDIDATES = 6


def candidates(reference: np.ndarray, mic: np.ndarray, rate: int, span: tuple[float, float]) -> list[float]:
    """Lags in seconds, the likeliest first, by which `mic` (n,) may hear what a span of `reference` (n,) holds.

    Any excerpt correlates somewhere: whether one of them is right is for a closer look to say.
    """
    size, bins, step = _sizes(rate)
    begins = _loudest(reference, rate, span)
    hop = size - round(EXCERPT_SECONDS * rate)
    total = np.zeros(int((len(mic) + len(reference)) / rate / step) + 2)
    origin = len(reference) / rate
    spectra = {b: _phases(reference[b : b + round(EXCERPT_SECONDS * rate)], size, bins) for b in begins}
    for start in range(-size + hop, len(mic), hop):
        block = mic[max(0, start) : max(0, start + size)]
        if not block.any():
            continue
        X = _phases(np.pad(block, (max(0, -start), 0)), size, bins)
        for b, S in spectra.items():
            energy = _energy(X * S.conj(), hop, step, rate)
            first = round(((start - b) / rate + origin) / step)
            skip = max(0, -first)
            part = energy[skip : skip + len(total) - first - skip]
            if len(part):
                total[first + skip : first + skip + len(part)] += part
    return _peaks(total, step, origin)


def _sizes(rate: int) -> tuple[int, slice, float]:
    """Samples of a block, its bins from LOW to HIGH, and seconds from one lag of the correlation to the next."""
    from scipy.fft import next_fast_len

    size = next_fast_len(round(BLOCK_SECONDS * rate), real=True)
    last = min(int(HIGH * size / rate), size // 2)
    return size, slice(int(np.ceil(LOW * size / rate)), last), size / rate / (2 * last)


def _phases(x: np.ndarray, size: int, bins: slice) -> np.ndarray:
    """Spectrum of x with magnitudes of one, zero outside the bins."""
    from scipy.fft import rfft

    X: np.ndarray = rfft(x, n=size)[: bins.stop]
    X[: bins.start] = 0
    X /= np.maximum(np.abs(X), np.finfo(np.float32).tiny)
    return X


def _energy(cross: np.ndarray, hop: int, step: float, rate: int) -> np.ndarray:
    """Squared correlation, pooled over neighbouring lags, for lags from 0 to `hop` samples, less its mean."""
    from scipy.fft import irfft

    r: np.ndarray = irfft(cross, n=2 * len(cross))[: int(hop / rate / step)]
    pooled = max(1, round(POOLED_SECONDS / step))
    energy = np.convolve(np.square(r), np.ones(pooled) / pooled, "same")
    return np.asarray(energy / max(float(np.median(energy)), np.finfo(np.float64).tiny) - 1)


def _loudest(x: np.ndarray, rate: int, span: tuple[float, float]) -> list[int]:
    """First samples of the loudest excerpts of a span, which do not overlap."""
    length = round(EXCERPT_SECONDS * rate)
    begin, end = round(span[0] * rate), min(round(span[1] * rate), len(x))
    begins = list(range(begin, max(begin + 1, end - length + 1), length))
    energies = [float(np.vdot(x[b : b + length], x[b : b + length])) for b in begins]
    return [begins[k] for k in np.argsort(energies)[::-1][:EXCERPTS] if energies[k] > 0]


def _peaks(total: np.ndarray, step: float, origin: float) -> list[float]:
    """Lags of the highest peaks, a frame apart."""
    total, apart, lags = total.copy(), round(0.1 / step), []
    for _ in range(CANDIDATES):
        k = int(total.argmax())
        if total[k] <= 0:
            break
        lags.append(k * step - origin)
        total[max(0, k - apart) : k + apart + 1] = 0
    return lags
