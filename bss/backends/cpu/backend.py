"""Kernels on NumPy arrays: what solvers call. The compiled loops are in `samples`, `sweep`, `lowrank` and `small`.

X (F, M, T) microphones, Y (F, N, T) sources, W (F, N, M) demixing; samples x (M, n). float32 and complex64 stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bss.backends.cpu import cumulants, grouping, ica, permutation, threads
from bss.backends.cpu.demixing.bin_ica import Binwise
from bss.backends.cpu.demixing.known_variance import Given
from bss.backends.cpu.demixing.tiss import Past
from bss.backends.cpu.grouping import grouping_pass
from bss.backends.cpu.models.cacgmm import Angular
from bss.backends.cpu.models.fastmnmf_state import Directions
from bss.backends.cpu.models.full_rank import FullRank
from bss.backends.cpu.models.nmf import Factor
from bss.backends.cpu.permutation import block_sums, coherence, ordering_pass, phase_fits
from bss.backends.cpu.state import UPDATES, Frames, LowRank
from bss.backends.cpu.wpe import prediction_filters, without_past

__all__ = [
    "NONLINEARITIES", "UPDATES", "Angular", "Binwise", "Directions", "Factor", "Frames", "FullRank", "Given", "LowRank", "Past",
    "block_sums", "coherence", "covariance", "demix", "fourth_moments", "grams", "grouping_pass", "ica_pass", "join", "moments",
    "ordering_pass", "phase_fits", "pooled_powers", "prediction_filters", "without_past",
]  # fmt: skip

BLOCK_BYTES = 1 << 21  # one temporary: about an L2 cache
NONLINEARITIES = {"logcosh": ica.LOGCOSH, "exp": ica.EXP, "cube": ica.CUBE}


def bins(X: np.ndarray) -> Iterator[slice]:
    """Slices over the first axis, each about BLOCK_BYTES."""
    step = max(1, BLOCK_BYTES // max(1, X[0].nbytes))
    for start in range(0, len(X), step):
        yield slice(start, min(start + step, len(X)))


def demix(W: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Y = W X: (F, N, M), (F, M, T) -> (F, N, T), or (N, M), (M, n) -> (N, n)."""
    Y: np.ndarray = W @ X
    return Y


def covariance(X: np.ndarray) -> np.ndarray:
    """E[x x^H] over frames: (F, M, T) -> (F, M, M) in double precision."""
    C = np.empty((X.shape[0], X.shape[1], X.shape[1]), np.result_type(X.dtype, np.float64))
    for f in bins(X):
        C[f] = X[f] @ X[f].conj().swapaxes(1, 2)
    C /= X.shape[2]
    return C


def grams(U: np.ndarray) -> np.ndarray:
    """U_f U_f^T of U (F, N, T) float32: (F, N, N)."""
    G = np.empty((U.shape[0], U.shape[1], U.shape[1]), U.dtype)
    permutation.grams(U, G)
    return G


def join(U: np.ndarray, order: np.ndarray) -> None:
    """order (F, N), in place: neighbours of features U (F, N, T) joined to groups, level by level."""
    permutation.join(U.copy(), order)


def pooled_powers(X: np.ndarray, W: np.ndarray, gain: np.ndarray, pool: int) -> np.ndarray:
    """gain (F, N) times |W X|^2, averaged over so many frames at a time: (F, N, ceil(T / pool)) of X's precision."""
    P = np.empty((len(X), W.shape[1], -(-X.shape[2] // pool)), X.real.dtype)
    gain = gain.astype(P.dtype)
    for f in [slice(None)] if X.flags.c_contiguous else bins(X):
        part = np.ascontiguousarray(X[f])
        threads.run(grouping.pooled_powers, threads.CHUNKS, part, np.ascontiguousarray(W[f], X.dtype), gain[f], pool, P[f])
    return P


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (M,) and covariance (M, M) of x (M, n), in float64, in one pass."""
    m, n = x.shape
    x = np.ascontiguousarray(x)
    origin = x[:, : min(n, 1 << 14)].mean(1, dtype=np.float64)  # so that a large offset cancels early
    total, second = np.zeros((threads.CHUNKS, m)), np.zeros((threads.CHUNKS, m, m))
    threads.run(ica.moment_sums, x, origin, total, second)
    mean = total.sum(0) / n
    upper = np.triu(second.sum(0)) / n
    return origin + mean, upper + np.triu(upper, 1).T - np.outer(mean, mean)


def ica_pass(
    x: np.ndarray, W: np.ndarray, mean: np.ndarray, nonlinearity: str, *, stride: int = 1, value: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One pass with y = W (x - mean): E[g(y) (x - mean)^T] (N, M), E[g'(y)] (N,) and, where asked for, E[G(y)] (N,).

    With a stride, over every so many-th piece of `samples.PIECE` samples: a sample of the whole recording.
    """
    kind, n = NONLINEARITIES[nonlinearity], x.shape[1]
    shape = (threads.CHUNKS, len(W))
    cross, slopes, values = np.zeros((*shape, len(mean))), np.zeros(shape), np.zeros(shape)
    matrix, centre = np.ascontiguousarray(W, x.dtype), mean.astype(x.dtype)
    threads.run(ica.ica_sums, np.ascontiguousarray(x), matrix, centre, kind, stride, value, cross, slopes, values)
    count, padding = samples_read(n, stride)
    slope, total = slopes.sum(0), values.sum(0)
    if kind != ica.CUBE:
        slope -= padding  # g'(0) = 1
    if kind == ica.EXP:
        total += padding  # G(0) = -1
    return cross.sum(0) / count, slope / count, total / count


def fourth_moments(x: np.ndarray, K: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """E[z_i z_j z_k z_l] of z = K (x - mean), (R, R, R, R) float64, in one pass over x (M, n). K (R, M)."""
    rank, n = len(K), x.shape[1]
    first, second = np.triu_indices(rank)
    pairs = len(first)
    gram = np.zeros((threads.CHUNKS, pairs, pairs + cumulants.TILE - 1))
    matrix, centre = np.ascontiguousarray(K, x.dtype), mean.astype(x.dtype)
    threads.run(cumulants.fourth_sums, np.ascontiguousarray(x), matrix, centre, gram)
    pair = np.zeros((rank, rank), np.intp)
    pair[first, second] = pair[second, first] = np.arange(pairs)
    # the kernel fills what is in order, i <= j <= k <= l: look every moment up there
    a, b, c, d = np.sort(np.indices((rank,) * 4), axis=0)
    moments: np.ndarray = gram.sum(0)[pair[a, b], pair[c, d]] / n
    return moments


def samples_read(n: int, stride: int) -> tuple[int, int]:
    """How many of n samples a pass with a stride reads, and how many zeros fill up its last block."""
    whole, rest = divmod(n, ica.PIECE * stride) if stride > 1 else (0, n)
    count = whole * ica.PIECE + (min(rest, ica.PIECE) if stride > 1 else rest)
    return count, -(-n // (ica.BLOCK * stride)) * ica.BLOCK - count
