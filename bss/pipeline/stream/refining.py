"""Better filters than those that the estimates of the sounds were made with: longer windows, from the variances of these.

How long they may be depends on how much there is to learn from, and on how often sounds coincide. So filters of two lengths are
learned from every second part of the recording, and those are taken by which the tracks of the other parts come closer to the
estimates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from bss.pipeline.filters.filters import Filters
from bss.pipeline.stream import statistics
from bss.pipeline.stream.spectra import Span, span_of
from bss.pipeline.stream.statistics import Statistics
from bss.signals.blocks import Blocks
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


def refined(first: Filters, heard: Estimated, longest: float) -> tuple[Filters, Statistics]:
    """Filters of the best length, at most `longest` seconds, and what they follow from."""
    rate = heard.blocks.rate
    learned, tested = heard.every_second(0), heard.every_second(1)
    lengths = [statistics.window(rate, seconds) for seconds in (longest, longest / 2)]
    long_enough = [stft for stft in lengths if min(b - a for a, b in heard.parts) >= 2 * stft.n_fft] or lengths[-1:]
    best = min(long_enough, key=lambda stft: _error(_filters(first, learned.statistics(stft), stft), tested))
    total = heard.statistics(best)
    return _filters(first, total, best), total


def linear(filters: Filters, span: Span) -> np.ndarray:
    """(K, n) float32 tracks of a span of the used channels, with the spectra of the filters."""
    return span.signals(np.asarray(filters.model.images(span.X, np.array(filters.mics)), np.complex64))


def _filters(first: Filters, total: Statistics, stft: Stft) -> Filters:
    return replace(first, model=total.demixing(), stft=stft)


def _error(filters: Filters, tested: Estimated) -> float:
    """Power of the difference between the tracks and the estimates, relative to these."""
    assert filters.stft is not None  # as they are refined
    difference, power = 0.0, 0.0
    for span, own in tested.spans(filters.stft):
        difference += float(np.sum(np.square(linear(filters, span) - own), dtype=np.float64))
        power += float(np.sum(np.square(own), dtype=np.float64))
    return difference / max(power, float(np.finfo(np.float32).tiny))
