"""`bss score`: the quality of a separation, where the true sources are known."""

from __future__ import annotations

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
@click.option("--mixture", default=None, help="The recording before separation, to compute improvements: file, folder or glob.")
@click.option("--reference-mic", type=click.IntRange(1), default=1, show_default=True,
              help="Microphone to compare at: the channel of multichannel references and mixtures.")  # fmt: skip
@click.option("--no-permute", is_flag=True, help="Compare estimate k with reference k, in the order of their names.")
@click.option("--fail-under", type=float, default=None, metavar="DB",
              help="Exit with code 5 if the mean SI-SDR (not its improvement) is lower, or a talker has none.")  # fmt: skip
def score(out: Output, paths: tuple[str, ...], mixture: str | None, reference_mic: int, **options: Any) -> None:
    """Score separated tracks against the true sources: SI-SDR, and SDR, SIR and SAR of BSS-eval v3 with 512 taps.

    REFERENCES and ESTIMATES are a folder, a file or a quoted glob each. A reference file is one talker; if it has several
    channels, as in the truth/ folder of bss mix, each is a microphone. Every channel of the estimates is an estimate,
    except for residual.wav. Each reference is compared with the estimate that matches it best (greatest mean SIR).

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
        raise UsageError(f"--fail-under {threshold} is not a level", "it must be a finite number", "a level in dB, such as 10")
    inputs = Inputs(reference_mic)
    truth = inputs.read_references(references)
    separated = inputs.read_estimates(estimates, truth.rate)
    before = inputs.read_mixture(mixture, truth.rate) if mixture else None
    n = inputs.common_length({"references": truth, "estimates": separated} | ({"mixture": before} if before else {}))
    scores = score_tracks(
        truth.x[:, :n], separated.x[:, :n], before.x[:, :n] if before else None, permute=not options["no_permute"]
    )
    # a reference is a file, whatever the microphone; an estimate is a channel
    results = Results(scores, _names([c.file for c in truth.channels]), _names([c.name for c in separated.channels]))
    inputs.notes += results.notes()
    inputs.warnings += results.warnings()
    for note in inputs.notes:
        out.say(note)
    for warning in inputs.warnings:
        out.warn(warning)
    if not out.as_json:
        out.console().print(results.table())
        out.data("in dB" + ("; i: improvement over the mixture" if before else ""))
    gate = results.gate(threshold)
    out.emit({
        "inputs": {"references": _files(truth), "estimates": _files(separated), "mixture": before and _files(before)},
        "reference_mic": reference_mic, "rate": truth.rate, "samples": n, "seconds": n / truth.rate,
        **results.document(), "gate": gate, "notes": inputs.notes, "warnings": inputs.warnings,
    })  # fmt: skip
    _enforce(gate)


def _two(paths: tuple[str, ...], mixture: str | None) -> tuple[str, str]:
    if len(paths) != 2:
        why = "the shell may have expanded a glob" if len(paths) > 2 else "expected the true and the separated tracks"
        hint = 'folders, or globs in quotes: bss score "truth/*.wav" "sources/*.wav"'
        raise UsageError(f"expected two arguments, REFERENCES and ESTIMATES, but there are {len(paths)}", why, hint)
    if [*paths, mixture].count("-") > 1:
        raise UsageError("- is used twice", "stdin can be read only once", "files for the others")
    return paths[0], paths[1]


def _names(labels: list[str]) -> list[str]:
    """Display names: file names, with their folders only if the names alone are ambiguous."""
    short = [Path(label).name for label in labels]
    return short if len(set(short)) == len(short) else labels


def _files(tracks: Recording) -> list[dict[str, Any]]:
    """As JSON values, channels counted from 1."""
    return [{"file": channel.file, "channel": channel.index + 1} for channel in tracks.channels]


def _select(tracks: Recording, indices: list[int]) -> Recording:
    """Some of the tracks, which must be finite."""
    import numpy as np

    channels = tuple(tracks.channels[k] for k in indices)
    for k, channel in zip(indices, channels, strict=True):
        bad = int(np.count_nonzero(~np.isfinite(tracks.x[k])))
        if bad:
            raise InputError(f"{channel.name} contains {bad} NaN or infinite samples", "a score of them is meaningless")
    return tracks if len(indices) == len(tracks.channels) else replace(tracks, x=tracks.x[indices], channels=channels)


@dataclass
class Inputs:
    """Reads the tracks to compare, and collects notes and warnings about them."""

    reference_mic: int
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def read_references(self, pattern: str) -> Recording:
        """One signal per file: that of the reference microphone if there are several."""
        recording = self._load([pattern])
        indices, first = [], 0
        for channel in recording.channels:
            if channel.index == 0:
                indices.append(first + self._mic(channel.file, channel.of))
                first += channel.of
        if len(indices) < len(recording.channels):
            self.notes.append(f"references: using channel {self.reference_mic} (--reference-mic)")
        return _select(recording, indices)

    def read_estimates(self, pattern: str, rate: int) -> Recording:
        """One signal per channel of every file that is an estimate."""
        from bss.signals.paths import expand

        files = expand(pattern)
        tracks = [file for file in files if file.stem.lower() != "residual"]
        if len(tracks) < len(files):
            self.notes.append("residual.wav is not an estimate, so it is left out")
        if not tracks:
            raise InputError(f"{pattern} contains only a residual, no estimates", "", "the folder that bss unmix wrote")
        if Path(pattern, "result.json").is_file():
            tracks = self._listed(Path(pattern, "result.json"), tracks)
        recording = self._load(tracks)
        return self._resampled(_select(recording, list(range(len(recording.channels)))), "estimates", rate)

    def _listed(self, result: Path, tracks: list[Path]) -> list[Path]:
        """The tracks of the last run of `bss unmix`, without those that an earlier run left in the folder."""
        from bss.pipeline import record

        try:
            run = record.read(result)
        except InputError as error:
            self.warnings.append(f"{result} is ignored: it was not written by bss unmix ({error.what})")
            return tracks
        outputs, options = set(run.outputs or []), run.options or {}
        mic = options.get("reference_mic", self.reference_mic)
        if mic != self.reference_mic and not options.get("per_mic"):
            self.warnings.append(f"the estimates are for microphone {mic}; to compare them there, use --reference-mic {mic}")
        old = [file.name for file in tracks if file.name not in outputs]
        if old and len(old) < len(tracks):
            self.warnings.append(f"{', '.join(old)} left out: not listed in {result}, so from an earlier run")
            tracks = [file for file in tracks if file.name in outputs]
        return tracks

    def read_mixture(self, pattern: str, rate: int) -> Recording:
        """The signal of the reference microphone."""
        recording = self._load([pattern])
        mixture = _select(recording, [self._mic("the mixture", len(recording.channels))])
        self.notes.append(f"mixture: {mixture.channels[0].name}")
        return self._resampled(mixture, "mixture", rate)

    def common_length(self, tracks: dict[str, Recording]) -> int:
        """The length of the shortest; warns about what is cut off the others."""
        n: int = min(t.x.shape[1] for t in tracks.values())
        for name, t in tracks.items():
            more = t.x.shape[1] - n
            if more:
                doubt = "; do they belong together?" if more > n else ""
                verb = "is" if name == "mixture" else "are"
                extra = f"{more} samples ({more / t.rate:.3f} s)"
                self.warnings.append(f"the {name} {verb} {extra} longer, which are not scored{doubt}")
        return n

    def _load(self, files: list[Any]) -> Recording:
        from bss.signals.audio import load

        recording = load(files)
        self.warnings.extend(recording.repairs)
        return recording

    def _mic(self, name: str, of: int) -> int:
        """Index of the reference microphone; a single channel is taken for it."""
        if of == 1:
            return 0
        if self.reference_mic > of:
            raise UsageError(f"--reference-mic {self.reference_mic}: {name} has {of} channels", hint=f"1 to {of}")
        return self.reference_mic - 1

    def _resampled(self, tracks: Recording, name: str, rate: int) -> Recording:
        """The tracks at the rate of the references."""
        from bss.signals.resample import resample

        if tracks.rate == rate:
            return tracks
        verb = "is" if name == "mixture" else "are"
        self.warnings.append(f"the {name} {verb} resampled from {tracks.rate} Hz to the {rate} Hz of the references")
        return replace(tracks, x=resample(tracks.x, tracks.rate, rate), rate=rate)


@dataclass(frozen=True)
class Results:
    """The scores, with the names of references and estimates."""

    scores: Scores
    references: list[str]
    estimates: list[str]

    def matched(self) -> list[str | None]:
        """The estimate of each reference."""
        return [self.estimates[k] if k >= 0 else None for k in self.scores.permutation]

    def notes(self) -> list[str]:
        """Expected peculiarities."""
        from bss.metrics.score import ONE_TALKER

        unused = [name for k, name in enumerate(self.estimates) if k not in self.scores.permutation]
        notes = [f"not assigned to a reference: {', '.join(unused)}"] if unused else []
        return notes + [ONE_TALKER] * (ONE_TALKER in self.scores.reasons)

    def warnings(self) -> list[str]:
        """Why scores are missing."""
        from bss.metrics.score import ONE_TALKER

        reasons = zip(self.references, self.matched(), self.scores.reasons, strict=True)
        named = [(f"{name} and {estimate}" if estimate else name, reason) for name, estimate, reason in reasons]
        return [f"{name}: {reason}" for name, reason in named if reason not in ("", ONE_TALKER)]

    def table(self) -> Table:
        """For the terminal."""
        from rich.table import Table
        from rich.text import Text

        columns, mean = self.scores.columns, self.scores.mean
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for title in ("reference", "estimate"):
            table.add_column(title, overflow="fold")
        for name in columns:
            table.add_column(_title(name), justify="right", no_wrap=True)
        # as Text, so that brackets in a name are not markup
        for j, (name, estimate) in enumerate(zip(self.references, self.matched(), strict=True)):
            table.add_row(Text(name), Text(estimate or "-"), *(_db(column[j]) for column in columns.values()))
        table.add_row("mean", "", *(_db(mean[name]) for name in columns), style="bold")
        return table

    def document(self) -> dict[str, Any]:
        """As JSON values: the scores of each reference, the means, the definitions."""
        document = self.scores.to_dict()
        scores = [
            {
                "reference": name,
                "estimate": estimate,
                **{measure: document[measure][j] for measure in self.scores.columns},
                "reason": document["reasons"][j],
            }
            for j, (name, estimate) in enumerate(zip(self.references, self.matched(), strict=True))
        ]
        return {"scores": scores, **{key: document[key] for key in ("mean", "permutation", "definitions")}}

    def gate(self, threshold: float | None) -> dict[str, Any] | None:
        """Whether the mean SI-SDR reaches the threshold; a talker without a score fails it, and is not ignored."""
        from bss.metrics.score import SILENT_REFERENCE

        if threshold is None:
            return None
        scored = zip(self.references, self.scores.si_sdr, self.scores.reasons, strict=True)
        missing = [name for name, value, reason in scored if math.isnan(value) and reason != SILENT_REFERENCE]
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
        raise QualityError(f"no score for {', '.join(gate['without_score'])}", "--fail-under requires a score for every talker")
    raise QualityError(f"the mean SI-SDR of {gate['mean']:.2f} dB is below --fail-under {gate['fail_under']:g}")
