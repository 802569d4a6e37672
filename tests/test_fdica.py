"""Frequency-domain ICA: the loss is that of every bin by itself, it falls, and the bins end in one order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from signals_for_tests import complex_normal, convolutive, interference_db

import bss
from bss.errors import BssError
from bss.kernels import threads
from bss.solvers import updates
from bss.solvers.fdica import BinLaplace
from bss.solvers.mm import majorise_minimise

COMPLEX = [np.complex64, np.complex128]
SIZES = [(1, 1), (2, 2), (3, 3), (3, 2), (4, 2)]


def sparse(M: int, N: int, dtype: Any, T: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """X (F, M, T) and mixing (F, M, N): talkers whose bins are sparse, and loud together."""
    rng = np.random.default_rng(M * 10 + N)
    S = complex_normal(rng, 33, N, T) * np.sqrt(rng.gamma(0.2, size=(1, N, T)) * rng.gamma(0.5, size=(33, N, T)))
    A = complex_normal(rng, 33, M, N) + 2 * np.eye(M, N)
    noise = 1e-3 * complex_normal(rng, 33, M, T)
    return np.ascontiguousarray(A @ S + noise, dtype), A


@pytest.mark.parametrize("update", updates.NAMES)
@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize(("M", "N"), SIZES)
def test_the_loss_never_rises_and_talkers_are_separated(M: int, N: int, dtype: Any, update: str) -> None:
    X, A = sparse(M, N, dtype)
    kept = X.copy()
    result = bss.fdica(X, n_sources=N, update=update, tol=0, n_iter=60)
    np.testing.assert_array_equal(X, kept)
    assert result.demixing.shape == (33, N, M)
    assert result.sources.dtype == dtype
    np.testing.assert_allclose(result.sources, result.demixing @ X, atol=1e-4 * np.abs(result.sources).max())
    assert np.diff(result.loss).max() <= (1e-9 if dtype is np.complex128 else 1e-4) * np.abs(result.loss).max()
    assert result.loss[-1] < result.loss[0]
    assert interference_db(result.demixing @ A) < -15


@pytest.mark.parametrize(("M", "T"), [(2, 100), (2, 700), (3, 700)])
def test_the_loss_is_the_one_of_every_bin_by_itself(M: int, T: int) -> None:
    X, _ = sparse(M, M, np.complex128, T)
    level = np.sqrt(np.mean(np.abs(X) ** 2))
    result = bss.fdica(X, n_iter=4, tol=0)
    bins = [bss.fdica(X[f : f + 1] * (level / np.sqrt(np.mean(np.abs(X[f]) ** 2))), n_iter=4, tol=0) for f in range(3)]
    r = np.maximum(np.abs(X / level), 1e-3)
    first = np.sum(np.abs(X / level) ** 2 / r + r, axis=1).mean()
    assert result.loss[0] == pytest.approx(first, rel=1e-12)
    for f, alone in enumerate(bins):
        gain = np.abs(alone.demixing @ np.linalg.inv(result.demixing[f]))[0]  # a permutation times a gain
        assert np.sort(gain, axis=1)[:, :-1].max() < 0.05 * gain.max()


def test_bytes_do_not_depend_on_threads() -> None:
    X, _ = sparse(3, 3, np.complex64)
    found = []
    for count in (1, 3):
        with threads.limited(count):
            found.append(bss.fdica(X, n_iter=10).sources.tobytes())
    assert found[0] == found[1]


def test_without_the_alignment_the_bins_are_not_in_one_order() -> None:
    X, A = sparse(2, 2, np.complex128)
    swap = np.where(np.random.default_rng(0).integers(0, 2, (33, 1, 1)), np.eye(2), np.eye(2)[::-1])
    alone = majorise_minimise(X, BinLaplace(), updates.ISS, start=swap.astype(complex))
    assert interference_db(alone.demixing @ A) > -5
    assert interference_db(bss.fdica(X, start=swap.astype(complex)).demixing @ A) < -20


def test_auxiva_s_own_talkers_are_separated_too() -> None:
    X, A = convolutive(2, 2, np.complex64)
    assert interference_db(bss.fdica(X).demixing @ A) < -10


@pytest.mark.parametrize(
    ("options", "words"),
    [({"n_sources": 3}, "3 sources"), ({"update": "newton"}, "newton"), ({"n_iter": 0}, "n_iter=0"), ({"tol": -1}, "tol=-1")],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(BssError, match=words):
        bss.fdica(sparse(2, 2, np.complex64)[0], **options)
