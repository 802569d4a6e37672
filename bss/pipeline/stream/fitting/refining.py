"""Better filters than those that the estimates of the sounds were made with: longer windows, from the variances of these.

How long they may be depends on how much there is to learn from, and on how often sounds coincide. So filters of two lengths are
learned from every second part of the recording, and those are taken by which the tracks of the other parts come closer to the
estimates.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bss.pipeline.filters.filters import Filters
from bss.pipeline.stream.fitting import statistics
from bss.pipeline.stream.fitting.estimates import Estimated
from bss.pipeline.stream.fitting.statistics import Statistics
from bss.pipeline.stream.spectra import Span
from bss.signals.stft import Stft


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
