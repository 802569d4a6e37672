"""How much of an array is worked on at a time, and sums of products over its long axis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from bss.backends.torch.arrays import array, piece_bytes, wide as wide_on

RUN = 4096  # terms that are summed in the precision of the data, before sums of them go on in double


def pieces(n: int, bytes_of_one: int, device: torch.device) -> Iterator[slice]:
    """Slices of n things so that their temporaries, of so many bytes for each, stay bounded."""
    step = max(1, piece_bytes(device) // max(1, bytes_of_one))
    for begin in range(0, n, step):
        yield slice(begin, min(n, begin + step))


def wide(x: Tensor) -> torch.dtype:
    """The precision of sums of x's elements, and of small algebra with them."""
    return wide_on(x.device, is_complex=x.is_complex())


def copied(a: Any, like: Tensor, dtype: torch.dtype) -> Tensor:
    """a, an array of whatever kind, as a tensor of that type where `like` is, which can be written to."""
    return array(a, like).to(dtype, copy=True)


def gram(a: Tensor, b: Tensor) -> Tensor:
    """a b^H over the last axis, (..., I, T) and (..., J, T) -> (..., I, J): RUN terms at a time, these sums in double."""
    many = a.shape[-1] // RUN
    whole, double = many * RUN, wide(a)
    if many == 0 or double == a.dtype:
        return (a @ b.mH).to(double)
    runs_a, runs_b = (c[..., :whole].reshape(*c.shape[:-1], many, RUN).movedim(-2, 0) for c in (a, b))
    total: Tensor = (runs_a @ runs_b.mH).sum(0, dtype=double)
    return total + (a[..., whole:] @ b[..., whole:].mH) if whole < a.shape[-1] else total
