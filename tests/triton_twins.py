"""Run by `test_triton` in a process of its own, with Triton's interpreter: every kernel against its plain twin, on the processor.

The plain twins are what runs when `usable` says no.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from signals_for_tests import complex_normal, mixing_matrices, spectra

import bss
from bss.backends.torch.demixing import bin_models, covariance, low_rank, row_updates
from bss.backends.torch.kernels.available import usable
from bss.solvers.demixing import updates
from bss.solvers.demixing.contrasts import Nmf
from bss.solvers.mm import majorise_minimise

FRAMES = 150  # not a multiple of any block
ASKING = (covariance, bin_models, low_rank, row_updates)


def recorded(F: int, M: int, N: int, dtype: Any = np.complex64) -> torch.Tensor:
    """X (F, M, T) of N talkers, one bin of it silent."""
    X = mixing_matrices(F, M, N) @ spectra(F, N, FRAMES)
    X += 0.03 * complex_normal(np.random.default_rng(1), *X.shape)
    X[F // 2] = 0
    return torch.from_numpy(X.astype(dtype))


def without_kernels(work: Callable[[], Any]) -> Any:
    """What `work` gives by the plain twins."""
    for module in ASKING:
        module.usable = lambda Y, components=1: False
    try:
        return work()
    finally:
        for module in ASKING:
            module.usable = usable


def assert_near(got: torch.Tensor, want: torch.Tensor, what: str, tolerance: float = 1e-5) -> None:
    error = float((got - want).abs().max() / want.abs().max())
    if not error < tolerance:
        raise AssertionError(f"{what}: off by {error:.1e}")


def passes(F: int, M: int, N: int) -> None:
    Y = recorded(F, M, M)
    phi = torch.rand(N, FRAMES) + 0.1
    for weights, name in ((phi, "common weights"), (torch.rand(F, N, FRAMES), "weights of every bin")):
        V = covariance.weighted_covariances(Y, weights)
        assert_near(V, without_kernels(lambda w=weights: covariance.weighted_covariances(Y, w)), f"{name}, {M} microphones")
        if not torch.equal(V, V.mH):
            raise AssertionError("weighted covariances are not Hermitian")
    A = torch.from_numpy(mixing_matrices(F, M, M, seed=3))
    got, want = Y.clone(), Y.clone()
    power = covariance.demix_in_place(got, A, N)
    assert_near(power, without_kernels(lambda: covariance.demix_in_place(want, A, N)), "powers")
    assert_near(got, want, "outputs")


def algebra(F: int, M: int, N: int) -> None:
    Y = recorded(F, M, M)
    V = covariance.weighted_covariances(Y, torch.rand(N, FRAMES) + 0.1)
    V[0, -1] *= 1e-30  # nothing but what is loaded
    loads = 1e-9 * torch.diagonal(V, dim1=2, dim2=3).real.mean(2) + 1e-12
    torch.diagonal(V, dim1=2, dim2=3).add_(loads[:, :, None])
    C = covariance.covariance(Y)

    def update() -> tuple[torch.Tensor, torch.Tensor]:
        A = torch.eye(M, dtype=torch.complex128).repeat(F, 1, 1)
        return A, row_updates.iss(A, V, C, loads)

    for got, want, what in zip(update(), without_kernels(update), ("update", "determinant"), strict=True):
        assert_near(got, want, f"{what} by ISS, {N} of {M}", 1e-9)


def solvers(M: int, N: int) -> None:
    X = recorded(5, M, N)
    options = {"n_sources": N, "n_iter": 3, "tol": 0}
    work: dict[str, Callable[[], Any]] = {
        "auxiva": lambda: bss.auxiva(X, **options),
        "fdica": lambda: bss.fdica(X, **options),
        "ilrma": lambda: majorise_minimise(X, Nmf(3), updates.ISS, rng=1, **options),
        "student": lambda: majorise_minimise(X, Nmf(2, dof=20.0), updates.IP, rng=1, **options),
    }
    for name, solve in work.items():
        got, want = solve(), without_kernels(solve)
        assert_near(got.demixing, want.demixing, f"{name}, {N} of {M}", 1e-3)
        np.testing.assert_allclose(got.loss, want.loss, rtol=1e-4, atol=1e-4)


if __name__ == "__main__":
    torch.manual_seed(0)
    if not usable(recorded(3, 2, 2)):
        raise AssertionError("the kernels are not used: this is no test")
    for F, M, N in ((3, 2, 2), (34, 3, 2), (2, 8, 8)):
        passes(F, M, N)
    for F, M, N in ((5, 2, 2), (3, 4, 4), (3, 4, 2), (3, 3, 1), (2, 8, 7)):
        algebra(F, M, N)
    for M, N in ((2, 2), (3, 2)):
        solvers(M, N)
    print("all kernels agree")
