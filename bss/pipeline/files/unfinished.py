"""A run that is not finished: what it learned and its tracks so far, in a folder among its results until they are whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bss.errors import InputError, UsageError
from bss.signals.files.track_store import TrackStore, disk_full

NAME = ".bss-unfinished"
STATE = "state"
# of the options, those that the samples of the tracks do not depend on
NO_MATTER = ("resume", "progress", "threads", "overwrite", "dry_run", "max_memory", "save_filters", "report", "batch")
EVERY_SECONDS = 10.0  # between two states, as waiting for the disk takes time, too


class Unfinished:
    """The sink of a run that can be continued: its tracks, and the last state that belongs to them.

    Parameters
    ----------
    folder : path
        Of the results.
    job : dict
        All that the tracks depend on; a run is continued only where this is the same.
    every : float
        Seconds between two states, at least.
    opened : callable, optional
        Called with the names of the tracks, once they are known.

    Attributes
    ----------
    resume : bytes or None
        The state to continue with, after `continued`.
    """

    def __init__(
        self, folder: Path, job: dict[str, Any], *, every: float = EVERY_SECONDS,
        opened: Callable[[Sequence[str]], None] | None = None,
    ) -> None:  # fmt: skip
        self.place, self.job, self.every = folder / NAME, job, every
        self.store = TrackStore(self.place)
        self.resume: bytes | None = None
        self._opened = opened
        self._names: tuple[str, ...] = ()
        self._n = 0
        self._kept = -np.inf

    def begin(self) -> str:
        """Begin anew. Returns what was found of an earlier run, and removed; an empty text if nothing was."""
        found = forget(self.place.parent)
        self.place.mkdir()
        return found

    def continued(self) -> str:
        """Go on where an earlier run ended. Returns a sentence on what was found.

        Raises
        ------
        UsageError
            It was a run with other files or options.
        InputError
            Its state cannot be read.
        """
        if not (self.place / STATE).exists():
            self.begin()
            return f"there is no unfinished run in {self.place.parent} to continue, so this one begins with the first sample"
        head, self.resume = _read(self.place / STATE)
        self._refuse_other(head["job"])
        self._names, self._n = tuple(head["names"]), head["n"]
        for part in self.place.glob(".bss-*"):  # files that were being written
            part.unlink()
        return f"continuing an unfinished run after {head['seconds']:.0f} s of the recording"

    def open(self, names: Sequence[str], rate: int) -> None:
        """The names of all tracks."""
        if self.resume is not None and tuple(names) != self._names:
            raise InputError(
                f"the unfinished run in {self.place} has other tracks", f"{list(self._names)}, not {list(names)}", "no --resume"
            )
        self._names, self.rate = tuple(names), rate
        if self._opened is not None:
            self._opened(names)
        self.store.open(names)
        self.store.cut(self._n)  # what came after the last state is made once more

    def write(self, tracks: dict[str, np.ndarray]) -> None:
        """The next samples of all tracks."""
        self.store.write(tracks)

    def checkpoint(self, state: Callable[[], bytes]) -> None:
        """Keep a state, if the last one is long enough ago."""
        if time.monotonic() - self._kept < self.every:
            return
        self.store.flush()
        head = {"job": self.job, "names": self._names, "n": self.store.n, "seconds": self.store.n / self.rate}
        _write(self.place / STATE, head, state())
        self._kept = time.monotonic()

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.stat().st_size for file in self.place.glob("*.f32"))

    @property
    def worth_keeping(self) -> bool:
        """Whether there is a state to continue with."""
        return (self.place / STATE).exists()

    def remove(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.place, ignore_errors=True)

    def _refuse_other(self, job: dict[str, Any]) -> None:
        mine = json.loads(json.dumps(self.job))
        other = [key for key in {**job, **mine} if job.get(key) != mine.get(key)]
        if other:
            raise UsageError(
                f"the unfinished run in {self.place} cannot be continued by this one",
                "different: " + ", ".join(f"{key} (was {_short(job.get(key))}, is {_short(mine.get(key))})" for key in other),
                "the same files and options, or no --resume to begin anew",
            )


def forget(folder: Path) -> str:
    """Remove what an unfinished run left among its results. Returns a sentence on it; an empty text if there was nothing."""
    place = folder / NAME
    if not place.exists():
        return ""
    shutil.rmtree(place)
    return f"{place} held an unfinished run, which is replaced; --resume would have continued it"


def job_of(paths: Sequence[Path], options: dict[str, Any]) -> dict[str, Any]:
    """What the tracks depend on: version, files with their sizes and times, options."""
    from bss import __version__

    files = [[str(path), *_stamp(path)] for path in paths]
    return {"version": __version__, "files": files, **{name: value for name, value in options.items() if name not in NO_MATTER}}


def _stamp(path: Path) -> list[int]:
    if str(path) == "-":
        return []
    found = os.stat(path)
    return [found.st_size, found.st_mtime_ns]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _write(path: Path, head: dict[str, Any], state: bytes) -> None:
    """Write a state, entirely or not at all."""
    first = json.dumps({**head, "sha256": hashlib.sha256(state).hexdigest()}).encode()
    temporary = path.with_suffix(".part")
    try:
        with temporary.open("wb") as file:
            file.write(first + b"\n" + state)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise disk_full(path.parent, error.strerror or str(error)) from error


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    try:
        first, state = path.read_bytes().split(b"\n", 1)
        head = json.loads(first)
        whole = hashlib.sha256(state).hexdigest() == head["sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"the unfinished run in {path.parent} cannot be read", str(error), "no --resume") from error
    if not whole:
        raise InputError(f"the unfinished run in {path.parent} cannot be read", "its state is damaged", "no --resume")
    return head, state
