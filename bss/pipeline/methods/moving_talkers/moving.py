"""Talkers who move: filters that follow them.

A separation of the whole recording comes first; if it shows that somebody moves, the recording is separated in pieces of some
seconds (`stitched`), the learned source model estimates the talkers from these tracks, and with their powers as variances a
demixing is learned around every moment (`local_demixing`), whose tracks the model sees again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bss.networks.files import Weights
from bss.networks.source_model import apply
from bss.pipeline import calibration
from bss.pipeline.analysis import movement, success_evidence
from bss.pipeline.analysis.movement import Movement
from bss.pipeline.analysis.roles import Roles
from bss.pipeline.filters.filters import Filters
from bss.pipeline.filters.models import Demixing
from bss.pipeline.filters.over_time import FiltersOverTime
from bss.pipeline.methods.moving_talkers.local_demixing import SPAN_SECONDS, LocalDemixing, local_window
from bss.pipeline.methods.moving_talkers.stitched import stitched
from bss.pipeline.methods.neural import EnhancedEstimate, Enhancement, Neural, apply_model, enhanced_talkers
from bss.pipeline.methods.shared.base import Method, Needs, Size, Task
from bss.pipeline.methods.shared.effort import EFFORTS
from bss.pipeline.methods.shared.estimate import LinearEstimate
from bss.signals.stft import Stft
from bss.solvers.result import Separation

GAIN, RANGE = calibration.SUCCESS_PARTS.value, calibration.SUCCESS_RANGE.value
NAME = "moving"  # in the record: no method of its own, as `neural` decides
WINDOW_SECONDS = 3.0  # of the estimates of success that are compared: in so short a time nobody goes far
# dB by which the following filters must be estimated better. They are for still talkers, too, by up to 3 dB, as every moment has
# its own; for talkers who walk by 6 to 15 dB.
CLEARLY = 4.5
MOST_SOUNDS = 6  # all their orders are tried for every piece


@dataclass(frozen=True)
class MovingEstimate:
    """Talkers who move, by filters that follow them.

    Attributes
    ----------
    local : LocalDemixing
        The filters of every moment.
    reference : int
        The microphone of `enhanced` and `linear`.
    enhanced, linear, blind : np.ndarray
        (N, n) output and input of the source model there, and the tracks of the pieces.
    covariances : np.ndarray
        (F, N, M, M) of the images of the talkers, mean over time.
    stages : mapping
        The solvers of the separation of the whole recording.
    movement : Movement
        Who moved, and when.
    weights : path or None
        File of the source model; None for the built-in one.
    source_model : mapping
        What the model did, for result.json.
    roles : Roles
        Which sounds are talkers.
    """

    local: LocalDemixing
    reference: int
    enhanced: np.ndarray = field(repr=False)
    linear: np.ndarray = field(repr=False)
    blind: np.ndarray = field(repr=False)
    covariances: np.ndarray = field(repr=False)
    stages: Mapping[str, Separation] = field(repr=False)
    movement: Movement
    weights: Weights
    source_model: Mapping[str, Any]
    roles: Roles
    method: str = NAME

    def image_powers(self) -> np.ndarray:
        """(N, M), mean over time."""
        return np.asarray(np.einsum("fnmm->nm", self.covariances).real, np.float64)

    def cross_spectra(self, mics: np.ndarray) -> np.ndarray:
        """(F, N, M), mean over time."""
        return np.stack([self.covariances[:, n, :, mic] for n, mic in enumerate(mics)], axis=1)

    def tracks(self, mics: np.ndarray) -> np.ndarray:
        """(N, n) output of the source model."""
        if (mics == self.reference).all():
            return self.enhanced
        return _enhanced(self.linear_tracks(mics), self.roles.talker, self.local.rate, self.weights)

    def linear_tracks(self, mics: np.ndarray) -> np.ndarray:
        """(N, n) input of the source model."""
        return self.linear if (mics == self.reference).all() else self.local.tracks(mics)

    def separated(self, mics: np.ndarray) -> np.ndarray:
        """(N, n) the tracks of the pieces, at the reference microphone whatever `mics` are."""
        return self.blind

    def model(self, order: np.ndarray, mics: np.ndarray) -> Demixing:
        """The demixing near the end of the recording, with talker order[k] as track k."""
        return self.local.at(self.local.x.shape[1] / self.local.rate - SPAN_SECONDS / 2).ordered(order)

    @property
    def stft(self) -> Stft:
        """The window of that demixing."""
        return self.local.stft


@dataclass(frozen=True)
class Following:
    """The method neural, with filters that follow the talkers if they move."""

    whole: Neural = field(default_factory=Neural)
    name: str = "neural"
    needs: Needs = Neural.needs

    def window(self, n: int, rate: int) -> Stft:
        """That of the separation of the whole recording."""
        return self.whole.window(n, rate)

    def leaves_residual(self, n_sources: int, n_mics: int) -> bool:
        """Always: it contains what the source model removes."""
        return self.whole.leaves_residual(n_sources, n_mics)

    def memory(self, size: Size) -> int:
        """That of the separation of the whole recording: pieces take less."""
        return self.whole.memory(size)

    def learn(self, task: Task) -> LinearEstimate | EnhancedEstimate | MovingEstimate:
        """Separate the whole recording; if somebody moves in it, pieces of it, and take what is estimated better."""
        whole = self.whole.learn(task)
        count = len(whole.image_powers())  # the sounds, one of which may be none of those asked for
        if count > MOST_SOUNDS:
            return whole
        at = np.full(count, task.reference)
        found = movement.measure(task.x, whole.tracks(at), task.rate)
        if found is None or not found.moving or not any((whole.source_model or {}).get("speech", ())):
            return whole
        linear = whole.separated(at)
        followed = follow(replace(task, n_sources=count), linear, whole)
        if followed is None or not followed.movement.moving:
            return whole
        if _windowed_success(followed.linear, task.rate) < _windowed_success(linear, task.rate) + CLEARLY:
            return whole
        return followed


def follow(task: Task, tracks: np.ndarray, whole: LinearEstimate | EnhancedEstimate) -> MovingEstimate | None:
    """Separate with filters that follow the talkers; None if the source model cannot be applied.

    `tracks` (N, n) are those of the separation of the `whole` recording, before the source model.
    """
    talker = np.ones(len(tracks), bool) if whole.roles is None else whole.roles.talker
    blind = stitched(task, tracks)
    estimates = _enhanced(blind, talker, task.rate, task.weights)
    for later in reversed(range(max(1, EFFORTS[task.effort].passes))):
        local = LocalDemixing(task.x, estimates, task.rate, local_window(task.rate))
        linear, R = local.separated(np.full(len(estimates), task.reference))
        if later:
            estimates = _enhanced(linear, talker, task.rate, task.weights)
    result = apply_model(replace(task, progress=None), linear, again=False)  # which would take filters that stand still
    if not isinstance(result, Enhancement):
        return None
    found = movement.measure(task.x, result.tracks, task.rate)
    if found is None:
        return None
    return MovingEstimate(
        local, task.reference, result.tracks, linear, blind, R, whole.stages, found, task.weights, result.evidence, result.roles
    )


def record(estimate: Any, order: np.ndarray) -> dict[str, Any] | None:
    """Who moved and when, for result.json; None if nobody did, or the method did not look (as a method of your own)."""
    return estimate.movement.ordered(order).to_dict() if isinstance(estimate, MovingEstimate) else None


def over_time(estimate: Any, last: Filters, order: np.ndarray) -> Sequence[Filters]:
    """The filters of all times: those of every second where talkers are followed, or the only ones."""
    return FiltersOverTime(last, estimate.local, order) if isinstance(estimate, MovingEstimate) else (last,)


def warnings(estimate: Any, order: np.ndarray, mics: tuple[str, ...]) -> list[str]:
    """Who moved and when, in words."""
    return estimate.movement.ordered(order).sentences(mics) if isinstance(estimate, MovingEstimate) else []


def _windowed_success(tracks: np.ndarray, rate: int) -> float:
    """Estimated gain of SI-SDR in dB, mean over windows; -inf if nobody can tell."""
    length = min(tracks.shape[1], round(WINDOW_SECONDS * rate))
    gains = []
    for start in range(0, tracks.shape[1] - length + 1, length):
        evidence = success_evidence.gather(tracks[:, start : start + length], rate)
        if evidence is not None and evidence.audible.sum() >= 2:
            features = success_evidence.pooled(evidence, success_evidence.features(evidence))[:4]
            gains.append(min(max(float(np.dot(GAIN[:4], features)) + GAIN[4], RANGE[0]), RANGE[1]))
    return float(np.mean(gains)) if gains else -np.inf


def _enhanced(tracks: np.ndarray, talker: np.ndarray, rate: int, weights: Weights) -> np.ndarray:
    """(N, n) what the source model makes of tracks that are a talker (N,)."""
    model = apply.load(weights)
    return enhanced_talkers(model, apply.prepare(model, tracks, rate), talker)


def looking_once(method: Method) -> Method:
    """The same method, whose source model looks once: better filters are made from what it finds."""
    return replace(method, whole=replace(method.whole, again=False)) if isinstance(method, Following) else method


NEURAL = Following()
