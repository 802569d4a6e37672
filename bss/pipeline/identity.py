"""Which track is which: the order of the sources, and the microphone each belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.pipeline.separate import Solved


@dataclass(frozen=True)
class Ordered:
    """Sources (N, n) in their order, with the share of each one's power that each microphone hears, (N, M)."""

    sources: np.ndarray
    shares: np.ndarray

    def describe(self, mics: list[str]) -> list[dict[str, Any]]:
        """For each source its level in dBFS and the microphone that hears it loudest."""
        rows = []
        for y, share in zip(self.sources, self.shares, strict=True):
            power = float(np.vdot(y, y)) / y.size
            level = round(10 * float(np.log10(power)), 2) if power > 0 else None
            rows.append({"level_dbfs": level, "dominant_mic": mics[int(np.argmax(share))]})
        return rows


def in_order(solved: Solved, x: np.ndarray, reference: int) -> Ordered:
    """By the microphone that hears the source loudest, the loudest source first; heard at the reference microphone."""
    powers = solved.image_powers()
    dominant = np.argmax(powers / np.sum(x.astype(np.float64) ** 2, axis=1), axis=1)
    order = np.lexsort((-powers[:, reference], dominant))
    sources = solved.at(np.full(len(powers), reference))
    return Ordered(sources[order], (powers / powers.sum(1, keepdims=True))[order])


def per_mic(solved: Solved, x: np.ndarray) -> Ordered:
    """Source k is the talker of microphone k: the assignment in which sources and microphones claim each other most."""
    from scipy.optimize import linear_sum_assignment

    powers = solved.image_powers()
    tiny = np.finfo(np.float64).tiny
    of_source = powers / (powers.sum(1, keepdims=True) + tiny)
    of_mic = powers / (powers.sum(0, keepdims=True) + tiny)
    rows, mics = linear_sum_assignment(-np.log(of_source * of_mic + tiny))
    mic_of = np.empty(len(rows), int)
    mic_of[rows] = mics
    order = np.argsort(mic_of)
    return Ordered(solved.at(mic_of)[order], of_source[order])
