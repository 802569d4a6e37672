"""ICA on tensors: passes and solvers have the moments, tracks and losses of NumPy's arrays, and tensors as results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from signals_for_tests import independent, interference_db, mixing_matrix

import bss
from bss.backends.cpu.instantaneous import passes
from bss.errors import InputError, UsageError
from bss.solvers.instantaneous.problem import GAUSSIAN_VALUE

torch = pytest.importorskip("torch", reason="no torch: tensors are not tested")

from bss.backends.torch import instantaneous  # noqa: E402 - only where there is torch

CLOSE_DB, CLOSE_LOSS = 40.0, 1e-3
SOLVERS: dict[str, Callable[..., Any]] = {
    "fastica": bss.fastica,
    "fastica-exp": lambda x, **o: bss.fastica(x, contrast="exp", **o),
    "fastica-cube": lambda x, **o: bss.fastica(x, contrast="cube", **o),
    "deflation": lambda x, **o: bss.fastica(x, algorithm="deflation", refine=False, **o),
    "infomax": bss.infomax,
    "infomax-newton": lambda x, **o: bss.infomax(x, solver="newton", **o),
    "infomax-natural": lambda x, **o: bss.infomax(x, solver="natural", n_iter=50, **o),
    "picard-o": bss.picard_o,
    "picard-o-cube": lambda x, **o: bss.picard_o(x, contrast="cube", **o),
    "jade": bss.jade,
}


def recorded(n: int, dtype: Any = np.float32, M: int = 3, N: int = 3) -> np.ndarray:
    """(M, n) mixtures of heavy- and light-tailed sources, with an offset."""
    return np.asarray(mixing_matrix(M, N) @ independent("mixed", N, n) + 0.5, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [100, 20_000, 70_001])
def test_moments(n: int, dtype: Any) -> None:
    x = recorded(n, dtype)
    for got, want in zip(instantaneous.moments(torch.from_numpy(x)), passes.moments(x), strict=True):
        assert isinstance(got, np.ndarray)
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("stride", [1, 8, 16])
@pytest.mark.parametrize("nonlinearity", list(GAUSSIAN_VALUE))
@pytest.mark.parametrize("n", [90, 3000, 70_001])
def test_a_pass(n: int, nonlinearity: str, stride: int) -> None:
    x = recorded(n)
    W, mean = np.random.default_rng(1).standard_normal((2, 3)), x.mean(1, dtype=np.float64)
    want = passes.ica_pass(x, W, mean, nonlinearity, stride=stride)
    got = instantaneous.ica_pass(torch.from_numpy(x), W, mean, nonlinearity, stride=stride)
    for g, w in zip(got, want, strict=True):
        assert isinstance(g, np.ndarray)
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-5 * np.abs(w).max())
    without = instantaneous.ica_pass(torch.from_numpy(x), W, mean, nonlinearity, stride=stride, value=False)
    np.testing.assert_array_equal(without[0], got[0])
    np.testing.assert_array_equal(without[1], got[1])


def test_passes_in_many_pieces_are_those_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.from_numpy(recorded(50_000, np.float64))
    W, mean = np.eye(3), np.zeros(3)

    def all_of_them() -> list[np.ndarray]:
        found = [*instantaneous.moments(x), instantaneous.fourth_moments(x, W, mean)]
        for stride in (1, 8):
            found += instantaneous.ica_pass(x, W, mean, "logcosh", stride=stride)
        return found

    whole = all_of_them()
    monkeypatch.setattr("bss.backends.torch.pieces.piece_bytes", lambda device: 30_000)
    for got, want in zip(all_of_them(), whole, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


def test_fourth_moments() -> None:
    x = recorded(9000)
    K, mean = np.random.default_rng(2).standard_normal((3, 3)), x.mean(1, dtype=np.float64)
    got = instantaneous.fourth_moments(torch.from_numpy(x), K, mean)
    want = passes.fourth_moments(x, K, mean)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * np.abs(want).max())
    np.testing.assert_array_equal(got, got.transpose(2, 0, 3, 1))


@pytest.mark.parametrize("name", list(SOLVERS))
def test_solvers(name: str) -> None:
    x = recorded(70_000)  # long enough for parts of it to come first
    want, got = SOLVERS[name](x, rng=3), SOLVERS[name](torch.from_numpy(x), rng=3)
    assert isinstance(got.sources, torch.Tensor)
    assert got.sources.dtype == torch.float32
    tracks = got.sources.numpy()
    assert min(bss.si_sdr(want.sources[n : n + 1], tracks[n : n + 1]).min() for n in range(3)) > CLOSE_DB
    assert got.loss[-1] == pytest.approx(want.loss[-1], rel=CLOSE_LOSS)
    assert got.converged == want.converged
    np.testing.assert_allclose((got.demixing @ got.mixing).numpy(), np.eye(3), atol=1e-4)
    assert interference_db(got.demixing.numpy() @ mixing_matrix(3, 3)) < -20


@pytest.mark.parametrize("name", ["fastica", "infomax", "picard-o", "jade"])
def test_fewer_sources_than_microphones(name: str) -> None:
    x = recorded(20_000, np.float64, M=4, N=4)
    want, got = (SOLVERS[name](a, n_sources=2, rng=3) for a in (x, torch.from_numpy(x)))
    assert got.demixing.shape == (2, 4)
    np.testing.assert_allclose(got.demixing.numpy(), want.demixing, atol=1e-4 * np.abs(want.demixing).max())


def test_whitening() -> None:
    x = recorded(10_000)
    x = np.vstack([x, x[0] - x[1]])
    want, got = bss.whiten(x), bss.whiten(torch.from_numpy(x))
    assert got.rank == want.rank == 3
    assert isinstance(got.whitened, torch.Tensor)
    np.testing.assert_allclose(got.whitened.numpy(), want.whitened, atol=1e-4)
    np.testing.assert_allclose(got.matrix, want.matrix, rtol=1e-6)


def test_what_cannot_be_used_is_refused_as_of_arrays() -> None:
    x = torch.from_numpy(recorded(1000))
    broken = x.clone()
    broken[1, 7] = np.nan
    for solver in (bss.fastica, bss.infomax, bss.picard_o, bss.jade, bss.whiten):
        with pytest.raises(InputError, match="channel 1 of X contains 1 NaN or infinite samples, the first at sample 7"):
            solver(broken)
        with pytest.raises(InputError, match="axes seem to be swapped"):
            solver(x.T)
        with pytest.raises(InputError, match="every channel is constant"):
            solver(torch.zeros_like(x))
    with pytest.raises(UsageError, match="complex"):
        bss.fastica(torch.complex(x, x))
