"""SI-SDR of tensors, differentiable and where they are: nothing is fetched from the device."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import permutations

import numpy as np
import torch
from torch import Tensor

from bss.backends.torch.arrays import wide_type


def si_sdr(reference: Tensor, estimate: Tensor, *, zero_mean: bool, ceiling: float) -> Tensor:
    """Of each estimate (..., n) to its reference, in dB within +-ceiling; NaN where one of the two is all zeros.

    NaN has no gradient, and neither has what is beyond the ceiling: neither spoils those of the others.
    """
    s, e = _single_or_double(reference, estimate)
    if zero_mean:
        s, e = s - s.mean(-1, keepdim=True), e - e.mean(-1, keepdim=True)
    double, tiny = wide_type(s.device, is_complex=False), 10 ** (-ceiling / 10)
    ss, se = (s * s).sum(-1, dtype=double), (s * e).sum(-1, dtype=double)
    scale = se / torch.where(ss > 0, ss, 1.0)
    rest = e - scale.to(s.dtype)[..., None] * s  # its energy as a difference of energies would cancel for a good estimate
    wanted, unwanted = scale * scale * ss, (rest * rest).sum(-1, dtype=double)
    nothing = (ss == 0) | ((wanted == 0) & (unwanted == 0))
    # each at least so much of the other that the ratio is at the ceiling: no logarithm of zero, whose gradient is no number
    above = torch.where(nothing, 1.0, torch.maximum(wanted, tiny * unwanted))
    below = torch.where(nothing, 1.0, torch.maximum(unwanted, tiny * wanted))
    db = 10 * (torch.log10(above) - torch.log10(below))
    return torch.where(nothing, math.nan, db).to(s.dtype)


def matched(reference: Tensor, estimate: Tensor, *, zero_mean: bool) -> Tensor:
    """The estimates (..., K, n) in the order of the references (..., N, n): of all assignments that of the greatest mean SI-SDR.

    Which one it is comes from inner products, so that no residual of every pair is made.
    """
    with torch.no_grad():
        s, e = _single_or_double(reference, estimate)
        if zero_mean:
            s, e = s - s.mean(-1, keepdim=True), e - e.mean(-1, keepdim=True)
        ss, ee = (s * s).sum(-1)[..., :, None], (e * e).sum(-1)[..., None, :]
        floor = torch.finfo(s.dtype).eps
        # the share of each estimate that each reference explains; silence explains nothing, and nothing explains silence
        share = ((s @ e.mT) ** 2 / torch.where(ss * ee > 0, ss * ee, 1.0)).clamp(floor, 1 - floor)
        merit = torch.log10(share) - torch.log10(1 - share)
        orders = _assignments(merit.shape[-2], merit.shape[-1], merit.device)  # (P, N)
        rows = torch.arange(merit.shape[-2], device=merit.device)
        best = orders[merit[..., rows, orders].sum(-1).argmax(-1)]  # (..., N)
    shape = np.broadcast_shapes(best.shape[:-1], estimate.shape[:-2])
    n = estimate.shape[-1]
    index = best.expand(*shape, -1)[..., None].expand(*shape, best.shape[-1], n)
    return estimate.expand(*shape, *estimate.shape[-2:]).gather(-2, index)


@lru_cache(maxsize=16)
def _assignments(N: int, K: int, device: torch.device) -> Tensor:
    """(P, N): every way to give each of N references one of K estimates; kept, so that it goes to the device once."""
    return torch.tensor(list(permutations(range(K), N)), device=device)


def _single_or_double(reference: Tensor, estimate: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the wider precision of the two, at least single: energies in half precision overflow."""
    dtype = torch.promote_types(torch.promote_types(reference.dtype, estimate.dtype), torch.float32)
    return reference.to(dtype), estimate.to(dtype)
