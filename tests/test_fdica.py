"""Frequency-domain ICA: the loss is that of every bin by itself, it falls, and the bins end in one order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from array_kinds import Kind
from signals_for_tests import complex_normal, convolutive, every_update_and_type, images, interference_db, room, voices

import bss
from bss.backends.cpu import threads
from bss.errors import BssError
from bss.signals.stft import Stft
from bss.solvers.demixing import updates
from bss.solvers.demixing.fdica import BinLaplace
from bss.solvers.mm import majorise_minimise

SIZES = [(1, 1), (2, 2), (3, 3), (3, 2), (4, 2)]


def sparse(M: int, N: int, dtype: Any, T: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """X (F, M, T) and mixing (F, M, N): talkers whose bins are sparse, and loud together."""
    rng = np.random.default_rng(M * 10 + N)
    S = complex_normal(rng, 33, N, T) * np.sqrt(rng.gamma(0.2, size=(1, N, T)) * rng.gamma(0.5, size=(33, N, T)))
    A = complex_normal(rng, 33, M, N) + 2 * np.eye(M, N)
    noise = 1e-3 * complex_normal(rng, 33, M, T)
    return np.ascontiguousarray(A @ S + noise, dtype), A


@every_update_and_type
@pytest.mark.parametrize(("M", "N"), SIZES)
def test_the_loss_never_rises_and_talkers_are_separated(M: int, N: int, dtype: Any, update: str, kind: Kind) -> None:
    X, A = sparse(M, N, dtype)
    given = kind.array(X.copy())
    result = kind.result(bss.fdica(given, n_sources=N, update=update, tol=0, n_iter=60))
    np.testing.assert_array_equal(kind.numpy(given), X)
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


def test_without_the_alignment_the_bins_are_not_in_one_order(kind: Kind) -> None:
    X, A = sparse(2, 2, np.complex128)
    X = kind.array(X)
    swap = np.where(np.random.default_rng(0).integers(0, 2, (33, 1, 1)), np.eye(2), np.eye(2)[::-1])
    alone = kind.result(majorise_minimise(X, BinLaplace(), updates.ISS, start=swap.astype(complex)))
    assert interference_db(alone.demixing @ A) > -5
    assert interference_db(kind.result(bss.fdica(X, start=swap.astype(complex))).demixing @ A) < -20


def test_auxiva_s_own_talkers_are_separated_too() -> None:
    X, A = convolutive(2, 2, np.complex64)
    assert interference_db(bss.fdica(X).demixing @ A) < -10


def leakage(W: np.ndarray, heard: np.ndarray) -> float:
    """Worst ratio, in dB, of the others to a talker's own sound in its output; heard (N, F, M, T) is each talker alone."""
    power = np.array([np.sum(np.abs(W @ image) ** 2, axis=(0, 2)) for image in heard])  # (talker, output)
    own = power.max(0)
    return float(10 * np.log10(np.max((power.sum(0) - own) / own)))


def recorded(M: int, N: int, taps: int) -> tuple[np.ndarray, np.ndarray]:
    """X (F, M, T), and what of it is each talker's (N, F, M, T), in a room with an echo of so many samples."""
    talkers = images(room(M, N, taps=taps, decay=taps / 5), voices(N, 48_000)).astype(np.float32)
    stft = Stft(1024, 256)
    return stft.forward(talkers.sum(0)), np.stack([stft.forward(image) for image in talkers])


def test_more_microphones_than_talkers_are_all_used(kind: Kind) -> None:
    X, heard = recorded(4, 2, 2000)
    two = bss.projection_back(bss.fdica(np.ascontiguousarray(X[:, :2]), n_iter=30), X[:, :2])
    four = kind.result(bss.fdica(kind.array(X), n_sources=2, n_iter=30, candidates=3))
    assert four.demixing.shape == (513, 2, 4)
    np.testing.assert_allclose(four.sources.sum(1), X[:, 0], atol=1e-3 * np.abs(X).max())
    np.testing.assert_allclose(bss.projection_back(four, X).demixing, four.demixing, atol=1e-3 * np.abs(four.demixing).max())
    assert leakage(four.demixing, heard) < leakage(two.demixing, heard[:, :, :2]) - 3


