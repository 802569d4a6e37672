"""The order of the talkers, made the same in every frequency bin: bins of one talker are loud in the same frames, and where its
phases between the microphones are those of a few delays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from bss.backends import dispatch, numeric
from bss.backends.operations import Array
from bss.backends.protocol import Backend

FRAMES = 600  # that bins are compared by, at most: more of them are averaged
SILENT_SOURCE = 1e-3  # of a bin's mean power, under which a source is silent
BINS = 4097  # of the spectra that the reaches are for; they scale with the number of bins
LAGS = 64  # samples, the largest delay between two microphones
SHARP = 4  # power of a lag's height that it counts by
ALIKE = 300  # bins to either side, by which candidates are compared

# (bins in a block, blocks to either side that it is compared with): from coarse to fine
SINGLE = ((1, 800), (1, 200), (1, 50), (1, 12), (1, 3))
BLOCKS = ((1, 800), (64, 4), (16, 8), (4, 16), (1, 100), (1, 30), (1, 8), (1, 3))
OUTWARD = ((1, 3), (1, 20), (1, 100), (1, 400))
FINISH = ((1, 50), (1, 12), (1, 3))
WHOLE = ((1, 0),)
Steps = tuple[tuple[int, int], ...]


def align(activity: Array, *, phases: Array | None = None, loudness: Array | None = None, candidates: int = 1) -> np.ndarray:
    """The order in which every bin's sources belong together.

    Neighbouring bins are joined to groups, groups to larger groups, each time in the order in which their activities correlate
    best. Then every bin is put in the order that correlates best with the bins about it and with all of them, first with bins
    far and wide, at last with its neighbours. Of several candidates, found with the help of the phases, the one is taken whose
    bins are most like the ones about them.

    Parameters
    ----------
    activity : np.ndarray
        (F, N, T) how much of each bin and frame is each source: posteriors, shares, or `log_powers`.
    phases : np.ndarray, optional
        (F, N, M - 1) complex, of absolute value one: phase of each source at the other microphones against the first. The bins
        must be all those from zero to half the sampling rate.
    loudness : np.ndarray, optional
        (F,) how much the phases of a bin count; all alike by default.
    candidates : int
        1, or 3 where there are phases: more is slower and more often right.

    Returns
    -------
    np.ndarray
        (F, N): source n is `activity[f, order[f, n]]` in bin f.

    References
    ----------
    H. Sawada, S. Araki and S. Makino, "Underdetermined convolutive blind source separation via frequency bin-wise clustering
    and permutation alignment", IEEE TASLP 19(3), 2011.
    """
    F, N, _ = activity.shape
    search = _search(activity, phases, loudness)
    raw = np.tile(np.arange(N), (F, 1))
    if N == 1 or F == 1:
        return raw
    joined = raw.copy()
    search.backend.join(search.features, joined)
    joined = search.improve(joined, WHOLE, whole=1.0, n_passes=20)
    if candidates == 1 or phases is None:
        return search.improve(joined, SINGLE)
    found = search.backend.in_parallel([partial(search.candidate, c, raw, joined) for c in range(3)])
    return max(found, key=search.alike)


def log_powers(powers: Array) -> Array:
    """(F, N, T) float32: log of powers (F, N, T) relative to their mean in the bin, and no less than SILENT_SOURCE of it."""
    backend, mean = dispatch.of(powers), powers.mean((1, 2), keepdims=True)
    return backend.log(backend.single(powers / backend.where(mean > 0, mean, 1) + SILENT_SOURCE))


def shares(images: Array) -> Array:
    """(F, N, T) share that each source has of the power in a bin and frame, from the sources' powers (F, N, T)."""
    total = images.sum(1, keepdims=True)
    share: Array = images / dispatch.of(images).where(total > 0, total, 1)
    return share


def unit(activity: Array) -> Array:
    """Activities in float32, of mean zero and length one over frames; constant ones are zero."""
    backend, mean = dispatch.of(activity), activity.mean(2, keepdims=True)
    v = backend.single(activity) - backend.single(mean)
    length = (backend.inner(v, v) ** 0.5)[:, :, None]
    roundings = numeric.CONSTANT * (1 + abs(mean) * activity.shape[2] ** 0.5)  # of the mean, in every frame
    unit: Array = v / backend.where(length > roundings, length, math.inf)
    return unit


