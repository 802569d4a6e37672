"""`bss unmix` of recordings that are too long for the memory: in pieces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..support.common import Output
from .results import filters_file, say_success, say_written
from .tracks import warn_of_gain

if TYPE_CHECKING:
    from bss.pipeline.files.stream_files import Streamed
    from bss.pipeline.files.whole_files import FileOptions
    from bss.pipeline.planning.options import UnmixOptions
    from bss.pipeline.resources.memory import Budget
    from bss.signals.files.blocks import FileBlocks


def begun(folder: str) -> bool:
    """Whether a folder holds a run in pieces that is not finished."""
    from bss.pipeline.files.unfinished import NAME

    return (Path(folder) / NAME).exists()


def refuse_resume(paths: list[Path], place: str) -> None:
    """UsageError where nothing of an unfinished run can be left."""
    from bss.errors import UsageError

    if place == "-":
        raise UsageError("--resume and -o - cannot be combined", "what went to stdout is gone", "a folder for the tracks")
    if any(str(path) == "-" for path in paths):
        raise UsageError("--resume needs files", "what came from stdin is gone", "store the recording in a file first")


def in_pieces(
    out: Output, blocks: FileBlocks, requested: UnmixOptions, budget: Budget, place: str, files: FileOptions,
    options: dict[str, Any],
) -> None:  # fmt: skip
    """Separate into a folder, or to stdout for "-"."""
    from bss.pipeline.files.stream_files import Job, stream_to
    from bss.pipeline.resources import costs

    for repair in blocks.repairs:
        out.say(f"repaired: {repair}")
    cost = costs.cost_of(blocks, requested, budget)
    seconds = blocks.n / blocks.rate
    out.say(f"{blocks.n_mics} microphones, {costs.duration(seconds)} at {blocks.rate} Hz")
    out.say(f"this will take {cost.sentence}")
    if options["dry_run"]:
        document = {"channels": list(blocks.names), "repairs": list(blocks.repairs), "samples": blocks.n, "rate": blocks.rate}
        out.emit({"dry_run": True, **document, **cost.to_dict()})
        return
    with out.progress("reading") as progress:
        blocks.prepare(progress)
    with filters_file(options["save_filters"], options["overwrite"]) as save_filters:
        with out.progress("separating") as progress:
            job = Job(blocks, requested, files, budget.bytes, options["resume"], progress, out.say)
            done = _to_stdout(job) if place == "-" else stream_to(place, job)
        save_filters(done.filters)
    _say_result(out, done)
    if place == "-":
        warn_of_gain(out, done.record.gain or 1.0)
        return
    if options["linear"] and not any(name.startswith("linear/") for name in done.record.outputs or ()):
        out.say("the tracks are already the linear ones, so linear/ was not written")
    say_written(out, place, done.document, options)


def _to_stdout(job: Any) -> Streamed:
    from bss.pipeline.files.stream_files import stream_to_wav
    from bss.signals.streams import stdout_file

    with stdout_file() as path:
        return stream_to_wav(path, job)


def _say_result(out: Output, done: Streamed) -> None:
    for warning in done.record.warnings:
        out.warn(warning)
    out.say(f"method: {done.record.reason}")
    say_success(out, done.record.success)
