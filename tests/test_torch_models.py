"""FastMNMF2, cACGMM, full-rank EM, NMF, WPE and T-ISS on tensors: the tracks, losses and filters of NumPy's arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from signals_for_tests import RATE, complex_normal, images, room, voices

import bss
from bss.solvers.demixing import tiss, updates
from bss.solvers.models import fullrank, masks, mnmf
from bss.solvers.models.nmf import fit_nmf

torch = pytest.importorskip("torch", reason="no torch: tensors are not tested")

STFT = bss.Stft(256, 64)
ITERATIONS = 10
CLOSE_DB, CLOSE_LOSS = 40.0, 1e-3


def recorded(M: int, N: int) -> np.ndarray:
    """X (F, M, T) complex64: a second of N talkers in a room, with noise 30 dB below; nothing in one bin and some frames."""
    x = images(room(M, N, seed=2, taps=200), voices(N, RATE, seed=3)).sum(0)
    x += 0.03 * np.random.default_rng(4).standard_normal(x.shape)
    X = STFT.forward(x.astype(np.float32))
    X[0] = 0
    X[:, :, 40:44] = 0
    return X


def numpy_of(x: Any) -> np.ndarray:
    """What the tensor x holds; it has to be one."""
    assert isinstance(x, torch.Tensor)
    return np.asarray(x.numpy())


def apart_db(got: np.ndarray, want: np.ndarray) -> float:
    """The least SI-SDR of a track (F, N, T) against its twin."""
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    tracks = [STFT.inverse(np.ascontiguousarray(Y), RATE) for Y in (want, got)]
    return min(float(bss.si_sdr(*(t[n : n + 1] for t in tracks)).min()) for n in range(want.shape[1]))


def assert_alike(solver: Callable[[Any], Any], X: np.ndarray) -> None:
    """The same sources and losses, whatever X is an array of."""
    want, got = solver(X), solver(torch.from_numpy(X))
    assert apart_db(numpy_of(got.sources), want.sources) > CLOSE_DB
    np.testing.assert_allclose(got.loss, want.loss, rtol=CLOSE_LOSS, atol=CLOSE_LOSS)
    assert isinstance(got.loss, np.ndarray)
    assert (got.n_iter, got.message) == (want.n_iter, want.message)


def assert_near(got: np.ndarray, want: np.ndarray, tolerance: float) -> None:
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= tolerance * np.abs(want).max()


@pytest.mark.parametrize("update", updates.NAMES)
@pytest.mark.parametrize(("M", "N"), [(2, 2), (3, 2), (2, 3)])
def test_fastmnmf(M: int, N: int, update: str) -> None:
    X = recorded(M, N)
    assert_alike(lambda X: bss.fastmnmf(X, n_sources=N, update=update, n_iter=ITERATIONS, tol=0, rng=1), X)


def test_fastmnmf_s_covariances_and_sum() -> None:
    X = recorded(3, 3)
    (_, want), (separation, got) = (mnmf.fit(x, n_iter=ITERATIONS, tol=0) for x in (X, torch.from_numpy(X)))
    R = numpy_of(got.covariances())
    assert_near(R[1:], want.covariances()[1:], 1e-3)
    np.testing.assert_allclose(np.trace(R, axis1=2, axis2=3), 3, atol=1e-9)
    np.testing.assert_allclose(numpy_of(separation.sources.sum(1)), X[:, 0], atol=1e-4 * np.abs(X).max())


@pytest.mark.parametrize(("M", "N"), [(2, 2), (2, 3), (3, 4)])
def test_cacgmm_from_masks(M: int, N: int) -> None:
    X = recorded(M, N)
    start = np.random.default_rng(5).dirichlet(np.ones(N), X.shape[::2]).swapaxes(1, 2)
    assert_alike(lambda X: bss.cacgmm(X, n_sources=N, n_iter=ITERATIONS, tol=0, start=start), X)
    assert_alike(lambda X: bss.cacgmm(X, n_sources=N, n_iter=3, tol=0, start=np.float32(start)), X)


def test_cacgmm_from_its_own_beginnings() -> None:
    X = recorded(2, 2)
    assert_alike(lambda X: bss.cacgmm(X, n_iter=30, tol=0, rng=3), X)


def test_masks_of_tensors_sum_to_one_and_to_nothing_in_silence() -> None:
    X = recorded(2, 3)
    mixture, _ = masks.fit(torch.from_numpy(X), 3, n_iter=5, tol=0)
    total = numpy_of(mixture.masks().sum(1))
    heard = np.any(X != 0, axis=1)
    np.testing.assert_allclose(total[heard], 1, atol=1e-5)
    assert not total[~heard].any()


def test_delays_that_stand_out() -> None:
    rng = np.random.default_rng(6)
    F = 129
    S = complex_normal(rng, F, 2, 200) * (rng.random((1, 2, 200)) < 0.3)
    A = np.exp(-1j * np.pi * np.arange(F)[:, None, None] / (F - 1) * np.array([[0.0, 0.0], [2.5, -3.25]]))
    X = (A @ S).astype(np.complex64)
    want, got = masks.standing_out(X, 2), masks.standing_out(torch.from_numpy(X), 2)
    assert want is not None
    assert got is not None
    # frames of one talker alone are as clear as each other: which comes first is for roundings to say
    assert sorted(got[:, 1]) == sorted(want[:, 1]) == [-3.25, 2.5]
    assert masks.standing_out(torch.zeros((1, 2, 10), dtype=torch.complex64), 2) is None  # one bin has no phase


@pytest.mark.parametrize(("M", "N"), [(2, 2), (2, 3), (3, 2)])
def test_full_rank_em(M: int, N: int) -> None:
    X = recorded(M, N)
    shares = np.random.default_rng(7).dirichlet(np.ones(N), X.shape[::2]).swapaxes(1, 2).astype(np.float32)
    want, got = fullrank.from_masks(X, shares), fullrank.from_masks(torch.from_numpy(X), torch.from_numpy(shares))
    for model in (want, got):
        model.learn(ITERATIONS)
    np.testing.assert_allclose(got.losses, want.losses, rtol=CLOSE_LOSS)
    (want_images, want_powers), (got_images, got_powers) = want.images(1), got.images(1)
    assert apart_db(numpy_of(got_images), want_images) > CLOSE_DB
    assert_near(numpy_of(got_powers), want_powers, 1e-3)
    known = want.covariances()
    assert_near(numpy_of(got.covariances()), known, 1e-2)
    again = [fullrank.with_known_covariances(X, known, 5), fullrank.with_known_covariances(torch.from_numpy(X), known, 5)]
    assert apart_db(numpy_of(again[1].images(0)[0]), again[0].images(0)[0]) > CLOSE_DB
    np.testing.assert_array_equal(numpy_of(again[1].covariances()), known)


@pytest.mark.parametrize("components", [1, 2, 5])
def test_nmf_of_known_powers(components: int) -> None:
    Y = recorded(3, 3)
    for n_iter in (3, 20):
        want, got = (fit_nmf(y, components, n_iter=n_iter, rng=8) for y in (Y, torch.from_numpy(Y)))
        for w, g in zip(want, got, strict=True):
            assert_near(numpy_of(g), w, 1e-3)


def test_nmf_learns_activations_from_some_of_many_bins() -> None:
    rng = np.random.default_rng(9)
    Y = (complex_normal(rng, 1101, 2, 30) * rng.gamma(0.5, size=(1, 2, 30))).astype(np.complex64)
    want, got = (fit_nmf(y, 2, n_iter=12, rng=8) for y in (Y, torch.from_numpy(Y)))
    for w, g in zip(want, got, strict=True):
        assert_near(numpy_of(g), w, 1e-3)


@pytest.mark.parametrize("context", [0, 2, 1000])
@pytest.mark.parametrize(("M", "taps", "delay"), [(1, 6, 3), (2, 4, 2), (3, 2, 1)])
def test_wpe(M: int, taps: int, delay: int, context: int) -> None:
    X = recorded(M, 2)
    options = {"taps": taps, "delay": delay, "context": context}
    power = np.abs(X[:, 0]) ** 2 + 1e-3
    for known in (None, power):
        want, got = (bss.wpe(x, power=known, **options) for x in (X, torch.from_numpy(X)))
        assert_near(numpy_of(got.filters), want.filters, 1e-4)
        assert_near(numpy_of(got.spectra), want.spectra, 1e-5)
        assert got.message == want.message
    np.testing.assert_array_equal(numpy_of(got.apply(torch.from_numpy(X))), numpy_of(got.spectra))
    assert bss.wpe(torch.from_numpy(X), power=torch.from_numpy(power), **options).filters.equal(got.filters)


def test_wpe_of_a_microphone_twice_over() -> None:
    X = np.repeat(recorded(1, 2), 2, axis=1)
    want, got = (bss.wpe(x, taps=3) for x in (X, torch.from_numpy(X)))
    assert_near(numpy_of(got.spectra), want.spectra, 1e-4)


def test_wpe_over_several_stretches_of_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    from bss.backends.torch import wpe

    X = torch.from_numpy(recorded(2, 2))
    whole = bss.wpe(X, taps=4)
    monkeypatch.setattr(wpe, "FRAMES", 37)
    assert_near(numpy_of(bss.wpe(X, taps=4).spectra), numpy_of(whole.spectra), 1e-6)


@pytest.mark.parametrize("contrast", ["laplace", "nmf"])
@pytest.mark.parametrize(("M", "N"), [(2, 2), (3, 2), (3, 3)])
def test_tiss(M: int, N: int, contrast: str) -> None:
    X = recorded(M, N)

    def solver(X: Any) -> Any:
        return bss.tiss(X, n_sources=N, taps=3, contrast=contrast, n_iter=ITERATIONS, tol=0, rng=1)

    assert_alike(solver, X)
    want, got = solver(X), solver(torch.from_numpy(X))
    assert_near(numpy_of(got.observed), want.observed, 1e-3)
    stacked = numpy_of(got.stacked_demixing @ tiss.stack(torch.from_numpy(X), 3, 2))
    assert_near(stacked, numpy_of(got.sources), 1e-3)


def test_the_loss_of_t_iss_on_tensors_never_rises() -> None:
    X = torch.from_numpy(recorded(3, 2)[1:])
    loss = bss.tiss(X, n_sources=2, taps=4, n_iter=20, tol=0).loss
    assert (np.diff(loss) < 1e-4 * np.abs(loss[0])).all()
    assert loss[-1] < loss[0] - 1
