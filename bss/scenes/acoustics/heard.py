"""What microphones hear of talkers and noise: in a simulated room, through measured responses, or on a mixing desk."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.errors import InputError, UsageError
from bss.scenes.acoustics import moving, rooms
from bss.scenes.behaviour import Move
from bss.scenes.clocks import Timeline


@dataclass(frozen=True, eq=False)
class Heard:
    """Images (N, M, n) float32 of the talkers and (K, M, n) of the noises, at levels to be set, and where they come from."""

    images: np.ndarray
    noises: np.ndarray
    description: dict[str, Any]


@dataclass(frozen=True)
class Room:
    """A simulated room, and who walks about in it."""

    sides: tuple[float, float, float]
    rt60: float
    spacing: float
    moves: tuple[Move, ...] = ()

    def hear(
        self, voices: np.ndarray, noises: np.ndarray, n_mics: int, timeline: Timeline,
        rng: np.random.Generator, noise_rng: np.random.Generator,
    ) -> Heard:  # fmt: skip
        """What `n_mics` microphones hear of voices (N, n) and noises (K, n), all samples of the timeline.

        `rng` places microphones and talkers, `noise_rng` the noises.
        """
        rate = timeline.rate
        layout = rooms.lay_out(self.sides, len(voices), n_mics, self.spacing, rng)
        walls = rooms.respond(layout, self.rt60, rate)
        description = {
            "rt60_measured": [round(seconds, 4) for seconds in walls.rt60],
            "absorption": round(walls.absorption, 6),
            "reflections": walls.max_order,
            "mics": layout.mics.round(4).tolist(),
            "talkers": layout.talkers.round(4).tolist(),
            "delays_s": layout.flight_times.round(8).tolist(),
        }
        images = convolved(voices, walls.rirs, {move.talker for move in self.moves})
        ways = {}
        for talker in sorted({move.talker for move in self.moves}):
            own = [move for move in self.moves if move.talker == talker]
            path = moving.way(layout, talker, own, timeline.seconds)
            images[talker] = moving.hear(voices[talker], path, layout, walls, timeline)
            ways[str(talker + 1)] = path.to_json()
        description |= {"ways": ways} if ways else {}
        if not len(noises):
            return Heard(images, np.empty((0, *images.shape[1:]), np.float32), description)
        places = rooms.noise_places(layout, len(noises), noise_rng)
        heard = convolved(noises, rooms.respond_from(places, layout, walls, rate))
        return Heard(images, heard, description | {"noise_places": places.round(4).tolist()})


def through_responses(voices: np.ndarray, noises: np.ndarray, rirs: Sequence[np.ndarray], rate: int) -> Heard:
    """Voices (N, n) and noises (K, n) through measured responses (M, L), one for each: first the talkers, then the noises."""
    length = max(rir.shape[1] for rir in rirs)
    padded = np.stack([np.pad(rir, ((0, 0), (0, length - rir.shape[1]))) for rir in rirs])
    n_talkers = len(voices)
    decays = [round(rooms.decay_time(rir[0], rate), 4) for rir in padded[:n_talkers]]
    images = convolved(voices, padded[:n_talkers])
    return Heard(images, convolved(noises, padded[n_talkers : n_talkers + len(noises)]), {"rt60_measured": decays})


def check_rirs(rirs: Sequence[Any], n_mics: int, needed: int) -> list[np.ndarray]:
    """The responses (M, L), each of unit energy at microphone 1; checked: enough of them, a channel for every microphone."""
    checked = []
    for k, rir in enumerate(rirs):
        h = np.asarray(rir)
        if h.ndim != 2 or h.dtype.kind != "f" or not h.size or not np.isfinite(h).all():
            raise InputError(f"response {k + 1} is no impulse response", "expected finite float samples, (M, n)")
        if len(h) != n_mics:
            raise InputError(
                f"response {k + 1} has {len(h)} channels, but there are {n_mics} microphones",
                "a response has one channel for each microphone", f"n_mics={len(h)}, or other responses",
            )  # fmt: skip
        if not h[0].any():
            raise InputError(
                f"response {k + 1} is silent at microphone 1", "every talker is scaled to a level there", "another response"
            )
        checked.append(h / np.linalg.norm(h[0]))  # levels are set later, and may be anything here
    if len(checked) < needed:
        raise UsageError(
            f"too few responses: {len(checked)} for {needed} talkers and noises", "each comes from a place of its own",
            "more responses, or fewer voices and noises",
        )  # fmt: skip
    return checked


def on_desk(
    voices: np.ndarray, noises: np.ndarray, n_mics: int, rng: np.random.Generator, noise_rng: np.random.Generator
) -> Heard:
    """Weighted sums of voices (N, n) and noises (K, n) without delays, as on a mixing desk."""
    matrix = mixing_matrix(n_mics, len(voices), rng)
    images = voices[:, None] * matrix.T.astype(np.float32)[:, :, None]
    weights = noise_rng.uniform(0.3, 1.0, (len(noises), n_mics)) * noise_rng.choice([-1, 1], (len(noises), n_mics))
    description = {"matrix": matrix.round(6).tolist(), "condition": round(float(np.linalg.cond(matrix)), 3)}
    return Heard(images, noises[:, None] * weights.astype(np.float32)[:, :, None], description)


def mixing_matrix(n_mics: int, n_talkers: int, rng: np.random.Generator) -> np.ndarray:
    """A random (M, N) matrix with a condition number below about 6, its first row all ±1: equal levels at microphone 1."""
    k = min(n_mics, n_talkers)
    # G H, where H is orthogonal with a constant first row, and G = [[1, 0], [g, C]] is well conditioned
    first = np.column_stack([np.ones(n_talkers), rng.normal(size=(n_talkers, n_talkers - 1))])
    h = np.linalg.qr(first)[0].T * math.sqrt(n_talkers)
    left = np.linalg.qr(rng.normal(size=(max(n_mics - 1, 1), max(n_mics - 1, 1))))[0]
    right = np.linalg.qr(rng.normal(size=(max(n_talkers - 1, 1), max(n_talkers - 1, 1))))[0]
    g = np.zeros((n_mics, n_talkers))
    g[0, 0] = 1.0
    g[1:, 0] = rng.uniform(0.4, 0.8, n_mics - 1) * rng.choice([-1, 1], n_mics - 1) / math.sqrt(max(n_mics - 1, 1))
    g[1:, 1:] = (left[:, : k - 1] * rng.uniform(0.5, 1.0, k - 1)) @ right[: k - 1]
    return np.asarray(g @ h * rng.choice([-1.0, 1.0], n_talkers))


def convolved(x: np.ndarray, rirs: np.ndarray, leave_out: set[int] | None = None) -> np.ndarray:
    """Signals (N, n) through responses (N, M, L): (N, M, n) float32, zeros for those to `leave_out`."""
    from scipy.signal import oaconvolve

    images = np.zeros((len(x), rirs.shape[1], x.shape[1]), np.float32)
    for k, (signal, responses) in enumerate(zip(x, rirs, strict=True)):
        for m, rir in enumerate(responses if k not in (leave_out or ()) else ()):
            images[k, m] = oaconvolve(signal.astype(np.float64), rir)[: signal.size]
    return images
