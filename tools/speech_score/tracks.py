"""Tracks as a separation leaves them: a talker with something of the others, or another sound with something of a talker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.signal import butter, fftconvolve, sosfilt

from bss.networks.source_model import speech_score
from bss.networks.source_model.speech import BAND_STFT, PITCH_STFT

from .sounds import RATE, other, pauses, speech, unit

SHORTEST, LONGEST = 3.0, 20.0  # seconds
Files = dict[str, list[Path]]


def track(rng: np.random.Generator, speakers: Files, kinds: Files) -> tuple[np.ndarray, bool]:
    """(n,) a track, and whether it is a talker."""
    n = int(RATE * np.exp(rng.uniform(np.log(SHORTEST), np.log(LONGEST))))
    talker = in_room(rng, speech(rng, n, speakers) * pauses(rng, n))
    sound = in_room(rng, other(rng, n, kinds))
    is_talker = bool(rng.uniform() < 0.5)
    if is_talker and rng.uniform() < 0.3:
        sound = unit(rng.uniform() * sound + rng.uniform(0.1, 1) * in_room(rng, speech(rng, n, speakers) * pauses(rng, n)))
    if is_talker:
        y = talker + sound * 10 ** (-rng.uniform(0, 30) / 20)
    elif rng.uniform() < 0.08:
        y = np.sum([in_room(rng, speech(rng, n, speakers)) for _ in range(int(rng.integers(5, 9)))], axis=0)  # babble
    else:
        y = sound + talker * 10 ** (-rng.uniform(4, 35) / 20)
    return unit(y) + rng.normal(size=n) * 10 ** (-rng.uniform(25, 60) / 20), is_talker


def in_room(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """x with echo that fades exponentially, and now and then the colour of a demixing, of a microphone, of a telephone."""
    rt60 = rng.uniform(0.12, 0.9)
    t = np.arange(int(min(rt60, 0.6) * RATE)) / RATE
    response = rng.normal(size=t.size) * np.exp(-6.9 * t / rt60) * rng.uniform(0.02, 0.12)
    response[1 : int(rng.uniform(0, 0.02) * RATE) + 1] *= 0.2
    response[0] = 1
    y = fftconvolve(x, response)[: len(x)]
    if rng.uniform() < 0.4:
        colour = 0.15 * rng.normal(size=200) * np.exp(-np.arange(200) / 30)
        colour[0] = 1
        y = fftconvolve(y, colour)[: len(x)]
    if rng.uniform() < 0.3:
        y = sosfilt(butter(2, rng.uniform(80, 300), "hp", fs=RATE, output="sos"), y)
    if rng.uniform() < 0.15:
        y = sosfilt(butter(8, rng.uniform(3200, 3900), "lp", fs=RATE, output="sos"), y)
    return unit(y)


def measured(y: np.ndarray) -> np.ndarray:
    """(D,) the numbers of a track (n,)."""
    y = np.asarray(y, np.float32)[None]
    return speech_score.numbers(BAND_STFT.forward(y)[:, 0], PITCH_STFT.forward(y)[:, 0])
