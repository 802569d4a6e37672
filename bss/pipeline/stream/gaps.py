"""Spans of a long recording in which a microphone has nothing: what is separated with the others, and what is not.

The statistics that a demixing follows from are those of all pairs of microphones, so that the demixing of fewer microphones
follows from a part of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bss.pipeline.alignment import SHORTEST_SECONDS
from bss.pipeline.record import SpanRecord
from bss.signals.sync.alignment import Alignment

Span = tuple[int, int]
FADE_SECONDS = 0.02


@dataclass(frozen=True)
class Gap:
    """Samples [start, stop) without the channels `missing`."""

    start: int
    stop: int
    missing: tuple[int, ...]

    def share(self, start: int, stop: int, fade: int) -> np.ndarray:
        """(stop - start,) float32: 1 in the gap, 0 elsewhere, with fades outside of it."""
        t = np.arange(start, stop)
        return np.asarray(np.clip(1 + np.minimum(t - self.start, self.stop - 1 - t) / fade, 0, 1), np.float32)


def find(dead: Mapping[int, Sequence[Span]], alignment: Alignment | None, n: int, rate: int) -> tuple[Gap, ...]:
    """The gaps of n samples, from spans of seconds in which channels have no sound, and from what recorders do not cover."""
    spans = {k: [(a * rate, min(b * rate, n)) for a, b in found] for k, found in dead.items()}
    for k, mic in enumerate(() if alignment is None else alignment.mics):
        if mic.changed:
            edges = [0, *(t for span in mic.covered for t in span), n]
            outside = [(a, b) for a, b in list(pairwise(edges))[::2] if b - a >= SHORTEST_SECONDS * rate]
            spans[k] = [*spans.get(k, []), *outside]
    times = sorted({t for found in spans.values() for span in found for t in span})
    gaps: list[Gap] = []
    for a, b in pairwise(times):
        missing = tuple(k for k, found in sorted(spans.items()) if any(start < b and a < stop for start, stop in found))
        gaps.append(Gap(a, b, missing))
    return _joined(gaps)


def of_used(gaps: Sequence[Gap], used: Sequence[int]) -> tuple[Gap, ...]:
    """The gaps of the used channels, by their places among these."""
    return _joined([Gap(g.start, g.stop, tuple(used.index(k) for k in g.missing if k in used)) for g in gaps])


def _joined(gaps: Sequence[Gap]) -> tuple[Gap, ...]:
    """Neighbours that lack the same as one gap; without those that lack nothing."""
    found: list[Gap] = []
    for gap in gaps:
        if not gap.missing:
            continue
        if found and found[-1].stop == gap.start and found[-1].missing == gap.missing:
            found[-1] = Gap(found[-1].start, gap.stop, gap.missing)
        else:
            found.append(gap)
    return tuple(found)


def records(gaps: Sequence[Gap], n: int, rate: int, names: Sequence[str], enough: int, reference: int) -> list[SpanRecord] | None:
    """The spans of the recording and their usable microphones, for result.json; None if all are usable all the time."""
    if not gaps:
        return None
    rows, at = [], 0
    for gap in (*gaps, Gap(n, n, ())):
        if gap.start > at:
            rows.append(SpanRecord(round(at / rate, 3), round(gap.start / rate, 3), list(names), True))
        left = [name for k, name in enumerate(names) if k not in gap.missing]
        if gap.stop > gap.start:
            done = len(left) >= enough and reference not in gap.missing
            rows.append(SpanRecord(round(gap.start / rate, 3), round(gap.stop / rate, 3), left, done))
        at = gap.stop
    return rows
