"""The order of the talkers, made the same in every frequency bin: bins of one talker are loud in the same frames."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

N_SWEEPS = 20


def align(activity: np.ndarray) -> np.ndarray:
    """The order in which every bin's sources belong together.

    Neighbouring bins are joined to groups, groups to larger groups, each time in the order in which their activities correlate
    best; then each bin is put in the order that correlates best with the whole, until none changes.

    Parameters
    ----------
    activity : np.ndarray
        (F, N, T) how much of each bin and frame is each source: posteriors, or shares of the power.

    Returns
    -------
    np.ndarray
        (F, N): source n is `activity[f, order[f, n]]` in bin f.

    References
    ----------
    H. Sawada, S. Araki and S. Makino, "Underdetermined convolutive blind source separation via frequency bin-wise clustering
    and permutation alignment", IEEE TASLP 19(3), 2011.
    """
    v = _unit(activity)
    order = _joined(v)
    rows = np.arange(len(v))[:, None]
    for _ in range(N_SWEEPS):
        whole = v[rows, order].sum(0)
        better = np.stack([_best(whole, bin_) for bin_ in v])
        if np.array_equal(better, order):
            break
        order = better
    return order


def shares(images: np.ndarray) -> np.ndarray:
    """(F, N, T) share that each source has of the power in a bin and frame, from the sources' powers (F, N, T)."""
    total = images.sum(1, keepdims=True)
    return np.asarray(images / np.where(total > 0, total, 1))


def _unit(activity: np.ndarray) -> np.ndarray:
    """Activities of mean zero and length one over frames; constant ones are zero."""
    v = activity - activity.mean(2, keepdims=True)
    length = np.sqrt(np.einsum("fnt,fnt->fn", v, v, dtype=np.float64))[:, :, None]
    v /= np.where(length > 0, length, 1).astype(v.dtype)
    return np.asarray(v)


def _best(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N,) rows of `second` (N, T) in the order in which they correlate best with those of `first`."""
    return np.asarray(linear_sum_assignment(np.einsum("it,jt->ij", first, second), maximize=True)[1])


def _joined(v: np.ndarray) -> np.ndarray:
    """(F, N) order from joining neighbours, level by level."""
    F, N, _ = v.shape
    order = np.tile(np.arange(N), (F, 1))
    groups = [(f, f + 1, v[f]) for f in range(F)]
    while len(groups) > 1:
        merged = []
        for left, right in zip(groups[::2], groups[1::2], strict=False):
            best = _best(left[2], right[2])
            order[right[0] : right[1]] = order[right[0] : right[1], best]
            merged.append((left[0], right[1], left[2] + right[2][best]))
        groups = merged + groups[len(merged) * 2 :]
    return order
