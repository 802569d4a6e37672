"""Centring and whitening, with the number of independent channels found on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.backends import dispatch
from bss.backends.numeric import floor
from bss.backends.operations import Array
from bss.checks import check_finite, check_layout, check_level, check_recording
from bss.errors import InputError, UsageError, check_int


@dataclass(frozen=True)
class Whitening:
    """Uncorrelated channels of unit variance: `whitened == matrix @ (x - mean)`.

    Attributes
    ----------
    whitened : np.ndarray
        (R, n), rows of zero mean whose covariance is the identity.
    matrix : np.ndarray
        (R, M) float64.
    mean : np.ndarray
        (M,) float64.
    rank : int
        R, how many of the M channels are linearly independent, or how many were asked for.
    """

    whitened: Array
    matrix: np.ndarray
    mean: np.ndarray
    rank: int


def whiten(x: Array, *, n_components: int | None = None) -> Whitening:
    """Centre and whiten by the principal components of the covariance.

    Parameters
    ----------
    x : np.ndarray
        (M, n) samples.
    n_components : int, optional
        How many components to keep, at most the rank; all independent ones by default.

    Returns
    -------
    Whitening
        Whitened signals in the precision of x; matrix and mean in float64.

    Raises
    ------
    InputError
        x is not a usable recording, or all its channels are constant.
    UsageError
        More components are asked for than there are independent channels.

    References
    ----------
    A. Hyvärinen and E. Oja, "Independent component analysis: algorithms and applications", Neural Networks 13, 2000.

    Examples
    --------
    >>> import numpy as np, bss
    >>> x = np.random.default_rng(0).normal(size=(2, 1000)) + 3.0
    >>> white = bss.whiten(np.vstack([x, x[0] - x[1]]))
    >>> white.rank
    2
    >>> np.allclose(white.whitened @ white.whitened.T / 1000, np.eye(2))
    True
    """
    if dispatch.is_tensor(x):
        check_layout(tuple(x.shape), dispatch.of(x).precision(x), name="x")
    else:
        x = check_level(check_recording(x), name="x")
    backend = dispatch.of(x)
    matrix, mean, _ = whitening_matrix(x, n_components)
    white, centre = (backend.cast(backend.array(a, x), x) for a in (matrix, mean))
    return Whitening(white @ (x - centre[:, None]), matrix, mean, matrix.shape[0])


def whitening_matrix(x: Array, n_components: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(R, M) matrix, (M,) mean and (M, M) covariance of x, all float64; R is the rank or n_components."""
    backend = dispatch.of(x)
    mean, covariance = dispatch.passes_of(x).moments(x)
    precision: np.dtype[Any] = backend.precision(x)
    if not np.isfinite(covariance).all():
        check_finite(backend.host(x), name="X")
        raise InputError("the power of X overflows", "its samples are beyond single precision", "samples between -1 and 1")
    scale = np.sqrt(np.diag(covariance))
    live = scale > 8 * np.finfo(precision).eps * np.abs(mean)  # less is little but the rounding of a constant
    if not live.any():
        raise InputError("every channel is constant", "there is nothing to separate", "another recording, or `bss check`")
    # unit channels first: a quiet microphone is not a dependent one
    unit = np.where(live, scale, np.inf)
    values, vectors = np.linalg.eigh(covariance / np.outer(unit, unit))
    order = np.argsort(values)[::-1]
    values, vectors = values[order], vectors[:, order]
    size = 1 + (mean / unit) ** 2  # power of the samples, offset and all, in each unit channel
    rank = int(np.sum(values > rank_threshold(precision, values[0], size @ vectors**2)))
    if n_components is None:
        n_components = rank
    check_int("n_components", n_components, 1)
    if n_components > rank:
        raise UsageError(
            f"{n_components} components asked for, {rank} of {len(values)} channels are independent",
            "a channel that is a copy or a mix of others adds nothing", f"at most {rank}",
        )  # fmt: skip
    keep = slice(0, n_components)
    if n_components < rank:  # the strongest components of the recording itself, not of the unit channels
        return (*_strongest(covariance, n_components, mean), covariance)
    matrix = vectors[:, keep].T / np.sqrt(values[keep])[:, None] / unit
    return matrix, mean, covariance


def _strongest(covariance: np.ndarray, count: int, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, vectors = np.linalg.eigh(covariance)
    keep = np.argsort(values)[::-1][:count]
    return vectors[:, keep].T / np.sqrt(values[keep])[:, None], mean


def rank_threshold(dtype: np.dtype[Any], largest: float, size: np.ndarray) -> np.ndarray:
    """Eigenvalues of the covariance of unit channels below this are roundings of the samples, not signals.

    size (M,) is the power of the samples along each eigenvector, an offset included, in units of their variance.
    """
    # a sample is rounded to eps of its size, so the copy of a channel leaves eps^2 of power; the sums are float64
    return np.asarray(np.maximum((4 * np.finfo(dtype).eps) ** 2 * size, floor(np.float64)) * largest)
