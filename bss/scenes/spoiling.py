"""Channels that are no good: silent for a span, hum, or a processed mix of the others."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bss.scenes.faults import Agc, Dropout, Fault, Hum

HARMONICS = (1, 2, 3, 5)  # of mains hum; the h-th has 1/h of the amplitude
HISS = 0.3  # of the noise beside the hum, relative to its fundamental
AGC_SECONDS = 0.15  # time in which an automatic gain follows the level
AGC_FLOOR = 0.05  # of the mean level: what is quieter is not amplified further


def spoil(files: np.ndarray, faults: Sequence[Fault], rate: int, peak: float, rng: np.random.Generator) -> None:
    """Do to files (M, n) in place what resolved faults do to channels; nothing gets louder than `peak`."""
    level = math.sqrt(float(np.mean(np.square(files[0], dtype=np.float64))))
    for fault in faults:
        if isinstance(fault, Hum):
            files[fault.mic] = _at_level(_hum(files.shape[1], fault.hertz, rate, rng), level, peak)
    for fault in faults:
        if isinstance(fault, Agc):
            others = np.delete(files, fault.mic, axis=0).mean(axis=0, dtype=np.float64)
            files[fault.mic] = _at_level(_levelled(others, rate), level, peak)
    for fault in faults:
        if isinstance(fault, Dropout):
            start, end = fault.start or 0.0, math.inf if fault.end is None else fault.end
            files[fault.mic, round(start * rate) : round(min(end * rate, files.shape[1]))] = 0


def _hum(n: int, hertz: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    t = 2 * np.pi * hertz * np.arange(n) / rate
    hum = HISS * rng.normal(size=n)
    for h in HARMONICS:
        phase = rng.uniform(0, 2 * np.pi)
        if h * hertz < rate / 2:
            hum += np.sin(h * t + phase) / h
    return np.asarray(hum)


def _levelled(x: np.ndarray, rate: int) -> np.ndarray:
    """x (n,) through an automatic gain control: divided by its level, which is smoothed."""
    from scipy.signal import lfilter

    slowness = math.exp(-1 / (AGC_SECONDS * rate))
    level = np.sqrt(lfilter([1 - slowness], [1, -slowness], x**2))
    return np.asarray(x / (level + AGC_FLOOR * math.sqrt(float(np.mean(x**2))) + np.finfo(np.float32).tiny))


def _at_level(x: np.ndarray, level: float, peak: float) -> np.ndarray:
    rms, loudest = math.sqrt(float(np.mean(x**2))), float(np.abs(x).max())
    return x * min(level / rms, peak / loudest) if loudest > 0 else x
