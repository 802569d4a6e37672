"""Tensors against NumPy's arrays: from the same start, ten iterations on, every solver has the same tracks and losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from array_kinds import Kind, of_tensors
from signals_for_tests import RATE, images, room, voices

import bss
from bss.solvers.demixing import updates
from bss.solvers.demixing.contrasts import Known, Nmf
from bss.solvers.mm import majorise_minimise

pytestmark = of_tensors
TENSORS = Kind("torch")
STFT = bss.Stft(512, 128)
ITERATIONS = 10
CLOSE_DB, CLOSE_LOSS = 40.0, 1e-3
Solver = Callable[[Any], Any]


def recorded(M: int, N: int, seed: int = 2) -> np.ndarray:
    """X (F, M, T) complex64: two seconds of N talkers in a room with some noise, by M microphones."""
    x = images(room(M, N, seed=seed), voices(N, 2 * RATE, seed=3)).sum(0)
    x += 0.01 * np.random.default_rng(4).standard_normal(x.shape)
    return STFT.forward(x.astype(np.float32))


def sizes() -> list[tuple[int, int]]:
    return [(2, 2), (3, 3), (4, 4), (3, 2), (4, 2)]


def variances(X: np.ndarray) -> np.ndarray:
    """(F, 2, T) of something like two talkers."""
    return np.abs(X[:, :2]) ** 2 + 1e-3 * np.mean(np.abs(X) ** 2)


def every_solver() -> list[Any]:
    """A solver of X, for each size, update and contrast."""
    found: list[Any] = []

    def add(name: str, M: int, N: int, solver: Solver) -> None:
        found.append(pytest.param(solver, M, N, id=f"{name}-{M}-{N}"))

    for M, N in sizes():
        for update in updates.NAMES:
            add(f"auxiva-{update}", M, N, lambda X, N=N, u=update: bss.auxiva(X, n_sources=N, update=u, n_iter=ITERATIONS, tol=0))
            add(f"bins-{update}", M, N, lambda X, N=N, u=update: bss.fdica(X, n_sources=N, update=u, n_iter=ITERATIONS, tol=0))
    for contrast in ("gauss", "student-t", "generalised-gauss"):
        add(contrast, 3, 3, lambda X, c=contrast: bss.auxiva(X, contrast=c, n_iter=ITERATIONS, tol=0))
    for M, N in ((2, 2), (3, 2)):
        add("overiva", M, N, lambda X, N=N: bss.overiva(X, n_sources=N, n_iter=ITERATIONS, tol=0))
        add("three-candidates", M, N, lambda X, N=N: bss.fdica(X, n_sources=N, n_iter=ITERATIONS, tol=0, candidates=3))
        add("principal", M, N, lambda X, N=N: bss.fdica(X, n_sources=N, n_iter=ITERATIONS, tol=0, principal=True))
        for dof in (None, 30.0):
            for update in ("iss", "ip"):
                add(
                    f"ilrma-{dof}-{update}", M, N,
                    lambda X, N=N, d=dof, u=update: majorise_minimise(
                        X, Nmf(4, dof=d), updates.by_name(u), n_sources=N, n_iter=ITERATIONS, tol=0, rng=5
                    ),
                )  # fmt: skip
    for update in updates.NAMES:
        add(f"known-{update}", 3, 2, lambda X, u=update: known(X, u))
    add("others", 4, 2, lambda X: bss.fdica(X, n_sources=2, n_iter=ITERATIONS, tol=0, others=True))
    return found


def known(X: Any, update: str) -> Any:
    """With variances that are NumPy's, whatever X is."""
    V = variances(X if isinstance(X, np.ndarray) else TENSORS.numpy(X))
    return majorise_minimise(X, Known(V), updates.by_name(update), n_sources=2, n_iter=ITERATIONS, tol=0)


def apart_db(got: np.ndarray, want: np.ndarray) -> float:
    """The least SI-SDR of a track against its twin."""
    return float(np.min(np.diagonal(np.atleast_2d(bss.si_sdr(want[:, None], got)))))


@pytest.mark.parametrize(("solver", "M", "N"), every_solver())
def test_tracks_and_losses_are_those_of_numpy_s_arrays(solver: Solver, M: int, N: int) -> None:
    X = recorded(M, N)
    want = bss.projection_back(solver(X), X)
    tensor = TENSORS.array(X)
    got = TENSORS.result(bss.projection_back(solver(tensor), tensor))
    assert (got.sources.dtype, got.demixing.dtype, got.loss.dtype) == (X.dtype, X.dtype, np.float64)
    np.testing.assert_allclose(got.loss, want.loss, rtol=CLOSE_LOSS, atol=CLOSE_LOSS)
    tracks = [STFT.inverse(np.ascontiguousarray(s), 2 * RATE) for s in (got.sources, want.sources)]
    assert apart_db(*tracks) > CLOSE_DB
    assert got.message == want.message


@pytest.mark.parametrize("update", updates.NAMES)
@pytest.mark.parametrize(("M", "N"), [(2, 2), (4, 3)])
def test_in_double_precision_they_agree_to_the_last_digits(M: int, N: int, update: str) -> None:
    X = recorded(M, N).astype(np.complex128)
    options = {"n_sources": N, "update": update, "n_iter": ITERATIONS, "tol": 0}
    want, got = bss.auxiva(X, **options), TENSORS.result(bss.auxiva(TENSORS.array(X), **options))
    np.testing.assert_allclose(got.loss, want.loss, rtol=1e-9)
    np.testing.assert_allclose(got.demixing, want.demixing, atol=1e-6 * np.abs(want.demixing).max())
