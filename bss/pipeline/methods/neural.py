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
from bss.pipeline.analysis import roles, success, success_evidence
from bss.pipeline.analysis.ordering import order_at
from bss.pipeline.analysis.roles import Roles
from bss.pipeline.analysis.speech import speech_evidence
from bss.pipeline.filters.models import Demixing
from bss.pipeline.methods.fdica import separate_bins
from bss.pipeline.methods.ilrma import refined
from bss.pipeline.methods.refine import Refined, refine
from bss.pipeline.methods.shared.base import Needs, Size, Task, signal_bytes, spectra_bytes
from bss.pipeline.methods.shared.effort import EFFORTS
from bss.pipeline.methods.shared.estimate import LinearEstimate, linear
from bss.pipeline.planning.windows import long_window
from bss.pipeline.resources import devices
from bss.signals.stft import Stft
from bss.solvers.result import Separation

CHANGE = calibration.SPEECH_CHANGE.value
# A model that takes more than this (dB, relative to the track, for each other track) from one of the tracks found much of the
# others in it, as with long echo or a soft talker. Separating anew with what it makes of them gains most then: docs/methods.md.
LOOK_AGAIN, MOST_LOOKS = -10.0, 2
LONG_SECONDS = 30.0  # from here on a second look is always taken: 2 to 4 dB, for 1.7 times the time


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
    roles : Roles
        Which sounds are talkers; the model is applied to these only, though it knows of all.
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
    roles: Roles
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
        return enhanced_talkers(model, apply.prepare(model, self.linear_tracks(mics), self.rate), self.roles.talker)

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
    """FD-ICA, then the learned source model, or ILRMA if the model is not applied.

    With `again` the model may look again, at a further separation that its first estimates make possible.
    """

    again: bool = True
    name: str = "neural"
    needs: Needs = Needs(per_mic=False, success="room", tensors=True)

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
        result = apply_model(task, tracks, again=self.again)
        found = result.roles if isinstance(result, Enhancement) else result[1]
        if task.n_talkers is not None and found.divided:
            fewer = self.learn(replace(task, n_sources=task.n_talkers, others=False))
            at = np.full(task.n_talkers, task.reference)
            if estimated_gain(fewer.separated(at), task.rate) > estimated_gain(tracks[found.talker], task.rate):
                return fewer
        if isinstance(result, Enhancement):
            return EnhancedEstimate(
                task.x, first, task.reference, result.tracks, result.linear, tracks, result.refinement, task.weights, task.rate,
                result.evidence, result.roles,
            )  # fmt: skip
        evidence, found = result
        back = np.argsort(talkers)
        return replace(_without_model(solved, task, roles.in_order(evidence, back)), roles=found.ordered(back))

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
    roles: Roles


def in_order(estimate: LinearEstimate, talkers: np.ndarray) -> LinearEstimate:
    """The estimate with talker talkers[k] in place k."""
    separation = estimate.separation
    permuted = separation.permuted(np.broadcast_to(talkers, (len(separation.demixing), len(talkers))))
    *earlier, last = estimate.stages
    stages = {**{name: estimate.stages[name] for name in earlier}, last: permuted}
    return replace(estimate, separation=permuted, stages=stages)


