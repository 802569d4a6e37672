"""How much of an array is worked on at a time, and sums of products over its long axis."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from bss.backends.torch.arrays import array, wide_type

# Bytes of one temporary. On a processor it should stay in cache; on a GPU a piece must be worth starting a dozen kernels for.
PIECE_BYTES = {"cpu": 1 << 21}
PIECE_BYTES_GPU = 1 << 28
SMALLER = 16  # times, after a device was full
_times_smaller: ContextVar[int] = ContextVar("times_smaller", default=1)
RUN = 4096  # terms that are summed in the precision of the data, before sums of them go on in double


def piece_bytes(device: torch.device) -> int:
    """Bytes of one temporary on a device."""
    return PIECE_BYTES.get(device.type, PIECE_BYTES_GPU) // _times_smaller.get()


@contextmanager
def smaller_pieces() -> Iterator[None]:
    """Within it, temporaries are SMALLER times smaller: slower, for a device whose memory is nearly taken by the data."""
    token = _times_smaller.set(SMALLER)
    try:
        yield
    finally:
        _times_smaller.reset(token)


def pieces(n: int, bytes_of_one: int, device: torch.device) -> Iterator[slice]:
    """Slices of n things so that their temporaries, of so many bytes for each, stay bounded."""
    step = max(1, piece_bytes(device) // max(1, bytes_of_one))
    for begin in range(0, n, step):
        yield slice(begin, min(n, begin + step))


def pieces_of(X: Tensor, copies: float = 1.0) -> Iterator[slice]:
    """Slices over the first axis of X, each so large that `copies` of it are one temporary."""
    return pieces(len(X), int(math.prod(X.shape[1:]) * X.element_size() * copies), X.device)


def wide(x: Tensor) -> torch.dtype:
    """The precision of sums of x's elements, and of small algebra with them."""
    return wide_type(x.device, is_complex=x.is_complex())


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
