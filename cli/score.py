"""`bss score`: how well a separation went, where the truth is known."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bss.errors import InputError, QualityError, UsageError

from .common import Output, command

if TYPE_CHECKING:
    from rich.table import Table

    from bss.metrics.score import Scores
    from bss.signals.audio import Recording


@command("score")
@click.argument("paths", nargs=-1, metavar="REFERENCES ESTIMATES")
@click.option("--mixture", default=None, help="The recording before separation, for the improvements: file, folder or glob.")
@click.option("--reference-mic", type=click.IntRange(1), default=1, show_default=True,
              help="Microphone to compare at: that channel of references and mixture with several.")  # fmt: skip
@click.option("--no-permute", is_flag=True, help="Estimate k belongs to reference k, in the order of their names.")
@click.option("--fail-under", type=float, default=None, metavar="DB",
              help="Exit code 5 if the mean SI-SDR (not its improvement) is lower, or a talker has none.")  # fmt: skip
def score(out: Output, paths: tuple[str, ...], mixture: str | None, reference_mic: int, **options: Any) -> None:
    """Score separated tracks against the true ones: SI-SDR, and SDR, SIR and SAR of BSS-eval v3 with 512 taps.

    REFERENCES and ESTIMATES are a folder, a file or a quoted glob each. A reference file is one talker; of several
    channels, such as `bss mix` writes to truth/, each is a microphone. Every channel of the estimates is an estimate;
    residual.wav is none. Each reference is scored with the estimate that fits it best (greatest mean SIR).

    \b
    Examples:
      bss score scene/truth sources/ --mixture scene/mics
      bss score "truth/*.wav" "sources/source*.wav" --fail-under 8
      bss score scene/truth sources/ --reference-mic 2 --json > scores.json
    """
    from bss.metrics.score import score as score_tracks

    references, estimates = _two(paths, mixture)
    threshold: float | None = options["fail_under"]
    if threshold is not None and not math.isfinite(threshold):
        raise UsageError(f"--fail-under {threshold} is not a level", "no score could pass it or fail it", "a number of dB")
    job = Job(reference_mic)
    truth = job.read_references(references)
    separated = job.read_estimates(estimates, truth.rate)
    before = job.read_mixture(mixture, truth.rate) if mixture else None
    n = job.shortest({"references": truth, "estimates": separated} | ({"mixture": before} if before else {}))
    scores = score_tracks(
        truth.x[:, :n], separated.x[:, :n], before.x[:, :n] if before else None, permute=not options["no_permute"]
    )
    # a reference is a file, whichever its microphone; an estimate is a channel
    rows = Rows(scores, _names([c.file for c in truth.channels]), _names([c.name for c in separated.channels]))
    job.notes += rows.notes()
    job.warnings += rows.warnings()
    for note in job.notes:
        out.say(note)
    for warning in job.warnings:
        out.warn(warning)
    if not out.as_json:
        out.console().print(rows.table())
        out.data("in dB" + ("; i: improvement over the mixture" if before else ""))
    gate = rows.gate(threshold)
    out.emit({
        "inputs": {"references": _files(truth), "estimates": _files(separated), "mixture": before and _files(before)},
        "reference_mic": reference_mic, "rate": truth.rate, "samples": n, "seconds": n / truth.rate,
        **rows.document(), "gate": gate, "notes": job.notes, "warnings": job.warnings,
    })  # fmt: skip
    _enforce(gate)


def _two(paths: tuple[str, ...], mixture: str | None) -> tuple[str, str]:
    if len(paths) != 2:
        why = "the shell may have expanded a glob" if len(paths) > 2 else "expected the true tracks and the separated ones"
        hint = 'folders, or globs in quotes: bss score "truth/*.wav" "sources/*.wav"'
        raise UsageError(f"{len(paths)} names were given, not REFERENCES and ESTIMATES", why, hint)
    if [*paths, mixture].count("-") > 1:
        raise UsageError("- is given twice", "stdin can be read only once", "files for the others")
    return paths[0], paths[1]


def _names(labels: list[str]) -> list[str]:
    """For people: file names, with folders only where names alone would be the same."""
    short = [Path(label).name for label in labels]
    return short if len(set(short)) == len(short) else labels


def _files(tracks: Recording) -> list[dict[str, Any]]:
    """For programs, channels counted from 1."""
    return [{"file": channel.file, "channel": channel.index + 1} for channel in tracks.channels]


def _pick(tracks: Recording, rows: list[int]) -> Recording:
    """Some of them, which must be finite."""
    import numpy as np

    channels = tuple(tracks.channels[k] for k in rows)
    for k, channel in zip(rows, channels, strict=True):
        bad = int(np.count_nonzero(~np.isfinite(tracks.x[k])))
        if bad:
            raise InputError(f"{channel.name} holds {bad} NaN or infinite samples", "no score of them means anything")
    return tracks if len(rows) == len(tracks.channels) else replace(tracks, x=tracks.x[rows], channels=channels)


@dataclass
class Job:
    """Reads what is to be compared, and takes down what it had to do for that."""

    reference_mic: int
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def read_references(self, pattern: str) -> Recording:
        """One signal per file: the reference microphone's, where there are several."""
        everything = self._load([pattern])
        rows, first = [], 0
        for channel in everything.channels:
            if channel.index == 0:
                rows.append(first + self._mic(channel.file, channel.of))
                first += channel.of
        if len(rows) < len(everything.channels):
            self.notes.append(f"references: channel {self.reference_mic} of those with several (--reference-mic)")
        return _pick(everything, rows)

    def read_estimates(self, pattern: str, rate: int) -> Recording:
        """One signal per channel of every file that is an estimate."""
        from bss.signals.paths import expand

        files = expand(pattern)
        tracks = [file for file in files if file.stem.lower() != "residual"]
        if len(tracks) < len(files):
            self.notes.append("residual.wav is what no source explains, not an estimate: left out")
        if not tracks:
            raise InputError(f"{pattern} holds a residual and no estimate", "", "the folder that bss unmix wrote")
        if Path(pattern, "result.json").is_file():
            tracks = self._listed(Path(pattern, "result.json"), tracks)
        everything = self._load(tracks)
        return self._at(_pick(everything, list(range(len(everything.channels)))), "estimates", rate)

    def _listed(self, result: Path, tracks: list[Path]) -> list[Path]:
        """The tracks that `bss unmix` wrote last; older ones beside them would be scored as if they were its."""
        try:
            document = json.loads(result.read_text(encoding="utf-8"))
            outputs, options = set(document["outputs"]), dict(document.get("options", {}))
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.warnings.append(f"{result} is not what bss unmix writes, and was not used ({type(error).__name__})")
            return tracks
        mic = options.get("reference_mic", self.reference_mic)
        if mic != self.reference_mic and not options.get("per_mic"):
            self.warnings.append(f"the estimates are those of microphone {mic}: --reference-mic {mic} would compare them there")
        old = [file.name for file in tracks if file.name not in outputs]
        if old and len(old) < len(tracks):
            self.warnings.append(f"{', '.join(old)}: not in {result}, so from an earlier run: left out")
            tracks = [file for file in tracks if file.name in outputs]
        return tracks

    def read_mixture(self, pattern: str, rate: int) -> Recording:
        """The reference microphone's signal."""
        everything = self._load([pattern])
        row = self._mic("the mixture", len(everything.channels))
        mixture = _pick(everything, [row])
        self.notes.append(f"mixture: {mixture.channels[0].name}")
        return self._at(mixture, "mixture", rate)

    def shortest(self, tracks: dict[str, Recording]) -> int:
        """The samples that all have; what is left over is said."""
        n: int = min(t.x.shape[1] for t in tracks.values())
        for name, t in tracks.items():
            more = t.x.shape[1] - n
            if more:
                far = "; do they belong together?" if more > n else ""
                by = f"{more} samples ({more / t.rate:.3f} s)"
                self.warnings.append(f"the {name} are longer by {by}: their end is not scored{far}")
        return n

    def _load(self, files: list[Any]) -> Recording:
        from bss.signals.audio import load

        recording = load(files)
        self.warnings.extend(recording.repairs)
        return recording

    def _mic(self, name: str, of: int) -> int:
        """Index of the reference microphone; a single channel is taken to be its."""
        if of == 1:
            return 0
        if self.reference_mic > of:
            raise UsageError(f"--reference-mic {self.reference_mic}: {name} has {of} channels", hint=f"1 to {of}")
        return self.reference_mic - 1

    def _at(self, tracks: Recording, name: str, rate: int) -> Recording:
        """The same at the rate of the references."""
        from bss.signals.resample import resample

        if tracks.rate == rate:
            return tracks
        self.warnings.append(f"the {name} are resampled from {tracks.rate} Hz to the {rate} Hz of the references")
        return replace(tracks, x=resample(tracks.x, tracks.rate, rate), rate=rate)


