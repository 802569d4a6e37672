"""`bss batch mix`: a corpus of simulated scenes."""

from __future__ import annotations

import contextlib
import copy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..mix import ingredients, mix
from ..support.common import Output, command
from .batch_options import Lines, options_of, spread, take_options, worked

if TYPE_CHECKING:
    from bss.batch.corpus import SceneTask

# options of `bss mix` that take several values here, and their words in the names of scenes
VARIED = {"n_mics": "mics", "talkers": "talkers", "rt60": "rt60", "snr_db": "snr", "spacing": "spacing", "seed": "seed"}
SINGLE = ("output", "overwrite", "scene")


class Several(click.ParamType):
    """Values of another type, separated by commas; of whole numbers, also ranges such as 0-9."""

    name = "values"

    def __init__(self, of: click.ParamType) -> None:
        self.of = of

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        if isinstance(value, tuple):
            return value
        found = [self.of.convert(word, param, ctx) for part in str(value).split(",") for word in self._words(part.strip())]
        twice = next((one for one in found if found.count(one) > 1), None)
        if twice is not None:
            self.fail(f"{twice:g} is named twice", param, ctx)
        return tuple(found)

    def _words(self, part: str) -> list[str]:
        first, dash, last = part.partition("-")
        whole = isinstance(self.of, click.types.IntRange | click.types.IntParamType)
        if whole and dash and first.isdecimal() and last.isdecimal() and int(first) <= int(last):
            return [str(k) for k in range(int(first), int(last) + 1)]
        return [part]


def _several(option: click.Option) -> click.Option:
    """An option of `bss mix` that takes several values."""
    if option.name not in VARIED:
        return option
    made = copy.copy(option)
    made.type, made.metavar = Several(option.type), "A,B,..."
    if option.name == "seed":
        made.opts, made.metavar, made.help = ["--seeds", "--seed"], "A-B", "Random seeds: each combination is made with each."
    return made


@command("mix")
@click.argument("voices", nargs=-1, required=True)
@click.option("-o", "--output", required=True, help="Folder for a folder for each scene, and scenes.csv.")
@click.option("--skip-done", is_flag=True, help="Leave scenes that are there, of the same voices and options.")
@click.option("--overwrite", "-y", is_flag=True,
              help="Replace existing scenes; with --skip-done, only those of other voices or options.")  # fmt: skip
@spread
def batch_mix(out: Output, voices: tuple[str, ...], output: str, **options: Any) -> None:
    """Simulate a corpus of recordings with ground truth: every combination of the values that options are given.

    Options are those of bss mix; --mics, --talkers, --rt60, --snr, --spacing and --seeds take several values, separated by
    commas, and of whole numbers ranges as well. Each scene goes into a folder named after its values, as bss mix writes it;
    scenes.csv lists them. bss batch separates the corpus, bss batch score scores the results.

    \b
    Examples:
      bss batch mix voices/ -o corpus/ --mics 2,4 --rt60 0.2,0.4 --seeds 0-9
      bss batch mix voices/ -o corpus/ --talkers 2,3 --snr 10,20 --jobs 2
      bss batch mix voices/ -o corpus/ --seeds 0-9 && bss batch corpus/ -o out/ && bss batch score corpus/ out/
    """
    from bss.batch.corpus import make_scene

    scheduler, jobs = options.pop("scheduler"), options.pop("jobs")
    tasks = _tasks(out, voices, output, options)
    lines = Lines(out, len(tasks))
    answers: dict[int, Any] = {}
    with contextlib.closing(worked(out, make_scene, tasks, scheduler, jobs)) as ended:
        for k, answer in ended:
            answers[k] = answer
            _say(lines, tasks[k].name, answer)
    code = _report(out, tasks, [answers[k] for k in range(len(tasks))], Path(output))
    if code:
        sys.exit(code)


take_options(batch_mix, [_several(option) for option in options_of(mix, SINGLE)])


def _tasks(out: Output, voices: tuple[str, ...], output: str, options: dict[str, Any]) -> list[SceneTask]:
    from bss.batch.corpus import SceneTask, combinations
    from bss.errors import InputError

    again = {"skip_done": options.pop("skip_done"), "overwrite": options.pop("overwrite")}
    choices = {word: options.pop(name) or (None,) for name, word in VARIED.items()}
    tasks: list[SceneTask] = []
    for name, values in combinations(choices):
        one = {**options, **{keyword: values[word] for keyword, word in VARIED.items()}}
        say = Output(quiet=True) if tasks else out  # what is said of one is true of all
        folder = Path(output, name).absolute()
        tasks.append(SceneTask(name, str(folder), _absolute(ingredients(say, voices, one)), **again))
        if folder.exists() and not any(again.values()):
            why = "bss replaces files only on request"
            raise InputError(f"{folder} already exists", why, "--skip-done for what is left, --overwrite, or another -o DIR")
    return tasks


def _absolute(found: dict[str, Any]) -> dict[str, Any]:
    """With files that workers elsewhere find."""
    return {**found, **{key: [Path(file).absolute() for file in found[key]] for key in ("files", "noises", "responses")}}


def _say(lines: Lines, name: str, answer: Any) -> None:
    from bss.batch.workers.failures import Failure

    if isinstance(answer, Failure):
        lines.failed(name, answer)
        return
    row = answer.row
    talkers = "1 talker" if row["talkers"] == 1 else f"{row['talkers']} talkers"
    before = " (made before)" if answer.before else ""
    lines.done(name, f"{talkers}, {row['microphones']} microphones, {row['audio_seconds']:g} s{before}")
    for note in answer.notes:
        lines.out.detail(f"  warning: {note}")


def _report(out: Output, tasks: list[Any], answers: list[Any], folder: Path) -> int:
    """Write the table, say how many there are, and give the exit code."""
    from bss.batch.batches import exit_code
    from bss.batch.corpus import TABLE
    from bss.batch.table import as_csv
    from bss.batch.workers.failures import Failure
    from bss.signals.files.writing import output_folder

    rows = [answer.row for answer in answers if not isinstance(answer, Failure)]
    failures = [answer for answer in answers if isinstance(answer, Failure)]
    if rows:
        with output_folder(folder, [TABLE], overwrite=True) as place:
            place.text(TABLE, as_csv(rows))
    code = exit_code(failures, len(answers))
    failed = f", {len(failures)} failed" if failures else ""
    out.say(f"{len(rows)} scenes{failed}" + (f"; wrote {folder / TABLE}" if rows else ""))
    faults = [
        {"scene": task.name, **answer.to_dict()}
        for task, answer in zip(tasks, answers, strict=True)
        if isinstance(answer, Failure)
    ]
    out.emit({"folder": folder, "scenes": rows, "failed": faults, "exit_code": code})
    return code
