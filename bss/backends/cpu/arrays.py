"""Operations on arrays that other libraries spell differently; see `protocol.Operations`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bss.backends.cpu import threads


def precision(x: np.ndarray) -> np.dtype[Any]:
    """NumPy's name for the type of the elements."""
    return x.dtype


def array(x: Any, like: np.ndarray) -> np.ndarray:
    """Any array as NumPy's, in its own precision."""
    return np.asarray(x)


def host(x: np.ndarray) -> np.ndarray:
    """The array as NumPy's: itself."""
    return x


def cast(x: np.ndarray, like: np.ndarray) -> np.ndarray:
    """x in the precision of another array."""
    return x.astype(like.dtype)


def single(x: np.ndarray) -> np.ndarray:
    """Real x in single precision."""
    return x.astype(np.float32)


def double(x: np.ndarray) -> np.ndarray:
    """x in double precision."""
    return x.astype(np.result_type(x.dtype, np.float64))


def total(x: np.ndarray) -> float:
    """Sum of all elements in double precision."""
    return float(x.sum(dtype=np.float64))


def is_finite(x: np.ndarray) -> bool:
    """Whether all elements are."""
    return bool(np.isfinite(x).all())


def where(condition: np.ndarray, a: np.ndarray | float, b: np.ndarray | float) -> np.ndarray:
    """a where the condition holds, else b; of numbers, in the precision of the other."""
    return np.asarray(np.where(condition, a, b))


def maximum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The larger of each two."""
    return np.asarray(np.maximum(a, b))


def log(x: np.ndarray) -> np.ndarray:
    """Natural logarithm."""
    return np.asarray(np.log(x))


def log1p(x: np.ndarray) -> np.ndarray:
    """log(1 + x)."""
    return np.asarray(np.log1p(x))


def inner(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Sum over the last axis of a b, (F, N, T) both."""
    return np.asarray(np.einsum("fnt,fnt->fn", a, b))


def stack(parts: list[np.ndarray], axis: int) -> np.ndarray:
    """Arrays of one shape along a new axis."""
    return np.stack(parts, axis)


def take_along(x: np.ndarray, index: np.ndarray, axis: int) -> np.ndarray:
    """As `numpy.take_along_axis`; the index is NumPy's whatever x is."""
    return np.asarray(np.take_along_axis(x, index, axis=axis))


def diagonal(A: np.ndarray) -> np.ndarray:
    """Of the last two axes."""
    return np.asarray(np.diagonal(A, axis1=-2, axis2=-1))


def identity(*shape: int, like: np.ndarray) -> np.ndarray:
    """Identities in the last two axes of `shape`, in complex double precision, of the kind that `like` is."""
    eye = np.zeros(shape, np.complex128)
    eye[:] = np.eye(shape[-2], shape[-1])
    return eye


def inverse(A: np.ndarray) -> np.ndarray:
    """Of matrices in the last two axes."""
    return np.asarray(np.linalg.inv(A))


def pseudo_inverse(A: np.ndarray) -> np.ndarray:
    """Of matrices in the last two axes."""
    return np.asarray(np.linalg.pinv(A))


def solve(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """A^-1 B of matrices in the last two axes."""
    return np.asarray(np.linalg.solve(A, B))


def principal(C: np.ndarray, n: int) -> np.ndarray:
    """(F, n, M): the adjoint eigenvectors of Hermitian C (F, M, M) with the n largest eigenvalues, largest first."""
    _, directions = np.linalg.eigh(C)
    return np.ascontiguousarray(directions[:, :, : -n - 1 : -1].conj().swapaxes(1, 2))


def in_parallel(jobs: list[Callable[[], np.ndarray]]) -> list[np.ndarray]:
    """What the jobs return, side by side on the threads that kernels may use."""
    results: dict[int, np.ndarray] = {}

    def work(first: int, step: int) -> None:
        for k in range(first, len(jobs), step):
            results[k] = jobs[k]()

    threads.run(work)
    return [results[k] for k in range(len(jobs))]
