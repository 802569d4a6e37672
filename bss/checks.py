"""Checks of arrays passed by the caller: an error says what was passed, what is expected, and what to try."""

from __future__ import annotations

from typing import Any

import numpy as np

from bss.errors import InputError


def check_recording(x: Any, *, name: str = "x") -> np.ndarray:
    """`x` as a floating-point (M, n) array of finite numbers with more samples than channels; a good array is not copied.

    Raises
    ------
    InputError
        As `check_shape`, or `x` contains NaN or infinite samples.
    """
    return check_finite(check_shape(x, name=name), name=name)


def check_finite(a: np.ndarray, *, name: str) -> np.ndarray:
    """`a` (M, n), or InputError saying which channel holds NaN or infinite samples."""
    for k in range(len(a)):
        bad = np.flatnonzero(~np.isfinite(a[k]))
        if bad.size:
            raise InputError(
                f"channel {k} of {name} contains {bad.size} NaN or infinite samples, the first at sample {bad[0]}",
                "no result computed from them can be trusted", "leave that channel out, or cut the recording before them",
            )  # fmt: skip
    return a


def check_shape(x: Any, *, name: str = "x") -> np.ndarray:
    """`x` as a floating-point (M, n) array with more samples than channels, finite or not.

    Raises
    ------
    InputError
        `x` does not have two axes, has them in the wrong order, is not numeric, or is empty.
    """
    a = np.asarray(x)
    check_layout(a.shape, a.dtype, name=name)
    return a if a.dtype.itemsize in (4, 8) else a.astype(np.float32 if a.dtype.itemsize < 4 else np.float64)


def check_layout(shape: tuple[int, ...], dtype: np.dtype[Any], *, name: str) -> None:
    """InputError unless an array of this shape and type holds samples (M, n): more of them than channels, and floating-point."""
    if len(shape) != 2:
        raise InputError(
            f"{name} has shape {shape}",
            "expected (M, n): microphones first, samples second",
            "stack mono signals with np.stack",
        )
    if dtype.kind in "iub":
        raise InputError(
            f"{name} contains {dtype} numbers", "expected float32 or float64 samples between -1 and 1",
            f"x = x.astype('float32') / {np.iinfo(dtype).max if dtype.kind in 'iu' else 1}",
        )  # fmt: skip
    if dtype.kind != "f":
        raise InputError(f"{name} contains {dtype} values", "expected real float32 or float64 samples")
    m, n = shape
    if m == 0 or n == 0:
        raise InputError(f"{name} is empty: shape {shape}")
    if m > n:
        raise InputError(
            f"{name} has {m} channels of {n} samples",
            "the axes seem to be swapped: expected (M, n), microphones first",
            f"{name}.T",
        )
