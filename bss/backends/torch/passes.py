"""Passes over a recording that is a tensor."""

from __future__ import annotations

import torch
from torch import Tensor

from bss.backends.torch.arrays import array, sums, wide_type
from bss.backends.torch.demixing import covariance as products
from bss.backends.torch.demixing.covariance import squares
from bss.backends.torch.pieces import pieces_of


def square_sum(X: Tensor) -> float:
    """Sum of |x|^2 in double precision; not finite where X is not."""
    total = sums(like=X)
    for f in pieces_of(X):
        part = X[f].detach()
        total += (squares(part) if part.is_complex() else part.square()).sum(dtype=total.dtype)
    return float(total)


def demix(W: Tensor, X: Tensor) -> Tensor:
    """Y = W X: (F, N, M), (F, M, T) -> (F, N, T), or (N, M), (M, n) -> (N, n), in the more precise of both precisions."""
    dtype = torch.promote_types(W.dtype, X.dtype)
    return array(W, X).to(dtype) @ X.to(dtype)


def covariance(X: Tensor) -> Tensor:
    """E[x x^H] over frames: (F, M, T) -> (F, M, M) in double precision; real of real X."""
    if X.is_complex():
        return products.covariance(X.detach())
    X = X.detach().to(wide_type(X.device, is_complex=False))
    return X @ X.mT / X.shape[2]


def pooled_powers(X: Tensor, W: Tensor, gain: Tensor | None, pool: int) -> Tensor:
    """gain (F, N), if any, times |W X|^2, averaged over so many frames at a time: (F, N, ceil(T / pool)) of X's precision."""
    frames = X.shape[2]
    pools = -(-frames // pool)
    P = torch.empty((len(X), W.shape[1], pools), dtype=X.real.dtype, device=X.device)
    counts = torch.full((pools,), pool, dtype=P.dtype, device=X.device)
    counts[-1] = frames - (pools - 1) * pool
    W = array(W, X).to(X.dtype)
    for f in pieces_of(X):
        power = torch.nn.functional.pad(squares(W[f] @ X[f].detach()), (0, pools * pool - frames))
        P[f] = power.view(*power.shape[:2], pools, pool).sum(3) / counts
    return P if gain is None else P * gain.to(P.dtype)[:, :, None]