@dataclass(frozen=True)
class Rows:
    """The scores, with the names of the references and estimates."""

    scores: Scores
    references: list[str]
    estimates: list[str]

    def matched(self) -> list[str | None]:
        """The estimate of each reference."""
        return [self.estimates[k] if k >= 0 else None for k in self.scores.permutation]

    def notes(self) -> list[str]:
        """What is in the order of things."""
        from bss.metrics.score import ONE_TALKER

        unused = [name for k, name in enumerate(self.estimates) if k not in self.scores.permutation]
        notes = [f"matched with no reference: {', '.join(unused)}"] if unused else []
        return notes + [ONE_TALKER] * (ONE_TALKER in self.scores.reasons)

    def warnings(self) -> list[str]:
        """Why numbers are missing."""
        from bss.metrics.score import ONE_TALKER

        reasons = zip(self.references, self.matched(), self.scores.reasons, strict=True)
        named = [(f"{name} and {estimate}" if estimate else name, reason) for name, estimate, reason in reasons]
        return [f"{name}: {reason}" for name, reason in named if reason not in ("", ONE_TALKER)]

    def table(self) -> Table:
        """For people."""
        from rich.table import Table
        from rich.text import Text

        columns, mean = self.scores.columns, self.scores.mean
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for title in ("reference", "estimate"):
            table.add_column(title, overflow="fold")
        for name in columns:
            table.add_column(_title(name), justify="right", no_wrap=True)
        # as Text, brackets in a name are no markup
        for j, (name, estimate) in enumerate(zip(self.references, self.matched(), strict=True)):
            table.add_row(Text(name), Text(estimate or "-"), *(_db(column[j]) for column in columns.values()))
        table.add_row("mean", "", *(_db(mean[name]) for name in columns), style="bold")
        return table

    def document(self) -> dict[str, Any]:
        """For programs: a row for each reference, the means, the definitions."""
        document = self.scores.to_dict()
        rows = [
            {
                "reference": name,
                "estimate": estimate,
                **{measure: document[measure][j] for measure in self.scores.columns},
                "reason": document["reasons"][j],
            }
            for j, (name, estimate) in enumerate(zip(self.references, self.matched(), strict=True))
        ]
        return {"scores": rows, **{key: document[key] for key in ("mean", "permutation", "definitions")}}

    def gate(self, threshold: float | None) -> dict[str, Any] | None:
        """Whether the mean SI-SDR reaches the threshold. A talker without a score is a failure, and no smaller mean."""
        from bss.metrics.score import SILENT_REFERENCE

        if threshold is None:
            return None
        found = zip(self.references, self.scores.si_sdr, self.scores.reasons, strict=True)
        missing = [name for name, value, reason in found if math.isnan(value) and reason != SILENT_REFERENCE]
        mean = self.scores.mean["si_sdr"]
        return {
            "measure": "si_sdr",
            "fail_under": threshold,
            "mean": None if math.isnan(mean) else mean,
            "without_score": missing,
            "passed": not missing and mean >= threshold,
        }


def _title(measure: str) -> str:
    plain = measure.removesuffix("_improvement")
    return plain.replace("_", "-").upper() + ("i" if plain != measure else "")


def _db(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _enforce(gate: dict[str, Any] | None) -> None:
    if gate is None or gate["passed"]:
        return
    if gate["without_score"]:
        raise QualityError(f"no score for {', '.join(gate['without_score'])}", "--fail-under wants one for every talker")
    raise QualityError(f"the mean SI-SDR is {gate['mean']:.2f} dB, under the {gate['fail_under']:g} dB of --fail-under")
