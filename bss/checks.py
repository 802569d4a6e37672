"""Checks of arrays passed by the caller: an error says what was passed, what is expected, and what to try."""

from __future__ import annotations

from typing import Any

import numpy as np

from bss.errors import InputError, UsageError, check_int

LOWEST_RATE, HIGHEST_RATE = 100, 1_000_000  # Hz, of recordings of sound, ultrasound among them
# By bytes of a sample: peaks above the one and below one over it are refused, as their powers leave the range of the numbers.
# Full scale is 1; no recorder is within a hundred dB of either.
LARGEST = {4: 1e15, 8: 1e60}


def plain(x: Any, *, name: str) -> np.ndarray:
    """`x` as an array of its own numbers: in the byte order of this machine, contiguous, not masked; a good one is not copied.

    Kernels compile for each layout that they are called with, and some for one only.
    """
    if isinstance(x, np.ma.MaskedArray):
        if np.ma.is_masked(x):
            raise InputError(f"{name} holds masked samples", "what is masked has no value to compute with", f"{name}.filled(0)")
        x = x.data
    try:
        a = np.asarray(x)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is not an array of numbers", str(error), "numpy.asarray of rows of one length") from None
    if a.dtype.kind in "fciu" and not a.dtype.isnative:
        a = a.astype(a.dtype.newbyteorder("="))
    if a.ndim == 0 or a.dtype.hasobject:
        return a
    if not (a.flags.c_contiguous and a.flags.aligned):
        a = np.require(a, requirements=["C", "A"])
    return a if a.flags.writeable else np.asarray(_Lent(a))


class _Lent:
    """An array that may not be written to, as one that may: nobody here does, and kernels need not compile for both."""

    def __init__(self, a: np.ndarray) -> None:
        self.kept = a
        self.__array_interface__ = {**a.__array_interface__, "data": (a.__array_interface__["data"][0], False)}


def check_rate(rate: Any, *, name: str = "rate", low: int = LOWEST_RATE) -> int:
    """`rate` as a whole number of Hz that recordings may have, or UsageError."""
    return check_int(name, rate, low, HIGHEST_RATE)


def check_level(a: np.ndarray, *, name: str) -> np.ndarray:
    """`a`, finite, or InputError where it is so loud or quiet that its powers leave the range of numbers; silence is neither."""
    peak = float(max(a.max(), -a.min())) if a.size else 0.0
    refuse_level(peak, LARGEST[8 if a.dtype.itemsize >= 8 else 4], name)
    return a


def refuse_level(level: float, largest: float, name: str) -> None:
    """InputError unless a level is zero, or within one over `largest` and `largest`."""
    if level == 0 or 1 / largest <= level <= largest:
        return
    raise InputError(
        f"{name} has samples of about {level:.0e}", f"full scale is 1, and beyond {largest:.0e} powers overflow or vanish",
        f"{name} / abs({name}).max()",
    )  # fmt: skip


def check_rng(rng: Any) -> np.random.Generator:
    """The random generator that a seed or a generator means, or UsageError."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise UsageError(f"rng={rng!r} is no seed", hint="a whole number of at least 0, or a numpy.random.Generator") from None


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
    a = plain(x, name=name)
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
