"""`bss score`: how well a separation went, where the truth is known."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bss.errors import InputError, QualityError, UsageError

from .common import Output, command

if TYPE_CHECKING:
    import numpy as np
    from rich.table import Table

    from bss.metrics.score import Scores
    from bss.signals.audio import Channel

TITLES = {
    "si_sdr": "SI-SDR", "sdr": "SDR", "sir": "SIR", "sar": "SAR",
    "si_sdr_improvement": "SI-SDRi", "sdr_improvement": "SDRi", "sir_improvement": "SIRi",
}  # fmt: skip


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
    threshold = _threshold(options["fail_under"])
    job = Job(reference_mic)
    truth = job.read_references(references)
    separated = job.read_estimates(estimates, truth.rate)
    before = job.read_mixture(mixture, truth.rate) if mixture else None
    n = job.shortest({"references": truth, "estimates": separated} | ({"mixture": before} if before else {}))
    scores = score_tracks(
        truth.x[:, :n], separated.x[:, :n], before.x[:, :n] if before else None, permute=not options["no_permute"]
    )
    rows = Rows(scores, truth.names(), separated.names())
    job.notes += rows.notes()
    job.warnings += rows.warnings()
    for note in job.notes:
        out.say(note)
    for warning in job.warnings:
        out.warn(warning)
    if not out.as_json:
        out.console().print(rows.table())
    gate = rows.gate(threshold)
    out.emit({
        "inputs": {"references": truth.files(), "estimates": separated.files(), "mixture": before and before.files()},
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


def _threshold(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise UsageError(f"--fail-under {value} is not a level", "no score could pass or fail it", "a number of dB")
    return value


@dataclass(frozen=True)
class Tracks:
    """Signals (N, n) of one rate, and where each came from."""

    x: np.ndarray
    rate: int
    channels: tuple[Channel, ...]

    def names(self) -> list[str]:
        """For people: file names, with folders only where names alone would be the same."""
        short = [Path(channel.name).name for channel in self.channels]
        return short if len(set(short)) == len(short) else [channel.name for channel in self.channels]

    def files(self) -> list[dict[str, Any]]:
        """For programs, channels counted from 1."""
        return [{"file": channel.file, "channel": channel.index + 1} for channel in self.channels]

    def pick(self, rows: list[int]) -> Tracks:
        """Some of them."""
        if rows == list(range(len(self.channels))):
            return self
        return Tracks(self.x[rows], self.rate, tuple(self.channels[k] for k in rows))


@dataclass
class Job:
    """Reads what is to be compared, and takes down what it had to do for that."""

    reference_mic: int
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def read_references(self, pattern: str) -> Tracks:
        """One signal per file: the reference microphone's, where there are several."""
        everything = self._load([pattern])
        rows, first = [], 0
        for channel in everything.channels:
            if channel.index == 0:
                rows.append(first + self._mic(channel.file, channel.of))
                first += channel.of
        several = {everything.channels[k].of for k in rows} - {1}
        if several:
            of = "/".join(map(str, sorted(several)))
            self.notes.append(f"references: microphone {self.reference_mic} of {of} (--reference-mic)")
        return self._finite(everything.pick(rows))

    def read_estimates(self, pattern: str, rate: int) -> Tracks:
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
        return self._at(self._finite(self._load(tracks)), "estimates", rate)

    def _listed(self, result: Path, tracks: list[Path]) -> list[Path]:
        """The tracks that `bss unmix` wrote last; older ones beside them would be scored as if they were its."""
        try:
            document = json.loads(result.read_text(encoding="utf-8"))
            outputs, options = document["outputs"], document.get("options", {})
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.warnings.append(f"{result} is not what bss unmix writes, and was not used ({type(error).__name__})")
            return tracks
        mic = options.get("reference_mic", self.reference_mic)
        if mic != self.reference_mic and not options.get("per_mic"):
            self.warnings.append(
                f"the estimates are those of microphone {mic}, compared at {self.reference_mic} (--reference-mic)"
            )
        old = [file.name for file in tracks if file.name not in outputs]
        if old and len(old) < len(tracks):
            self.warnings.append(f"{', '.join(old)}: not in {result}, so from an earlier run: left out")
            return [file for file in tracks if file.name in outputs]
        return tracks

    def read_mixture(self, pattern: str, rate: int) -> Tracks:
        """The reference microphone's signal."""
        everything = self._load([pattern])
        row = self._mic("the mixture", len(everything.channels))
        mixture = self._finite(everything.pick([row]))
        self.notes.append(f"mixture: {mixture.channels[0].name}")
        return self._at(mixture, "mixture", rate)

    def shortest(self, tracks: dict[str, Tracks]) -> int:
        """The samples that all have; what is left over is said."""
        n = min(t.x.shape[1] for t in tracks.values())
        for name, t in tracks.items():
            more = t.x.shape[1] - n
            if more:
                far = "; do they belong together?" if more > n else ""
                self.warnings.append(
                    f"the {name} are longer by {more} samples ({more / t.rate:.3f} s): the end is not scored{far}"
                )
        return n

    def _load(self, files: list[Any]) -> Tracks:
        from bss.signals.audio import load

        recording = load(files)
        self.warnings.extend(recording.repairs)
        return Tracks(recording.x, recording.rate, recording.channels)

    def _mic(self, name: str, of: int) -> int:
        """Index of the reference microphone; a single channel is taken to be its."""
        if of == 1:
            return 0
        if self.reference_mic > of:
            raise UsageError(f"--reference-mic {self.reference_mic}: {name} has {of} channels", hint=f"1 to {of}")
        return self.reference_mic - 1

    def _finite(self, tracks: Tracks) -> Tracks:
        import numpy as np

        for x, channel in zip(tracks.x, tracks.channels, strict=True):
            bad = int(np.count_nonzero(~np.isfinite(x)))
            if bad:
                raise InputError(f"{channel.name} holds {bad} NaN or infinite samples", "no score of them means anything")
        return tracks

    def _at(self, tracks: Tracks, name: str, rate: int) -> Tracks:
        """The same at the rate of the references."""
        from bss.signals.resample import resample

        if tracks.rate == rate:
            return tracks
        self.warnings.append(f"the {name} are resampled from {tracks.rate} Hz to the {rate} Hz of the references")
        return Tracks(resample(tracks.x, tracks.rate, rate), rate, tracks.channels)


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
        return [
            f"{name}: {reason}" + (f" ({estimate})" if estimate else "")
            for name, estimate, reason in reasons
            if reason not in ("", ONE_TALKER)
        ]

    def table(self) -> Table:
        """For people."""
        from rich.table import Table
        from rich.text import Text

        columns, mean = self.scores.columns, self.scores.mean
        caption = "dB" + ("; i: improvement over the mixture" if "sdr_improvement" in columns else "")
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), caption=caption, caption_justify="left")
        for title in ("reference", "estimate"):
            table.add_column(title, overflow="fold")
        for name in columns:
            table.add_column(TITLES[name], justify="right", no_wrap=True)
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


def _db(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _enforce(gate: dict[str, Any] | None) -> None:
    if gate is None or gate["passed"]:
        return
    if gate["without_score"]:
        raise QualityError(f"no score for {', '.join(gate['without_score'])}", "--fail-under wants one for every talker")
    raise QualityError(f"the mean SI-SDR is {gate['mean']:.2f} dB, under the {gate['fail_under']:g} dB of --fail-under")
