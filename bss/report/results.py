"""The material of a report from what `bss unmix` wrote, and from a separation in memory."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bss.errors import BssError, InputError
from bss.pipeline import record as records
from bss.pipeline.record import RunRecord
from bss.report.material import (
    MICROPHONE,
    OTHER,
    RESIDUAL,
    TALKER,
    ArraySignal,
    FileSignal,
    Material,
    Signal,
    SumSignal,
    Track,
)
from bss.signals.files.blocks import FileBlocks, Files, open_blocks

RESULT = "result.json"
SUM = "sum of the tracks"
HOW = "bss report DIR --mixture FILES says where the recording is"


def of_folder(folder: Path, stack: contextlib.ExitStack, mixture: Files | None = None) -> Material:
    """A result of `bss unmix`; `stack` closes its files. The recording is `mixture`, or where result.json says it was.

    Raises
    ------
    InputError
        There is no result in the folder, a track is missing or has another length, or `mixture` is another recording.
    """
    record = records.read(folder / RESULT)
    tracks = []
    for name, role, number in roles(record, record.outputs or []):
        path = folder / f"{name}.wav"
        blocks = stack.enter_context(open_blocks([path]))
        if (blocks.n, blocks.rate) != (record.samples, record.rate):
            raise InputError(
                f"{path} is not the track of {folder / RESULT}",
                f"it has {blocks.n} samples at {blocks.rate} Hz, and not {record.samples} at {record.rate} Hz",
                "the tracks as bss unmix wrote them",
            )
        tracks.append(Track(name, role, FileSignal(blocks, 0), path, number))
    if not tracks:
        raise InputError(f"{folder / RESULT} names no tracks", "nothing can be heard", "a folder that bss unmix wrote")
    microphone, notes = _microphone(record, folder, stack, mixture)
    first = microphone or _sum(tracks)
    return Material(folder.resolve().name, record.rate, record.samples, (first, *tracks), record, notes=tuple(notes))


def of_arrays(
    tracks: Mapping[str, np.ndarray], rate: int, record: RunRecord, title: str, mixture: np.ndarray | None = None
) -> Material:
    """A separation in memory: name to signal (n,) as of `Unmixed.tracks`, and the recording (M, n) if it is there.

    Raises
    ------
    InputError
        The recording has another shape than that which was separated.
    """
    found = [Track(name, role, ArraySignal(tracks[name]), None, k) for name, role, k in roles(record, list(tracks))]
    first = _sum(found)
    if mixture is not None:
        shape = (len(record.channels), record.samples)
        if mixture.shape != shape:
            raise InputError(f"the recording has shape {mixture.shape}", f"the one that was separated had {shape}")
        first = Track(record.reference, MICROPHONE, ArraySignal(mixture[record.channels.index(record.reference)]))
    return Material(title, rate, record.samples, (first, *found), record, notes=() if mixture is not None else (_SUMMED,))


def roles(record: RunRecord, outputs: list[str]) -> list[tuple[str, str, int | None]]:
    """Name and role of each track that is to be heard, and which talker it is; the talkers come first in `outputs`."""
    names = [name.removesuffix(".wav") for name in outputs if not name.startswith("linear/") and name != RESULT]
    talkers = [(name, TALKER, k) for k, name in enumerate(names[: len(record.sources)])]
    rest = [(name, RESIDUAL if name == "residual" else OTHER, None) for name in names[len(record.sources) :]]
    return [*talkers, *rest]


def read_scores(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The document of `bss score --json`.

    Raises
    ------
    InputError
        It is none.
    """
    hint = "bss score REFERENCES ESTIMATES --json > scores.json"
    try:
        document: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read", str(error), hint) from None
    rows = document.get("scores") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "reference" in row for row in rows):
        raise InputError(f"{path} holds no scores", "there is no list of scores in it", hint)
    return document


_SUMMED = "The recording itself was not there when this page was made: the first track is the sum of all others."


def _sum(tracks: list[Track]) -> Track:
    parts: list[Signal] = [track.signal for track in tracks]
    return Track(SUM, MICROPHONE, SumSignal(tuple(parts)))


def _microphone(
    record: RunRecord, folder: Path, stack: contextlib.ExitStack, mixture: Files | None
) -> tuple[Track | None, list[str]]:
    """The reference microphone of the recording, and what the reader has to know if it cannot be had."""
    asked = record.options or {}
    start, end = float(asked.get("start") or 0.0), asked.get("end")
    files = mixture if mixture is not None else _inputs(record, folder)
    if files is None:
        return None, [_SUMMED]
    try:
        blocks = stack.enter_context(open_blocks(files, start=start, end=end))
        _check_same(blocks, record)
    except BssError as error:
        if mixture is not None:
            raise
        return None, [f"{_SUMMED} {error.what}."]  # the recording may have been moved, and the tracks are there
    channel = record.channels.index(record.reference) if record.reference in record.channels else 0
    place = blocks.channels[channel]
    alone = place.of == 1 and start == 0 and end is None
    return Track(record.reference, MICROPHONE, FileSignal(blocks, channel), Path(place.file) if alone else None), []


def _inputs(record: RunRecord, folder: Path) -> list[str] | None:
    """The files of the recording: relative paths count from where the command ran, which may be here or above the result."""
    if not record.inputs or "-" in record.inputs:
        return None
    for base in (Path(), folder, *folder.resolve().parents):
        found = [base / name for name in record.inputs]
        if all(path.is_file() for path in found):
            return [os.fspath(path) for path in found]
    return None


def _check_same(blocks: FileBlocks, record: RunRecord) -> None:
    same = (len(blocks.channels), blocks.n, blocks.rate) == (len(record.channels), record.samples, record.rate)
    if not same:
        what = f"{len(blocks.channels)} microphones and {blocks.n} samples at {blocks.rate} Hz"
        raise InputError(
            f"{blocks.channels[0].file} is not the recording that was separated",
            f"there are {what}, and the result is of {len(record.channels)} and {record.samples} at {record.rate} Hz",
            "the files of the recording, all of them and in the same order",
        )