def test_principal_components_alone_separate_too() -> None:
    X, heard = recorded(4, 2, 2000)
    found = bss.fdica(X, n_sources=2, n_iter=30, activity="log", principal=True)
    assert (found.demixing.shape, found.demixing.dtype) == ((513, 2, 4), X.dtype)
    np.testing.assert_allclose(found.sources, found.demixing @ X, atol=1e-4 * np.abs(found.sources).max())
    values, vectors = np.linalg.eigh(X[200] @ X[200].conj().T)
    assert values[1] > 0
    np.testing.assert_allclose(found.demixing[200] @ vectors[:, :2], 0, atol=1e-3 * np.abs(found.demixing[200]).max())
    two = bss.projection_back(bss.fdica(np.ascontiguousarray(X[:, :2]), n_iter=30, activity="log"), X[:, :2])
    assert leakage(bss.projection_back(found, X).demixing, heard) < min(-5, leakage(two.demixing, heard[:, :, :2]))
    every = bss.fdica(X[:, :2], n_iter=10)
    np.testing.assert_array_equal(bss.fdica(X[:, :2], n_iter=10, principal=True).demixing, every.demixing)  # N = M: no other


@pytest.mark.parametrize("candidates", [1, 3])
@pytest.mark.parametrize("activity", [None, "log", "shares"])
def test_a_room_is_put_in_one_order(candidates: int, activity: str | None) -> None:
    X, heard = recorded(2, 2, 400)
    raw = majorise_minimise(X, BinLaplace(), updates.ISS, n_iter=30)
    assert leakage(bss.projection_back(raw, X).demixing, heard) > -3
    found = bss.fdica(X, n_iter=30, candidates=candidates, activity=activity)
    assert leakage(bss.projection_back(found, X).demixing, heard) < -11


@pytest.mark.parametrize("n_sources", [1, 2, 3])
@pytest.mark.parametrize("candidates", [1, 3])
def test_silent_bins_stay_silent(n_sources: int, candidates: int, kind: Kind) -> None:
    X, _ = sparse(3, 3, np.complex64)
    X[[0, 7, 8, 32]] = 0
    X = kind.array(X)
    for principal in (False, True):
        separated = bss.fdica(X, n_sources=n_sources, candidates=candidates, n_iter=10, principal=principal)
        found = kind.result(bss.projection_back(separated, X))
        assert np.isfinite(found.demixing).all()
        assert not found.sources[[0, 7, 8, 32]].any()


@pytest.mark.parametrize("shape", [(1, 2, 50), (2, 2, 3), (1, 1, 4), (3, 4, 5)])
@pytest.mark.parametrize("candidates", [1, 3])
def test_few_bins_and_few_frames_will_do(shape: tuple[int, int, int], candidates: int, kind: Kind) -> None:
    X = kind.array(complex_normal(np.random.default_rng(0), *shape).astype(np.complex64))
    for N in range(1, shape[1] + 1):
        assert np.isfinite(kind.numpy(bss.fdica(X, n_sources=N, n_iter=5, candidates=candidates).sources)).all()


def test_bytes_of_three_candidates_and_of_groups_do_not_depend_on_threads() -> None:
    X, _ = sparse(4, 4, np.complex64)
    for n_sources in (2, 4):
        found = []
        for count in (1, 2):
            with threads.limited(count):
                found.append(bss.fdica(X, n_sources=n_sources, n_iter=10, candidates=3).demixing.tobytes())
        assert found[0] == found[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_sources": 3}, "3 sources"),
        ({"update": "newton"}, "newton"),
        ({"n_iter": 0}, "n_iter=0"),
        ({"tol": -1}, "tol=-1"),
        ({"candidates": 2}, "candidates=2"),
        ({"activity": "loudness"}, "loudness"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], words: str, kind: Kind) -> None:
    with pytest.raises(BssError, match=words):
        bss.fdica(kind.array(sparse(2, 2, np.complex64)[0]), **options)
