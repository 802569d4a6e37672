"""What synchronisation found, for every microphone, and in words."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bss.signals.sync.clocks.clock import Clock, Jump

Span = tuple[int, int]


@dataclass(frozen=True)
class MicAlignment:
    """One microphone beside the reference.

    Attributes
    ----------
    name : str
        For messages.
    found : bool
        Whether it shares sound with the reference; if not, it is left as it is.
    offset : float
        Seconds by which it started later.
    ppm : float
        By how much its clock is fast, in parts per million; the mean, if its rate changes.
    jumps : tuple[Jump, ...]
        Samples that it lost or has too many of.
    agreement : float or None
        How alike its cross-spectra with the reference are at distant times, once synchronised: 1 if nothing moves and one talker
        speaks; None if that was not measured.
    clock : Clock or None
        Its lag over time; None for a microphone that stays as it is.
    covered : tuple[tuple[int, int], ...]
        Spans of samples, in the time of the reference, in which it holds a recording.
    cuts : tuple[int, ...]
        For each of its jumps the first of its samples after it.
    """

    name: str
    found: bool = True
    offset: float = 0.0
    ppm: float = 0.0
    jumps: tuple[Jump, ...] = ()
    agreement: float | None = None
    clock: Clock | None = field(default=None, repr=False)
    covered: tuple[Span, ...] = ()
    cuts: tuple[int, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether it was put in order."""
        return self.clock is not None

    def to_dict(self, rate: int) -> dict[str, Any]:
        """As values for JSON: times in seconds."""
        return {
            "mic": self.name,
            "found": self.found,
            "changed": self.changed,
            "offset": round(self.offset, 6) + 0.0,
            "ppm": round(self.ppm, 3) + 0.0,
            "jumps": [{"seconds": round(j.seconds, 4), "missing": round(j.missing, 6)} for j in self.jumps],
            "covered": [[round(a / rate, 3), round(b / rate, 3)] for a, b in self.covered],
        }

    @property
    def message(self) -> str | None:
        """What was found, in a line; None if there is nothing to say."""
        if not self.found:
            return f"{self.name}: shares no sound with the reference microphone, so it cannot be put in step"
        if not self.changed and not self.jumps:
            return None
        facts = [_start(self.offset)] if abs(self.offset) >= 5e-4 else []
        facts += [f"clock {self.ppm:+.1f} ppm"] if abs(self.ppm) >= 0.05 else []
        facts += [_jump(jump) for jump in self.jumps[:MOST_NAMED]]
        if len(self.jumps) > MOST_NAMED:
            facts.append(f"and {len(self.jumps) - MOST_NAMED} more jumps")
        return f"{self.name}: {', '.join(facts) or 'a little out of step'}"


MOST_NAMED = 5
HOLE_SECONDS = 0.25
SAME_SECONDS, SAME_MISSING = 0.5, 1e-4


def _start(seconds: float) -> str:
    return f"starts {abs(seconds):.3f} s {'later' if seconds > 0 else 'earlier'}"


def _jump(jump: Jump) -> str:
    size = 1e3 * abs(jump.missing)
    length = f"{size:.0f} ms" if size >= 2 else f"{size:.2f} ms"
    return f"{length} {'missing' if jump.missing > 0 else 'too many'} at {clock_time(jump.seconds)}"


def clock_time(seconds: float) -> str:
    """Minutes, seconds and tenths: 00:10.0."""
    tenths = round(10 * seconds)
    hours, rest = divmod(tenths, 36_000)
    text = f"{rest // 600:02d}:{rest % 600 // 10:02d}.{rest % 10}"
    return f"{hours}:{text}" if hours else text


@dataclass(frozen=True)
class Alignment:
    """All microphones of a recording beside the reference.

    Attributes
    ----------
    mics : tuple[MicAlignment, ...]
        In the order of the channels.
    reference : int
        The channel whose time the others were put in.
    samples : int
        n of the recording.
    rate : int
        Hz.
    heard : int or None
        The channel of the reference's recorder that the others were compared with; None for `reference`.
    """

    mics: tuple[MicAlignment, ...]
    reference: int
    samples: int
    rate: int
    heard: int | None = None

    @property
    def changed(self) -> bool:
        """Whether any microphone was put in order."""
        return any(mic.changed for mic in self.mics)

    @property
    def covered(self) -> tuple[tuple[Span, ...], ...]:
        """For each microphone the spans of samples in which it holds a recording."""
        return tuple(mic.covered for mic in self.mics)

    @property
    def messages(self) -> tuple[str, ...]:
        """A line for each microphone of which there is something to say."""
        return tuple(mic.message for mic in self.mics if mic.message is not None)

    @property
    def repairs(self) -> tuple[str, ...]:
        """A line for each microphone that was put in order."""
        return tuple(mic.message for mic in self.mics if mic.changed and mic.message is not None)

    @property
    def common(self) -> Span:
        """The longest span in which all microphones that were found hold a recording, holes that are shorter than a window not
        being counted; empty if there is none."""
        edges = np.zeros(self.samples + 1, np.int32)
        found = [mic for mic in self.mics if mic.found]
        for mic in found:
            for start, stop in _without_holes(mic.covered, round(HOLE_SECONDS * self.rate)):
                edges[start] += 1
                edges[stop] -= 1
        inside = np.concatenate([[False], np.cumsum(edges)[:-1] == len(found), [False]])
        flips = np.flatnonzero(np.diff(inside.astype(np.int8)))
        spans = list(zip(flips[::2].tolist(), flips[1::2].tolist(), strict=True))
        return max(spans, key=lambda s: s[1] - s[0]) if spans else (0, 0)


def _without_holes(spans: tuple[Span, ...], longest: int) -> list[Span]:
    joined = list(spans[:1])
    for start, stop in spans[1:]:
        if start - joined[-1][1] <= longest:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined


def blamed(mics: list[MicAlignment], groups: list[list[int]], reference: int) -> list[MicAlignment]:
    """Jumps that all other recorders show at once are the reference's: it lost what they seem to have too much of.

    With two recorders there is no telling, and it is the other one. How the recordings are put in step is the same.
    """
    others = [mics[group[0]] for k, group in enumerate(groups) if k != reference and mics[group[0]].found]
    if len(others) < 2:
        return mics
    shared = [jump for jump in others[0].jumps if all(any(_same(jump, one) for one in mic.jumps) for mic in others[1:])]
    result = []
    for c, mic in enumerate(mics):
        own = tuple(jump for jump in mic.jumps if not any(_same(jump, one) for one in shared))
        if c in groups[reference]:
            own = tuple(Jump(jump.seconds, -jump.missing) for jump in shared)
        result.append(replace(mic, jumps=own))
    return result


def _same(one: Jump, other: Jump) -> bool:
    return abs(one.seconds - other.seconds) < SAME_SECONDS and abs(one.missing - other.missing) < SAME_MISSING
