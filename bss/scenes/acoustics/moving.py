"""Talkers who walk about while they speak: responses of the places on their way, cross-faded.

The way is divided finely for the direct sound and the first reflections, whose phases would otherwise cancel while one place
fades into the next, and coarsely for the many later ones, which are diffuse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bss.errors import UsageError
from bss.scenes.acoustics import mirrors, rooms
from bss.scenes.acoustics.mirrors import ImageSources
from bss.scenes.acoustics.rooms import Layout, Responses
from bss.scenes.behaviour import Move
from bss.scenes.clocks import Timeline

CONTROL = 0.01  # seconds between the points at which a way is computed
EARLY = 2  # reflections, at most, of the sound that counts as early
LATE_STEP = 0.05  # metres between the places of late reflections
REPORTED = 0.5  # seconds between the positions in scene.json


@dataclass(frozen=True, eq=False)
class Way:
    """Where a talker is: `places` (k, 3) in metres at `times` (k,) in seconds."""

    times: np.ndarray
    places: np.ndarray

    def at(self, t: np.ndarray) -> np.ndarray:
        """Places (j, 3) at the times `t` (j,)."""
        return np.stack([np.interp(t, self.times, axis) for axis in self.places.T], axis=1)

    def to_json(self) -> list[list[float]]:
        """[seconds, x, y, z] every half second."""
        t = np.append(np.arange(self.times[0], self.times[-1], REPORTED), self.times[-1])
        return [[round(float(value), 4) for value in row] for row in np.column_stack([t, self.at(t)])]


def way(layout: Layout, talker: int, moves: Sequence[Move], seconds: float) -> Way:
    """The way of a talker around the centre of the microphones, always as far from it unless a wall is in the way.

    Raises
    ------
    UsageError
        It leads over a microphone.
    """
    t = np.append(np.arange(0, seconds, CONTROL), seconds)
    turned = np.zeros(len(t))
    for move in moves:
        turned += np.radians(move.degrees) * np.interp(t, [move.start or 0.0, move.end or seconds], [0, 1])
    centre, start = layout.mics.mean(0), layout.talkers[talker]
    across = start - centre
    cos, sin = np.cos(turned), np.sin(turned)
    places = np.stack(
        [cos * across[0] - sin * across[1], sin * across[0] + cos * across[1], np.full(len(t), across[2])], axis=1
    ) + centre  # fmt: skip
    places = np.clip(places, rooms.WALL, np.array(layout.room) - rooms.WALL)
    if np.linalg.norm(places[:, None] - layout.mics, axis=-1).min() < rooms.NEAR:
        raise UsageError(
            f"the way of talker {talker + 1} leads over a microphone", "the microphones stand as far apart as people walk",
            "a smaller spacing, another seed, or fewer degrees",
        )  # fmt: skip
    return Way(t, places)


def hear(voice: np.ndarray, path: Way, layout: Layout, walls: Responses, timeline: Timeline) -> np.ndarray:
    """The image (M, timeline.total) of a voice (timeline.total,) spoken on the way `path`."""
    source = mirrors.image_sources(layout.room, path.places[0], walls.max_order)
    early = source.reflections <= EARLY
    walk = _Walk(path, layout, walls, timeline)
    fine = mirrors.SPEED_OF_SOUND / timeline.rate / 2  # the sound of neighbouring places arrives within half a sample
    image = walk.image(voice, source.where(early), fine)
    if not early.all():
        image = mirrors.highpassed(image + walk.image(voice, source.where(~early), LATE_STEP), timeline.rate)
    return image[:, : timeline.total]


@dataclass(frozen=True, eq=False)
class _Walk:
    """A way in a room, and the time it is walked in."""

    path: Way
    layout: Layout
    walls: Responses
    timeline: Timeline

    def image(self, voice: np.ndarray, source: ImageSources, step: float) -> np.ndarray:
        """The voice from places `step` metres apart or less, each faded into the next, and its echo: (M, more than n)."""
        from scipy.signal import oaconvolve

        path, rate, mics = self.path, self.timeline.rate, self.layout.mics
        gone = np.append(0, np.cumsum(np.linalg.norm(np.diff(path.places, axis=0), axis=1)))
        count = math.ceil(gone[-1] / step) + 1
        stops = np.linspace(0, gone[-1], count)
        rising = np.append(True, np.diff(gone) > 0)  # standing still is one place
        places = path.at(np.interp(stops, gone[rising], path.times[rising]))
        position = np.interp(self.timeline.times, path.times, gone) / (stops[1] if count > 1 else 1.0)
        farthest = np.linalg.norm(path.places[:, None] - mics, axis=-1).max() / mirrors.SPEED_OF_SOUND
        length = rooms.response_length(farthest, self.walls.rt60_wanted, rate)
        image = np.zeros((len(mics), self.timeline.total + length))
        for k, place in enumerate(places):  # which are passed in this order, so the samples of each are together
            first, last = np.searchsorted(position, k - 1, side="right"), np.searchsorted(position, k + 1)
            if first == last:
                continue
            part = voice[first:last].astype(np.float64) * (1 - np.abs(position[first:last] - k))
            for m, response in enumerate(mirrors.raw_responses(source.moved(place), self.walls.absorption, rate, length, mics)):
                image[m, first : last + length - 1] += oaconvolve(part, response)
        return image
