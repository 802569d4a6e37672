"""What a report is made of: signals that are read in blocks, and what is known of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bss.pipeline.record import RunRecord
from bss.signals.files.blocks import FileBlocks

BLOCK = 1 << 18  # samples read at a time
MICROPHONE, TALKER, OTHER, RESIDUAL, TRUTH = "microphone", "talker", "other sound", "residual", "truth"


class Signal(Protocol):
    """One channel of sound, read in pieces."""

    def read(self, start: int, stop: int) -> np.ndarray:
        """(stop - start,) float32."""


@dataclass(frozen=True)
class ArraySignal:
    """A signal y (n,) in memory."""

    y: np.ndarray

    def read(self, start: int, stop: int) -> np.ndarray:
        """(stop - start,) float32."""
        return np.asarray(self.y[start:stop], np.float32)


@dataclass(frozen=True)
class FileSignal:
    """A channel of files that are open."""

    blocks: FileBlocks
    channel: int

    def read(self, start: int, stop: int) -> np.ndarray:
        """(stop - start,) float32."""
        return self.blocks.read_one(self.channel, start, stop)


@dataclass(frozen=True)
class SumSignal:
    """The sum of other signals."""

    parts: tuple[Signal, ...]

    def read(self, start: int, stop: int) -> np.ndarray:
        """(stop - start,) float32."""
        return np.asarray(np.sum([part.read(start, stop) for part in self.parts], axis=0), np.float32)


@dataclass(frozen=True)
class Track:
    """A signal of the report.

    Attributes
    ----------
    name : str
        As people know it: the name of its file without suffix, or the name of a microphone.
    role : str
        What it is: a microphone, a talker, another sound, the residual, or the truth about a talker.
    signal : Signal
        Its samples.
    file : Path or None
        A file that holds this signal alone, from its first sample on.
    number : int or None
        Of several of its role, which: from 0.
    side : str
        Of two results that are compared, the name of the one it belongs to.
    """

    name: str
    role: str
    signal: Signal
    file: Path | None = None
    number: int | None = None
    side: str = ""

    @property
    def label(self) -> str:
        """What the page calls it."""
        words = {TALKER: "Talker", OTHER: "Other sounds", RESIDUAL: "The rest", TRUTH: "True talker"}.get(self.role, "Microphone")
        words += "" if self.number is None else f" {self.number + 1}"
        return f"{words}, {self.side}" if self.side else words


@dataclass(frozen=True)
class Material:
    """What a report is made of.

    Attributes
    ----------
    title : str
        The name of the result.
    rate, n : int
        Hz, and samples of every track.
    tracks : tuple[Track, ...]
        The microphone first, then the talkers.
    record : RunRecord or None
        What was measured and done; None for a scene.
    scene : dict or None
        The contents of a scene.json.
    scores : dict or None
        The document of `bss score --json`.
    notes : tuple[str, ...]
        What the reader has to know about the report itself.
    others : tuple[Material, ...]
        Of a comparison, both results; `tracks` are then those of both.
    """

    title: str
    rate: int
    n: int
    tracks: tuple[Track, ...]
    record: RunRecord | None = None
    scene: dict[str, Any] | None = None
    scores: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()
    others: tuple[Material, ...] = ()

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.n / self.rate

    def talkers(self) -> list[int]:
        """Which of the tracks are those of different talkers, which should share no sound."""
        return [] if self.others else [k for k, track in enumerate(self.tracks) if track.role == TALKER]


def blocks_of(tracks: Sequence[Track], n: int, size: int = BLOCK) -> Iterator[np.ndarray]:
    """The tracks in blocks (N, k)."""
    for start in range(0, n, size):
        stop = min(start + size, n)
        yield np.stack([track.signal.read(start, stop) for track in tracks])
