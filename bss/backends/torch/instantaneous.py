"""Passes over the samples of a recording x (M, n), on the device that holds them; their sums go to the host.

A pass works on as many samples at a time as its temporaries are bounded to, and fetches its results once, at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from bss.backends.torch.pieces import copied, gram, pieces, wide

PIECE = 128  # samples in a row, of which a pass with a stride takes every so many-th; as the kernels for NumPy do
OFFSET_SAMPLES = 1 << 14  # whose mean is taken out first, so that a large offset cancels early

Sums = tuple[Tensor, Tensor, Tensor]


def moments(x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Mean (M,) and covariance (M, M) of x (M, n), NumPy in double precision."""
    n, double = x.shape[1], wide(x)
    origin = x[:, :OFFSET_SAMPLES].to(double).mean(1, keepdim=True)
    total, second = torch.zeros_like(origin), torch.zeros((len(x), len(x)), dtype=double, device=x.device)
    for t in pieces(n, 2 * len(x) * double.itemsize, x.device):
        z = x[:, t].to(double) - origin
        total += z.sum(1, keepdim=True)
        second += z @ z.mT
    mean = total / n
    covariance = second / n - mean @ mean.mT
    host = _fetch([(origin + mean)[:, 0], (covariance + covariance.mT) / 2])
    return host[0], host[1]


def ica_pass(
    x: Tensor, W: np.ndarray, mean: np.ndarray, nonlinearity: str, *, stride: int = 1, value: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """E[g(y) (x - mean)^T] (N, M), E[g'(y)] (N,) and, where asked for, E[G(y)] (N,) of y = W (x - mean), for the host.

    With a stride, over every so many-th piece of PIECE samples: a sample of the whole recording.
    """
    g_of = NONLINEARITIES[nonlinearity]
    matrix, centre = copied(W, x, x.dtype), copied(mean, x, x.dtype)[:, None]
    double = wide(x)
    cross = torch.zeros(matrix.shape, dtype=double, device=x.device)
    slope = torch.zeros(len(matrix), dtype=double, device=x.device)
    total, count = torch.zeros_like(slope), 0
    for part in _parts(x, stride, 5 * (len(x) + len(W)) * x.element_size()):
        z = part - centre
        g, steep, values = g_of(matrix @ z, value)
        cross += gram(g, z)
        slope += steep.sum(1, dtype=double)
        total += values.sum(1, dtype=double)
        count += z.shape[1]
    host = _fetch([cross / count, slope / count, total / count])
    return host[0], host[1], host[2]


def fourth_moments(x: Tensor, K: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """E[z_i z_j z_k z_l] of z = K (x - mean), (R, R, R, R), for the host. K (R, M)."""
    rank, n = len(K), x.shape[1]
    matrix, centre = copied(K, x, x.dtype), copied(mean, x, x.dtype)[:, None]
    first, second = np.triu_indices(rank)
    i, j = (torch.as_tensor(index, device=x.device) for index in (first, second))
    sums = torch.zeros((len(first), len(first)), dtype=wide(x), device=x.device)
    for t in pieces(n, (4 * len(first) + 2 * rank) * x.element_size(), x.device):
        z = matrix @ (x[:, t] - centre)
        products = z[i] * z[j]
        sums += gram(products, products)
    pair = np.zeros((rank, rank), np.intp)
    pair[first, second] = pair[second, first] = np.arange(len(first))
    a, b, c, d = np.sort(np.indices((rank,) * 4), axis=0)  # each moment once, whichever way it was summed
    return np.asarray(_fetch([sums / n])[0][pair[a, b], pair[c, d]])


def _parts(x: Tensor, stride: int, bytes_of_one: int) -> Iterator[Tensor]:
    """The samples that a pass with a stride reads, as many at a time as their temporaries allow."""
    if stride == 1:
        for t in pieces(x.shape[1], bytes_of_one, x.device):
            yield x[:, t]
        return
    whole = x.shape[1] // (PIECE * stride)
    groups = x[:, : whole * PIECE * stride].reshape(len(x), whole, stride * PIECE)
    for k in pieces(whole, PIECE * bytes_of_one, x.device):
        yield groups[:, k, :PIECE].flatten(1)
    rest = x[:, whole * PIECE * stride :][:, :PIECE]
    if rest.shape[1] > 0:
        yield rest


def _log_cosh(y: Tensor, value: bool) -> Sums:
    """tanh(y), its slope, and log cosh y = |y| - log(1 + |tanh y|)."""
    g = torch.tanh(y)
    return g, 1 - g * g, y.abs() - torch.log1p(g.abs()) if value else g


def _bell(y: Tensor, value: bool) -> Sums:
    """y exp(-y^2 / 2), its slope, and -exp(-y^2 / 2)."""
    q = torch.exp(-0.5 * y * y)
    g = y * q
    return g, q - y * g, -q


def _cube(y: Tensor, value: bool) -> Sums:
    """y^3, 3 y^2 and y^4 / 4."""
    square = y * y
    return square * y, 3 * square, 0.25 * square * square


NONLINEARITIES: dict[str, Callable[[Tensor, bool], Sums]] = {"logcosh": _log_cosh, "exp": _bell, "cube": _cube}


def _fetch(parts: list[Tensor]) -> list[np.ndarray]:
    """Tensors as arrays in double precision, by one copy."""
    flat = torch.cat([part.reshape(-1) for part in parts]).cpu().numpy().astype(np.float64)
    ends = np.cumsum([part.numel() for part in parts])[:-1]
    return [a.reshape(part.shape) for a, part in zip(np.split(flat, ends), parts, strict=True)]
