"""Recordings of talkers who walk, with known truth: fixture voices through rooms whose responses are cross-faded along a path."""

from __future__ import annotations

from functools import cache

import numpy as np
from recordings import RATE, voices
from scipy.signal import oaconvolve

from bss.scenes.acoustics.rooms import Layout, respond

ROOM, CENTRE, RADIUS, DISTANCE = (6.0, 5.0, 3.0), np.array([3.1, 2.4, 1.2]), 0.05, 1.3
PLACES = 16  # along a path


def at(degrees: float) -> np.ndarray:
    """A place at that angle from the array, whose first two microphones lie along 0 degrees."""
    angle = np.deg2rad(degrees)
    return CENTRE + np.array([DISTANCE * np.cos(angle), DISTANCE * np.sin(angle), 0.3])


def microphones(n: int) -> np.ndarray:
    """(M, 3) on a circle."""
    angles = np.pi + 2 * np.pi * np.arange(n) / n
    return CENTRE + RADIUS * np.stack([np.cos(angles), np.sin(angles), np.zeros(n)], axis=1)


@cache
def walk(
    paths: tuple[tuple[float, float], ...], *, seconds: float = 9.5, during: tuple[float, float] = (0.0, 1.0), n_mics: int = 2,
    rt60: float = 0.2, repeat: int = 1,
) -> np.ndarray:  # fmt: skip
    """(N, M, n) images of talkers who walk from one angle to another in degrees, `during` shares of the time."""
    images = []
    for (first, last), voice in zip(paths, voices(len(paths), seconds), strict=True):
        v = np.tile(voice, repeat)
        angles = np.linspace(first, last, PLACES if first != last else 1)
        layout = Layout(ROOM, microphones(n_mics), np.stack([at(a) for a in angles]))
        t = np.interp(np.arange(v.size), np.multiply(during, v.size), [0, len(angles) - 1])
        image = np.zeros((n_mics, v.size))
        for k, rirs in enumerate(respond(layout, rt60, RATE).rirs):
            here = v * np.maximum(0, 1 - np.abs(t - k))
            image += np.stack([oaconvolve(here, rir)[: v.size] for rir in rirs])
        images.append(image / image[0].std())
    gain = 0.5 / np.abs(np.sum(images, axis=0)).max()
    result = (gain * np.stack(images)).astype(np.float32)
    result.flags.writeable = False
    return result


def recorded(images: np.ndarray, seed: int = 0) -> np.ndarray:
    """(M, n) the recording of images (N, M, n), with a little noise."""
    x = images.sum(0)
    noise = np.random.default_rng(seed).normal(size=x.shape) * x.std() * 10 ** (-35 / 20)
    return (x + noise).astype(np.float32)
