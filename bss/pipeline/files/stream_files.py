"""From a recording that is read in pieces to files: tracks are kept in the folder of the results until they are whole."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bss.pipeline.files.track_files import DENOISED, StoredTracks, Written, without_noise, write_stacked, write_tracks
from bss.pipeline.files.track_names import input_files, subtype_of, track_names
from bss.pipeline.files.unfinished import Unfinished, job_of
from bss.pipeline.files.whole_files import FileOptions, of_files
from bss.pipeline.filters.filters import Filters
from bss.pipeline.methods.shared.base import Progress
from bss.pipeline.planning.options import UnmixOptions
from bss.pipeline.record import RunRecord
from bss.pipeline.result import LINEAR, NOISE
from bss.pipeline.stream.separate import StreamResult, separate
from bss.signals.files.blocks import FileBlocks
from bss.signals.files.encode import encoded_bytes
from bss.signals.files.track_store import refuse_full
from bss.signals.files.writing import OutputFolder, output_folder

MOST_TALKERS = 16  # in names that are announced before talkers are counted
Say = Callable[[str], None]


@dataclass(frozen=True)
class Streamed:
    """What became of a recording: the record, the names of the talkers' tracks, the last filters, and result.json."""

    record: RunRecord
    names: tuple[str, ...]
    filters: Filters
    document: dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A recording that is separated in pieces.

    Attributes
    ----------
    blocks : FileBlocks
    options : UnmixOptions
    files : FileOptions
    budget : int
        Bytes of memory.
    resume : bool
        Whether to continue an unfinished run.
    progress : callable, optional
        Called with the fraction that is done.
    say : callable
        Takes sentences for the user.
    """

    blocks: FileBlocks
    options: UnmixOptions
    files: FileOptions
    budget: int
    resume: bool = False
    progress: Progress | None = None
    say: Say = lambda text: None


def stream_to(folder: str | Path, job: Job) -> Streamed:
    """Separate into a folder: all tracks and result.json, or nothing.

    Where the program is ended from outside, or by Ctrl-C, what was done so far stays in a subfolder: `resume` continues there.

    Raises
    ------
    InputError, UsageError, SolverError
        As of `bss.unmix_file`.
    """
    inputs = input_files(job.blocks)
    names, needed = _announced(job), 0 if job.resume else _bytes(job, job.options.n_sources or 2)
    with output_folder(folder, names, overwrite=job.files.overwrite, needed_bytes=needed, inputs=inputs) as place:
        sink = _sink(Path(folder), job)
        place.scratch = sink.place  # so that nothing else is left if the program is ended while it writes
        try:
            result = _to_folder(place, job, sink, _separated(job, sink))
        except BaseException as error:
            # what failed by itself would fail again; but what was continued took long, and is not thrown away
            if sink.worth_keeping and (job.resume or isinstance(error, KeyboardInterrupt)):
                job.say(f"what was done so far is kept in {sink.place}: --resume continues; deleting the folder frees its space")
            else:
                sink.remove()
            raise
    sink.remove()
    return result


def _sink(folder: Path, job: Job) -> Unfinished:
    weights = [] if job.options.weights is None else [str(job.options.weights)]
    paths = [Path(file) for file in (*input_files(job.blocks), *weights)]
    sink = Unfinished(folder, job_of(paths, job.files.asked), opened=lambda names: _opened(job, sink, names))
    said = sink.continued() if job.resume else sink.begin()
    if said:
        job.say(said)
    return sink


def _opened(job: Job, sink: Unfinished, names: Sequence[str]) -> None:
    """Say how many talkers there are, once that is known, and refuse a disk that is too small for their tracks."""
    talkers = sum(name.startswith("source") for name in names)
    refuse_full(sink.place, _bytes(job, talkers, others=len(names) - talkers) - sink.size)
    job.say(f"{talkers} talker{'s' if talkers != 1 else ''}")


def _bytes(job: Job, n_talkers: int, *, others: int = 0) -> int:
    """On disk at the end: every track as float32, and once more in the format that is written."""
    subtype = subtype_of(job.blocks, job.files.subtype)
    tracks = n_talkers + others
    quiet = n_talkers if job.files.cleaned is not None else 0
    return job.blocks.n * 4 * (tracks + quiet) + tracks * encoded_bytes(job.blocks.n, subtype)


def _announced(job: Job) -> list[str]:
    """All files that may be written."""
    n_mics = job.blocks.n_mics
    most = n_mics if job.options.per_mic else max(job.options.n_sources or 0, n_mics + 1, MOST_TALKERS)
    talkers = track_names(job.blocks, tuple(range(n_mics)), most, per_mic=job.options.per_mic)
    noises = [NOISE, *(f"{NOISE}{k + 1}" for k in range(max(n_mics, MOST_TALKERS)))]
    found = [f"{name}.wav" for name in (*talkers, "residual", *noises)]
    return [*found, *(f"{LINEAR}{name}.wav" for name in talkers if job.files.with_linear), "result.json"]


def _separated(job: Job, sink: Unfinished) -> StreamResult:
    return separate(
        job.blocks, job.options, budget=job.budget, progress=job.progress,
        devices=[channel.file for channel in job.blocks.channels], sink=sink, linear=job.files.with_linear,
        keep_noise=job.files.keep_noise, resume=sink.resume,
    )  # fmt: skip


def _stored(job: Job, sink: Unfinished, done: StreamResult) -> StoredTracks:
    used = tuple(job.blocks.names.index(name) for name in done.record.used)
    n_talkers = sum(name.startswith("source") for name in sink.store.names)
    names = track_names(job.blocks, used, n_talkers, per_mic=job.options.per_mic)
    tracks = StoredTracks(sink.store, names, job.files.keep_noise)
    if job.files.cleaned is None:
        return tracks
    return without_noise(tracks, job.blocks.rate, job.files.cleaned, sink.place / DENOISED)


def _finished(job: Job, done: StreamResult, tracks: StoredTracks, written: Written) -> Streamed:
    """The result, once its tracks are written."""
    record = of_files(done.record, job.blocks, job.blocks.repairs, job.files, {})
    record = replace(record, gain=written.gain, subtype=written.subtype, outputs=list(written.files), denoised=job.files.cleaned)
    return Streamed(record, tracks.names, done.filters[-1], record.to_dict())


def _to_folder(place: OutputFolder, job: Job, sink: Unfinished, done: StreamResult) -> Streamed:
    tracks = _stored(job, sink, done)
    written = write_tracks(place, tracks, job.blocks.rate, subtype_of(job.blocks, job.files.subtype), job.files.clip)
    result = _finished(job, done, tracks, written)
    place.text("result.json", json.dumps(result.document, indent=2, allow_nan=False) + "\n")
    return result


def stream_to_wav(path: Path, job: Job) -> Streamed:
    """Separate into one WAV whose channels are the talkers; what is needed on the way is kept in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="bss-") as folder:
        sink = Unfinished(Path(folder), {}, every=math.inf)
        sink.begin()
        done = _separated(job, sink)
        tracks = _stored(job, sink, done)
        written = write_stacked(path, tracks, job.blocks.rate, subtype_of(job.blocks, job.files.subtype), job.files.clip)
        return _finished(job, done, tracks, written)
