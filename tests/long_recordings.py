"""A recording of any length, of the fixture voices in a little echo."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recordings import NAMES, RATE, voice
from scipy.signal import oaconvolve

ECHO_SECONDS = 0.15


@cache
def images(seconds: int, n_mics: int = 2, n_talkers: int = 2) -> np.ndarray:
    """(N, M, n) float32 talkers, each with pauses, at each microphone."""
    rng = np.random.default_rng(7)
    t = np.arange(round(ECHO_SECONDS * RATE)) / RATE
    found = np.zeros((n_talkers, n_mics, seconds * RATE), np.float32)
    for own, name in zip(found, NAMES, strict=False):
        y = talk(voice(name), seconds * RATE, rng)
        for row in own:
            h = 0.1 * rng.normal(size=t.size) * np.exp(-6.9 * t / ECHO_SECONDS)
            h[rng.integers(5, 15)] += 1
            row[:] = 0.15 * oaconvolve(y, h.astype(np.float32))[: len(y)]
    found.flags.writeable = False
    return found


def talk(voice: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) float32 pieces of a voice in random order, with pauses: what repeats itself is no speech."""
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < n:
        at = rng.integers(0, len(voice) - 2 * RATE)
        parts += [voice[at : at + rng.integers(RATE, 2 * RATE)], np.zeros(rng.integers(RATE // 10, RATE), np.float32)]
    return np.concatenate(parts)[:n]


def save_long(path: Path, seconds: int, n_mics: int = 2, n_talkers: int = 2, *, times: int = 1) -> str:
    """Write the recording, `times` over, as a float WAV; the path."""
    x = images(seconds, n_mics, n_talkers).sum(0)
    with soundfile.SoundFile(path, "w", RATE, n_mics, subtype="FLOAT") as file:
        for _ in range(times):
            file.write(x.T)
    return str(path)


PEAK = """
import re, sys
from bss_cli.main import main
try:
    main()
finally:
    print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1], file=sys.stderr)
"""


def peak_bytes(*words: str) -> int:
    """The largest resident set of `bss` with these words; Linux alone tells it.

    That of getrusage begins with the one of the program that started it.
    """
    if sys.platform != "linux":
        pytest.skip("only Linux tells the memory that a program took")
    ended = subprocess.run([sys.executable, "-c", PEAK, *words], capture_output=True, check=True)
    return 1024 * int(ended.stderr.split()[-1])
