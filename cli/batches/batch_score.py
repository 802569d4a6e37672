"""`bss batch score`: many separations against their truths."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bss.errors import InputError, QualityError, UsageError

from ..score import score
from ..support.common import Output, command
from .batch_options import Lines, options_of, spread, take_options, worked

if TYPE_CHECKING:
    from rich.table import Table

TRUTH, MICS = "truth", "mics"
SINGLE = ("mixture", "no_reference", "frames")
TITLES = {"count": "talkers", "mean": "mean", "q05": "5 %", "q25": "25 %", "q50": "median", "q75": "75 %", "q95": "95 %"}


@dataclass(frozen=True)
class ScoreTask:
    """Folders of one recording: the true talkers, the separated ones, and the microphones if they are there."""

    name: str
    truth: str
    result: str
    mixture: str | None
    reference_mic: int
    permute: bool
    perceptual: bool


@command("score")
@click.argument("corpus")
@click.argument("results")
@click.option("-o", "--output", default=None, metavar="FILE.csv", help="Also write the score of every talker to a CSV file.")
@click.option("--overwrite", "-y", is_flag=True, help="Replace an existing file.")
@spread
def batch_score(out: Output, corpus: str, results: str, output: str | None, **options: Any) -> None:
    """Score many separations as bss score does: a table of recordings, and means and quantiles over all talkers.

    CORPUS is a folder of recordings, each with its truth/ and, for the improvements, mics/, as bss mix and bss batch mix write
    them; RESULTS a folder with the tracks of each in a folder of the same name, as bss batch writes it. A recording without a
    result, or with one that cannot be scored, fails: exit code 4, or 3 if all do.

    \b
    Examples:
      bss batch score corpus/ out/
      bss batch score corpus/ out/ -o scores.csv --fail-under 8
      bss batch score corpus/ out/ --json > scores.json
    """
    threshold = options["fail_under"]
    if threshold is not None and not math.isfinite(threshold):
        raise UsageError(f"--fail-under {threshold} is not a level", "it must be a finite number", "a level in dB, such as 10")
    scheduler, jobs = options.pop("scheduler"), options.pop("jobs")
    tasks = _tasks(Path(corpus), Path(results), options)
    lines, answers = Lines(out, len(tasks)), dict[int, Any]()
    place = None if output is None else Path(output)
    with (
        _table(place, options["overwrite"]) as write,
        contextlib.closing(worked(out, score_one, tasks, scheduler, jobs)) as ended,
    ):
        for k, answer in ended:
            answers[k] = answer
            _say(lines, tasks[k].name, answer)
        code = _report(out, tasks, [answers[k] for k in range(len(tasks))], threshold, write)
    if code:
        sys.exit(code)


take_options(batch_score, options_of(score, SINGLE))


def _tasks(corpus: Path, results: Path, options: dict[str, Any]) -> list[ScoreTask]:
    from bss.signals.files.paths import natural_key

    for folder in (corpus, results):
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder", "", "the folders that bss batch mix and bss batch wrote")
    found = sorted((truth.parent for truth in corpus.rglob(TRUTH) if truth.is_dir()), key=natural_key)
    if not found:
        raise InputError(f"{corpus} contains no truth/ of a recording", "", "the folder that bss batch mix wrote")
    tasks = []
    for folder in found:
        name = folder.relative_to(corpus).as_posix()
        mixture = folder / MICS
        tasks.append(ScoreTask(
            name if name != "." else folder.resolve().name, str((folder / TRUTH).absolute()), str((results / name).absolute()),
            str(mixture.absolute()) if mixture.is_dir() else None, options["reference_mic"], not options["no_permute"],
            options["perceptual"],
        ))  # fmt: skip
    return tasks


def score_one(task: ScoreTask) -> dict[str, Any]:
    """The scores of one recording, as in the document of `bss score`."""
    from bss.pipeline.scoring.files import score_files

    if not Path(task.result).is_dir():
        raise InputError(
            f"there is no result of {task.name}", f"{task.result} does not exist", "bss batch --skip-done, to make it"
        )
    scored = score_files(
        task.truth, task.result, mixture=task.mixture, reference_mic=task.reference_mic - 1, permute=task.permute,
        perceptual=task.perceptual,
    ).to_dict()  # fmt: skip
    return {key: scored[key] for key in ("scores", "mean", "permutation", "definitions", "warnings")}


def _say(lines: Lines, name: str, answer: Any) -> None:
    from bss.batch.workers.failures import Failure

    if isinstance(answer, Failure):
        lines.failed(name, answer)
        return
    improvement = answer["mean"].get("si_sdr_improvement")
    more = "" if improvement is None else f", {improvement:.2f} dB better than the mixture"
    lines.done(name, f"SI-SDR {_db(answer['mean']['si_sdr'])} dB{more}")
    for warning in answer["warnings"]:
        lines.out.detail(f"  warning: {warning}")


@contextlib.contextmanager
def _table(place: Path | None, overwrite: bool) -> Iterator[Callable[[list[dict[str, Any]]], None]]:
    """Yields the function that writes the table of talkers; what stands in the way of the file is said before the work."""
    if place is None:
        yield lambda rows: None
        return
    from bss.batch.table import as_csv
    from bss.signals.files.writing import output_folder

    with output_folder(place.parent, [place.name], overwrite=overwrite) as folder:

        def write(rows: list[dict[str, Any]]) -> None:
            if rows:
                folder.text(place.name, as_csv(rows))

        yield write


def _report(out: Output, tasks: list[ScoreTask], answers: list[Any], threshold: float | None, write: Any) -> int:
    from bss.batch.batches import exit_code
    from bss.batch.scores import statistics
    from bss.batch.workers.failures import Failure

    named = [(task.name, answer) for task, answer in zip(tasks, answers, strict=True)]
    scored = [(name, answer) for name, answer in named if not isinstance(answer, Failure)]
    failed = [(name, answer) for name, answer in named if isinstance(answer, Failure)]
    rows = [{"recording": name, **row} for name, answer in scored for row in answer["scores"]]
    words = ("recording", "reference", "estimate", "reason", "perceptual_reason")
    measures = list(dict.fromkeys(key for row in rows for key in row if key not in words))
    rows = [{**{k: row.get(k) for k in ("recording", "reference", "estimate", *measures, "reason")}} for row in rows]
    found, code = statistics(rows, measures), exit_code([answer for _, answer in failed], len(named))
    write(rows)
    if rows and not out.as_json:
        out.console().print(_as_table(scored, found, measures))
        out.data("in dB, over all talkers" + ("; i: improvement over the mixture" if len(measures) > 4 else ""))
    gate = _gate(rows, found, threshold)
    out.emit({
        "recordings": [{"recording": name, **answer} for name, answer in scored], "statistics": found,
        "failed": [{"recording": name, **answer.to_dict()} for name, answer in failed], "gate": gate, "exit_code": code,
    })  # fmt: skip
    if not code and gate is not None and not gate["passed"]:
        missing = f" ({gate['without_score']} talkers have none)" if gate["without_score"] else ""
        raise QualityError(f"the mean SI-SDR of {_db(gate['mean'])} dB is not --fail-under {threshold:g}{missing}")
    return code


def _gate(rows: list[dict[str, Any]], found: dict[str, Any], threshold: float | None) -> dict[str, Any] | None:
    """Whether the mean over all talkers reaches the threshold, and every talker has a score, as of `bss score`."""
    from bss.metrics.scores import SILENT_REFERENCE

    if threshold is None:
        return None
    missing = sum(row["si_sdr"] is None and row["reason"] != SILENT_REFERENCE for row in rows)
    mean = found["si_sdr"]["mean"] if rows else None
    passed = not missing and mean is not None and mean >= threshold
    return {"measure": "si_sdr", "fail_under": threshold, "mean": mean, "without_score": missing, "passed": passed}


def _as_table(scored: list[Any], found: dict[str, Any], measures: list[str]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("recording", overflow="fold")
    for measure in measures:
        plain = measure.removesuffix("_improvement")
        table.add_column(plain.replace("_", "-").upper() + ("i" if plain != measure else ""), justify="right", no_wrap=True)
    for name, answer in scored:
        table.add_row(Text(name), *(_db(answer["mean"].get(measure)) for measure in measures))
    for statistic, title in TITLES.items():
        cells = [found[measure][statistic] for measure in measures]
        table.add_row(title, *(str(x) if statistic == "count" else _db(x) for x in cells), style="bold")
    return table


def _db(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.2f}"
