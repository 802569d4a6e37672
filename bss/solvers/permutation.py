"""The order of the talkers, made the same in every frequency bin: bins of one talker are loud in the same frames, and where its
phases between the microphones are those of a few delays."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import scipy.fft

from bss.backends import dispatch
from bss.backends.cpu import threads

FRAMES = 600  # that orders are told by, at most: more of them are averaged
WIDTH = 16  # frames are filled up with zeros to a multiple of the widest vector
FLOOR = 1e-3  # of a bin's mean power, under which a source is silent
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


def align(
    activity: np.ndarray, *, phases: np.ndarray | None = None, loudness: np.ndarray | None = None, candidates: int = 1
) -> np.ndarray:
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
    search.kernels.join(search.features, joined)
    joined = search.improve(joined, WHOLE, whole=1.0, n_passes=20)
    if candidates == 1 or phases is None:
        return search.improve(joined, SINGLE)
    found: list[Any] = [None] * 3

    def work(first: int, step: int) -> None:
        for c in range(first, len(found), step):
            found[c] = search.candidate(c, raw, joined)

    threads.run(work)
    best: np.ndarray = max(found, key=search.alike)
    return best


def log_powers(powers: np.ndarray) -> np.ndarray:
    """(F, N, T) float32: log of powers (F, N, T) relative to their mean in the bin, and no less than FLOOR of it."""
    mean = powers.mean((1, 2), keepdims=True)
    relative = powers / np.where(mean > 0, mean, 1) + FLOOR
    return np.asarray(np.log(relative, dtype=np.float32))


def shares(images: np.ndarray) -> np.ndarray:
    """(F, N, T) share that each source has of the power in a bin and frame, from the sources' powers (F, N, T)."""
    total = images.sum(1, keepdims=True)
    return np.asarray(images / np.where(total > 0, total, 1))


def unit(activity: np.ndarray) -> np.ndarray:
    """Activities in float32, of mean zero and length one over frames; constant ones are zero."""
    v: np.ndarray = np.subtract(activity, activity.mean(2, keepdims=True), dtype=np.float32)
    length = np.sqrt(np.einsum("fnt,fnt->fn", v, v))[:, :, None]
    v /= np.where(length > 1e-6, length, 1)
    return v


def scaled_reach(reach: int, F: int) -> int:
    """Bins to either side for spectra of F bins, of a reach for BINS of them; 0 stays 0."""
    return 0 if reach == 0 else min(max(1, round(reach * F / BINS)), F)


@dataclass(frozen=True)
class Search:
    """What orders are told by: features (F, N, T) and their products, and phases (N, M - 1, F) where they are known."""

    kernels: ModuleType
    features: np.ndarray
    products: np.ndarray
    phases: np.ndarray | None
    loudness: np.ndarray

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
        return float(self.kernels.coherence(self.features, self.products, order, scaled_reach(ALIKE, len(self.features))))

    def improve(
        self, order: np.ndarray, steps: Steps, *, whole: float = 0.3, phase: float = 0.0, n_passes: int = 3
    ) -> np.ndarray:
        """A better order (F, N); `whole` and `phase` weigh all bins together, and the phases, against the bins about."""
        order = order.copy()
        for size, reach in steps:
            for k in range(n_passes):
                edges = self._edges(size, k)
                fits = self._phase_fits(order, edges) if phase > 0 else np.empty((0, 0, 0))
                if size == 1:
                    how = (scaled_reach(reach, len(order)), whole, phase)
                    changed = self.kernels.ordering_pass(self.features, self.products, order, fits, *how)
                else:
                    changed = self._pass_of_blocks(order, edges, fits, reach, whole, phase)
                if changed == 0:
                    break
        return order

    def _pass_of_blocks(
        self, order: np.ndarray, edges: np.ndarray, fits: np.ndarray, reach: int, whole: float, phase: float
    ) -> int:
        _, N, T = self.features.shape
        sums, places = np.empty((len(edges) - 1, N, T), np.float32), np.tile(np.arange(N), (len(edges) - 1, 1))
        self.kernels.block_sums(self.features, order, edges, sums)
        products = self.kernels.grams(sums)
        changed: int = self.kernels.ordering_pass(sums, products, places, fits, reach, whole, phase)
        order[:] = np.take_along_axis(order, np.repeat(places, np.diff(edges), axis=0), axis=1)
        return changed

    def _edges(self, size: int, k: int) -> np.ndarray:
        """Where blocks of bins begin, and end; every second time they are shifted by half a block."""
        F = len(self.features)
        if size == 1:
            return np.arange(F + 1)
        return np.unique(np.concatenate([[0], np.arange(size // 2 if k % 2 else 0, F, size), [F]]))

    def _phase_fits(self, order: np.ndarray, edges: np.ndarray) -> np.ndarray:
        """(blocks, N, N) how well the source in one place fits the delays of another; see the kernel."""
        if self.phases is None:
            return np.empty((0, 0, 0))
        N, _, F = self.phases.shape
        placed = self.phases[order.T, :, np.arange(F)].transpose(0, 2, 1)  # (N, M - 1, F)
        r = scipy.fft.irfft(placed * self.loudness, axis=2)
        if r.shape[2] > 2 * LAGS + 1:
            r[:, :, LAGS + 1 : -LAGS] = 0
        height = np.abs(r)
        r *= (height / np.maximum(height.max(2, keepdims=True), 1e-20)) ** SHARP
        template = scipy.fft.rfft(r, axis=2)
        template /= np.maximum(np.sqrt(np.mean(np.abs(template) ** 2, axis=2, keepdims=True)), 1e-20)
        fits = np.empty((len(edges) - 1, N, N))
        self.kernels.phase_fits(template, self.phases, order, edges, fits)
        return fits


def _search(activity: np.ndarray, phases: np.ndarray | None, loudness: np.ndarray | None) -> Search:
    kernels = dispatch.of(activity)
    F, _, T = activity.shape
    pool = -(-T // FRAMES)
    if pool > 1:
        activity = np.add.reduceat(activity, np.arange(0, T, pool), axis=2)
    v = unit(activity)
    features = np.zeros((*v.shape[:2], -(-v.shape[2] // WIDTH) * WIDTH), np.float32)
    features[:, :, : v.shape[2]] = v
    if phases is not None:
        phases = np.ascontiguousarray(phases.transpose(1, 2, 0), np.complex64)
    weights = np.ones(F, np.float32) if loudness is None else loudness.astype(np.float32)
    return Search(kernels, features, kernels.grams(features), phases, weights)
