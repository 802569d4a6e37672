"""What goes wrong with recorders, as values: clocks that start late, run fast or lose samples; channels that die or hum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from bss.errors import UsageError, check_int

MAX_OFFSET, MAX_DRIFT, MAX_GAP = 3600.0, 10_000.0, 60.0  # seconds, parts per million, seconds
LEAST = 0.25  # a value drawn at random up to a limit is at least this share of it, so that the fault is there
MAINS = 50.0


@dataclass(frozen=True)
class Offset:
    """The recorder of microphone `mic` (from 0) starts `seconds` after that of microphone 0; before it if negative.

    Without `mic` it holds for every other microphone that has none of its own, with a random quarter to all of `seconds` each.
    """

    seconds: float
    mic: int | None = None


@dataclass(frozen=True)
class Drift:
    """The clock of microphone `mic` is `ppm` parts per million fast from `at` seconds of its file on: more samples per second.

    Several of one microphone are a clock whose rate changes. Without `mic` it holds for every other microphone that has none of
    its own, with a random quarter to all of `ppm` each, and a random sign.
    """

    ppm: float
    mic: int | None = None
    at: float = 0.0


@dataclass(frozen=True)
class Gap:
    """The file of `mic` lacks `seconds` of sound at `at` seconds, by default in its middle; repeats them if negative."""

    mic: int
    seconds: float
    at: float | None = None


@dataclass(frozen=True)
class Dropout:
    """The file of `mic` is silent, all zeros, from `start` (by default its middle) to `end` (by default its end), in seconds."""

    mic: int
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Hum:
    """`mic` hears no talker: mains hum with harmonics and noise, as loud as microphone 0."""

    mic: int
    hertz: float = MAINS


@dataclass(frozen=True)
class Agc:
    """The channel `mic` is no microphone: the mean of the others through an automatic gain control."""

    mic: int


Fault: TypeAlias = Offset | Drift | Gap | Dropout | Hum | Agc
KINDS: dict[str, type[Any]] = {"offset": Offset, "drift": Drift, "gap": Gap, "dropout": Dropout, "hum": Hum, "agc": Agc}


def to_json(faults: Sequence[Fault]) -> list[dict[str, Any]]:
    """As JSON values, with microphones counted from 1 as in the names of files."""
    names = {kind: name for name, kind in KINDS.items()}
    return [
        {"kind": names[type(fault)], **asdict(fault), "mic": None if fault.mic is None else fault.mic + 1} for fault in faults
    ]


def from_json(entries: Sequence[Any]) -> tuple[Fault, ...]:
    """The faults that `to_json` wrote; ValueError for anything else."""
    faults = []
    for entry in entries:
        values = dict(entry)
        kind, mic = KINDS.get(values.pop("kind", None)), values.pop("mic", None)
        numbers = all(isinstance(value, int | float | None) for value in (mic, *values.values()))
        if kind is None or not numbers or (mic is None and kind not in (Offset, Drift)):
            raise ValueError(f"{entry} is not a fault")
        try:
            faults.append(kind(mic=None if mic is None else mic - 1, **values))
        except TypeError as error:
            raise ValueError(f"{entry} is not a fault") from error
    return tuple(faults)


def check(faults: Sequence[Any], n_mics: int, seconds: float) -> None:
    """UsageError if files of `n_mics` microphones and this length cannot have one of the faults."""
    for fault in faults:
        _check(fault, n_mics, seconds)


def resolve(faults: Sequence[Fault], n_mics: int, seconds: float, rng: np.random.Generator) -> tuple[Fault, ...]:
    """The faults with everything said: a microphone and times for each, in the order of the microphones.

    Parameters
    ----------
    faults : list of Fault
    n_mics : int
        Microphones M of the scene.
    seconds : float
        Length of a file.
    rng : numpy.random.Generator
        Draws what the faults leave open; untouched if they leave nothing open.

    Raises
    ------
    UsageError
        Two faults contradict each other.
    """
    every = [fault for fault in faults if isinstance(fault, Offset | Drift) and fault.mic is None]
    named = [_timed(fault, seconds) for fault in faults if fault not in every]
    for fault in every:
        if sum(type(other) is type(fault) for other in every) > 1:
            raise UsageError(f"{_name(fault)} has two values for all microphones", hint="one, or one for each microphone")
        own = {other.mic for other in named if type(other) is type(fault)}
        named += [_drawn(fault, mic, rng) for mic in range(1, n_mics) if mic not in own]
    _refuse_contradictions(named)
    return tuple(sorted(named, key=lambda fault: (fault.mic or 0, list(KINDS.values()).index(type(fault)))))


def _drawn(fault: Offset | Drift, mic: int, rng: np.random.Generator) -> Fault:
    share = rng.uniform(LEAST, 1)
    if isinstance(fault, Offset):
        return Offset(round(fault.seconds * share, 6), mic)
    return replace(fault, mic=mic, ppm=round(float(fault.ppm * share * rng.choice([-1, 1])), 3))


def _timed(fault: Fault, seconds: float) -> Fault:
    if isinstance(fault, Gap) and fault.at is None:
        return replace(fault, at=seconds / 2)
    if isinstance(fault, Dropout):
        start, end = seconds / 2 if fault.start is None else fault.start, seconds if fault.end is None else fault.end
        return replace(fault, start=start, end=end)
    return fault


def _check(fault: Fault, n_mics: int, seconds: float) -> None:
    if not isinstance(fault, tuple(KINDS.values())):
        raise UsageError(f"{fault!r} is not a fault", hint="one of bss.scenes.faults: Offset, Drift, Gap, Dropout, Hum, Agc")
    name = _name(fault)
    if fault.mic is not None and not check_int("mic", fault.mic, 0) < n_mics:
        raise UsageError(f"{name}: there is no microphone {fault.mic + 1}", hint=f"1 to {n_mics}, or more microphones")
    if isinstance(fault, Offset | Drift | Gap) and fault.mic == 0:
        raise UsageError(
            f"{name}: microphone 1 cannot have one", "its clock is the time of the scene and of the truth",
            "the opposite for the other microphones" if n_mics > 1 else "more microphones",
        )  # fmt: skip
    if n_mics == 1 and (fault.mic is None or isinstance(fault, Agc)):
        raise UsageError(f"{name}: there is only one microphone", hint="at least two microphones")
    if isinstance(fault, Offset):
        _within(name, fault.seconds, MAX_OFFSET, "seconds")
    if isinstance(fault, Drift):
        _within(name, fault.ppm, MAX_DRIFT, "parts per million")
    if isinstance(fault, Gap):
        _within(name, fault.seconds, MAX_GAP, "seconds")
    if isinstance(fault, Drift | Gap) and fault.at is not None and not 0 <= fault.at < seconds:
        raise UsageError(f"{name}: {fault.at:g} s is not within the recording of {seconds:g} s", hint=f"0 to {seconds:g}")
    if isinstance(fault, Dropout):
        start, end = seconds / 2 if fault.start is None else fault.start, seconds if fault.end is None else fault.end
        if not 0 <= start < min(end, seconds):
            raise UsageError(
                f"dropout: {start:g} to {end:g} s is no part of the recording of {seconds:g} s",
                hint=f"a start before the end, from 0 to {seconds:g}",
            )
    if isinstance(fault, Hum) and not 10 <= fault.hertz <= 1000:
        raise UsageError(f"{name}: {fault.hertz:g} Hz is out of range", hint="50 or 60 Hz, as of mains; 10 to 1000")


def _within(name: str, value: float, limit: float, unit: str) -> None:
    if not (math.isfinite(value) and 0 < abs(value) <= limit):
        raise UsageError(f"{name}: {value:g} is out of range", hint=f"up to {limit:g} {unit}, not 0; negative: the other way")


def _refuse_contradictions(faults: Sequence[Fault]) -> None:
    seen: dict[tuple[Any, ...], str] = {}
    for fault in faults:
        # a clock starts once, a rate or a loss has one value at a time, and a channel is replaced by one thing
        key: tuple[Any, ...] = ("channel", fault.mic)
        if isinstance(fault, Offset):
            key = ("offset", fault.mic)
        elif isinstance(fault, Dropout):
            key = ("dropout", fault.mic, fault.start)
        elif isinstance(fault, Drift | Gap):
            key = (_name(fault), fault.mic, fault.at)
        if key in seen:
            raise UsageError(
                f"microphone {(fault.mic or 0) + 1} has both {seen[key]} and {_name(fault)}, which contradict each other",
                hint="one of them, another time, or another microphone",
            )
        seen[key] = _name(fault)


def _name(fault: Fault) -> str:
    return next(name for name, kind in KINDS.items() if type(fault) is kind)