def apply_model(task: Task, tracks: np.ndarray, *, again: bool) -> Enhancement | tuple[dict[str, Any], Roles]:
    """Apply the source model to the talkers among tracks (N, n) at the reference microphone; only the evidence if it is not
    applicable."""
    model = apply.load(task.weights, devices.torch_name(task.device))
    prepared = apply.prepare(model, tracks, task.rate)
    evidence = speech_evidence(model, prepared)
    found = roles.everybody(len(tracks)) if task.n_talkers == len(tracks) else roles.assign(evidence, task.n_talkers)
    if not any(evidence["speech"]) and not found.beside_noise:
        return {"applied": False, "why": "no track sounds like speech", **evidence, "looks": 1}, found
    linear_tracks, enhanced, refinement, looks = tracks, _on_device(task, model, prepared, found.talker), None, 1
    changes = _changes(enhanced, linear_tracks)
    while again and looks < _looks(task, max(changes), len(tracks)):
        refinement = refine(task.x, task.rate, enhanced, reference=task.reference)
        linear_tracks = refinement.tracks
        enhanced = _on_device(task, model, apply.prepare(model, linear_tracks, task.rate), found.talker)
        changes, looks = _changes(enhanced, linear_tracks), looks + 1
    evidence |= {"looks": looks, "change_db": changes, "change_below_db": CHANGE}
    if max(changes) > CHANGE:
        why = "it would have changed a track so much that the result could not be trusted"
        return {"applied": False, "why": why, **evidence}, found
    return Enhancement(enhanced, linear_tracks, refinement, {"applied": True, "why": "", **evidence}, found)


def _looks(task: Task, change: float, n_tracks: int) -> int:
    """How often the model is to look, if it takes at most so much (dB) from a track."""
    usual = EFFORTS[task.effort].passes
    much = change > LOOK_AGAIN + 10 * np.log10(max(n_tracks - 1, 1))
    long = usual > 0 and task.x.shape[1] >= LONG_SECONDS * task.rate
    return max(usual, MOST_LOOKS) if much or long else usual


def _on_device(task: Task, model: apply.Model, tracks: apply.Tracks, talker: np.ndarray) -> np.ndarray:
    with devices.memory(task.device):
        return enhanced_talkers(model, tracks, talker)


def estimated_gain(tracks: np.ndarray, rate: int) -> float:
    """The estimate of success in dB of tracks (N, n) of talkers; that of nothing if they give no evidence."""
    evidence = success_evidence.gather(tracks, rate)
    if evidence is None or evidence.audible.sum() < 2:
        return -np.inf
    return success.predicted_gain(evidence, success_evidence.features(evidence))


def enhanced_talkers(model: apply.Model, tracks: apply.Tracks, talker: np.ndarray) -> np.ndarray:
    """(N, n) output of the model for tracks that are a talker (N,), compared with all other sounds; these stay as they are."""
    if talker.all():
        return apply.enhance(model, tracks)
    enhanced = np.array(tracks.original)
    keep, spectra, N = np.flatnonzero(talker), tracks.spectra, len(talker)
    if spectra is None:  # of a long recording: segments are made from all tracks
        enhanced[keep] = apply.enhance(model, tracks)[keep]
        return enhanced
    talkers = apply.Tracks(tracks.original[keep], tracks.rate, tracks.samples[keep], spectra[:, [*keep, *(N + keep)]])
    enhanced[keep] = apply.enhance(model, talkers)
    return enhanced


def _changes(enhanced: np.ndarray, linear_tracks: np.ndarray) -> list[float]:
    """For each track the power that the model takes from it, in dB relative to the track."""
    return [round(_db(after - before, before), 1) for after, before in zip(enhanced, linear_tracks, strict=True)]


def _without_model(first: LinearEstimate, task: Task, evidence: Mapping[str, Any]) -> LinearEstimate:
    """ILRMA from FD-ICA; FD-ICA itself if ILRMA is not used with so many microphones, or such an effort."""
    W = first.separation.demixing
    if W.shape[1] != W.shape[2] or not EFFORTS[task.effort].ilrma:
        return replace(first, method="fdica", source_model=evidence)
    second = refined(task, first.separation)
    stages = {**first.stages, "ilrma": second}
    return replace(first, method="ilrma", separation=second, stages=stages, source_model=evidence)


def _db(part: np.ndarray, whole: np.ndarray) -> float:
    """Power of one signal relative to another in dB, -99 at least; -30 dB if both are silent."""
    tiny = np.finfo(np.float64).tiny
    return max(float(10 * np.log10((np.vdot(part, part) + tiny) / (np.vdot(whole, whole) + 1e3 * tiny))), -99.0)