def scaled_reach(reach: int, F: int) -> int:
    """Bins to either side for spectra of F bins, of a reach for BINS of them; 0 stays 0."""
    return 0 if reach == 0 else min(max(1, round(reach * F / BINS)), F)


@dataclass(frozen=True)
class Search:
    """What bins are compared by: features (F, N, T) and their products, and phases (N, M - 1, F) where they are known."""

    backend: Backend
    features: Array
    products: Array
    phases: Array | None
    loudness: Array | None

    def candidate(self, c: int, raw: np.ndarray, joined: np.ndarray) -> np.ndarray:
        """One of three orders (F, N): by single bins, by blocks of them, or by phases first."""
        if c == 0:
            order = self.improve(joined, SINGLE)
        elif c == 1:
            order = self.improve(joined, BLOCKS, phase=0.5)
        else:
            order = self.improve(raw, OUTWARD, whole=0.1, phase=1.5, n_passes=2)
            order = self.improve(order, SINGLE, phase=0.5)
        return self.finish(order)

    def finish(self, order: np.ndarray) -> np.ndarray:
        """The last steps of every candidate."""
        return self.improve(order, FINISH, phase=0.15)

    def alike(self, order: np.ndarray) -> float:
        """How well each bin correlates with those about it."""
        return self.backend.coherence(self.features, self.products, order, scaled_reach(ALIKE, len(self.features)))

    def improve(
        self, order: np.ndarray, steps: Steps, *, whole: float = 0.3, phase: float = 0.0, n_passes: int = 3
    ) -> np.ndarray:
        """A better order (F, N); `whole` and `phase` weigh all bins together, and the phases, against the bins about."""
        order = order.copy()
        for size, reach in steps:
            for k in range(n_passes):
                edges = self._edges(size, k)
                fits = self._phase_fits(order, edges) if phase > 0 else None
                if size == 1:
                    bins = scaled_reach(reach, len(order))
                    changed = self.backend.ordering_pass(self.features, self.products, order, fits, bins, whole, phase)
                else:
                    changed = self._pass_of_blocks(order, edges, fits, reach, whole, phase)
                if changed == 0:
                    break
        return order

    def _pass_of_blocks(
        self, order: np.ndarray, edges: np.ndarray, fits: Array | None, reach: int, whole: float, phase: float
    ) -> int:
        sums = self.backend.block_sums(self.features, order, edges)
        places = np.tile(np.arange(order.shape[1]), (len(edges) - 1, 1))
        changed = self.backend.ordering_pass(sums, self.backend.grams(sums), places, fits, reach, whole, phase)
        order[:] = np.take_along_axis(order, np.repeat(places, np.diff(edges), axis=0), axis=1)
        return changed

    def _edges(self, size: int, k: int) -> np.ndarray:
        """Where blocks of bins begin, and end; every second time they are shifted by half a block."""
        F = len(self.features)
        if size == 1:
            return np.arange(F + 1)
        return np.unique(np.concatenate([[0], np.arange(size // 2 if k % 2 else 0, F, size), [F]]))

    def _phase_fits(self, order: np.ndarray, edges: np.ndarray) -> Array | None:
        """(blocks, N, N) how well the source in one place fits the delays of another."""
        if self.phases is None:
            return None
        return self.backend.phase_fits(self.phases, self.loudness, order, edges, n_lags=LAGS, sharpness=SHARP)


def _search(activity: Array, phases: Array | None, loudness: Array | None) -> Search:
    backend = dispatch.of(activity)
    pool = -(-activity.shape[2] // FRAMES)
    features = backend.padded(unit(backend.pooled(activity, pool) if pool > 1 else activity))
    if phases is not None:
        phases = backend.phases_by_source(phases)
    if loudness is not None:
        loudness = backend.single(loudness)
    return Search(backend, features, backend.grams(features), phases, loudness)
