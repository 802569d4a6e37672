"""Recorders with clocks of their own: which moment each sample of a file was taken at, and the file that results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.scenes.faults import Drift, Fault, Gap, Offset

HALF = 32  # half the length of the interpolation filter in samples: flat up to 94 % of the highest frequency
BLOCK = 2048  # samples interpolated at a time


@dataclass(frozen=True)
class Segment:
    """From `file_s` on, a file's time t is the moment time_s + (t - file_s) / (1 + ppm / 10⁶) of microphone 0."""

    file_s: float
    time_s: float
    ppm: float

    def moment(self, t: Any) -> Any:
        """The moment in seconds of microphone 0 at the time t of the file."""
        return self.time_s + (t - self.file_s) / (1 + self.ppm * 1e-6)


@dataclass(frozen=True)
class Clock:
    """The clock of a recorder: what holds from the start of its file on, and after every change."""

    segments: tuple[Segment, ...] = (Segment(0.0, 0.0, 0.0),)

    def moments(self, t: np.ndarray) -> np.ndarray:
        """The moments, in seconds of microphone 0, at which the file's times `t` (n,), in seconds, were recorded."""
        at = np.searchsorted([segment.file_s for segment in self.segments], t, side="right") - 1
        moments = np.empty(len(t))
        for k, segment in enumerate(self.segments):
            moments[at == k] = segment.moment(t[at == k])
        return moments

    @property
    def is_right(self) -> bool:
        """Whether it is that of microphone 0."""
        return all(segment.ppm == 0 and segment.time_s == segment.file_s for segment in self.segments)


def all_right(clocks: Sequence[Clock]) -> bool:
    """Whether all clocks are that of microphone 0."""
    return all(clock.is_right for clock in clocks)


def to_json(clocks: Sequence[Clock]) -> list[list[dict[str, float]]]:
    """The segments of every clock as JSON values; nothing if all are right."""
    if all_right(clocks):
        return []
    return [[{"file_s": s.file_s, "time_s": round(s.time_s, 9), "ppm": s.ppm} for s in clock.segments] for clock in clocks]


def clocks(faults: Sequence[Fault], n_mics: int) -> tuple[Clock, ...]:
    """The clock of every microphone, from resolved faults."""
    return tuple(_clock([fault for fault in faults if fault.mic == mic]) for mic in range(n_mics))


def _clock(faults: Sequence[Fault]) -> Clock:
    offset = sum((fault.seconds for fault in faults if isinstance(fault, Offset)), 0.0)
    segments = [Segment(0.0, offset, 0.0)]
    changes = [fault for fault in faults if isinstance(fault, Drift | Gap)]
    for fault in sorted(changes, key=lambda fault: fault.at or 0.0):
        last, at = segments[-1], fault.at or 0.0
        moment = last.moment(at)
        new = Segment(at, moment, fault.ppm) if isinstance(fault, Drift) else Segment(at, moment + fault.seconds, last.ppm)
        segments = [*(segments if at > last.file_s else segments[:-1]), new]
    return Clock(tuple(segments))


@dataclass(frozen=True)
class Timeline:
    """The samples to simulate: the `n` of the recording in the time of microphone 0, and what other clocks reach beyond them."""

    n: int
    rate: int
    before: int = 0
    after: int = 0

    @property
    def total(self) -> int:
        """Samples in all."""
        return self.before + self.n + self.after

    @property
    def span(self) -> slice:
        """The samples of the recording."""
        return slice(self.before, self.before + self.n)

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.n / self.rate

    @property
    def times(self) -> np.ndarray:
        """Seconds since the start of the recording, for all samples."""
        return (np.arange(self.total) - self.before) / self.rate


def timeline(clocks: Sequence[Clock], n: int, rate: int) -> Timeline:
    """What has to be simulated for files of n samples; no more than these if all clocks are right."""
    before = after = 0
    for clock in clocks:
        if clock.is_right:
            continue
        ends = [*(segment.file_s for segment in clock.segments[1:]), n / rate]
        for segment, end in zip(clock.segments, ends, strict=True):
            if segment.time_s < 0:  # otherwise there is silence before the start, as without clocks
                before = max(before, math.ceil(-segment.time_s * rate) + HALF)
            after = max(after, math.ceil(segment.moment(end) * rate) - n + HALF)
    return Timeline(n, rate, before, after)


def record(heard: np.ndarray, clocks: Sequence[Clock], timeline: Timeline) -> np.ndarray:
    """The files (M, n) that recorders with these clocks, one for each microphone, make of what is heard, (M, timeline.total)."""
    files = np.empty((len(heard), timeline.n))
    rate = timeline.rate
    for x, clock, file in zip(heard, clocks, files, strict=True):
        if clock.is_right:
            file[:] = x[timeline.span]
            continue
        for first in range(0, timeline.n, BLOCK):
            t = np.arange(first, min(first + BLOCK, timeline.n)) / rate
            file[first : first + BLOCK] = interpolate(x, timeline.before + rate * clock.moments(t))
    return files


def interpolate(x: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The band-limited signal x (n,) between its samples, at the positions `at` (k,); zero outside.

    A sinc of 64 samples under a Hann window. The sine and the window are those of a sum of angles, so that each is computed once
    per position instead of once per position and tap.

    Reference: Laakso, Välimäki, Karjalainen and Laine (1996), Splitting the unit delay.
    """
    whole = np.floor(at).astype(np.int64)
    fraction = at - whole
    near = np.abs(fraction - 0.5) > 0.5 - 1e-7  # a whole number but for rounding: the sample itself
    taps = np.arange(1 - HALF, HALF + 1)
    low, high = int(whole.min()) - HALF + 1, int(whole.max()) + HALF + 1
    part = np.zeros(high - low)
    first, last = max(low, 0), min(high, len(x))
    if first < last:
        part[first - low : last - low] = x[first:last]
    windows = np.lib.stride_tricks.sliding_window_view(part, 2 * HALF)[whole - HALF + 1 - low]
    distance = fraction[:, None] - taps
    distance[near] = 1.0
    angle, step = np.pi * fraction / HALF, np.pi * taps / HALF
    hann = 0.5 + 0.5 * (np.cos(angle)[:, None] * np.cos(step) + np.sin(angle)[:, None] * np.sin(step))
    weights = np.sin(np.pi * fraction)[:, None] * np.where(taps % 2, -1.0, 1.0) / (np.pi * distance) * hann
    y = np.einsum("kt,kt->k", windows, weights)
    y[near] = windows[near, HALF - 1 + np.round(fraction[near]).astype(int)]
    return np.asarray(y)
