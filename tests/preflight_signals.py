"""Recordings for the tests of the preflight: good ones, and what is done to them."""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

from bss.pipeline.analysis.preflight.channels import Preflight, preflight

RATE = 16000
SECONDS = 5  # more than one block of 2^16 samples


def voice(seed: int, seconds: float = SECONDS, rate: int = RATE) -> np.ndarray:
    """Something like a voice, float64 with a peak of 0.5: coloured, sparse, and coming and going like syllables."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    colour = lfilter([1.0], [1.0, -1.77, 0.81], rng.laplace(size=n))
    pace = 0.5 - 0.5 * np.cos(2 * np.pi * 3.1 * np.arange(n) / rate + seed)
    speech = sosfilt(butter(2, 80, "highpass", fs=rate, output="sos"), colour * pace**3)
    return 0.5 * speech / np.abs(speech).max()


def room(seed: int, m: int = 3, seconds: float = SECONDS, rate: int = RATE) -> np.ndarray:
    """A good recording, (M, n) float64: m voices, delayed and weighted differently at each of m microphones, with hiss."""
    rng = np.random.default_rng(1000 + seed)
    voices = [voice(100 * seed + k, seconds, rate) for k in range(m)]
    x = np.zeros((m, voices[0].size))
    for row in x:
        for source in voices:
            delay = int(rng.integers(0, 40))
            row[delay:] += rng.uniform(0.2, 0.8) * source[: source.size - delay]
            row[delay + 500 :] += 0.1 * source[: source.size - delay - 500]
    return 0.8 * x / np.abs(x).max() + 1e-3 * rng.standard_normal(x.shape)


def pcm(x: np.ndarray, bits: int = 16) -> np.ndarray:
    """As a sound card of so many bits stores it: rounded, and cut off at full scale."""
    steps = 2.0 ** (bits - 1)
    return np.clip(np.round(x * steps), -steps, steps - 1) / steps


def look(x: np.ndarray, rate: int = RATE) -> Preflight:
    return preflight(x.astype(np.float32), rate)


def kinds(found: Preflight) -> list[tuple[int | None, str]]:
    return [(f.channel, f.kind) for f in found.findings]


def shifted(x: np.ndarray, delay: float) -> np.ndarray:
    """`x` later by `delay` samples, which need not be whole."""
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(x.size) * delay)
    return np.fft.irfft(np.fft.rfft(x) * turn, x.size)


def moved(x: np.ndarray, delay: int) -> np.ndarray:
    """`x` later by `delay` samples, zeros before or after."""
    y = np.zeros_like(x)
    if delay >= 0:
        y[delay:] = x[: x.size - delay]
    else:
        y[:delay] = x[-delay:]
    return y
