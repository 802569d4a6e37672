"""Simulated rooms: positions of microphones and talkers, and the room impulse responses between them.

The image-source method is that of pyroomacoustics (`bss.scenes.acoustics.mirrors`). Lengths are in metres, times in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bss.errors import UsageError
from bss.scenes.acoustics import mirrors
from bss.scenes.acoustics.mirrors import SPEED_OF_SOUND, ImageSources

MIC_HEIGHT = 1.2
DISTANCES = (1.0, 1.8)  # of the talkers from the centre of the array
MIN_ANGLE = math.radians(25)  # between neighbouring talkers, seen from the centre of the array
MAX_TALKERS = 14  # that fit around the array with that angle
WALL = 0.3  # least distance of a talker from a wall
NEAR = 0.3  # least distance of a talker from a microphone
NOISE_DISTANCE = 2.0  # of sources of noise from the centre of the array, unless a wall is nearer
NOISE_HEIGHTS = (0.5, 2.0)
MAX_ORDER = 150  # of reflections: 4.5 million image sources, about 0.5 GB


@dataclass(frozen=True, eq=False)
class Layout:
    """Positions (x, y, z) in a room: `mics` (M, 3) and `talkers` (N, 3)."""

    room: tuple[float, float, float]
    mics: np.ndarray
    talkers: np.ndarray

    @property
    def flight_times(self) -> np.ndarray:
        """Travel time of the direct sound from each talker to each microphone in seconds, (N, M)."""
        return np.asarray(np.linalg.norm(self.talkers[:, None] - self.mics[None], axis=-1) / SPEED_OF_SOUND)


@dataclass(frozen=True, eq=False)
class Responses:
    """Room impulse responses `rirs` (N, M, L), the walls they were simulated with, and their measured reverberation times.

    `rt60_wanted` is the reverberation time that was asked for.
    """

    rirs: np.ndarray
    absorption: float
    max_order: int
    rt60: tuple[float, ...]
    rt60_wanted: float


def check_room(room: Sequence[float]) -> tuple[float, float, float]:
    """The three sides in metres; UsageError if they cannot be simulated."""
    try:
        sides = tuple(float(side) for side in room)
    except (TypeError, ValueError):
        sides = ()
    if len(sides) != 3 or not all(math.isfinite(side) for side in sides):
        raise UsageError(f"room={room!r} is not a size", "expected length, width and height in metres", "6x5x3, or (6, 5, 3)")
    if min(sides) < 2 or max(sides) > 100:
        raise UsageError(
            f"room={_size(sides)} cannot be simulated", "its sides must be between 2 and 100 m", "6x5x3, a living room"
        )
    return sides[0], sides[1], sides[2]


def rt60_range(room: tuple[float, float, float]) -> tuple[float, float]:
    """Shortest and longest reverberation time for a room of this size, limited by Sabine's law and by memory."""
    faces = [(room[0], room[1]), (room[0], room[2]), (room[1], room[2])]
    surface = 2 * sum(a * b for a, b in faces)
    shortest = 24 * math.log(10) * math.prod(room) / (SPEED_OF_SOUND * surface)
    reach = min(a * b / math.hypot(a, b) for a, b in faces)  # least length of the sound path per order of reflection
    return shortest, MAX_ORDER * reach / SPEED_OF_SOUND


def check_rt60(rt60: float, room: tuple[float, float, float]) -> float:
    """`rt60` if the room can have it; otherwise UsageError with the possible range."""
    low, high = rt60_range(room)
    low, high = math.ceil(low * 100) / 100, math.floor(high * 100) / 100
    if not (rt60 == 0 or low <= rt60 <= high):
        raise UsageError(
            f"rt60={rt60:g} s is out of range for a room of {_size(room)} m",
            f"it is {low:g} s with fully absorbing walls; above {high:g} s the reflections no longer fit in memory",
            f"{low:g} to {high:g}, 0 for no echo, or another room",
        )
    return rt60


def lay_out(room: tuple[float, float, float], n_talkers: int, n_mics: int, spacing: float, rng: np.random.Generator) -> Layout:
    """A ring of microphones near the middle of the room, with talkers around it at random.

    Neighbouring microphones are `spacing` metres apart, at a height of 1.2 m. Talkers are 1 to 1.8 m from the centre of the
    ring, at least 25 degrees apart, and slightly higher than the microphones.

    Raises
    ------
    UsageError
        There are too many talkers, or the room is too small.
    """
    if n_talkers > MAX_TALKERS:
        raise UsageError(f"{n_talkers} talkers are too many", f"at most {MAX_TALKERS} fit around the microphones")
    radius = 0.0 if n_mics == 1 else spacing / (2 * math.sin(math.pi / n_mics))
    sides = np.array(room)
    if 2 * (radius + WALL) > sides[:2].min():
        raise UsageError(
            f"{n_mics} microphones {spacing:g} m apart do not fit in a room of {_size(room)} m",
            f"they form a ring of {2 * radius:.2f} m in diameter", "a smaller spacing, fewer microphones, or a larger room",
        )  # fmt: skip
    slack = np.minimum(0.5, sides[:2] / 2 - radius - WALL)
    for _ in range(500):
        centre = np.append(sides[:2] / 2 + slack * rng.uniform(-1, 1, 2), MIC_HEIGHT)
        mics = centre + radius * _on_circle(rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(n_mics) / n_mics)
        talkers = centre + _around(n_talkers, rng)
        gaps = np.linalg.norm(talkers[:, None] - mics[None], axis=-1)
        if (talkers >= WALL).all() and (talkers <= sides - WALL).all() and gaps.min() >= NEAR:
            return Layout(room, mics, talkers)
    raise UsageError(
        f"a room of {_size(room)} m is too small for {n_talkers} talkers and {n_mics} microphones {spacing:g} m apart",
        f"talkers are at least {DISTANCES[0]:g} m from the centre of the array and {WALL:g} m from the walls",
        "a larger room, such as 6x5x3, fewer talkers, or a smaller spacing",
    )


