"""Estimates of the sounds in parts of a recording, and what a demixing follows from with their powers as variances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bss.pipeline.stream.fitting import statistics
from bss.pipeline.stream.fitting.statistics import Statistics
from bss.pipeline.stream.spectra import Span, span_of
from bss.signals.files.blocks import Blocks
from bss.signals.stft import Stft

PART_SECONDS = 10  # of the parts that are compared, at least half of that and at most twice


@dataclass(frozen=True)
class Estimated:
    """Parts [start, stop) of a recording, and estimates of its sounds in them.

    Attributes
    ----------
    blocks : Blocks
        The recording, of M used channels.
    parts : tuple[tuple[int, int], ...]
        In samples.
    estimates : tuple[np.ndarray, ...]
        (K, stop - start) for each part.
    """

    blocks: Blocks
    parts: tuple[tuple[int, int], ...]
    estimates: tuple[np.ndarray, ...]

    def every_second(self, first: int) -> Estimated:
        """Half of the parts."""
        return Estimated(self.blocks, self.parts[first::2], self.estimates[first::2])

    def spans(self, stft: Stft) -> Iterator[tuple[Span, np.ndarray]]:
        """Spectra of each part, and the estimates."""
        for part, own in zip(self.parts, self.estimates, strict=True):
            yield span_of(self.blocks, stft, *part), own

    def statistics(self, stft: Stft) -> Statistics:
        """What a demixing follows from."""
        total = statistics.empty(self.spans(stft))
        for span, own in self.spans(stft):
            total = total.add(span, own)
        return total


def estimated(blocks: Blocks, pieces: Sequence[tuple[int, int]], estimates: np.ndarray) -> Estimated:
    """Estimates (K, n) of the sounds in pieces of a recording that follow each other there; long pieces are divided."""
    parts, own, at = [], [], 0
    for start, stop in pieces:
        count = max(1 if len(pieces) > 1 else 2, round((stop - start) / (PART_SECONDS * blocks.rate)))
        edges = np.linspace(start, stop, count + 1).round().astype(int).tolist()
        for a, b in pairwise(edges):
            parts.append((a, b))
            own.append(estimates[:, at + a - start : at + b - start])
        at += stop - start
    return Estimated(blocks, tuple(parts), tuple(own))
