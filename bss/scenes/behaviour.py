"""What talkers do, as values: they take turns, come and go, and walk about; and who speaks when as a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from bss.errors import UsageError, check_int

RAMP = 0.025  # seconds in which a voice sets in or ends
TURNS = (0.5, 1.5)  # shortest and longest turn, relative to the mean
INTERRUPTED = 0.4  # share of the turns in which another talker joins in, for half as long


@dataclass(frozen=True)
class Move:
    """Talker `talker` (from 0) walks `degrees` around the microphones, steadily from `start` to `end` seconds.

    Counterclockwise as seen from above, the other way if negative; over the whole recording by default. Several are one
    after another.
    """

    talker: int
    degrees: float
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Join:
    """Talker `talker` (from 0) is there from `start` to `end` seconds only, by default to the end. Several are added up."""

    talker: int
    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True)
class Conversation:
    """Talkers take turns of half to one and a half times `turn` seconds; in some, another one joins in for half as long."""

    turn: float = 4.0


Behaviour: TypeAlias = Move | Join | Conversation
KINDS: dict[str, type[Any]] = {"move": Move, "join": Join, "conversation": Conversation}


def to_json(behaviour: Sequence[Behaviour]) -> list[dict[str, Any]]:
    """As JSON values, with talkers counted from 1."""
    names = {kind: name for name, kind in KINDS.items()}
    entries = []
    for event in behaviour:
        values = asdict(event)
        if "talker" in values:
            values["talker"] += 1
        entries.append({"kind": names[type(event)], **values})
    return entries


def from_json(entries: Sequence[Any]) -> tuple[Behaviour, ...]:
    """The behaviour that `to_json` wrote; ValueError for anything else."""
    behaviour = []
    for entry in entries:
        values = dict(entry)
        kind = KINDS.get(values.pop("kind", None))
        if kind is None or not all(isinstance(value, int | float | None) for value in values.values()):
            raise ValueError(f"{entry} is not a behaviour")
        if "talker" in values:
            values["talker"] -= 1
        try:
            behaviour.append(kind(**values))
        except TypeError as error:
            raise ValueError(f"{entry} is not a behaviour") from error
    return tuple(behaviour)


def check(behaviour: Sequence[Any], n_talkers: int, seconds: float) -> None:
    """UsageError if `n_talkers` cannot do this in a recording of this length."""
    for event in behaviour:
        _check(event, n_talkers, seconds)
    if sum(isinstance(event, Conversation) for event in behaviour) > 1:
        raise UsageError("there are two conversations", hint="one, among all talkers")


def timed(behaviour: Sequence[Behaviour], seconds: float) -> tuple[Behaviour, ...]:
    """The behaviour with all times said, for a recording of `seconds`."""
    return tuple(
        event
        if isinstance(event, Conversation)
        else replace(event, start=event.start or 0.0, end=seconds if event.end is None else event.end)
        for event in behaviour
    )


def _check(event: Any, n_talkers: int, seconds: float) -> None:
    if isinstance(event, Conversation):
        if n_talkers < 2:
            raise UsageError("a conversation needs two talkers", hint="more voices")
        if not 0.1 <= event.turn <= 3600:
            raise UsageError(f"turns of {event.turn:g} s are out of range", hint="0.1 to 3600 seconds, such as 4")
        return
    if not isinstance(event, Move | Join):
        raise UsageError(f"{event!r} is no behaviour", hint="one of bss.scenes.behaviour: Move, Join, Conversation")
    what = "move" if isinstance(event, Move) else "join"
    if not check_int("talker", event.talker, 0) < n_talkers:
        raise UsageError(f"{what}: there is no talker {event.talker + 1}", hint=f"1 to {n_talkers}, or more voices")
    start, end = event.start or 0.0, seconds if event.end is None else event.end
    if not 0 <= start < min(end, seconds):
        raise UsageError(
            f"{what}: {start:g} to {end:g} s is no part of the recording of {seconds:g} s",
            hint=f"a start before the end, from 0 to {seconds:g}",
        )
    if isinstance(event, Move) and not 0 < abs(event.degrees) <= 3600:
        raise UsageError(f"move: {event.degrees:g} degrees are out of range", hint="up to 3600, negative for the other way")


def activity(
    behaviour: Sequence[Behaviour], n_talkers: int, seconds: float, rng: np.random.Generator
) -> list[list[list[float]]] | None:
    """The spans [start, end] in seconds in which each talker speaks; None if nothing is said about it: all, throughout.

    A conversation goes on for `seconds`; those who are not there when it would be their turn are silent then.
    """
    joins = [event for event in behaviour if isinstance(event, Join)]
    talk = [event for event in behaviour if isinstance(event, Conversation)]
    if not joins and not talk:
        return None
    spans = [[[0.0, seconds]] for _ in range(n_talkers)]
    if talk:
        spans = _turns(n_talkers, seconds, talk[0].turn, rng)
    for talker in {event.talker for event in joins}:
        present = _merged([[event.start, event.end or seconds] for event in joins if event.talker == talker])
        spans[talker] = [
            [max(a, c), min(b, d)] for a, b in spans[talker] for c, d in present if max(a, c) < min(b, d)
        ]  # fmt: skip
    return [_merged(own) for own in spans]


def _turns(n_talkers: int, seconds: float, mean: float, rng: np.random.Generator) -> list[list[list[float]]]:
    spans: list[list[list[float]]] = [[] for _ in range(n_talkers)]
    first = [int(k) for k in rng.permutation(n_talkers)]  # everybody speaks before chance decides who does
    start, last = 0.0, -1
    while start < seconds:
        length, chance = mean * float(rng.uniform(*TURNS)), int(rng.integers(n_talkers - 1))
        who = first.pop() if first else _other(chance, last)
        spans[who].append([start, min(start + length, seconds)])
        joins_in, where = rng.uniform() < INTERRUPTED, start + length * float(rng.uniform())
        other = _other(int(rng.integers(n_talkers - 1)), who)
        if joins_in and where < seconds:
            spans[other].append([where, min(where + length / 2, seconds)])
        start, last = start + length, who
    return spans


def _other(k: int, than: int) -> int:
    return k + (k >= than >= 0)


def _merged(spans: Sequence[list[float]]) -> list[list[float]]:
    merged: list[list[float]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    return [[round(start, 4), round(end, 4)] for start, end in merged]


def gates(spans: Sequence[Sequence[Sequence[float]]], t: np.ndarray, seconds: float) -> np.ndarray:
    """Gains (N, n) float32 from 0 to 1 at the times `t` (n,) in seconds, by which the voices are there in their spans.

    Before second 0 and after `seconds` everything stays as it is at the ends.
    """
    gains = np.zeros((len(spans), len(t)), np.float32)
    for gain, own in zip(gains, spans, strict=True):
        for start, end in own:
            rise = np.clip((t - start) / RAMP, 0, 1) if start > 0 else 1.0
            fall = np.clip((end - t) / RAMP, 0, 1) if end < seconds else 1.0
            np.maximum(gain, 0.5 - 0.5 * np.cos(np.pi * np.minimum(rise, fall)), out=gain, casting="unsafe")
    return gains
