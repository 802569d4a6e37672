"""What separations leave, with its truth: examples to train the source model on.

A scene is simulated, separated as `unmix` would, and put in the order of the truth. Half of the scenes are separated once more
with the variances of a talker of whom part of the others has been taken away, which is where the source model gets to in its
second look. Everything follows from the seed of the scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bss.errors import BssError
from bss.pipeline.methods.base import Task
from bss.pipeline.methods.fdica import FDICA
from bss.pipeline.methods.ilrma import ILRMA
from bss.pipeline.methods.refine import refine
from bss.scenes.mixing import mix
from bss.signals.stft import Stft

SHARES = (0.2, 0.8)  # of what could be taken from the others at best, in the second separation
WIENER = Stft(1024, 256)


@dataclass(frozen=True)
class Example:
    """A separated scene: tracks and truth (N, n) float32 at microphone 0, track k being talker k; `mixture` (n,)."""

    tracks: np.ndarray
    truth: np.ndarray
    mixture: np.ndarray


def scene_options(rng: np.random.Generator) -> dict[str, object]:
    """Talkers, microphones, room: wider than what people record in, so that nothing they do is outside."""
    n_sources = int(rng.choice([2, 3, 4], p=[0.5, 0.38, 0.12]))
    n_mics = n_sources + (int(rng.integers(1, 3)) if rng.random() < 0.15 else 0)
    room = (rng.uniform(4.5, 9), rng.uniform(3.8, 7), rng.uniform(2.5, 3.6))
    return {
        "n_sources": n_sources, "n_mics": n_mics, "room": room, "rt60": float(rng.uniform(0.14, 0.7)),
        "spacing": float(np.exp(rng.uniform(np.log(0.03), np.log(0.6)))), "snr_db": float(rng.uniform(20, 40)),
        "levels_db": rng.normal(0, 2.5, n_sources), "seconds": float(rng.choice([10.0, 6.0], p=[0.8, 0.2])),
    }  # fmt: skip


def rehearse(voices: Sequence[np.ndarray], rate: int, seed: int) -> Example:
    """Separate a scene of voices drawn from `voices`, one array (n,) for each speaker, and say what should have come out."""
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
            again = scene_options(rng)
            options |= {key: again[key] for key in ("room", "rt60", "spacing")}
    mixture, truth = scene.mixture, scene.images[:, 0]
    method = ILRMA if n_sources == len(mixture) else FDICA
    stft = method.window(mixture.shape[1], rate)
    effort = "fast" if rng.random() < 0.2 else "normal"
    task = Task(mixture, stft.forward(mixture), rate, stft, n_sources, effort)
    tracks = method.learn(task).tracks(np.zeros(n_sources, int))
    tracks = in_order(tracks, truth)
    if rng.random() < 0.5:
        tracks = refine(mixture, rate, tracks, partly_alone(tracks, truth, rng.uniform(*SHARES))).tracks
    return Example(tracks, truth, mixture[0])


def spoken(voice: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n samples of a voice from a random place on, now and then with pauses of seconds."""
    start = int(rng.integers(len(voice)))
    y = np.resize(np.roll(voice, -start), n).astype(np.float32)
    if rng.random() < 0.25:
        gate = np.repeat(rng.random(n // 8000 + 1) < 0.6, 8000)[:n].astype(np.float32)
        gate[: n // 4] = 1  # nobody is silent throughout
        y = y * np.convolve(gate, np.hanning(400) / np.hanning(400).sum(), mode="same").astype(np.float32)
    return y


def in_order(tracks: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Tracks in the order of the truth that they are most like."""
    from scipy.optimize import linear_sum_assignment

    likeness = np.abs(truth @ tracks.T) / np.linalg.norm(tracks, axis=1)
    return np.asarray(tracks[linear_sum_assignment(-likeness)[1]])


def partly_alone(tracks: np.ndarray, truth: np.ndarray, share: float) -> np.ndarray:
    """Tracks through a power of the ideal ratio mask: 0 leaves them as they are, 1 is the best that a mask can do."""
    Y, S = WIENER.forward(tracks), WIENER.forward(truth)
    own, rest = np.abs(S) ** 2, np.abs(Y - S) ** 2
    gain = (own / (own + rest + np.finfo(np.float32).tiny)) ** share
    return WIENER.inverse((gain * Y).astype(np.complex64), tracks.shape[1])
