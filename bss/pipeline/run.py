"""From a plan to tracks: learn the separation, order the talkers, compute the tracks, and record the run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bss.errors import SolverError
from bss.pipeline import record, sounds
from bss.pipeline.alignment import to_list
from bss.pipeline.analysis import activity, audible, ordering, roles, success
from bss.pipeline.analysis.ordering import Order
from bss.pipeline.analysis.roles import Roles
from bss.pipeline.filters.filters import Filters
from bss.pipeline.methods.moving_talkers import moving
from bss.pipeline.methods.shared.base import Estimate, Progress, Task
from bss.pipeline.methods.shared.estimate import linear
from bss.pipeline.planning.plan import Plan
from bss.pipeline.record import RunRecord
from bss.pipeline.resources import devices
from bss.pipeline.result import Unmixed
from bss.pipeline.versions import versions
from bss.solvers.result import Separation


def separate(plan: Plan, *, progress: Progress | None = None) -> Unmixed:
    """Separate as planned: tracks, filters and the record of the run.

    Raises
    ------
    SolverError
        The solver diverged in single and in double precision, or the tracks are not finite.
    """
    clock = time.perf_counter()
    estimate, warnings, device = learn(plan, progress)
    x, rate = plan.analysis.x, plan.analysis.rate
    order = ordering.order(estimate, x, None if plan.options.per_mic else plan.reference, rate)
    if not plan.options.per_mic:
        order = audible.at_audible(order, estimate.image_powers(), x)
    by_talker = _by_talker(order)
    tracks = estimate.tracks(by_talker)[order.talkers]
    at_reference = order.mics == plan.reference
    residual = x[plan.reference] - tracks[at_reference].sum(0) if plan.leaves_residual else None
    if not all(np.isfinite(y).all() for y in (tracks, residual) if y is not None):
        raise SolverError("the separation produced NaN or infinite samples", "", "`bss check` on the recording")
    if progress is not None:
        progress(1.0)  # a solver may have converged early
    found = sounds.roles_of(plan, estimate, tracks, order.talkers)
    order, noise, tracks = order.first(found.talker), tracks[~found.talker], tracks[found.talker]
    n_talkers = len(tracks)
    if not plan.options.per_mic and not (order.mics[:n_talkers] == plan.reference).all():
        warnings.append(audible.sentence(order.mics[:n_talkers], plan.names, plan.reference))
    linear_tracks = estimate.linear_tracks(by_talker)
    if linear_tracks is not None:
        linear_tracks = linear_tracks[order.talkers][:n_talkers]
    blind = tracks if linear_tracks is None else linear_tracks
    seconds = {**plan.seconds, "separate": time.perf_counter() - clock}
    warnings += [*moving.warnings(estimate, order.talkers, plan.names), *sounds.warnings(plan, found)]
    entry = _record(plan, estimate, order, tracks, blind, warnings, seconds, found, device)
    if linear_tracks is None and estimate.source_model is not None:
        linear_tracks = tracks
    names = tuple(f"source{k + 1}" for k in range(n_talkers))
    last = replace(filters(plan, estimate, order), n_talkers=n_talkers)
    over_time = moving.over_time(estimate, last, order.talkers)
    return Unmixed(tracks, residual, rate, names, entry, last, linear_tracks, noise if len(noise) else None, False, over_time)


def learn(plan: Plan, progress: Progress | None = None) -> tuple[Estimate, list[str], str]:
    """The estimate of the method, warnings, and where it was computed; a device that is full takes smaller pieces, then
    the processor steps in."""
    warnings: list[str] = []
    device = devices.choose(plan.options.device, plan.analysis.x.size / plan.analysis.rate)
    if not plan.choice.method.needs.tensors and device != devices.CPU:
        if plan.options.device != "auto":
            warnings.append(f"the method {plan.choice.method.name} computes on the processor, so {device} was not used")
        device = devices.CPU
    try:
        return (*_learn_in_some_precision(plan, device, progress, warnings), device)
    except devices.DeviceFull:
        pass  # and what the error held of the device is free
    try:
        with devices.smaller_pieces():
            estimate, warnings = _learn_in_some_precision(plan, device, progress, warnings)
        slower = f"{devices.called(device)} was full, so it computed in smaller pieces, which is slower"
        return estimate, [*warnings, slower], device
    except devices.DeviceFull as error:
        warnings.append(f"{error.what}, so the processor separated the recording instead")
    return (*_learn_in_some_precision(plan, devices.CPU, progress, warnings), devices.CPU)


def _learn_in_some_precision(
    plan: Plan, device: str, progress: Progress | None, warnings: list[str]
) -> tuple[Estimate, list[str]]:
    """The estimate, and warnings; if it diverges, it is repeated in double precision."""
    x = plan.analysis.x
    stft = plan.choice.stft
    try:
        return _learn(plan, x, x if stft is None else plan.analysis.spectra(stft), device, progress), warnings
    except SolverError as error:
        x = x.astype(np.float64)
        device = devices.CPU if device == "mps" else device  # which has no double precision
        estimate = _learn(plan, x, x if stft is None else stft.forward(x), device, progress)
        return estimate, [*warnings, f"{error.what} in single precision, so it was repeated in double precision"]


def _learn(plan: Plan, x: np.ndarray, X: np.ndarray, device: str, progress: Progress | None) -> Estimate:
    options, method = plan.options, plan.choice.method
    task = Task(
        x, X, plan.analysis.rate, plan.choice.stft, plan.n_sources, options.effort, plan.reference, options.rng, options.weights,
        progress, options.n_sources, not options.per_mic, device,
    )  # fmt: skip
    learned = method.learn(task)
    if isinstance(learned, Separation):
        return linear(method.name, task, {method.name: learned})
    return learned


def filters(plan: Plan, estimate: Estimate, order: Order) -> Filters:
    """The filters that make tracks of any other recording of the same microphones."""
    model = estimate.model(order.talkers, order.mics)
    return Filters(
        model=model,
        stft=estimate.stft,
        rate=plan.analysis.rate,
        mics=tuple(int(mic) for mic in order.mics),
        channels=plan.channels.names,
        used=plan.used,
        method=estimate.method,
        span=(0.0, plan.analysis.x.shape[1] / plan.analysis.rate),
        source_model=bool((estimate.source_model or {}).get("applied", False)),
        weights=plan.options.weights,
    )


def _by_talker(order: Order) -> np.ndarray:
    """(N,) the microphone of each talker, in the order of the estimate instead of that of the tracks."""
    mics = np.empty(len(order.talkers), int)
    mics[order.talkers] = order.mics
    return mics


def _record(
    plan: Plan,
    estimate: Estimate,
    order: Order,
    tracks: np.ndarray,
    blind: np.ndarray,
    warnings: list[str],
    seconds: Mapping[str, float],
    found: Roles,
    device: str,
) -> RunRecord:
    choice, options, rate = plan.choice, plan.options, plan.analysis.rate
    last = list(estimate.stages.values())[-1] if estimate.stages else None
    return record.from_dict(
        {
            "schema": record.SCHEMA,
            "method": estimate.method,
            "reason": choice.reason,
            "warnings": [*plan.warnings, *warnings],
            "rate": rate,
            "samples": int(tracks.shape[1]),
            "n_sources": len(tracks),
            "counting": plan.count and sounds.counting(plan.count, found),
            "channels": list(plan.channels.names),
            "used": list(plan.names),
            "reference": plan.names[plan.reference],
            "per_mic": options.per_mic,
            "effort": options.effort,
            "findings": plan.channels.to_list(),
            "evidence": choice.evidence,
            "n_fft": choice.stft.n_fft if choice.stft else 0,
            "hop": choice.stft.hop if choice.stft else 0,
            "n_iter": sum(stage.n_iter for stage in estimate.stages.values()),
            "converged": last is None or last.converged,
            "message": "nothing to separate" if last is None else last.message,
            "loss": {name: [round(float(v), 6) for v in stage.loss] for name, stage in estimate.stages.items()},
            "success": None if options.per_mic else _success(plan, estimate, blind, tracks),
            "source_model": estimate.source_model and roles.in_order(estimate.source_model, order.talkers),
            "movement": moving.record(estimate, order.talkers),
            "others": sounds.record(found),
            "sources": _tracks(order, tracks, plan, rate),
            "seconds": {key: round(value, 3) for key, value in seconds.items()},
            "seed": options.rng,
            "versions": {**versions(), **devices.versions(device)},
            "device": devices.called(device),
            "sync": plan.alignment and to_list(plan.alignment, plan.analysis.rate),
        }
    )


def _tracks(order: Order, tracks: np.ndarray, plan: Plan, rate: int) -> list[dict[str, Any]]:
    """For each track its levels, activity, microphone, dominant microphone, and delay at every microphone."""
    rows, names, n = [], plan.names, len(tracks)  # the talkers come first
    for y, mic, dominant, delays in zip(tracks, order.mics[:n], order.dominant[:n], order.delays[:n], strict=True):
        place = {
            "mic": names[int(mic)],
            "dominant_mic": names[int(dominant)],
            "delays_ms": [round(1e3 * float(d), 3) + 0.0 for d in delays],
        }
        rows.append({**place, **activity.measure(y, rate).to_dict()})
    return rows


def _success(plan: Plan, estimate: Estimate, blind: np.ndarray, tracks: np.ndarray) -> dict[str, Any] | None:
    """The estimate of success; None if it is not calibrated for tracks of this method."""
    kind, rate = plan.choice.method.needs.success, plan.analysis.rate
    if len(blind) < 2:  # it compares talkers
        return None
    if kind == "desk":
        return success.estimate_desk(blind, rate)
    if kind is None:
        return None
    evidence = estimate.source_model or sounds.speech_of(blind, rate, plan.options.weights)
    enhanced = (tracks, plan.analysis.x[plan.reference]) if evidence.get("applied", False) else None
    speech, moves = roles.any_speech(evidence), estimate.method == moving.NAME
    return success.estimate(blind, rate, n_mics=len(plan.used), enhanced=enhanced, speech=speech, moving=moves)
