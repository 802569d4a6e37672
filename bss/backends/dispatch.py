"""Where backends meet: the type of the array decides, once per solve, which backend does the arithmetic."""

from __future__ import annotations

import numpy as np

from bss.backends.protocol import Backend, Fourier
from bss.errors import InputError


def of(X: object) -> Backend:
    """The backend for an array.

    Raises
    ------
    InputError
        There is none for arrays of this type.
    """
    if known(X):
        from bss.backends.cpu import backend

        return backend
    kind = f"{type(X).__module__}.{type(X).__qualname__}"
    raise InputError(f"an array of type {kind} cannot be used", "bss has kernels for NumPy arrays", "numpy.asarray(X)")


def fourier_of(x: object) -> Fourier:
    """The Fourier transforms for an array.

    Raises
    ------
    InputError
        There are none for arrays of this type.
    """
    if not known(x):
        of(x)
    from bss.backends.cpu import fourier

    return fourier


def known(X: object) -> bool:
    """Whether there is a backend for arrays of this type."""
    return isinstance(X, np.ndarray)
