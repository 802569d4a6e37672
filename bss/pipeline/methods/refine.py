"""A further separation with known variances of the sounds, in longer windows.

A blind separation suffers from the small number of long windows. With variances that are nearly right it does not: the demixing
follows from weighted covariances alone (`stream.fitting.statistics`), and improves with the length of the windows until these
hold too much of what changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from bss.pipeline.filters.models import Demixing
from bss.pipeline.stream.fitting.estimates import Estimated
from bss.signals.files.blocks import ArrayBlocks
from bss.signals.stft import Stft, nearest_size
from bss.signals.windows import fit_n_fft

WINDOW_SECONDS, OVERLAP = (1.0, 2.0), 4
FEWEST_FRAMES = 32
PART_SECONDS = 30.0  # whose spectra are held at a time


@dataclass(frozen=True)
class Refined:
    """Tracks (N, n) at a microphone, and their demixing."""

    tracks: np.ndarray = field(repr=False)
    demixing: Demixing
    stft: Stft


def refine(mixture: np.ndarray, rate: int, estimates: np.ndarray, *, reference: int = 0) -> Refined:
    """Separate a recording (M, n) again, with the variances of good estimates (N, n) of its sounds at the reference.

    Of the lengths of windows, the one is taken whose tracks come closest to the estimates: 1 s in most rooms, 2 s with long echo
    or where talkers take turns.
    """
    n = mixture.shape[1]
    edges = np.linspace(0, n, max(1, round(n / (PART_SECONDS * rate))) + 1).round().astype(int).tolist()
    parts = tuple(pairwise(edges))
    heard = Estimated(ArrayBlocks(mixture, rate), parts, tuple(estimates[:, a:b] for a, b in parts))
    sizes = {fit_n_fft(n, nearest_size(seconds * rate), FEWEST_FRAMES, overlap=OVERLAP) for seconds in WINDOW_SECONDS}
    found = [_separated(heard, Stft(size, size // OVERLAP), reference) for size in sorted(sizes)]
    return min(found, key=lambda result: float(np.sum(np.square(result.tracks - estimates), dtype=np.float64)))


def _separated(heard: Estimated, stft: Stft, reference: int) -> Refined:
    demixing = heard.statistics(stft).demixing()
    at = np.full(demixing.n_sources, reference)
    pieces = (span.signals(np.asarray(demixing.images(span.X, at), np.complex64)) for span, _ in heard.spans(stft))
    return Refined(np.concatenate(list(pieces), axis=1), demixing, stft)
