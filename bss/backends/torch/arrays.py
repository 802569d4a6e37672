"""Operations on tensors, as `operations.Operations` says them, and the precisions that all of this folder works in."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

DTYPES: dict[torch.dtype, np.dtype[Any]] = {
    torch.float32: np.dtype(np.float32), torch.float64: np.dtype(np.float64), torch.complex64: np.dtype(np.complex64),
    torch.complex128: np.dtype(np.complex128), torch.float16: np.dtype(np.float16),
}  # fmt: skip
FEWEST_FRAMES = 1 << 14  # that are summed in single precision before the sum goes on in double


def precision(x: Tensor) -> np.dtype[Any]:
    """NumPy's name for the type of the elements; one that NumPy does not have is opaque bytes."""
    return DTYPES.get(x.dtype) or np.dtype(f"V{x.element_size()}")


def wide_type(device: torch.device, *, is_complex: bool) -> torch.dtype:
    """The precision of small algebra and of sums: double, where the device has it."""
    if device.type == "mps":  # Apple's GPUs have no double precision
        return torch.complex64 if is_complex else torch.float32
    return torch.complex128 if is_complex else torch.float64


def sums(*shape: int, like: Tensor) -> Tensor:
    """Real zeros in double precision where `like` is: what is added up in them stays on the device."""
    return torch.zeros(shape, dtype=wide_type(like.device, is_complex=False), device=like.device)


def array(x: Any, like: Tensor) -> Tensor:
    """Any array, NumPy's or a tensor, as a tensor where `like` is, in its own precision."""
    if isinstance(x, Tensor):
        return x.detach().to(like.device)
    x = np.asarray(x)
    if like.device.type == "mps" and x.dtype in (np.float64, np.complex128):
        x = x.astype(np.float32 if x.dtype == np.float64 else np.complex64)
    return torch.as_tensor(np.ascontiguousarray(x)).to(like.device)


def host(x: Tensor) -> np.ndarray:
    """The tensor as NumPy's array, copied from its device if that is not the processor."""
    return np.asarray(x.detach().resolve_conj().resolve_neg().cpu().numpy())


def cast(x: Tensor, like: Tensor) -> Tensor:
    """x in the precision of another array."""
    return _real_or_complex(x, like.dtype)


def _real_or_complex(x: Tensor, dtype: torch.dtype) -> Tensor:
    return x.real.to(dtype) if x.is_complex() and not dtype.is_complex else x.to(dtype)


def single(x: Tensor) -> Tensor:
    """Real x in single precision."""
    return x.to(torch.float32)


def double(x: Tensor) -> Tensor:
    """x in double precision."""
    return x.to(wide_type(x.device, is_complex=x.is_complex()))


def total(x: Tensor) -> float:
    """Sum of all elements in double precision: a tensor without axes, which stays where it is until `float` fetches it."""
    summed: Any = x.sum(dtype=wide_type(x.device, is_complex=x.is_complex()))
    return summed  # type: ignore[no-any-return]  # arithmetic with it is that with a number


def is_finite(x: Tensor) -> bool:
    """Whether all elements are."""
    return bool(torch.isfinite(x).all())


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """a where the condition holds, else b; of numbers, in the precision of the other. The condition may be NumPy's."""
    like = next(x for x in (condition, a, b) if isinstance(x, Tensor))
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        like = a if isinstance(a, Tensor) else b
    return torch.where(torch.as_tensor(condition, device=like.device), a, b)


def maximum(a: Tensor, b: Tensor) -> Tensor:
    """The larger of each two."""
    return torch.maximum(a, b)


def log(x: Tensor) -> Tensor:
    """Natural logarithm."""
    return torch.log(x)


def log1p(x: Tensor) -> Tensor:
    """log(1 + x)."""
    return torch.log1p(x)


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Sum over the last axis of a b, (F, N, T) both."""
    return (a * b).sum(-1)


def stack(parts: list[Tensor], axis: int) -> Tensor:
    """Arrays of one shape along a new axis."""
    return torch.stack(parts, axis)


def take_along(x: Tensor, index: np.ndarray, axis: int) -> Tensor:
    """As `numpy.take_along_axis`; the index is NumPy's."""
    return torch.take_along_dim(x, torch.as_tensor(np.ascontiguousarray(index), device=x.device).long(), axis)


def diagonal(A: Tensor) -> Tensor:
    """Of the last two axes."""
    return torch.diagonal(A, dim1=-2, dim2=-1)


def identity(*shape: int, like: Tensor) -> Tensor:
    """Identities in the last two axes of `shape`, in complex double precision, where `like` is."""
    eye = torch.eye(shape[-2], shape[-1], dtype=wide_type(like.device, is_complex=True), device=like.device)
    return eye.expand(shape).clone()


def inverse(A: Tensor) -> Tensor:
    """Of matrices in the last two axes."""
    return torch.as_tensor(torch.linalg.inv(A))


def pseudo_inverse(A: Tensor) -> Tensor:
    """Of matrices in the last two axes."""
    return torch.as_tensor(torch.linalg.pinv(A, rtol=1e-15))  # NumPy's


def solve(A: Tensor, B: Tensor) -> Tensor:
    """A^-1 B of matrices in the last two axes."""
    return torch.as_tensor(torch.linalg.solve(A, B))


def principal(C: Tensor, n: int) -> Tensor:
    """(F, n, M): the adjoint eigenvectors of Hermitian C (F, M, M) with the n largest eigenvalues, largest first."""
    _, directions = torch.linalg.eigh(C)
    return torch.as_tensor(directions[:, :, -n:].flip(-1).mH.contiguous())
