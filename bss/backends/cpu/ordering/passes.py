"""The passes of the search for one order, as `solvers.permutation` and `solvers.grouping` call them.

Orders (F, N), edges of blocks and talkers (F, M) are small and integer: NumPy arrays for every backend.
"""

from __future__ import annotations

import numpy as np
import scipy.fft

from bss.backends.cpu.ordering import grouping, permutation
from bss.backends.numeric import NEVER_ZERO

WIDTH = 16  # frames are filled up with zeros to a multiple of the widest vector


def pooled(activity: np.ndarray, pool: int) -> np.ndarray:
    """Sums over so many frames at a time: (F, N, T) -> (F, N, ceil(T / pool))."""
    return np.asarray(np.add.reduceat(activity, np.arange(0, activity.shape[2], pool), axis=2))


def padded(v: np.ndarray) -> np.ndarray:
    """v (F, N, T) as passes read it: float32, with zeros behind the last frame."""
    features = np.zeros((*v.shape[:2], -(-v.shape[2] // WIDTH) * WIDTH), np.float32)
    features[:, :, : v.shape[2]] = v
    return features


def phases_by_source(phases: np.ndarray) -> np.ndarray:
    """(F, N, P) -> (N, P, F) complex64."""
    return np.ascontiguousarray(phases.transpose(1, 2, 0), np.complex64)


def grams(U: np.ndarray) -> np.ndarray:
    """U_f U_f^T of U (F, N, T) float32: (F, N, N)."""
    G = np.empty((U.shape[0], U.shape[1], U.shape[1]), U.dtype)
    permutation.grams(U, G)
    return G


def join(U: np.ndarray, order: np.ndarray) -> None:
    """order (F, N), in place: neighbours of features U (F, N, T) joined to groups, level by level."""
    permutation.join(U.copy(), order)


def ordering_pass(
    U: np.ndarray, G: np.ndarray, order: np.ndarray, fits: np.ndarray | None, reach: int, whole: float, phase: float
) -> int:
    """Every bin put in the order that fits the bins up to `reach` away, all bins, and the phases; returns how many changed."""
    fits = np.empty((0, 0, 0)) if fits is None else fits
    return int(permutation.ordering_pass(U, G, order, fits, reach, whole, phase))


def block_sums(U: np.ndarray, order: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(blocks, N, T): features in their order, added up over the bins of each block."""
    sums = np.empty((len(edges) - 1, *U.shape[1:]), np.float32)
    permutation.block_sums(U, order, edges, sums)
    return sums


def coherence(U: np.ndarray, G: np.ndarray, order: np.ndarray, reach: int) -> float:
    """Mean over bins of the correlation of each, summed over the sources, with the bins up to `reach` away."""
    return float(permutation.coherence(U, G, order, reach))


def phase_fits(
    phases: np.ndarray, loudness: np.ndarray | None, order: np.ndarray, edges: np.ndarray, *, n_lags: int, sharpness: float
) -> np.ndarray:
    """(blocks, N, N) how well what is in one place of a block has the phases of another, phases (N, P, F).

    The phases of a place are those of its few strongest delays: its cross-correlations, up to `n_lags` samples to either side,
    each lag weighed by a power of its height.
    """
    N, _, F = phases.shape
    placed = phases[order.T, :, np.arange(F)].transpose(0, 2, 1)  # (N, P, F)
    r = scipy.fft.irfft(placed if loudness is None else placed * loudness, axis=2)
    if r.shape[2] > 2 * n_lags + 1:
        r[:, :, n_lags + 1 : -n_lags] = 0
    height = np.abs(r)
    r *= (height / np.maximum(height.max(2, keepdims=True), NEVER_ZERO)) ** sharpness
    template = scipy.fft.rfft(r, axis=2)
    template /= np.maximum(np.sqrt(np.mean(np.abs(template) ** 2, axis=2, keepdims=True)), NEVER_ZERO)
    fits = np.empty((len(edges) - 1, N, N))
    permutation.phase_fits(template, phases, order, edges, fits)
    return fits


def grouping_pass(
    V: np.ndarray,
    U: np.ndarray,
    first: np.ndarray,
    whole: np.ndarray | None,
    reach: int,
    first_weight: float,
    whole_weight: float,
) -> np.ndarray:
    """(F, M) talkers that outputs belong to, by features V (F, M, T) of outputs, U and first (F, N, T) of talkers."""
    talker = np.empty(V.shape[:2], np.int64)
    whole = np.zeros((1, *U.shape[1:]), np.float32) if whole is None else whole
    grouping.grouping_pass(V, U, first, whole, reach, first_weight, whole_weight, talker)
    return talker
