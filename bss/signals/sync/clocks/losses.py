"""Spans in which a microphone has nothing in common with the reference along the clock found so far: a jump beyond what is seen
in one frame, as of a recorder that was paused."""

from __future__ import annotations

import numpy as np

from bss.signals.sync.spectra import Blocks

WINDOW_SECONDS = 4.0
LOST = 0.15  # of the agreement of the better windows with the whole
GOOD = 0.3  # that agreement itself; if it is less, nothing can be said of the others
SOUNDING = 0.1  # of the weight of a window that is typical


def lost(blocks: Blocks, span: tuple[float, float]) -> list[tuple[float, float]]:
    """Spans in seconds of the reference, two windows and more, in which both have sound, but none that agrees with the rest."""
    length = max(2, round(WINDOW_SECONDS / blocks.step))
    starts = range(0, len(blocks.C) - length + 1, length)
    if len(starts) < 4:
        return []
    whole = blocks.C.sum(0)
    magnitude = np.abs(whole)
    parts = [blocks.C[s : s + length].sum(0) for s in starts]
    weights = np.array([float(np.vdot(np.abs(p), magnitude)) for p in parts])
    alike = np.array(
        [float(np.vdot(whole - p, p).real / max(float(np.vdot(np.abs(whole - p), np.abs(p))), 1e-30)) for p in parts]
    )
    sounding = weights > SOUNDING * np.median(weights)
    good = float(np.quantile(alike[sounding], 0.9)) if sounding.any() else 0.0
    if good < GOOD:
        return []
    bad = sounding & (alike < LOST * good)
    spans = []
    for a, b in _runs(bad | ~sounding):  # where one is silent nothing contradicts what is beside it
        if np.count_nonzero(bad[a:b]) >= 2:
            spans.append((_edge(blocks, a * length, span[0]), _edge(blocks, b * length, span[1])))
    return spans


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _edge(blocks: Blocks, block: int, end: float) -> float:
    """When a block begins; an end of the recording if it is the first, or one after the last window."""
    inner = 0 < block <= len(blocks.C) - WINDOW_SECONDS / blocks.step
    return float(blocks.seconds[block] - blocks.step / 2) if inner else end
