"""Which track is which: the order of the sources, and the microphone each belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.pipeline.separate import Solved

TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class Ordered:
    """Sources (N, n) in their order, and for each the index of the microphone that hears it loudest, (N,)."""

    sources: np.ndarray
    dominant: np.ndarray

    def describe(self, mics: list[str]) -> list[dict[str, Any]]:
        """For each source its level in dBFS and the microphone that hears it loudest."""
        rows = []
        for y, mic in zip(self.sources, self.dominant, strict=True):
            power = float(np.vdot(y, y)) / y.size
            level = round(10 * float(np.log10(power)), 2) if power > 0 else None
            rows.append({"level_dbfs": level, "dominant_mic": mics[int(mic)]})
        return rows


def in_order(solved: Solved, x: np.ndarray, reference: int) -> Ordered:
    """By the microphone that hears the source loudest, the loudest source first; heard at the reference microphone."""
    powers = solved.image_powers()
    dominant = _dominant(powers, x)
    order = np.lexsort((-powers[:, reference], dominant))
    sources = solved.at(np.full(len(powers), reference))
    return Ordered(sources[order], dominant[order])


def per_mic(solved: Solved, x: np.ndarray) -> Ordered:
    """Source k is the talker of microphone k: the assignment of the largest product of powers, whatever the gains are."""
    from scipy.optimize import linear_sum_assignment

    powers = solved.image_powers()
    rows, mics = linear_sum_assignment(-np.log(powers + TINY))
    mic_of = np.empty(len(rows), int)
    mic_of[rows] = mics
    order = np.argsort(mic_of)
    return Ordered(solved.at(mic_of)[order], _dominant(powers, x)[order])


def _dominant(powers: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(N,) microphone that hears each source loudest, relative to what it hears of all: faders do not decide."""
    heard = np.sum(np.square(x, dtype=np.float64), axis=1)
    return np.asarray(np.argmax(powers / (heard + TINY), axis=1))
