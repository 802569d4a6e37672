"""SI-SDR, the scale-invariant signal-to-distortion ratio."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bss.backends import dispatch
from bss.checks import plain
from bss.errors import InputError, UsageError, check_flag
from bss.metrics.assignment import assign

CEILING_DB = 120.0
"""Ratios are clipped to +-120 dB: beyond that they are rounding errors, and neither means nor JSON can cope with infinity."""

BLOCK = 1 << 16
MODERATE = 100  # binary exponents of samples whose squares are far from the ends of the range of float64


MOST_ASSIGNMENTS = 40_320
"""Of tensors: those of eight talkers. All are tried at once on their device, as the Hungarian algorithm would leave it."""


def si_sdr(reference: Any, estimate: Any, *, zero_mean: bool = False, permute: bool = False) -> Any:
    """Scale-invariant signal-to-distortion ratio of each estimate with respect to its reference.

    Of torch tensors it is differentiable and stays on their device: `-si_sdr(s, y, permute=True).mean()` is a loss to train with.

    Parameters
    ----------
    reference, estimate : array or tensor, shape=(..., n)
        Signals of equal length; the axes before the last are broadcast, so that `si_sdr(s[:, None], y)` compares all
        pairs. Sums are computed in float64.
    zero_mean : bool
        Subtract the mean of both signals first.
    permute : bool
        reference (..., N, n) and estimate (..., K, n), K at least N: each reference with another estimate, such that the mean is
        greatest, for each element of the batch. Of tensors, at most eight talkers.

    Returns
    -------
    float, array or tensor, shape=(...)
        dB, within +-120: 120 for an exact copy, -120 for an estimate orthogonal to its reference. NaN where the
        reference or the estimate is all zeros; of tensors it has a gradient of zero. With `permute` (..., N).

    Raises
    ------
    InputError
        Lengths, axes, types or devices do not match; values are not real; or those of arrays are NaN or infinite. Whether those
        of tensors are is not looked at, as they would have to be fetched.
    UsageError
        There are fewer estimates than references, or more than can be permuted.

    References
    ----------
    J. Le Roux, S. Wisdom, H. Erdogan, J. R. Hershey, "SDR - half-baked or well done?", ICASSP 2019, eq. (5). D. Yu, M. Kolbaek,
    Z.-H. Tan, J. Jensen, "Permutation invariant training of deep models", ICASSP 2017.

    Examples
    --------
    >>> import numpy as np, bss
    >>> reference, noise = np.array([1.0, 1.0, -1.0, -1.0]), np.array([1.0, -1.0, 1.0, -1.0])
    >>> round(bss.si_sdr(reference, 3 * (reference + 0.1 * noise)), 6)
    20.0
    """
    check_flag("zero_mean", zero_mean)
    if dispatch.is_tensor(reference) or dispatch.is_tensor(estimate):
        return _of_tensors(reference, estimate, zero_mean, permute)
    s, e = _signal("reference", reference), _signal("estimate", estimate)
    _check_shapes(s.shape, e.shape, permute=permute)
    if not permute:
        return _of_arrays(s, e, zero_mean)
    pairs = np.asarray(_of_arrays(s[..., :, None, :], e[..., None, :, :], zero_mean))
    merits = np.nan_to_num(pairs, nan=-CEILING_DB).reshape(-1, *pairs.shape[-2:])
    columns = np.stack([assign(merit) for merit in merits]).reshape(pairs.shape[:-1])
    return np.take_along_axis(pairs, columns[..., None], axis=-1)[..., 0]


def _of_arrays(s: np.ndarray, e: np.ndarray, zero_mean: bool) -> np.ndarray | float:
    means = (_mean(s), _mean(e)) if zero_mean else (np.zeros(1), np.zeros(1))
    ss, se = _inner(s, s, means[0], means[0]), _inner(s, e, means[0], means[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = se / ss
    residual = _residual(s, e, scale, *means)
    db = decibels(scale**2 * ss, residual)
    return float(db) if db.ndim == 0 else db


def _of_tensors(s: Any, e: Any, zero_mean: bool, permute: bool) -> Any:
    from bss.backends.torch import si_sdr as of_tensors

    _check_tensors(s, e)
    _check_shapes(tuple(s.shape), tuple(e.shape), permute=permute)
    if permute:
        count = math.perm(e.shape[-2], s.shape[-2])
        if count > MOST_ASSIGNMENTS:
            raise UsageError(
                f"{s.shape[-2]} references have {count} assignments to {e.shape[-2]} estimates",
                f"of tensors at most {MOST_ASSIGNMENTS} are tried", "fewer talkers, or arrays",
            )  # fmt: skip
        e = of_tensors.matched(s, e, zero_mean=zero_mean)
    return of_tensors.si_sdr(s, e, zero_mean=zero_mean, ceiling=CEILING_DB)


def _check_shapes(s: tuple[int, ...], e: tuple[int, ...], *, permute: bool) -> None:
    if s[-1] != e[-1]:
        raise InputError(
            f"the reference has {s[-1]} samples and the estimate {e[-1]}",
            "they are compared sample by sample", "cut both to their common length",
        )  # fmt: skip
    if permute and (len(s) < 2 or len(e) < 2 or s[-2] > e[-2]):
        raise UsageError(
            f"reference {s} and estimate {e} cannot be permuted", "each of N references takes another one of K estimates",
            "(..., N, n) and (..., K, n), K at least N",
        )  # fmt: skip
    axes = (s[:-2], e[:-2]) if permute else (s[:-1], e[:-1])
    try:
        np.broadcast_shapes(*axes)
    except ValueError:
        raise InputError(
            f"reference {s} and estimate {e} do not match", "the axes before the last must broadcast",
            "si_sdr(reference[:, None], estimate) for all pairs",
        ) from None  # fmt: skip


def _check_tensors(s: Any, e: Any) -> None:
    for name, x, other in (("reference", s, e), ("estimate", e, s)):
        if not dispatch.is_tensor(x):
            raise InputError(
                f"the {name} is {type(x).__name__} where the other is a tensor", "both have to be of one kind",
                f"torch.as_tensor({name}, device={str(other.device)!r})",
            )  # fmt: skip
        if x.ndim == 0 or x.shape[-1] == 0:
            raise InputError(f"the {name} is empty: shape {tuple(x.shape)}", "expected (..., n): samples last")
        if not x.is_floating_point():
            raise InputError(f"the {name} contains {x.dtype} values", "expected real numbers", f"{name}.float()")
    if s.device != e.device:
        raise InputError(
            f"the reference is on {s.device} and the estimate on {e.device}", "neither is copied from its device",
            f"reference.to({str(e.device)!r})",
        )  # fmt: skip


def decibels(wanted: Any, unwanted: Any) -> np.ndarray:
    """10 log10(wanted / unwanted) of two energies, clipped to +-CEILING_DB; NaN where both are zero or either is NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 10 * np.log10(np.maximum(wanted, 0.0) / np.maximum(unwanted, 0.0))
    return np.asarray(np.clip(ratio, -CEILING_DB, CEILING_DB))


def _signal(name: str, x: Any) -> np.ndarray:
    a = plain(x, name=f"the {name}")
    if a.ndim == 0 or a.shape[-1] == 0:
        raise InputError(f"the {name} is empty: shape {a.shape}", "expected (..., n): samples last")
    if a.dtype.kind not in "fiu":
        raise InputError(f"the {name} contains {a.dtype} values", "expected real numbers")
    if a.dtype.kind == "f" and not np.isfinite(a).all():
        raise InputError(f"the {name} contains NaN or infinite samples", "a ratio of them is meaningless")
    return _scaled(a)


def _scaled(a: np.ndarray) -> np.ndarray:
    """Signals (..., n) whose energy is a number: those of extreme levels times a power of two, which changes no ratio."""
    if a.dtype.kind != "f":
        return a
    peaks = np.maximum(a.max(-1, keepdims=True), -a.min(-1, keepdims=True)).astype(np.float64)
    exponents = np.frexp(peaks)[1]
    if (np.abs(exponents) <= MODERATE).all():
        return a
    return np.asarray(np.ldexp(a.astype(np.float64), np.where(peaks > 0, -exponents, 0)))


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
