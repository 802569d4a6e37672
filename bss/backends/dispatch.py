"""Where backends meet: the type of the array decides, once per solve, which kernels do the arithmetic."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from bss.errors import InputError


def of(X: Any) -> ModuleType:
    """The kernel module for an array.

    Raises
    ------
    InputError
        There are no kernels for arrays of this type.
    """
    if isinstance(X, np.ndarray):
        from bss.backends.cpu import backend

        return backend
    kind = f"{type(X).__module__}.{type(X).__qualname__}"
    raise InputError(f"an array of type {kind} cannot be used", "bss has kernels for NumPy arrays", "numpy.asarray(X)")
