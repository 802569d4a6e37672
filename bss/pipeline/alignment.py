"""Recorders that are not in step: the usable channels of a recording in the time of one of them, and what no recorder covers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from bss.pipeline.analysis.preflight.channels import Preflight
from bss.signals.sync.alignment import Alignment, Span
from bss.signals.sync.synchronise import sync

SHORTEST_SECONDS = 0.25  # without a recording: less is lost in the window of a separation


def align(
    x: np.ndarray, rate: int, checked: Preflight, *, mode: str, devices: Sequence[object] | None
) -> tuple[np.ndarray, Alignment]:
    """x (M, n) with its usable channels put in step, the same array if they are; and what was found for each of these."""
    usable = list(checked.usable)
    chosen = x if usable == list(range(len(x))) else x[usable]
    names = [checked.names[k] for k in usable]
    found = sync(chosen, rate, mode=mode, devices=None if devices is None else [devices[k] for k in usable], names=names)
    if found.x is chosen:
        return x, found.alignment
    aligned = np.array(x, np.float32)
    aligned[usable] = found.x
    return aligned, found.alignment


def absent(alignment: Alignment, checked: Preflight, rate: int) -> dict[int, tuple[Span, ...]]:
    """The spans of samples that a channel which was put in step does not cover, by channel; without those too short to matter."""
    spans = {}
    for channel, mic in zip(checked.usable, alignment.mics, strict=True):
        edges = [0, *(t for span in mic.covered for t in span), alignment.samples]
        missing = [(a, b) for a, b in list(pairwise(edges))[::2] if b - a >= SHORTEST_SECONDS * rate]
        if mic.changed and missing:
            spans[channel] = tuple(missing)
    return spans


def to_list(alignment: Alignment, rate: int) -> list[dict[str, Any]]:
    """For each microphone where its clock stood, in seconds, for result.json."""
    return [{**mic.to_dict(rate), "agreement": mic.agreement} for mic in alignment.mics]
