"""FD-ICA, then the learned source model, which removes what the separation has left of the other talkers.

The model compares each track with the sum of all others and estimates the talker without them. With more than one pass, the
estimates first serve as variances in a further separation with longer windows (`refine`). If no track sounds like speech, or a
track would change too much, the model is not applied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bss.networks.files import Weights
from bss.networks.source_model import apply
from bss.pipeline import calibration
from bss.pipeline.analysis.ordering import order_at
from bss.pipeline.analysis.speech import speech_evidence
from bss.pipeline.filters.models import Demixing
from bss.pipeline.methods.base import Needs, Size, Task, signal_bytes, spectra_bytes
from bss.pipeline.methods.effort import EFFORTS
from bss.pipeline.methods.estimate import LinearEstimate, linear
from bss.pipeline.methods.fdica import separate_bins
from bss.pipeline.methods.ilrma import refined
from bss.pipeline.methods.refine import Refined, refine
from bss.pipeline.windows import long_window
from bss.signals.stft import Stft
from bss.solvers.result import Separation

CHANGE = calibration.SPEECH_CHANGE.value


@dataclass(frozen=True)
class EnhancedEstimate:
    """The output of the source model for a linear estimate.

    Attributes
    ----------
    x : np.ndarray
        (M, n) the recording.
    first : LinearEstimate
        The result of FD-ICA, its talkers in the order of the tracks.
    reference : int
        The microphone at which the model was applied.
    enhanced, linear, blind : np.ndarray
        (N, n) output and input of the model there, and the tracks of the first estimate.
    refinement : Refined or None
        The separation that made its input, if that is not the first estimate.
    weights : path or None
        File of the model; None for the built-in one.
    rate : int
        Hz.
    source_model : mapping
        What the model did, for result.json.
    """

    x: np.ndarray = field(repr=False)
    first: LinearEstimate
    reference: int
    enhanced: np.ndarray = field(repr=False)
    linear: np.ndarray = field(repr=False)
    blind: np.ndarray = field(repr=False)
    refinement: Refined | None
    weights: Weights
    rate: int
    source_model: Mapping[str, Any]
    method: str = "neural"

    @property
    def stages(self) -> Mapping[str, Separation]:
        """The solvers of the first estimate."""
        return self.first.stages

    def image_powers(self) -> np.ndarray:
        """Of the first estimate."""
        return self.first.image_powers()

    def cross_spectra(self, mics: np.ndarray) -> np.ndarray | None:
        """Of the first estimate."""
        return self.first.cross_spectra(mics)

    def tracks(self, mics: np.ndarray) -> np.ndarray:
        """(N, n) output of the model; at other microphones than the reference it is applied to the linear tracks there."""
        if (mics == self.reference).all():
            return self.enhanced
        model = apply.load(self.weights)
        return apply.enhance(model, apply.prepare(model, self.linear_tracks(mics), self.rate))

    def linear_tracks(self, mics: np.ndarray) -> np.ndarray:
        """(N, n) input of the model."""
        if (mics == self.reference).all():
            return self.linear
        if self.refinement is None:
            return self.first.tracks(mics)
        demixing, stft = self.refinement.demixing, self.refinement.stft
        return stft.inverse(demixing.images(stft.forward(self.x), mics), self.x.shape[1])

    def separated(self, mics: np.ndarray) -> np.ndarray:
        """(N, n) the tracks of FD-ICA."""
        if (mics == self.reference).all():
            return self.blind
        return self.first.tracks(mics)

    def model(self, order: np.ndarray, mics: np.ndarray) -> Demixing:
        """The demixing of the linear tracks, with talker order[k] as track k."""
        demixing = self.first.demixing if self.refinement is None else self.refinement.demixing
        return demixing.ordered(order)

    @property
    def stft(self) -> Stft | None:
        """The window of that demixing."""
        return self.first.stft if self.refinement is None else self.refinement.stft


@dataclass(frozen=True)
class Neural:
    """FD-ICA, then the learned source model, or ILRMA if the model is not applied."""

    name: str = "neural"
    needs: Needs = Needs(per_mic=False, success="room")

    def window(self, n: int, rate: int) -> Stft:
        """About half a second."""
        return long_window(n, rate)

    def learn(self, task: Task) -> LinearEstimate | EnhancedEstimate:
        """Separate, order the tracks, and apply the model to them."""
        solved = linear(self.name, task, {"fdica": separate_bins(task)})
        talkers = order_at(solved, task.x, task.reference, task.rate).talkers
        first = in_order(solved, talkers)
        tracks = first.tracks(np.full(len(talkers), task.reference))
        if not np.isfinite(tracks).all():
            return first
        result = apply_model(task, tracks)
        if isinstance(result, Enhancement):
            return EnhancedEstimate(
                task.x, first, task.reference, result.tracks, result.linear, tracks, result.refinement, task.weights, task.rate,
                result.evidence,
            )  # fmt: skip
        return _without_model(solved, task, result)

    def leaves_residual(self, n_sources: int, n_mics: int) -> bool:
        """Always: it contains what the model removes."""
        return True

    def memory(self, size: Size) -> int:
        """Signals, spectra and variances."""
        return signal_bytes(size) + spectra_bytes(size, variances=True)


@dataclass(frozen=True)
class Enhancement:
    """Output and input (N, n) of the source model, and the further separation that made the input, if any."""

    tracks: np.ndarray
    linear: np.ndarray
    refinement: Refined | None
    evidence: dict[str, Any]


def in_order(estimate: LinearEstimate, talkers: np.ndarray) -> LinearEstimate:
    """The estimate with talker talkers[k] in place k."""
    separation = estimate.separation
    permuted = separation.permuted(np.broadcast_to(talkers, (len(separation.demixing), len(talkers))))
    *earlier, last = estimate.stages
    stages = {**{name: estimate.stages[name] for name in earlier}, last: permuted}
    return replace(estimate, separation=permuted, stages=stages)


def apply_model(task: Task, tracks: np.ndarray) -> Enhancement | dict[str, Any]:
    """Apply the source model to tracks (N, n) at the reference microphone; only the evidence if it is not applicable."""
    passes = max(1, EFFORTS[task.effort].passes)
    model = apply.load(task.weights)
    prepared = apply.prepare(model, tracks, task.rate)
    evidence = {**speech_evidence(model, prepared), "looks": passes}
    if not any(evidence["speech"]):
        return {"applied": False, "why": "no track sounds like speech", **evidence}
    linear_tracks, enhanced, refinement = tracks, apply.enhance(model, prepared), None
    for _ in range(passes - 1):
        refinement = refine(task.x, task.rate, linear_tracks, enhanced, reference=task.reference)
        linear_tracks = refinement.tracks
        enhanced = apply.enhance(model, apply.prepare(model, linear_tracks, task.rate))
    changes = [round(_db(enhanced[n] - linear_tracks[n], linear_tracks[n]), 1) for n in range(len(tracks))]
    evidence |= {"change_db": changes, "change_below_db": CHANGE}
    if max(changes) > CHANGE:
        return {"applied": False, "why": "it would have changed a track so much that the result could not be trusted", **evidence}
    return Enhancement(enhanced, linear_tracks, refinement, {"applied": True, "why": "", **evidence})


def _without_model(first: LinearEstimate, task: Task, evidence: Mapping[str, Any]) -> LinearEstimate:
    """ILRMA from FD-ICA; FD-ICA itself if ILRMA is not used with so many microphones, or such an effort."""
    W = first.separation.demixing
    if W.shape[1] != W.shape[2] or not EFFORTS[task.effort].ilrma:
        return replace(first, method="fdica", source_model=evidence)
    second = refined(task.X, first.separation, task.effort, task.rng)
    stages = {**first.stages, "ilrma": second}
    return replace(first, method="ilrma", separation=second, stages=stages, source_model=evidence)


def _db(part: np.ndarray, whole: np.ndarray) -> float:
    """Power of one signal relative to another in dB; -30 dB if both are silent."""
    tiny = np.finfo(np.float64).tiny
    return float(10 * np.log10((np.vdot(part, part) + tiny) / (np.vdot(whole, whole) + 1e3 * tiny)))


NEURAL = Neural()
