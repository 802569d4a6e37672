"""One recording of a batch: what a worker does, and whether it is done already."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bss.batch import settings
from bss.batch.recordings import Input, Recording
from bss.errors import BssError, InputError
from bss.pipeline import record
from bss.pipeline.files import unfinished
from bss.pipeline.files.track_names import leftovers
from bss.pipeline.files.unmix_file import UnmixedFiles, separate_blocks
from bss.pipeline.planning.options import UnmixOptions
from bss.pipeline.record import RunRecord
from bss.pipeline.resources import memory
from bss.signals.files.blocks import FileBlocks, open_blocks
from bss.signals.files.paths import expand, is_audio_name

RESULT = "result.json"
After = Callable[[UnmixedFiles], object]


@dataclass(frozen=True)
class Task:
    """A recording, and what is to become of it.

    Attributes
    ----------
    recording : Recording
    folder : str
        For the tracks.
    options : mapping
        Keywords of `bss.unmix_file`.
    run : str
        Names the batch, so that a result of an attempt whose worker died afterwards is known.
    bytes : int
        Of memory.
    resume : bool
        Whether to continue what an earlier batch left unfinished.
    after : callable, optional
        Called with each result.
    """

    recording: Recording
    folder: str
    options: Mapping[str, Any] = field(default_factory=dict)
    run: str = ""
    bytes: int = memory.MOST
    resume: bool = False
    after: After | None = None


@dataclass(frozen=True)
class Separated:
    """The record of a run, the seconds that it took, and warnings that are not in the record."""

    record: RunRecord
    seconds: float
    notes: tuple[str, ...] = ()


def separate(task: Task) -> Separated:
    """Separate one recording into its folder: all of its tracks, or nothing.

    Raises
    ------
    InputError, UsageError, SolverError
        As of `bss.unmix_file`.
    """
    began = time.perf_counter()
    folder = Path(task.folder)
    made = _made_before(folder, task.run)
    if made is not None:
        return Separated(made, time.perf_counter() - began)
    sweep(folder)
    try:
        done = _separated(task, folder, began)
    except BssError as error:
        if task.recording.origin:
            raise type(error)(f"{task.recording.origin}: {error.what}", error.why, error.hint) from error
        raise
    if task.after is not None:
        task.after(done)
    old = leftovers(folder, done.record.outputs or ())
    return Separated(done.record, time.perf_counter() - began, (old,) if old else ())


def _separated(task: Task, folder: Path, began: float) -> UnmixedFiles:
    options, files = settings.checked(task.options)
    inputs, paths = _located(task.recording.inputs)
    files = replace(files, asked={**files.asked, "batch": {"run": task.run, **_origin(inputs, paths)}})
    gains = [10 ** (one.gain_db / 20) for one in inputs] if any(one.gain_db for one in inputs) else None
    with open_blocks(paths, start=files.asked["start"], end=files.asked["end"], gains=gains) as blocks:
        options = _with_channels(options, inputs, blocks)
        resume = task.resume and (folder / unfinished.NAME).exists()
        budget = memory.Budget(task.bytes, f"{memory.OPTION} {memory.written(task.bytes)}")
        return separate_blocks(blocks, folder, options, files, budget, resume=resume, clock=began)


def _located(inputs: Sequence[Input]) -> tuple[list[Input], list[Path]]:
    """Every file by itself, with what is said of it."""
    pairs = [(replace(one, file=str(path)), path) for one in inputs for path in expand(one.file)]
    return [one for one, _ in pairs], expand([path for _, path in pairs])


def _with_channels(options: UnmixOptions, inputs: Sequence[Input], blocks: FileBlocks) -> UnmixOptions:
    """The channels of all files that are used, counted over the recording."""
    if all(one.channels is None for one in inputs):
        return options
    used: list[int] = []
    first = 0
    for one in inputs:
        of = blocks.channels[first].of
        for k in range(of) if one.channels is None else one.channels:
            if k >= of:
                raise InputError(f"{one.file} has {of} channels, but channel {k + 1} is asked for", "", f"1 to {of}")
            used.append(first + k)
        first += of
    return replace(options, channels=tuple(used))


def _origin(inputs: Sequence[Input], paths: Sequence[Path]) -> dict[str, Any]:
    """What is known of the files, by which a change of them is noticed."""
    files = [[str(path), (state := os.stat(path)).st_size, state.st_mtime_ns] for path in paths]
    return {"files": files, "channels": [one.channels for one in inputs], "gains_db": [one.gain_db for one in inputs]}


def _made_before(folder: Path, run: str) -> RunRecord | None:
    """The result of this batch that is in the folder, if its worker died when all was written."""
    found = _result(folder)
    mine = found is not None and found.options is not None and found.options.get("batch", {}).get("run") == run
    return found if mine and run else None


def _result(folder: Path) -> RunRecord | None:
    if not (folder / RESULT).is_file():
        return None
    try:
        return record.read(folder / RESULT)
    except InputError:  # of another program, or an earlier version: no result to skip
        return None


def occupied(folder: Path) -> str:
    """The name of a file in the folder that a result might replace; empty if there is none."""
    if not folder.is_dir():
        return folder.name if os.path.lexists(folder) else ""
    return next((entry.name for entry in sorted(folder.iterdir()) if entry.name == RESULT or is_audio_name(entry)), "")


def already(task: Task) -> tuple[RunRecord | None, str]:
    """The result in the folder if it is of the same files and options; else None, and why it is not.

    An empty reason means that there is no result.
    """
    folder = Path(task.folder)
    if not (folder / RESULT).exists():
        return None, ""
    found = _result(folder)
    if found is None or not isinstance((found.options or {}).get("batch"), dict):
        return None, f"{folder / RESULT} was not written by bss batch"
    assert found.options is not None
    try:
        _, files = settings.checked(task.options)
        origin = _origin(*_located(task.recording.inputs))
    except (BssError, OSError):  # a file is gone, which is reported where it is missed
        return None, "its files cannot be read any more"
    asked = json.loads(json.dumps({**files.asked, "batch": origin}))
    before = {**found.options, "batch": {name: value for name, value in found.options["batch"].items() if name != "run"}}
    missing = [name for name in found.outputs or [] if not (folder / name).is_file()]
    if missing:
        return None, f"{', '.join(missing)} of it are gone"
    other = [name for name in {**before, **asked} if before.get(name) != asked.get(name)]
    if other == ["batch"]:
        return None, "the files of the recording have changed since"
    return (None, f"it was made with other options ({', '.join(other)})") if other else (found, "")


def sweep(folder: Path) -> None:
    """Remove what a worker that was killed was writing; what a long run keeps to be continued stays."""
    for part in [*folder.glob(".bss-*.part"), *folder.glob("*/.bss-*.part")]:
        if part.parent.name != unfinished.NAME:
            part.unlink(missing_ok=True)
    with suppress(OSError):  # not empty, or not there
        folder.rmdir()
