"""`score_files`: the scores of files against files, as `bss score` prints them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bss.metrics.score import score
from bss.metrics.scores import ONE_TALKER, SILENT_REFERENCE, Scores
from bss.pipeline.scoring.inputs import Inputs
from bss.signals.files.audio import Recording
from bss.signals.files.blocks import Files


@dataclass(frozen=True)
class ScoredFiles:
    """The scores of N references in files, with what was compared.

    Attributes
    ----------
    scores : Scores
        In the order of the references.
    references, estimates : tuple[str, ...]
        Names: of files, and of channels.
    rate, samples : int
        Hz, and how many samples of each were compared.
    reference_mic : int
        Index of the microphone that they were compared at.
    inputs : dict
        "references", "estimates" and "mixture": the files, and the channels counted from 1.
    notes, warnings : tuple[str, ...]
        What was left out, resampled or cut, and why scores are missing.
    """

    scores: Scores
    references: tuple[str, ...]
    estimates: tuple[str, ...]
    rate: int
    samples: int
    reference_mic: int
    inputs: dict[str, Any]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def matched(self) -> list[str | None]:
        """The estimate of each reference."""
        return [self.estimates[k] if k >= 0 else None for k in self.scores.permutation]

    @property
    def without_score(self) -> list[str]:
        """References that have no SI-SDR though their talker speaks."""
        scored = zip(self.references, self.scores.si_sdr, self.scores.reasons, strict=True)
        return [name for name, value, reason in scored if math.isnan(value) and reason != SILENT_REFERENCE]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values: an object for each talker, the means, and the definition of each number."""
        document = self.scores.to_dict()
        talkers = [
            {
                "reference": name,
                "estimate": estimate,
                **{measure: document[measure][j] for measure in self.scores.columns},
                "reason": document["reasons"][j],
            }
            for j, (name, estimate) in enumerate(zip(self.references, self.matched, strict=True))
        ]
        self._add_perceptual(talkers, document)
        self._add_frames(talkers, document)
        return {
            "inputs": self.inputs,
            "reference_mic": self.reference_mic + 1,
            "rate": self.rate,
            "samples": self.samples,
            "seconds": self.samples / self.rate,
            "scores": talkers,
            **{key: document[key] for key in ("mean", "permutation", "definitions")},
            "frames": document["frames"] and {k: document["frames"][k] for k in ("seconds", "starts", "quantiles", "quiet_db")},
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }

    def _add_perceptual(self, talkers: list[dict[str, Any]], document: dict[str, Any]) -> None:
        if self.scores.perceptual:
            for talker, reason in zip(talkers, document["perceptual_reasons"], strict=True):
                talker["perceptual_reason"] = reason

    def _add_frames(self, talkers: list[dict[str, Any]], document: dict[str, Any]) -> None:
        if document["frames"]:
            for key in ("si_sdr", "si_sdr_quantiles"):
                for talker, values in zip(talkers, document["frames"][key], strict=True):
                    talker["frames" if key == "si_sdr" else "quantiles"] = values


def score_files(
    references: Files,
    estimates: Files,
    *,
    mixture: Files | None = None,
    reference_mic: int = 0,
    permute: bool = True,
    perceptual: bool = False,
    frame_seconds: float | None = None,
) -> ScoredFiles:
    """Score tracks in files against the true sources in files: what `bss score` does.

    Parameters
    ----------
    references : path or sequence of paths
        Files, folders, globs; a file is a talker, and its channels (M, n) are microphones.
    estimates : path or sequence of paths
        Every channel is an estimate, but for residual.wav. In a folder that `bss unmix` wrote, those of its last run.
    mixture : path or sequence of paths, optional
        The recording before separation, for the improvements.
    reference_mic : int
        Index of the microphone to compare at.
    permute : bool
        If False, estimate k belongs to reference k.
    perceptual, frame_seconds
        As of `score`.

    Returns
    -------
    ScoredFiles

    Raises
    ------
    InputError
        A file cannot be read, or its tracks cannot be scored; see `score`.
    UsageError
        There is no such microphone; frames are too short or too long.

    Examples
    --------
    >>> import numpy as np, bss, tempfile
    >>> s = 0.1 * np.random.default_rng(0).standard_normal((2, 16000)).astype(np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bss.write(f"{folder}/truth/anna.wav", s[0], 16000)
    ...     bss.write(f"{folder}/out/source1.wav", s[0] + 0.1 * s[1], 16000)
    ...     scored = bss.score_files(f"{folder}/truth", f"{folder}/out")
    >>> scored.references, scored.matched, scored.scores.si_sdr.round().tolist()
    (('anna.wav',), ['source1.wav'], [20.0])
    """
    inputs = Inputs(reference_mic + 1)
    truth = inputs.read_references(references)
    separated = inputs.read_estimates(estimates, truth.rate)
    before = inputs.read_mixture(mixture, truth.rate) if mixture is not None else None
    n = inputs.common_length({"references": truth, "estimates": separated} | ({"mixture": before} if before else {}))
    scores = score(
        truth.x[:, :n], separated.x[:, :n], before.x[:, :n] if before else None, permute=permute, rate=truth.rate,
        perceptual=perceptual, frame_seconds=frame_seconds,
    )  # fmt: skip
    # a reference is a file, whatever the microphone; an estimate is a channel
    names = short_names([c.file for c in truth.channels]), short_names([c.name for c in separated.channels])
    files = {"references": listed(truth), "estimates": listed(separated), "mixture": before and listed(before)}
    return ScoredFiles(
        scores, *names, truth.rate, n, reference_mic, files,
        (*inputs.notes, *_notes(scores, names[1])), (*inputs.warnings, *_warnings(scores, *names)),
    )  # fmt: skip


def short_names(labels: list[str]) -> tuple[str, ...]:
    """Display names: file names, with their folders only if the names alone are ambiguous."""
    short = [Path(label).name for label in labels]
    return tuple(short if len(set(short)) == len(short) else labels)


def listed(tracks: Recording) -> list[dict[str, Any]]:
    """The files as JSON values, channels counted from 1."""
    return [{"file": channel.file, "channel": channel.index + 1} for channel in tracks.channels]


def _notes(scores: Scores, estimates: tuple[str, ...]) -> list[str]:
    """Expected peculiarities."""
    unused = [name for k, name in enumerate(estimates) if k not in scores.permutation]
    notes = [f"not assigned to a reference: {', '.join(unused)}"] if unused else []
    return notes + [ONE_TALKER] * (ONE_TALKER in scores.reasons)


def _warnings(scores: Scores, references: tuple[str, ...], estimates: tuple[str, ...]) -> list[str]:
    """Why scores are missing."""
    warnings = [*scores.left_out]
    more = scores.perceptual_reasons or ("",) * len(references)
    for name, k, reason, other in zip(references, scores.permutation, scores.reasons, more, strict=True):
        pair = f"{name} and {estimates[k]}" if k >= 0 else name
        warnings += [f"{pair}: {why}" for why in (reason, other) if why not in ("", ONE_TALKER)]
    return warnings
