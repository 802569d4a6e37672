"""Variances that somebody else knows (`contrasts.Known`): the kernel against its twin, the loss, and what knowing brings."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from array_kinds import Kind
from signals_for_tests import convolutive, every_update_and_type, interference_db, spectra

from bss.errors import UsageError
from bss.solvers.demixing import updates
from bss.solvers.demixing.contrasts import Known
from bss.solvers.mm import majorise_minimise


def test_a_sweep_is_the_one_of_the_reference() -> None:
    X, _ = convolutive(3, 3, np.complex128, n_frames=101)
    R = np.random.default_rng(1).uniform(0.2, 3.0, X.shape)
    result = majorise_minimise(X, Known(R), updates.by_name("iss"), n_iter=1, tol=0)
    level = np.sqrt(np.mean(np.abs(X) ** 2))
    _, W = reference.iss(X / level, np.broadcast_to(np.eye(3), (*X.shape[:1], 3, 3)), level**2 / R.swapaxes(0, 1), 3)
    ratio = result.demixing / W
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:1, :1, :1], ratio.shape), rtol=1e-9)


@every_update_and_type
@pytest.mark.parametrize(("n_mics", "n_sources"), [(2, 2), (3, 3), (4, 2), (3, 1)])
def test_the_loss_never_rises_and_knowing_the_variances_separates(
    n_mics: int, n_sources: int, dtype: type, update: str, kind: Kind
) -> None:
    X, A = convolutive(n_mics, n_sources, dtype)
    V = known(X, A)[:, :n_sources]
    how = updates.by_name(update)
    result = kind.result(majorise_minimise(kind.array(X), Known(kind.array(V)), how, n_sources=n_sources, n_iter=30, tol=0))
    assert np.diff(result.loss).max() <= (1e-9 if dtype is np.complex128 else 1e-4) * np.abs(result.loss).max()
    assert interference_db(result.demixing @ A) < -24


def known(X: np.ndarray, A: np.ndarray) -> np.ndarray:
    """|s|^2 (F, N, T) of the talkers in X = A s, noise and all."""
    return np.abs(np.linalg.pinv(A) @ X) ** 2 + 1e-4 * np.mean(np.abs(X) ** 2)


def test_variances_in_another_order_give_the_talkers_in_that_order() -> None:
    X, A = convolutive(2, 2, np.complex64)
    V = known(X, A)
    straight, swapped = (
        majorise_minimise(X, Known(v), updates.by_name("ip"), n_iter=20, tol=0).demixing @ A for v in (V, V[:, ::-1])
    )
    for G, first in ((straight, 0), (swapped, 1)):
        own, other = np.abs(G[:, 0, first]), np.abs(G[:, 0, 1 - first])
        assert np.median(own / other) > 10


def test_only_ratios_of_the_variances_over_time_matter_to_the_demixing() -> None:
    X, A = convolutive(2, 2, np.complex64)
    V = known(X, A)
    loud = V * np.random.default_rng(0).uniform(0.1, 10, (V.shape[0], V.shape[1], 1))
    a, b = (majorise_minimise(X, Known(v), updates.by_name("ip"), n_iter=60, tol=0).demixing @ A for v in (V, loud))
    assert interference_db(a) == pytest.approx(interference_db(b), abs=1.0)


def test_silent_bins_and_wrong_shapes(kind: Kind) -> None:
    X = spectra(5, 2, 40).astype(np.complex64)
    V = np.abs(X) ** 2
    V[2] = 0
    given = kind.array(X)
    assert np.isfinite(kind.numpy(majorise_minimise(given, Known(V), updates.by_name("ip"), n_iter=3).demixing)).all()
    with pytest.raises(UsageError, match="variances of shape"):
        majorise_minimise(given, Known(V[:, :1]), updates.by_name("ip"))
