"""SI-SDR, the scale-invariant signal-to-distortion ratio."""

from __future__ import annotations

from typing import Any

import numpy as np

from bss.errors import InputError

CEILING_DB = 120.0
"""Ratios are clipped to +-120 dB: beyond that they are rounding errors, and neither means nor JSON can cope with infinity."""

BLOCK = 1 << 16


def si_sdr(reference: Any, estimate: Any, *, zero_mean: bool = False) -> np.ndarray | float:
    """Scale-invariant signal-to-distortion ratio of each estimate with respect to its reference.

    Parameters
    ----------
    reference, estimate : array, shape=(..., n)
        Signals of equal length; the axes before the last are broadcast, so that `si_sdr(s[:, None], y)` compares all
        pairs. Sums are computed in float64.
    zero_mean : bool
        Subtract the mean of both signals first.

    Returns
    -------
    float or array, shape=(...)
        dB, within +-120: 120 for an exact copy, -120 for an estimate orthogonal to its reference. NaN where the
        reference or the estimate is all zeros.

    Raises
    ------
    InputError
        Lengths or axes do not match, or values are not real, or are NaN or infinite.

    References
    ----------
    J. Le Roux, S. Wisdom, H. Erdogan, J. R. Hershey, "SDR - half-baked or well done?", ICASSP 2019, eq. (5).

    Examples
    --------
    >>> import numpy as np, bss
    >>> reference, noise = np.array([1.0, 1.0, -1.0, -1.0]), np.array([1.0, -1.0, 1.0, -1.0])
    >>> round(bss.si_sdr(reference, 3 * (reference + 0.1 * noise)), 6)
    20.0
    """
    s, e = _signal("reference", reference), _signal("estimate", estimate)
    if s.shape[-1] != e.shape[-1]:
        raise InputError(
            f"the reference has {s.shape[-1]} samples and the estimate {e.shape[-1]}",
            "they are compared sample by sample", "cut both to their common length",
        )  # fmt: skip
    try:
        np.broadcast_shapes(s.shape, e.shape)
    except ValueError:
        raise InputError(
            f"reference {s.shape} and estimate {e.shape} do not match", "the axes before the last must broadcast",
            "si_sdr(reference[:, None], estimate) for all pairs",
        ) from None  # fmt: skip
    means = (_mean(s), _mean(e)) if zero_mean else (np.zeros(1), np.zeros(1))
    ss, se = _inner(s, s, means[0], means[0]), _inner(s, e, means[0], means[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = se / ss
    residual = _residual(s, e, scale, *means)
    db = decibels(scale**2 * ss, residual)
    return float(db) if db.ndim == 0 else db


def decibels(wanted: Any, unwanted: Any) -> np.ndarray:
    """10 log10(wanted / unwanted) of two energies, clipped to +-CEILING_DB; NaN where both are zero or either is NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 10 * np.log10(np.maximum(wanted, 0.0) / np.maximum(unwanted, 0.0))
    return np.asarray(np.clip(ratio, -CEILING_DB, CEILING_DB))


def _signal(name: str, x: Any) -> np.ndarray:
    a = np.asarray(x)
    if a.ndim == 0 or a.shape[-1] == 0:
        raise InputError(f"the {name} is empty: shape {a.shape}", "expected (..., n): samples last")
    if a.dtype.kind not in "fiu":
        raise InputError(f"the {name} contains {a.dtype} values", "expected real numbers")
    if a.dtype.kind == "f" and not np.isfinite(a).all():
        raise InputError(f"the {name} contains NaN or infinite samples", "a ratio of them is meaningless")
    return a


def _blocks(n: int) -> list[slice]:
    return [slice(start, start + BLOCK) for start in range(0, n, BLOCK)]


def _mean(x: np.ndarray) -> np.ndarray:
    """Mean over the last axis, kept as an axis of length one."""
    return np.asarray(x.mean(axis=-1, keepdims=True, dtype=np.float64))


def _inner(a: np.ndarray, b: np.ndarray, mean_a: np.ndarray, mean_b: np.ndarray) -> np.ndarray:
    """Inner products over the last axis in float64, one block of time at a time."""
    pieces = (np.einsum("...t,...t->...", a[..., k] - mean_a, b[..., k] - mean_b) for k in _blocks(a.shape[-1]))
    return np.asarray(sum(pieces))


def _residual(
    s: np.ndarray, e: np.ndarray, scale: np.ndarray, mean_s: np.ndarray, mean_e: np.ndarray
) -> np.ndarray:  # fmt: skip
    """Energy of e - scale s, summed directly: |e|^2 - |scale s|^2 would cancel for a good estimate."""
    total = np.zeros(np.shape(scale))
    for k in _blocks(s.shape[-1]):
        rest = (e[..., k] - mean_e) - scale[..., None] * (s[..., k] - mean_s)
        total = total + np.einsum("...t,...t->...", rest, rest)
    return total
