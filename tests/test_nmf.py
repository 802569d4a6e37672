"""The NMF fit that ILRMA begins from."""

from __future__ import annotations

import numpy as np
import pytest
import reference_ordering as reference
from signals_for_tests import complex_normal, spectra

from bss.backends.cpu import backend, threads
from bss.backends.cpu.models import nmf as nmf_kernels
from bss.errors import InputError, UsageError
from bss.solvers.demixing import updates
from bss.solvers.demixing.contrasts import Nmf
from bss.solvers.mm import majorise_minimise
from bss.solvers.models import nmf


def divergence(P: np.ndarray, B: np.ndarray, H: np.ndarray) -> float:
    R = B @ H
    return float(np.mean(P / R + np.log(R)))


def outputs(F: int = 40, N: int = 2, T: int = 90, dtype: type = np.complex64, components: int = 3) -> np.ndarray:
    """Sources whose bins are at levels 60 dB apart."""
    return (spectra(F, N, T, components=components) * np.geomspace(1, 1e-3, F)[:, None, None]).astype(dtype)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize(("F", "K"), [(40, 4), (37, 6), (1, 1)])
@pytest.mark.parametrize("frames", [512, 32, 48])
def test_a_step_is_the_papers(F: int, K: int, frames: int, dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nmf_kernels, "BLOCK_FRAMES", frames)
    Y = outputs(F, dtype=dtype)
    P = np.abs(Y.astype(complex)).transpose(1, 0, 2) ** 2
    mean = P.mean(2, keepdims=True)
    state = backend.nmf(Y, K, np.random.default_rng(0))
    B, H = state.factors()
    B = B / mean
    for _ in range(3):
        state.step()
        B, H = reference.nmf_step(np.maximum(P / mean, 1e-6), B, H, 1e-6)
    got_B, got_H = state.factors()
    np.testing.assert_allclose(got_B, B * mean, rtol=2e-3)
    np.testing.assert_allclose(got_H, H, rtol=2e-3)


def test_the_fit_is_near_the_truth_whatever_the_level() -> None:
    Y = outputs(300, 2, 400)
    fits = []
    for gain in (1.0, 1e-4, 1e3):
        basis, activation = nmf.fit_nmf(np.asarray(Y * np.float32(gain)), 3, n_iter=60)
        assert basis.shape == (2, 300, 3)
        assert activation.shape == (2, 3, 400)
        level = np.sqrt(np.mean(np.abs(Y) ** 2))
        P = np.abs(Y).transpose(1, 0, 2) ** 2 / level**2
        fits.append(divergence(P, basis, activation))
        flat = divergence(P, P.mean(2, keepdims=True), np.ones((2, 1, 400)))
        assert fits[-1] < flat - 0.3
    np.testing.assert_allclose(fits, fits[0], rtol=1e-3)


def test_some_of_the_bins_teach_the_activations(monkeypatch: pytest.MonkeyPatch) -> None:
    Y = outputs(600, 2, 200)
    P = np.abs(Y).transpose(1, 0, 2) ** 2 / np.mean(np.abs(Y) ** 2)
    everything = divergence(P, *nmf.fit_nmf(Y, 3, n_iter=40))
    monkeypatch.setattr(nmf, "ENOUGH", 75)
    some = divergence(P, *nmf.fit_nmf(Y, 3, n_iter=40))
    assert some == pytest.approx(everything, abs=0.05)
    assert some != everything


def test_bytes_do_not_depend_on_threads() -> None:
    found = []
    for count in (1, 2):
        with threads.limited(count):
            found.append(b"".join(a.tobytes() for a in nmf.fit_nmf(outputs(), 5)))
    assert found[0] == found[1]


def test_silence_leaves_nothing_that_is_not_a_number() -> None:
    Y = outputs()
    Y[3:9] = 0
    Y[:, 1, 20:40] = 0
    Y[:, 0] *= 1e-9
    basis, activation = nmf.fit_nmf(Y, 4)
    assert np.isfinite(basis).all()
    assert np.isfinite(activation).all()
    assert basis.min() >= 0
    assert not basis[:, 3:9].any()
    assert activation.min() > 0


def test_ilrma_goes_on_from_it() -> None:
    X = (np.eye(2) + 0.3 * complex_normal(np.random.default_rng(1), 40, 2, 2)) @ outputs()
    X = X.astype(np.complex64)
    basis, activation = nmf.fit_nmf(X, 4)
    begun = majorise_minimise(X, Nmf(4, basis, activation), updates.ISS, n_iter=2, tol=0)
    random = majorise_minimise(X, Nmf(4), updates.ISS, n_iter=2, tol=0)
    assert begun.loss[0] < random.loss[0] - 0.5


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(UsageError, match="n_components"):
        nmf.fit_nmf(outputs(), 0)
    with pytest.raises(UsageError, match="n_iter"):
        nmf.fit_nmf(outputs(), 2, n_iter=0)
    with pytest.raises(InputError, match="silent"):
        nmf.fit_nmf(np.zeros((4, 2, 9), np.complex64), 2)
