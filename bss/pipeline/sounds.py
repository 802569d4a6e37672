"""Talkers and other sounds: which of the separated tracks are which, and what is said about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bss.pipeline.analysis import roles
from bss.pipeline.analysis.counting import Count
from bss.pipeline.analysis.roles import Roles
from bss.pipeline.methods.shared.base import Estimate
from bss.pipeline.planning.plan import Plan


def roles_of(plan: Plan, estimate: Estimate, tracks: np.ndarray, order: np.ndarray) -> Roles:
    """Which of the tracks (K, n), in this order of the estimate, are talkers."""
    options, K = plan.options, len(tracks)
    wanted = options.n_sources
    if K == 1 or (wanted or 0) >= K or options.per_mic or plan.choice.method.needs.more_talkers:
        return roles.everybody(K)
    known: Roles | None = getattr(estimate, "roles", None)
    if known is not None:
        return known.ordered(order)
    return roles.assign(speech_of(tracks, plan.analysis.rate, options.weights), wanted)


def speech_of(tracks: np.ndarray, rate: int, weights: Any) -> Mapping[str, Any]:
    """How much the tracks are like speech, for a method that did not need to know."""
    from bss.networks.source_model import apply
    from bss.pipeline.analysis.speech import speech_evidence

    model = apply.load(weights)
    return speech_evidence(model, apply.prepare(model, tracks, rate))


def counting(count: Count, found: Roles) -> dict[str, Any]:
    """The evidence of the count, its numbers being those of talkers."""
    others = len(found.talker) - found.n_talkers
    evidence = count.evidence()
    if not found.scores or (others == 0 and found.fewest == found.most):
        return evidence
    doubt = count.most - count.n_sources
    fewest = max(1, min(found.fewest, count.fewest))
    most = found.most + doubt
    return {**evidence, "n_sources": found.n_talkers, "fewest": fewest, "most": most, "sure": fewest == most}


def warnings(plan: Plan, found: Roles) -> list[str]:
    """What is to be said about other sounds, in one sentence if there are any."""
    others = np.flatnonzero(~found.talker)
    if not len(others):
        return []
    one = len(others) == 1
    sounds = "one sound" if one else f"{len(others)} sounds"
    if plan.options.n_sources is not None and any(found.scores[k] > 0 for k in others):
        asked = "1 talker" if plan.n_talkers == 1 else f"{plan.n_talkers} talkers"
        doubt = "it may be a talker" if one else "some may be talkers"
        return [f"{sounds} beside the {asked} asked for went to noise.wav, though {doubt}, too"]
    return [f"{sounds} {'is' if one else 'are'} not like speech and went to noise.wav, not to a track of a talker"]


def record(found: Roles) -> dict[str, Any] | None:
    """For result.json, the talkers first; None if nobody asked which are talkers."""
    if not found.scores:
        return None
    first = found.ordered(np.argsort(~found.talker, kind="stable"))
    return {"n_sounds": len(first.talker), "talker": first.talker.tolist(), "speech_score": list(first.scores)}
