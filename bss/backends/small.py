"""Passes over so few samples that they are through in NumPy before a kernel is compiled, or even read from disk.

As `protocol.SamplePasses` says them, in double precision.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

FEW = 1 << 16
"""Samples of all channels, up to which this is used: a pass takes some milliseconds, where a kernel is some ten times as fast."""
BLOCK = 1 << 12  # samples of a channel, with which all that is made of them stays in cache
PIECE = 128  # samples in a row, of which a pass with a stride takes every so many-th; as the kernels do


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (M,) and covariance (M, M) of x (M, n), in float64."""
    z = x.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is not finite in the covariance, and refused there
        mean = z.mean(1)
        z -= mean[:, None]
        rest = z.mean(1)  # that rounding left of the mean
        return mean + rest, z @ z.T / z.shape[1] - np.outer(rest, rest)


def ica_pass(
    x: np.ndarray, W: np.ndarray, mean: np.ndarray, nonlinearity: str, *, stride: int = 1, value: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """E[g(y) (x - mean)^T] (N, M), E[g'(y)] and E[G(y)] (N,) of y = W (x - mean); with a stride, of a part of the samples.

    W and mean are rounded to the precision of x, as in the kernels and in the result of a solver.
    """
    if stride > 1:
        x = x[:, np.arange(x.shape[1]) // PIECE % stride == 0]
    matrix, centre = (a.astype(x.dtype).astype(np.float64) for a in (W, mean))
    sums_of = SUMS[nonlinearity]
    cross, slope, values = np.zeros(W.shape), np.zeros(len(W)), np.zeros(len(W))
    n = x.shape[1]
    for begin in range(0, n, BLOCK):
        z = x[:, begin : begin + BLOCK] - centre[:, None]
        g, steep, total = sums_of(matrix @ z, value)
        cross += g @ z.T
        slope += steep
        values += total
    return cross / n, slope / n, values / n


Sums = tuple[np.ndarray, np.ndarray, np.ndarray]


def _log_cosh(y: np.ndarray, value: bool) -> Sums:
    """tanh(y), and the sums of its slope and of log cosh y = |y| - log(1 + |tanh y|)."""
    g = np.tanh(y)
    slope = y.shape[1] - _squares(g)
    return g, slope, (np.abs(y) - np.log1p(np.abs(g))).sum(1) if value else slope


def _bell(y: np.ndarray, value: bool) -> Sums:
    """y exp(-y^2 / 2), and the sums of its slope and of -exp(-y^2 / 2)."""
    q = np.exp(-0.5 * y * y)
    g = y * q
    total = q.sum(1)
    return g, total - np.einsum("it,it->i", y, g), -total


def _cube(y: np.ndarray, value: bool) -> Sums:
    """y^3, and the sums of 3 y^2 and of y^4 / 4."""
    square = y * y
    return square * y, 3 * square.sum(1), 0.25 * _squares(square)


def _squares(y: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("it,it->i", y, y))


SUMS: dict[str, Callable[[np.ndarray, bool], Sums]] = {"logcosh": _log_cosh, "exp": _bell, "cube": _cube}


def fourth_moments(x: np.ndarray, K: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """E[z_i z_j z_k z_l] of z = K (x - mean), (R, R, R, R)."""
    rank = len(K)
    z = K @ (x.astype(np.float64) - mean[:, None])
    first, second = np.triu_indices(rank)
    pairs = np.zeros((len(first), len(first)))
    step = max(1, FEW // len(first))
    for begin in range(0, z.shape[1], step):
        part = z[:, begin : begin + step]
        products = part[first] * part[second]
        pairs += products @ products.T
    pair = np.zeros((rank, rank), np.intp)
    pair[first, second] = pair[second, first] = np.arange(len(first))
    a, b, c, d = np.sort(np.indices((rank,) * 4), axis=0)  # each moment once, whichever way it was summed
    moments: np.ndarray = pairs[pair[a, b], pair[c, d]] / z.shape[1]
    return moments
