"""Weighted prediction error (WPE): what a bin says that past frames predict of the present one, and what is left.

In double precision where the device has it. Delayed frames are laid out for a few bins and frames at a time, Z (F, taps M, T):
rows run over the microphones of the newest delayed frame, then of the one before.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from bss.backends.numeric import LOADING, SILENT_FRAME
from bss.backends.torch.demixing.covariance import squares
from bss.backends.torch.pieces import copied, pieces, wide

FRAMES = 1 << 14  # at a time: enough for products of matrices to be at their best
LOAD = LOADING[4]  # share of itself by which every diagonal element of the normal equations is raised


def prediction_filters(
    X: Tensor,
    *,
    taps: int,
    delay: int,
    n_iter: int,
    context: int,
    power: Tensor | np.ndarray | None,
    level: float,
) -> Tensor:
    """G (F, M taps, M) of WPE in double precision, of X (F, M, T) at that level; `power` (F, T) is what its first round weighs
    with."""
    F, M, T = X.shape
    double = wide(X)
    real = double.to_real()
    known = None if power is None else copied(power, X, real) / level**2
    G = torch.zeros((F, M * taps, M), dtype=double, device=X.device)
    rows = taps * M
    R = torch.empty((F, rows, rows), dtype=double, device=X.device)
    P = torch.empty_like(G)
    room = (3 * rows * min(T, FRAMES) + 4 * M * T) * double.itemsize
    for i in range(n_iter):
        for f in pieces(F, room, X.device):
            x = X[f].to(double) / level
            heard = _mean_power(x)
            floor = SILENT_FRAME * heard.mean(1, keepdim=True)
            if i > 0:
                weigh = _smoothed(_mean_power(_remainder(x, G[f], delay)), context)
            else:
                weigh = known[f] if known is not None else _smoothed(heard, context)
            phi = torch.where(heard > floor, 1 / torch.maximum(weigh, floor), torch.zeros_like(heard))
            R[f], P[f] = normal_equations(x, phi, taps, delay)
        for f in pieces(F, 4 * rows * (rows + M) * double.itemsize, X.device):  # as many bins as can be: it has many short steps
            G[f] = solve_normal(R[f], P[f])
    return G


def without_prediction(X: Tensor, filters: Tensor, delay: int) -> Tensor:
    """x - G^H z of every frame: X (F, M, T) less what G (F, M taps, M) predicts from `delay` frames ago and before."""
    F, M, T = X.shape
    out, double = torch.empty_like(X), wide(X)
    room = (2 * filters.shape[1] * min(T, FRAMES) + 3 * M * T) * double.itemsize
    for f in pieces(F, room, X.device):
        out[f] = _remainder(X[f].to(double), filters[f].to(double), delay).to(X.dtype)
    return out


def delayed(x: Tensor, taps: int, delay: int) -> Iterator[tuple[slice, Tensor]]:
    """Z (F, taps M, .) of x (F, M, T), FRAMES at a time, zeros before the first frame."""
    F, M, T = x.shape
    lead = delay + taps - 1
    for begin in range(0, T, FRAMES):
        t = slice(begin, min(T, begin + FRAMES))
        Z = x.new_zeros((F, taps, M, t.stop - begin))
        first = max(0, begin - lead)
        past = torch.nn.functional.pad(x[:, :, first : t.stop], (max(0, lead - begin), 0))
        for k in range(taps):
            Z[:, k] = past[:, :, taps - 1 - k :][:, :, : t.stop - begin]
        yield t, Z.flatten(1, 2)


def normal_equations(x: Tensor, phi: Tensor, taps: int, delay: int) -> tuple[Tensor, Tensor]:
    """R = sum_t phi z z^H (F, taps M, taps M) and P = sum_t phi z x^H (F, taps M, M)."""
    F, M, _ = x.shape
    R, P = x.new_zeros((F, taps * M, taps * M)), x.new_zeros((F, taps * M, M))
    for t, Z in delayed(x, taps, delay):
        weighted = Z * phi[:, None, t]
        R += weighted @ Z.mH
        P += weighted @ x[:, :, t].mH
    return R, P


def solve_normal(R: Tensor, P: Tensor) -> Tensor:
    """R^-1 P, R Hermitian, by elimination of all bins side by side; R and P are overwritten.

    A row of which nothing is left above roundings gets no filter: silence, or a microphone twice over.
    """
    rows = R.shape[1]
    own = torch.diagonal(R, dim1=1, dim2=2)
    own.mul_(1 + LOAD)
    before = own.real.clone()
    inverse = torch.zeros_like(before)
    for k in range(rows):
        pivot = own.real[:, k]
        kept = pivot > 0.5 * LOAD * before[:, k]
        inverse[:, k] = torch.where(kept, 1 / pivot, torch.zeros_like(pivot))
        factors = (R[:, k, k + 1 :].conj() * inverse[:, k, None])[:, :, None]
        R[:, k + 1 :, k + 1 :] -= factors * R[:, None, k, k + 1 :]
        P[:, k + 1 :] -= factors * P[:, None, k]
    # what is left of R above its diagonal is the unit triangular factor, once its rows are divided by their pivots
    upper = torch.where(inverse[:, :, None] > 0, R * inverse[:, :, None], torch.zeros_like(R))
    G: Tensor = torch.linalg.solve_triangular(upper, P * inverse[:, :, None], upper=True, unitriangular=True)
    return G


def _remainder(x: Tensor, G: Tensor, delay: int) -> Tensor:
    """x - G^H z: what the delayed frames do not predict of the present one."""
    out = torch.empty_like(x)
    for t, Z in delayed(x, G.shape[1] // x.shape[1], delay):
        out[:, :, t] = x[:, :, t] - G.mH @ Z
    return out


def _mean_power(x: Tensor) -> Tensor:
    """Mean over microphones of |x|^2, (F, T)."""
    return squares(x).mean(1)


def _smoothed(power: Tensor, context: int) -> Tensor:
    """The mean over `context` frames to either side, as far as there are any."""
    if context == 0:
        return power
    near = min(context, power.shape[1] - 1)  # further there is nothing
    mean = torch.nn.functional.avg_pool1d(power[:, None], 2 * near + 1, 1, near, count_include_pad=False)
    return mean[:, 0]
