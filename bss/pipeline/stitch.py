"""Separate a recording of which some microphones are usable in some spans only: one separation per set of microphones, joined."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from bss.pipeline import run
from bss.pipeline.analysis import activity
from bss.pipeline.analysis.preflight.channel_rules import clock
from bss.pipeline.analysis.recording import Analysis
from bss.pipeline.methods.shared.base import Progress
from bss.pipeline.planning.choose import choose
from bss.pipeline.planning.plan import Plan, likely_window
from bss.pipeline.planning.spans import Layer, Segment, Spans
from bss.pipeline.record import SpanRecord
from bss.pipeline.result import Unmixed
from bss.signals.stft import Stft

FADE_SECONDS = 0.02
FRAME_SECONDS = 0.064
LEAST_OVERLAP_SECONDS = 1.0  # of two layers, in which their talkers are matched
TINY = float(np.finfo(np.float32).tiny)


def separate(plan: Plan, *, progress: Progress | None = None) -> Unmixed:
    """Separate as planned, span by span if not all microphones are usable all the time.

    Raises
    ------
    SolverError
        As of `run.separate`.
    """
    if plan.spans is None or plan.whole is None:
        return run.separate(plan, progress=progress)
    spans, x, n = plan.spans, plan.whole, plan.whole.shape[1]
    first = run.separate(plan, progress=progress)
    tracks = spans.layers[0].spread(first.sources, n)
    linear = None if first.linear is None else spans.layers[0].spread(first.linear, n)
    known = _mask(spans.layers[0], n)  # where the tracks are already those of a layer
    results: list[Any] = [(tracks, linear, known.copy())]
    warnings: list[str] = []
    for layer in spans.layers[1:]:
        made = run.separate(_plan_of(plan, layer.cut(x), layer.mics, len(first.sources)))
        y, z = layer.spread(made.sources, n), layer.spread(made.sources if made.linear is None else made.linear, n)
        here = _mask(layer, n)
        overlap = known & here
        if overlap.sum() < LEAST_OVERLAP_SECONDS * plan.analysis.rate:
            a, b = layer.parts[0]
            warnings.append(f"talkers may be swapped from {clock(a / plan.analysis.rate)} to {clock(b / plan.analysis.rate)}")
        order = match(tracks[:, overlap], y[:, overlap], plan.analysis.rate)
        y, z = y[order], z[order]
        results.append((y, z, here))
        tracks = np.where(known, tracks, y)
        known |= here
    return _joined(plan, spans, x, first, results, warnings)


def _plan_of(plan: Plan, x: np.ndarray, mics: tuple[int, ...], n_talkers: int) -> Plan:
    """The plan of a layer of samples x: as many talkers and other sounds, the same options, its own microphones and method."""
    analysis = Analysis(x, plan.analysis.rate, likely_window(x.shape[1], plan.analysis.rate))
    reference = mics.index(plan.reference) if plan.reference in mics else 0
    used = tuple(plan.used[mic] for mic in mics)
    n_sources = max(n_talkers, min(plan.n_sources, len(mics)))
    options = replace(plan.options, n_sources=n_talkers)
    choice = choose(analysis, n_sources, options)
    return replace(
        plan, options=options, n_sources=n_sources, used=used, analysis=analysis, choice=choice, reference=reference, spans=None
    )


def match(first: np.ndarray, second: np.ndarray, rate: int) -> np.ndarray:
    """(N,) for each of the tracks `first` (N, n) the one of `second` that is most similar in the same samples.

    Compared are magnitudes, so that the tracks may be at different microphones.
    """
    from scipy.optimize import linear_sum_assignment

    size = 1 << max(4, round(np.log2(FRAME_SECONDS * rate)))
    stft = Stft(size, size // 2)
    a, b = (_unit(np.abs(stft.forward(np.ascontiguousarray(y, np.float32)))) for y in (first, second))
    rows, columns = linear_sum_assignment(-(a @ b.T))
    return np.asarray(columns[np.argsort(rows)])


def _unit(magnitudes: np.ndarray) -> np.ndarray:
    """(N, F T) magnitudes (F, N, T), compressed, about their mean over all tracks, with norm one."""
    v = np.sqrt(magnitudes).swapaxes(0, 1).reshape(magnitudes.shape[1], -1)
    v = v - v.mean(1, keepdims=True)
    return np.asarray(v / (np.linalg.norm(v, axis=1, keepdims=True) + TINY))


def _mask(layer: Layer, n: int) -> np.ndarray:
    mask = np.zeros(n, bool)
    for start, stop in layer.parts:
        mask[start:stop] = True
    return mask


def weights(spans: Spans, n: int, fade: int) -> np.ndarray:
    """(L, n) share of each layer in the tracks: 1 in its segments, cross-faded over `fade` samples from one to the next.

    The fade lies on the side on which both layers are known; where neither reaches into the other's segment, both fade to zero.
    """
    w = np.zeros((len(spans.layers), n), np.float32)
    for segment in spans.segments:
        if segment.layer is not None:
            w[segment.layer, segment.start : segment.stop] = 1
    for left, right in pairwise(spans.segments):
        _fade(w, spans, left, right, fade)
    return w


def _fade(w: np.ndarray, spans: Spans, left: Segment, right: Segment, fade: int) -> None:
    t = left.stop
    before, after = slice(max(left.start, t - fade), t), slice(t, min(right.stop, t + fade))
    down, up = np.linspace(1, 0, before.stop - before.start), np.linspace(0, 1, after.stop - after.start)
    if right.layer is not None and _knows(spans.layers[right.layer], before):
        if left.layer is not None:
            w[left.layer, before] = down
        w[right.layer, before] = 1 - down if left.layer is not None else 0
    elif left.layer is not None and _knows(spans.layers[left.layer], after):
        w[left.layer, after] = 1 - up
        if right.layer is not None:
            w[right.layer, after] = up
    else:
        if left.layer is not None:
            w[left.layer, before] = down
        if right.layer is not None:
            w[right.layer, after] = up


def _knows(layer: Layer, span: slice) -> bool:
    return any(start <= span.start and span.stop <= stop for start, stop in layer.parts)


def _joined(plan: Plan, spans: Spans, x: np.ndarray, first: Unmixed, results: list[Any], warnings: list[str]) -> Unmixed:
    """The tracks of all layers, and the rest of the first result."""
    rate, n = plan.analysis.rate, x.shape[1]
    share = weights(spans, n, round(FADE_SECONDS * rate))
    tracks = np.asarray(sum(w * y for w, (y, _, _) in zip(share, results, strict=True)), np.float32)
    linear = None
    if first.linear is not None:
        linear = np.asarray(sum(w * z for w, (_, z, _) in zip(share, results, strict=True)), np.float32)
    noise = None if first.noise is None else spans.layers[0].spread(first.noise, n)
    residual = None
    if plan.leaves_residual:
        at_reference = [entry.mic in (None, first.record.reference) for entry in first.record.sources]
        residual = _reference(spans, x, plan.reference) - tracks[at_reference].sum(0)
        residual -= 0 if noise is None else noise.sum(0)
    sources = [
        replace(entry, **activity.measure(y, rate).to_dict()) for entry, y in zip(first.record.sources, tracks, strict=True)
    ]
    said = [*first.record.warnings, *warnings]
    record = replace(first.record, samples=n, sources=sources, spans=_records(spans, plan.names, rate), warnings=said)
    return replace(first, sources=tracks, residual=residual, linear=linear, noise=noise, record=record)


def _reference(spans: Spans, x: np.ndarray, reference: int) -> np.ndarray:
    """(n,) the reference microphone of x (M, n); where it is not usable, the first one that is."""
    signal: np.ndarray = x[reference].copy()
    for segment in spans.segments:
        if segment.mics and reference not in segment.mics:
            signal[segment.start : segment.stop] = x[segment.mics[0], segment.start : segment.stop]
    return signal


def _records(spans: Spans, names: tuple[str, ...], rate: int) -> list[SpanRecord]:
    return [
        SpanRecord(round(s.start / rate, 3), round(s.stop / rate, 3), [names[m] for m in s.mics], s.layer is not None)
        for s in spans.segments
    ]
