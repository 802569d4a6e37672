"""A podcast: everybody has a microphone of their own, and each microphone hears the others, too.

    python examples/cookbook/podcast_bleed.py

The same with files, on the command line: `bss unmix anna.wav ben.wav carla.wav --per-mic -o clean`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve

import bss

VOICES = Path(__file__).resolve().parents[2] / "fixtures/voices"
NAMES = ("diane", "edward", "fiona")
RATE = 16_000


def response(metres: float, rng: np.random.Generator) -> np.ndarray:
    """From a mouth to a microphone: the direct sound, and an echo that decays by 60 dB in 0.25 s (Polack's model of a room)."""
    t = np.arange(RATE // 4) / RATE
    echo = 0.02 * rng.standard_normal(t.size) * 10 ** (-3 * t / 0.25)
    echo[round(metres / 343 * RATE)] += 1 / metres
    return echo


def table() -> tuple[np.ndarray, np.ndarray]:
    """The recording (M, n), and what each microphone hears of its own talker, (M, n)."""
    rng = np.random.default_rng(0)
    voices = [bss.read([VOICES / f"{name}.flac"])[0][0, : 9 * RATE] for name in NAMES]
    metres = 0.25 + 1.2 * np.abs(np.subtract.outer(range(3), range(3)))  # in a row; (talkers, microphones)
    images = np.array([[fftconvolve(v, response(d, rng))[: v.size] for d in row] for v, row in zip(voices, metres, strict=True)])
    images *= 0.5 / np.abs(images.sum(0)).max()
    return images.sum(0), images[range(3), range(3)]


def main() -> None:
    x, own = table()

    result = bss.unmix(x, RATE, per_mic=True, names=NAMES)  # track k is the talker of microphone k, at the same level

    before, after = bss.si_sdr(own, x), bss.si_sdr(own, result.sources)
    for name, was, now in zip(NAMES, before, after, strict=True):
        print(f"{name:8} own voice {was:5.1f} dB above the rest before, {now:5.1f} dB after")
    print(f"mean gain: {np.mean(after - before):.1f} dB")


if __name__ == "__main__":
    main()
