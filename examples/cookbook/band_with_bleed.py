"""A band in one room: bass, guitar and drums with a microphone each, and each microphone hears the other two.

    python examples/cookbook/band_with_bleed.py

The same with files, on the command line: `bss unmix bass.wav guitar.wav drums.wav --per-mic -o clean`.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve, lfilter

import bss

RATE = 16_000
SECONDS = 10
NAMES = ("bass", "guitar", "drums")


def plucked(hertz: float, n: int, rng: np.random.Generator, decay: float) -> np.ndarray:
    """A string of n samples: noise in a loop of one period, with a low-pass filter (Karplus and Strong, 1983)."""
    period = round(RATE / hertz)
    noise = np.zeros(n)
    noise[:period] = rng.uniform(-1, 1, period)
    return lfilter([1.0], np.r_[1.0, np.zeros(period - 1), -decay / 2, -decay / 2], noise)


def band(rng: np.random.Generator) -> list[np.ndarray]:
    """Three instruments, (n,) each, two beats a second."""
    beat = RATE // 2
    bass, guitar, drums = np.zeros((3, SECONDS * RATE))
    for k in range(2 * SECONDS):
        rest = slice(k * beat, None)
        bass[rest] += plucked(rng.choice([55.0, 65.4, 73.4, 82.4]), bass[rest].size, rng, 0.99)
        for half in (0, beat // 2):
            strum = slice(k * beat + half, None)
            guitar[strum] += plucked(rng.choice([196.0, 220.0, 261.6, 329.6, 392.0]), guitar[strum].size, rng, 0.985)
        t = np.arange(drums[rest].size) / RATE
        kick = np.sin(2 * np.pi * (50 * t + 6 * (1 - np.exp(-t / 0.03)))) * np.exp(-t / 0.1)
        snare = rng.standard_normal(t.size) * np.exp(-t / 0.06)
        drums[rest] += kick if k % 2 == 0 else 0.6 * snare
    return [y / y.std() for y in (bass, guitar, drums)]


def response(metres: float, rng: np.random.Generator) -> np.ndarray:
    """From an instrument to a microphone: the direct sound, and an echo that decays by 60 dB in 0.3 s (Polack's model)."""
    t = np.arange(RATE * 3 // 10) / RATE
    echo = 0.015 * rng.standard_normal(t.size) * 10 ** (-3 * t / 0.3)
    echo[round(metres / 343 * RATE)] += 1 / metres
    return echo


def main() -> None:
    rng = np.random.default_rng(0)
    instruments = band(rng)
    metres = 0.3 + 1.2 * np.abs(np.subtract.outer(range(3), range(3)))  # (instruments, microphones)
    images = np.array([[fftconvolve(y, response(d, rng))[: y.size] for d in row]
                       for y, row in zip(instruments, metres, strict=True)])  # fmt: skip
    images *= 0.5 / np.abs(images.sum(0)).max()
    x, own = images.sum(0), images[range(3), range(3)]

    result = bss.unmix(x, RATE, per_mic=True, names=NAMES)

    before, after = bss.si_sdr(own, x), bss.si_sdr(own, result.sources)
    for name, was, now in zip(NAMES, before, after, strict=True):
        print(f"{name:8} {was:5.1f} dB above the bleed before, {now:5.1f} dB after")
    for warning in result.warnings:
        print(f"warning: {warning}")
    print(f"mean gain: {np.mean(after - before):.1f} dB")


if __name__ == "__main__":
    main()
