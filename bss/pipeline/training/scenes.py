"""Separated simulated rooms with their truth: what the source model is trained on.

A scene is simulated, separated as `unmix` would, and put in the order of the truth. Half of the scenes are separated once more
with the variances of tracks from which part of the other talkers has been removed: what the source model meets in its second
pass. Everything follows from the seed of the scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bss.errors import BssError
from bss.pipeline.methods.fdica import FDICA
from bss.pipeline.methods.ilrma import ILRMA
from bss.pipeline.methods.refine import refine
from bss.pipeline.methods.shared.base import Task
from bss.scenes.mixing import mix
from bss.signals.stft import Stft

MASK_POWERS = (0.2, 0.8)  # of the ideal mask, before the second separation: 0 is no mask, 1 all of it
MASK_STFT = Stft(1024, 256)


@dataclass(frozen=True)
class Example:
    """A separated scene: tracks and truth (N, n) float32 at microphone 0, track k being talker k; `mixture` (n,)."""

    tracks: np.ndarray
    truth: np.ndarray
    mixture: np.ndarray


def scene_options(rng: np.random.Generator) -> dict[str, object]:
    """Talkers, microphones and room, drawn from a wider range than recordings come from."""
    n_sources = int(rng.choice([2, 3, 4], p=[0.5, 0.38, 0.12]))
    n_mics = n_sources + (int(rng.integers(1, 3)) if rng.random() < 0.15 else 0)
    room = (rng.uniform(4.5, 9), rng.uniform(3.8, 7), rng.uniform(2.5, 3.6))
    return {
        "n_sources": n_sources, "n_mics": n_mics, "room": room, "rt60": float(rng.uniform(0.14, 0.7)),
        "spacing": float(np.exp(rng.uniform(np.log(0.03), np.log(0.6)))), "snr_db": float(rng.uniform(20, 40)),
        "levels_db": rng.normal(0, 2.5, n_sources), "seconds": float(rng.choice([10.0, 6.0], p=[0.8, 0.2])),
    }  # fmt: skip


def training_scene(voices: Sequence[np.ndarray], rate: int, seed: int) -> Example:
    """Separate a scene of some of `voices`, one array (n,) for each talker; what should have come out is beside it."""
    rng = np.random.default_rng([seed, 20])
    options = scene_options(rng)
    seconds, n_sources = float(options["seconds"]), int(options.pop("n_sources"))  # type: ignore[arg-type, call-overload]
    chosen = rng.choice(len(voices), n_sources, replace=False)
    drawn = [spoken(voices[k], round(seconds * rate), rng) for k in chosen]
    scene = None
    while scene is None:
        try:
            scene = mix(drawn, rate, rng=rng, **options)  # type: ignore[arg-type]
        except BssError:  # a room that cannot have this echo, or cannot hold this array
            redrawn = scene_options(rng)
            options |= {key: redrawn[key] for key in ("room", "rt60", "spacing")}
    mixture, truth = scene.mixture, scene.images[:, 0]
    method = ILRMA if n_sources == len(mixture) else FDICA
    stft = method.window(mixture.shape[1], rate)
    effort = "fast" if rng.random() < 0.2 else "normal"
    task = Task(mixture, stft.forward(mixture), rate, stft, n_sources, effort)
    tracks = method.learn(task).tracks(np.zeros(n_sources, int))
    tracks = in_order(tracks, truth)
    if rng.random() < 0.5:
        tracks = refine(mixture, rate, partly_masked(tracks, truth, rng.uniform(*MASK_POWERS))).tracks
    return Example(tracks, truth, mixture[0])


def spoken(voice: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n samples of a voice from a random position on, now and then with pauses of seconds."""
    start = int(rng.integers(len(voice)))
    y = np.resize(np.roll(voice, -start), n).astype(np.float32)
    if rng.random() < 0.25:
        gate = np.repeat(rng.random(n // 8000 + 1) < 0.6, 8000)[:n].astype(np.float32)
        gate[: n // 4] = 1  # nobody is silent throughout
        y = y * np.convolve(gate, np.hanning(400) / np.hanning(400).sum(), mode="same").astype(np.float32)
    return y


def in_order(tracks: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Tracks in the order of the truth that they correlate with most."""
    from scipy.optimize import linear_sum_assignment

    correlation = np.abs(truth @ tracks.T) / np.linalg.norm(tracks, axis=1)
    return np.asarray(tracks[linear_sum_assignment(-correlation)[1]])


def partly_masked(tracks: np.ndarray, truth: np.ndarray, power: float) -> np.ndarray:
    """Tracks through a power of the ideal ratio mask: 0 leaves them as they are, 1 is the best that a mask can do."""
    Y, S = MASK_STFT.forward(tracks), MASK_STFT.forward(truth)
    own, rest = np.abs(S) ** 2, np.abs(Y - S) ** 2
    gain = (own / (own + rest + np.finfo(np.float32).tiny)) ** power
    return MASK_STFT.inverse((gain * Y).astype(np.complex64), tracks.shape[1])
