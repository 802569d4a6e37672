"""Where backends meet: the type of the array decides, once per solve, which backend does the arithmetic."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from bss.backends import small
from bss.backends.protocol import Backend, Fourier, SamplePasses
from bss.errors import InputError


def of(X: object) -> Backend:
    """The backend for an array.

    Raises
    ------
    InputError
        There is none for arrays of this type.
    """
    if isinstance(X, np.ndarray):
        from bss.backends.cpu import backend

        return backend
    if is_tensor(X):
        from bss.backends.torch import backend as of_tensors

        return cast(Backend, of_tensors)  # its arrays are tensors, where `operations.Array` says NumPy's
    kind = f"{type(X).__module__}.{type(X).__qualname__}"
    raise InputError(
        f"an array of type {kind} cannot be used", "bss has kernels for NumPy arrays and torch tensors", "numpy.asarray(X)"
    )


def fourier_of(x: object) -> Fourier:
    """The Fourier transforms for an array.

    Raises
    ------
    InputError
        There are none for arrays of this type.
    """
    if is_tensor(x):
        from bss.backends.torch import fourier as of_tensors

        return cast(Fourier, of_tensors)
    if not known(x):
        of(x)
    from bss.backends.cpu import fourier

    return fourier


def passes_of(x: Any) -> SamplePasses:
    """The passes over samples for an array: NumPy's own for a few of them, which no kernel is to be compiled for.

    Raises
    ------
    InputError
        There are none for arrays of this type.
    """
    if isinstance(x, np.ndarray) and x.size <= small.FEW:
        return small
    return of(x)


def known(X: object) -> bool:
    """Whether there is a backend for arrays of this type."""
    return isinstance(X, np.ndarray) or is_tensor(X)


def is_tensor(X: object) -> bool:
    """Whether X is a tensor of torch. Who has none never loads torch: the names of its types tell."""
    if not any(kind.__module__.partition(".")[0] == "torch" for kind in type(X).__mro__):
        return False
    import torch

    return isinstance(X, torch.Tensor)