def noise_places(layout: Layout, count: int, rng: np.random.Generator) -> np.ndarray:
    """Random places (count, 3) for sources of noise, all around the microphones, farther away than talkers if there is room."""
    around = NOISE_DISTANCE * _on_circle(rng.uniform(0, 2 * np.pi, count)) + layout.mics.mean(0)
    around[:, 2] = rng.uniform(*NOISE_HEIGHTS, count)
    places = np.clip(around, WALL, np.array(layout.room) - WALL)
    gaps = np.linalg.norm(places[:, None] - layout.mics, axis=-1).min(axis=1)
    if (gaps < NEAR).any():
        raise UsageError(
            "a source of noise would stand on a microphone", "the microphones stand as far apart as the room is wide",
            "a smaller spacing, a larger room, or another seed",
        )  # fmt: skip
    return np.asarray(places)


def _on_circle(angles: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles), np.zeros_like(angles)], axis=1)


def _around(n: int, rng: np.random.Generator) -> np.ndarray:
    """Random positions around the origin, (n, 3): on some of the rays of a star, each turned as far as the angle allows."""
    rays = max(8, n)
    turn = max(0.0, (2 * np.pi / rays - MIN_ANGLE) / 2)
    angles = rng.uniform(0, 2 * np.pi) + 2 * np.pi / rays * rng.permutation(rays)[:n] + rng.uniform(-turn, turn, n)
    positions: np.ndarray = rng.uniform(*DISTANCES, n)[:, None] * _on_circle(angles)
    positions[:, 2] = rng.uniform(0.2, 0.5, n)
    return positions


def respond(layout: Layout, rt60: float, rate: int) -> Responses:
    """Impulse responses of a shoebox room with a reverberation time of `rt60` seconds.

    Sabine's law gives an initial absorption. As it is off by a third in well-damped rooms, the absorption is corrected until
    the measured decay, averaged over the talkers at microphone 1, is `rt60`. `rt60=0` is free space.

    Reference: Allen and Berkley (1979), Image method for efficiently simulating small-room acoustics.
    """
    pra = mirrors.simulator()
    absorption, order = pra.inverse_sabine(rt60, layout.room, c=SPEED_OF_SOUND) if rt60 else (1.0, 0)
    length = response_length(layout.flight_times.max(), rt60, rate)
    images = _images(layout, layout.talkers, order, rate, length)
    if rt60 == 0:
        rirs = mirrors.responses(images, absorption, rate, length, layout.mics)
        return Responses(rirs, absorption, order, (0.0,) * len(images), 0.0)
    for _ in range(6):
        probe = mirrors.responses(images, absorption, rate, length, layout.mics[:1])
        decay = float(np.mean([decay_time(rir[0], rate) for rir in probe]))
        if abs(decay / rt60 - 1) < 0.02:
            break
        absorption = min(
            0.999, 1 - (1 - absorption) ** (decay / rt60)
        )  # the slope of the decay is proportional to log(1 - absorption)
    rirs = mirrors.responses(images, absorption, rate, length, layout.mics)
    return Responses(rirs, float(absorption), order, tuple(decay_time(rir[0], rate) for rir in rirs), rt60)


def respond_from(places: np.ndarray, layout: Layout, walls: Responses, rate: int) -> np.ndarray:
    """Impulse responses (K, M, L) from other places (K, 3) of the room that `walls` are those of."""
    other = Layout(layout.room, layout.mics, places)
    length = response_length(other.flight_times.max(), walls.rt60_wanted, rate)
    images = _images(layout, places, walls.max_order, rate, length)
    return mirrors.responses(images, walls.absorption, rate, length, layout.mics)


def response_length(flight_time: float, rt60: float, rate: int) -> int:
    """Samples of a response whose direct sound travels for `flight_time` seconds."""
    return int(rate * (flight_time + 1.2 * rt60)) + mirrors.TAPS


def _images(layout: Layout, places: np.ndarray, order: int, rate: int, length: int) -> list[ImageSources]:
    """The images of places (K, 3) that are heard within `length` samples."""
    reach = length / rate * SPEED_OF_SOUND
    return [mirrors.image_sources(layout.room, place, order).within(reach, layout.mics) for place in places]


def decay_time(rir: np.ndarray, rate: int) -> float:
    """Reverberation time in seconds, from the energy decay between -5 and -25 dB after the direct sound (T20).

    Reference: Schroeder (1965), New method of measuring reverberation time.
    """
    after = int(np.argmax(np.abs(rir))) + int(0.0025 * rate)
    decay = np.cumsum(rir[:after:-1] ** 2)[::-1]
    if decay.size < 2 or decay[0] <= 0:
        return 0.0
    level = 10 * np.log10(np.maximum(decay / decay[0], 1e-12))
    start, stop = int(np.argmax(level < -5)), int(np.argmax(level < -25))
    if stop - start < 2:
        return 0.0
    slope = np.polyfit(np.arange(start, stop) / rate, level[start:stop], 1)[0]
    return float(-60 / slope)


def _size(room: Sequence[float]) -> str:
    return "x".join(f"{side:g}" for side in room)
