"""Folders of speech and of other sounds, and sounds that cost nothing: melodies, coloured noise, hum, clicks, babble."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

RATE = 16_000
SUFFIXES = (".flac", ".ogg", ".wav")
LOUD, SHARE = 1e-3, 0.5  # of the peak, and of the samples above it: clips that are mostly digital silence are seldom taken

Maker = Callable[[np.random.Generator, int], np.ndarray]


@cache
def loaded(path: Path) -> np.ndarray:
    """(n,) the first channel at RATE."""
    x, rate = soundfile.read(path, always_2d=True)
    return np.asarray(x[:, 0] if rate == RATE else soxr.resample(x[:, 0], rate, RATE), np.float32)


def groups(folders: list[Path]) -> dict[str, list[Path]]:
    """Files by speaker or kind of sound: the folder's name, or the name before "__", as ESC-10 has it, or the file's own."""
    found: dict[str, list[Path]] = {}
    for folder in folders:
        for path in sorted(p for p in folder.rglob("*") if p.suffix in SUFFIXES):
            name = path.parent.name if path.parent != folder else path.stem
            number = name.split("__")[0]
            found.setdefault(number if number[:3].isdigit() else name, []).append(path)
    return found


def unit(x: np.ndarray) -> np.ndarray:
    """x with a standard deviation of one."""
    return np.asarray(x / (x.std() + 1e-9), np.float32)


def piece(x: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n samples from anywhere in x, repeated if it is shorter."""
    return unit(np.resize(np.roll(x, -int(rng.integers(len(x)))), n))


def speech(rng: np.random.Generator, n: int, speakers: dict[str, list[Path]]) -> np.ndarray:
    """(n,) of one speaker."""
    files = speakers[sorted(speakers)[int(rng.integers(len(speakers)))]]
    chosen = [files[int(k)] for k in rng.permutation(len(files))[:2]]
    return piece(np.concatenate([loaded(path) for path in chosen]), n, rng)


def pauses(rng: np.random.Generator, n: int) -> np.ndarray:
    """(n,) 1 while somebody talks; half of the talkers never pause."""
    if rng.uniform() < 0.5:
        return np.ones(n, np.float32)
    gate, t = np.zeros(n, np.float32), int(rng.uniform(0, 0.3) * n)
    while t < n:
        talks = int(rng.uniform(1, 6) * RATE)
        gate[t : t + talks] = 1
        t += talks + int(rng.uniform(0.5, 12) * RATE)
    return gate


def other(rng: np.random.Generator, n: int, kinds: dict[str, list[Path]]) -> np.ndarray:
    """(n,) of a sound that is no talker: a fifth of them made, the rest from the folders."""
    if not kinds or rng.uniform() < 0.2:
        return unit(MADE[int(rng.integers(len(MADE)))](rng, n))
    while True:
        files = kinds[sorted(kinds)[int(rng.integers(len(kinds)))]]
        x = loaded(files[int(rng.integers(len(files)))])
        sounding = np.mean(np.abs(x) > LOUD * np.abs(x).max()) > SHARE
        if np.abs(x).max() > 0 and (sounding or rng.uniform() < 0.3):
            return piece(x, n, rng)


def melody(rng: np.random.Generator, n: int) -> np.ndarray:
    """Notes of one to three voices with overtones that fade, some with vibrato."""
    y, at, base = np.zeros(n), 0, rng.uniform(80, 600)
    fades, overtones, voices = rng.uniform(2, 8), int(rng.integers(3, 12)), int(rng.integers(1, 4))
    while at < n:
        step = int(rng.uniform(0.1, 0.9) * RATE)
        t = np.arange(min(n, at + int(step * rng.uniform(1, 2.5))) - at) / RATE
        for _ in range(voices):
            vibrato = 0.004 * (rng.uniform() < 0.4) * np.sin(2 * np.pi * rng.uniform(4, 6) * t)
            phase = 2 * np.pi * np.cumsum(base * 2 ** (rng.integers(-12, 13) / 12) * (1 + vibrato)) / RATE
            tilt = rng.uniform(0.7, 2)
            note = np.sum([np.sin(h * phase) * h**-tilt for h in range(1, overtones)], axis=0)
            y[at : at + len(t)] += note * np.exp(-fades * t) * np.minimum(1, 50 * t)
        at += step
    return y


def coloured(rng: np.random.Generator, n: int) -> np.ndarray:
    """Noise that is louder at low frequencies."""
    f = np.fft.rfftfreq(n, 1 / RATE) + 20
    return np.asarray(np.fft.irfft(np.fft.rfft(rng.normal(size=n)) * f ** -rng.uniform(0, 1.2), n))


def swelling(rng: np.random.Generator, n: int, every: float = 0.4, depth: float = 1.2) -> np.ndarray:
    """Coloured noise whose level goes up and down."""
    steps = int(n / RATE / every) + 2
    level = np.exp(rng.uniform(0, depth) * rng.normal(size=steps))
    return np.asarray(coloured(rng, n) * np.interp(np.arange(n) / RATE, every * np.arange(steps), level))


def with_syllables(rng: np.random.Generator, n: int) -> np.ndarray:
    """Coloured noise with the rhythm of speech."""
    return swelling(rng, n, every=0.11, depth=1.5)


def humming(rng: np.random.Generator, n: int) -> np.ndarray:
    """A fan, a motor, the mains."""
    t, f = np.arange(n) / RATE, rng.uniform(40, 400)
    tilt = rng.uniform(0, 1.5)
    tone = np.sum([np.sin(2 * np.pi * h * f * t + rng.uniform(0, 6)) * h**-tilt for h in range(1, 15)], axis=0)
    noise = unit(coloured(rng, n)) * rng.uniform(0.01, 0.3)
    return np.asarray((tone + noise) * (1 + 0.3 * np.sin(2 * np.pi * rng.uniform(0.2, 12) * t)))


def knocking(rng: np.random.Generator, n: int) -> np.ndarray:
    """Bursts of noise in a rhythm: drums, steps, keys."""
    level, at, beat = np.zeros(n), 0, rng.uniform(0.1, 0.8)
    while at < n:
        level[at:] += rng.uniform(0.3, 1) * np.exp(-rng.uniform(8, 60) * np.arange(n - at) / RATE)
        at += int(beat * RATE * rng.choice([0.5, 1, 1, 1, 2]))
    return coloured(rng, n) * level


MADE: tuple[Maker, ...] = (melody, swelling, with_syllables, humming, knocking)
