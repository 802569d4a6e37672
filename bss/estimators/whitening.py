"""Principal components of samples in scikit-learn's orientation, also of fewer samples than features."""

from __future__ import annotations

import numpy as np

from bss.errors import InputError, check_choice

WHITEN_SOLVERS = ("svd", "eigh")


def principal_whitening(X: np.ndarray, solver: str) -> tuple[np.ndarray, np.ndarray]:
    """(R, p) matrix K and (p,) mean such that K (x - mean) has the covariance 1/n, R being the rank of X (n, p).

    As of `sklearn.decomposition.FastICA`, with the same signs; strongest component first.

    Raises
    ------
    InputError
        All features are constant.
    """
    check_choice("whiten_solver", solver, WHITEN_SOLVERS)
    mean = X.mean(axis=0, dtype=np.float64).astype(X.dtype)
    centred = X - mean
    if solver == "svd":
        _, d, rows = np.linalg.svd(centred, full_matrices=False)
        least = d.max(initial=0.0) * max(X.shape) * np.finfo(X.dtype).eps
    else:  # the squares of small singular values are lost in the roundings of the large ones
        values, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        order = np.argsort(values)[::-1][: min(X.shape)]
        d, rows = np.sqrt(np.maximum(values[order], 0.0)), vectors.T[order]
        least = d.max(initial=0.0) * (len(values) * np.finfo(X.dtype).eps) ** 0.5
    # what the mean was rounded by is left in each feature that is constant
    least = max(least, 2 * np.finfo(X.dtype).eps * float(np.abs(mean).max()) * X.size**0.5)
    rank = int(np.sum(d > least))
    if rank == 0:
        raise InputError("all features of X are constant", "there is nothing to separate", "other data")
    rows = rows[:rank] * np.where(rows[:rank, :1] < 0, -1.0, 1.0)
    return (rows / d[:rank, None]).astype(X.dtype), mean


def white_deviation(X: np.ndarray) -> float:
    """The largest entry of the covariance of X (n, p) minus the identity."""
    return float(np.abs(np.cov(X, rowvar=False, bias=True).reshape(X.shape[1], -1) - np.eye(X.shape[1])).max())
