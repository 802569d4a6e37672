"""`bss batch unmix`, or `bss batch` for short: separate many recordings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..support.common import Output, command
from ..unmix import requested_options, unmix
from .batch_options import Lines, cluster_at, options_of, spread, take_options

if TYPE_CHECKING:
    from bss.batch.batches import Batch, Outcome
    from bss.pipeline.files.unmix_file import UnmixedFiles

SUMMARY = ("summary.csv", "summary.html")
# options of `bss unmix` that are of one recording, or of a pipe
SINGLE = ("output", "save_filters", "live", "resume", "dry_run", "max_memory", "threads", "overwrite", "progress")


@command("unmix")
@click.argument("recordings", nargs=-1, required=True)
@click.option("-o", "--output", required=True, help="Folder for a folder for each recording, summary.csv and summary.html.")
@click.option("--skip-done", is_flag=True,
              help="Skip what was done before, of the same files with the same options; continue what was ended.")  # fmt: skip
@click.option("--overwrite", "-y", is_flag=True,
              help="Replace existing results; with --skip-done, only those of other files or options.")  # fmt: skip
@spread
@click.option("--threads", type=click.IntRange(1), default=None, envvar="BSS_THREADS",
              help="CPU threads of each job [the processors divided by the jobs; 1 on a cluster].")  # fmt: skip
@click.option("--max-memory", default=None, metavar="SIZE",
              help="Memory for EACH recording, as 2G [a quarter of the machine's for all together].")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show which recordings would be separated, without doing it.")
def batch_unmix(out: Output, recordings: tuple[str, ...], output: str, **options: Any) -> None:
    """Separate many recordings, each as bss unmix does, into a folder of its own; one that fails does not stop the others.

    RECORDINGS are folders, each with the microphones of one recording, or a folder of such folders; audio files, each a recording
    of several channels; or one manifest (CSV or JSON) with a row for each file: recording,file and, if wanted, channel, gain
    (dB) and options of bss unmix such as sources. Writes summary.csv and summary.html. Exit code 4 if some recordings failed; if
    all did, that of their error.

    \b
    Examples:
      bss batch meetings/*/ -o out/
      bss batch recordings.csv -o out/ --jobs 4 --max-memory 2G
      bss batch recordings.csv -o out/ --skip-done --report
      bss batch recordings.csv -o /shared/out/ --scheduler tcp://10.0.0.1:8786
    """
    from bss.batch import batches

    if output in ("", "-"):
        raise click.UsageError("-o must name a folder: there are several recordings to write")
    where = {name: options.pop(name) for name in ("scheduler", "jobs", "threads", "max_memory")}
    places, dry_run = list(recordings), options.pop("dry_run")
    again = {name: options.pop(name) for name in ("skip_done", "overwrite")}
    with_report = options.pop("report")
    if with_report:
        from bss.report.page import check_installed

        check_installed()
    tasks = batches.tasks_of(places, output, options=keywords_of(options))
    if dry_run:
        _plan(out, tasks, where, again)
        return
    lines = Lines(out, len(tasks))
    with cluster_at(out, where.pop("scheduler"), where["jobs"]) as client:
        if client is None:
            _say_shares(out, len(tasks), where)
        batch = batches.run(
            [task.recording for task in tasks], output, options=keywords_of(options), client=client, **where, **again,
            on_done=lambda outcome: _say(lines, outcome), after=write_report if with_report else None,
        )  # fmt: skip
    _summarise(out, batch, Path(output))
    if batch.exit_code:
        sys.exit(batch.exit_code)


take_options(batch_unmix, options_of(unmix, SINGLE))


def write_report(done: UnmixedFiles) -> None:
    """The report of a recording, in the process that separated it."""
    done.report(overwrite=True)


def keywords_of(options: dict[str, Any]) -> dict[str, Any]:
    """The options of `bss unmix` as keywords of `bss.unmix_file`."""
    from dataclasses import asdict

    wanted = asdict(requested_options(options))
    names = ("start", "end", "subtype", "clip", "linear", "keep_noise", "dereverb")
    return {**wanted, **{name: options[name] for name in names}, "denoise": options["strength"] if options["denoise"] else None}


def _say_shares(out: Output, n: int, where: dict[str, Any]) -> None:
    from bss.batch.workers.shares import divided
    from bss.pipeline.resources.memory import written

    shares = divided(n, **where)
    for note in shares.notes:
        out.say(note)
    of = "1 recording" if n == 1 else f"{n} recordings"
    threads = "1 thread" if shares.threads == 1 else f"{shares.threads} threads"
    out.say(f"{of}, {shares.jobs} at a time: {threads} and {written(shares.bytes)} of memory each")


def _plan(out: Output, tasks: Any, where: dict[str, Any], again: dict[str, Any]) -> None:
    from bss.batch import batches

    before = batches.before(tasks, **again)
    words = {batches.SKIPPED: "done already", batches.FAILED: "in the way"}
    rows = []
    for k, task in enumerate(tasks):
        state = before[k].state if k in before else "to do"
        rows.append({"recording": task.recording.name, "files": [one.file for one in task.recording.inputs], "state": state})
        out.say(f"{task.recording.name}: {words.get(state, state)}: {', '.join(one.file for one in task.recording.inputs)}")
    if where["scheduler"] is None:
        _say_shares(out, len(tasks), {name: where[name] for name in ("jobs", "threads", "max_memory")})
    out.emit({"dry_run": True, "recordings": rows})


def _say(lines: Lines, outcome: Outcome) -> None:
    if outcome.failure is not None:
        lines.failed(outcome.recording, outcome.failure)
        return
    record = outcome.record
    assert record is not None
    talkers = "1 talker" if record.n_sources == 1 else f"{record.n_sources} talkers"
    success = f", {record.success.sentence}" if record.success is not None else ""
    before = " (done before)" if outcome.state == "skipped" else f" ({outcome.seconds:.1f} s)"
    lines.done(outcome.recording, talkers + success.removesuffix(".") + before)
    for note in outcome.notes:
        lines.out.warn(note)
    for warning in record.warnings:
        lines.out.detail(f"  warning: {warning}")


def _summarise(out: Output, batch: Batch, folder: Path) -> None:
    from bss.batch import table
    from bss.report.summary import summary_page
    from bss.signals.files.writing import output_folder

    rows = [table.row_of(outcome, folder) for outcome in batch.outcomes]
    links = [_links(outcome, folder) for outcome in batch.outcomes]
    counted = table.counted(batch)
    # those of the last run: the tracks are what must not be replaced unasked
    with output_folder(folder, SUMMARY, overwrite=True) as place:
        place.text(SUMMARY[0], table.as_csv(rows))
        place.text(SUMMARY[1], summary_page(f"Batch of {len(rows)} recordings", counted, rows, links=links))
    out.say(f"{counted}; wrote {folder / SUMMARY[0]} and {folder / SUMMARY[1]}")
    recordings = [{**row, "exit_code": o.failure and o.failure.exit_code} for row, o in zip(rows, batch.outcomes, strict=True)]
    counts = {state: len(batch.of(state)) for state in ("done", "skipped", "failed")}
    out.emit({"folder": folder, "recordings": recordings, **counts, "exit_code": batch.exit_code})


def _links(outcome: Outcome, folder: Path) -> dict[str, str]:
    """Where the name of a recording leads: its report, if it has one, else its folder."""
    import os

    from bss.batch.table import REPORT

    if outcome.failure is not None:
        return {}
    place = Path(os.path.relpath(outcome.folder, folder)).as_posix()
    return {"recording": f"{place}/{REPORT}" if (outcome.folder / REPORT).is_file() else f"{place}/", "folder": f"{place}/"}
