"""Passes over the samples of a recording, as the solvers of instantaneous ICA call them."""

from __future__ import annotations

import numpy as np

from bss.backends.cpu import threads
from bss.backends.cpu.arithmetic import tile
from bss.backends.cpu.instantaneous import cumulants, ica

NONLINEARITIES = {"logcosh": ica.LOGCOSH, "exp": ica.EXP, "cube": ica.CUBE}


def square_sum(X: np.ndarray) -> float:
    """Sum of |x|^2 over an array of any shape, in float64; not finite where X is not, or where it overflows."""
    flat = X.reshape(-1)
    sums = np.zeros(threads.CHUNKS)
    threads.run(ica.square_sums, flat.view(flat.real.dtype), sums)  # BLAS would, too, but its threads go on to spin
    return float(sums.sum())


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (M,) and covariance (M, M) of x (M, n), in float64, in one pass."""
    m, n = x.shape
    x = np.ascontiguousarray(x)
    with np.errstate(invalid="ignore", over="ignore"):  # the caller looks for what is not finite in the covariance
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

    With a stride, over every so many-th piece of `ica.PIECE` samples: a sample of the whole recording.
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
    gram = np.zeros((threads.CHUNKS, pairs, pairs + tile.ROWS - 1))
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
