"""T-ISS: the sweep over past frames is the paper's, the loss is that of IVA on what is left and never rises, and echo goes."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import reference_prediction as reference
from signals_for_tests import complex_normal, convolutive, interference_db

import bss
from bss.backends.cpu import backend, outputs as planes, threads
from bss.errors import BssError, InputError, UsageError
from bss.solvers.demixing.contrasts import Gauss, Nmf

stack = importlib.import_module("bss.solvers.demixing.tiss").stack  # the function of the same name hides the module

COMPLEX = [np.complex64, np.complex128]
SIZES = [(1, 1), (2, 2), (3, 3), (3, 2), (3, 1), (4, 2)]
CONTRASTS = ["laplace", "gauss", "nmf"]
F, T = 5, 60


def echoing(n_mics: int, n_sources: int, dtype: Any = np.complex128, n_frames: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """X (F, M, T) of talkers, the first N loud, with an echo that past frames predict; and their mixing A (F, M, M)."""
    direct, A = convolutive(n_mics, n_sources, np.complex128, n_frames=n_frames)
    rng = np.random.default_rng(9)
    X = direct.copy()
    B = [0.25 / np.sqrt(n_mics) * complex_normal(rng, len(X), n_mics, n_mics) for _ in range(2)]
    for t in range(n_frames):
        for k in (2, 3):
            if t >= k:
                X[:, :, t] += np.einsum("fmk,fk->fm", B[k - 2], X[:, :, t - k])
    return X.astype(dtype), A


def assert_near(got: np.ndarray, want: np.ndarray, tolerance: float) -> None:
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= tolerance * np.abs(want).max()


def positive(*shape: int, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).gamma(1.0, size=shape) + 0.1


def some_frames(m: int, n: int, dtype: Any) -> tuple[np.ndarray, np.ndarray, planes.Outputs]:
    """X, full demixing and the state of a solve that is somewhere."""
    rng = np.random.default_rng(m)
    X = (complex_normal(rng, F, m, T) * rng.gamma(0.5, size=(1, m, T))).astype(dtype)
    W = complex_normal(rng, F, m, m) + 2 * np.eye(m)
    return X, W, backend.outputs(X, W, n, 0.5)


def outputs(state: planes.Outputs) -> np.ndarray:
    Y = state.from_blocks(np.moveaxis(state.Y, 1, 0))
    return np.asarray(Y[:, :, 0] + 1j * Y[:, :, 1])


# ---- the kernel


@pytest.fixture(params=[512, 16, 25], ids=["one-block", "many-blocks", "padded-blocks"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of so many frames at most, of 60."""
    monkeypatch.setattr(planes, "BLOCK_FRAMES", request.param)


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize("lowrank", [False, True])
@pytest.mark.parametrize(("m", "n", "taps", "delay"), [(1, 1, 1, 1), (2, 2, 3, 2), (3, 3, 2, 1), (3, 2, 2, 3), (4, 1, 1, 4)])
@pytest.mark.usefixtures("blocks")
def test_a_sweep_over_the_past_is_the_paper_s(m: int, n: int, taps: int, delay: int, lowrank: bool, dtype: Any) -> None:
    X, W, state = some_frames(m, n, dtype)
    kept = X.copy()
    past = backend.joint_prediction(state, X, taps, delay)
    phi = positive(n, F if lowrank else 1, T)
    B, H = positive(n, F, 2), positive(n, 2, T, seed=3)
    if lowrank:
        phi = 1 / (B @ H)
    weights = np.concatenate([phi, np.ones((m - n, phi.shape[1], T))])
    Y, V = outputs(state).astype(complex), np.zeros((F, m, m * taps), complex)
    for _ in range(2):
        Y, step = reference.steer_by_past(Y, X / state.level, weights, taps, delay)
        V += step
        if lowrank:
            past.update_low_rank(backend.low_rank(state, B, H))
        else:
            past.update(phi[:, 0])
    tolerance = 1000 * np.finfo(dtype).eps
    assert_near(outputs(state), Y, tolerance)
    assert_near(past.filters, np.linalg.solve(W, V).conj().swapaxes(1, 2), tolerance)
    assert_near(W @ reference.without_prediction(X, past.filters, delay) / state.level, Y, tolerance)
    assert_near(state.power(), np.mean(np.abs(Y[:, :n].swapaxes(0, 1)) ** 2, axis=1), tolerance)
    if n < m:
        C = np.einsum("fit,fjt->fij", Y, Y.conj()) / T
        assert_near(state.C, C, tolerance)
        log_det = 2 * np.linalg.slogdet(W)[1].sum() - np.linalg.slogdet(C[:, n:, n:])[1].sum()
        assert state.log_det == pytest.approx(log_det, abs=2e-4 if dtype is np.complex64 else 1e-9)
    np.testing.assert_array_equal(X, kept)
    assert not state.Y[:, -1, :, :, T - (state.blocks - 1) * state.size :].any()  # nothing behind the last frame


def test_stack_is_the_present_above_the_past() -> None:
    X, _ = echoing(2, 2, np.complex64, n_frames=9)
    for taps, delay in ((1, 1), (3, 2), (5, 7), (12, 3), (1, 20)):
        np.testing.assert_array_equal(stack(X, taps, delay)[:, :2], X)
        np.testing.assert_array_equal(stack(X, taps, delay)[:, 2:], reference.past(X, taps, delay))


# ---- the solver


def assert_consistent(result: bss.JointSeparation, X: np.ndarray, n_sources: int, taps: int, delay: int) -> None:
    bins, M, n_frames = X.shape
    assert result.sources.shape == (bins, n_sources, n_frames)
    assert result.demixing.shape == (bins, n_sources, M)
    assert result.stacked_demixing.shape == (bins, n_sources, M * (taps + 1))
    assert result.sources.dtype == result.demixing.dtype == result.stacked_demixing.dtype == X.dtype
    stacked = stack(X, taps, delay)
    size = np.abs(result.stacked_demixing) @ np.abs(stacked) + np.abs(result.demixing) @ np.abs(result.observed)
    rounding = 100 * np.finfo(X.dtype).eps * size
    assert np.all(np.abs(result.sources - result.stacked_demixing @ stacked) <= rounding)
    assert np.all(np.abs(result.sources - result.demixing @ result.observed) <= rounding)
    np.testing.assert_array_equal(result.observed, result.dereverberation.apply(X))


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize("contrast", CONTRASTS)
@pytest.mark.parametrize(("n_mics", "n_sources"), SIZES)
def test_the_loss_never_rises_and_echo_and_the_others_go(n_mics: int, n_sources: int, contrast: str, dtype: Any) -> None:
    X, A = echoing(n_mics, n_sources, dtype)
    kept = X.copy()
    result = bss.tiss(X, n_sources=n_sources, taps=2, contrast=contrast, n_iter=100, tol=0)
    np.testing.assert_array_equal(X, kept)
    assert np.diff(result.loss).max() <= (1e-9 if dtype is np.complex128 else 1e-4) * np.abs(result.loss).max()
    assert_consistent(result, X, n_sources, 2, 2)
    assert interference_db(result.demixing @ A) < -20
    direct = convolutive(n_mics, n_sources, np.complex128)[0]
    wet, dry = (np.sum(np.abs(a - direct) ** 2) for a in (X, result.observed))
    assert dry < 0.1 * wet
    for scaled in (bss.projection_back(result, result.observed), bss.minimal_distortion(result, result.observed)):
        assert isinstance(scaled, bss.JointSeparation)
        assert_consistent(scaled, X, n_sources, 2, 2)


@pytest.mark.parametrize("update", ["iss", "ip"])
def test_the_past_helps_where_there_is_echo(update: str) -> None:
    X, A = echoing(2, 2)
    joint, alone = bss.tiss(X, taps=2, update=update), bss.auxiva(X, update=update)
    assert joint.loss[0] == pytest.approx(alone.loss[0], abs=1e-9)
    assert joint.loss[-1] < alone.loss[-1] - 0.1
    assert interference_db(joint.demixing @ A) < interference_db(alone.demixing @ A) - 3


@pytest.mark.parametrize("contrast", ["laplace", "gauss"])
@pytest.mark.parametrize(("n_mics", "n_sources"), SIZES)
def test_the_loss_is_that_of_iva_on_what_is_left(n_mics: int, n_sources: int, contrast: str) -> None:
    X, _ = echoing(n_mics, n_sources)
    level = np.sqrt(np.mean(np.abs(X) ** 2))
    result = bss.tiss(X, n_sources=n_sources, taps=2, contrast=contrast, tol=1e-4, n_iter=500)
    assert result.converged
    power = np.sum(np.abs(result.sources) ** 2, axis=0)
    bins = len(X)
    G = 2 * np.sqrt(power) if contrast == "laplace" else bins * (1 + np.log(power / bins))
    # the background is what neither the sources nor the past predict of the microphones: log det of the present, given the past
    stacked = stack(X / level, 2, 2)
    C = np.einsum("fit,fjt->fij", stacked, stacked.conj()) / X.shape[2]
    given = np.linalg.slogdet(C)[1] - np.linalg.slogdet(C[:, n_mics:, n_mics:])[1]
    Y = np.concatenate([result.sources, stacked[:, n_mics:]], axis=1)
    D = np.einsum("fit,fjt->fij", Y, Y.conj()) / X.shape[2]
    mine = np.linalg.slogdet(D)[1] - np.linalg.slogdet(C[:, n_mics:, n_mics:])[1]
    loss = (G.mean(1).sum() + np.sum(given - mine)) / bins
    if n_sources == n_mics:
        loss = (G.mean(1).sum() - 2 * np.linalg.slogdet(result.demixing * level)[1].sum()) / bins
        assert 0 <= result.loss[-1] - loss < 1e-4
    else:
        assert result.loss[-1] == pytest.approx(loss, abs=0.05)


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_sources_sum_to_the_dry_reference_microphone(contrast: str) -> None:
    X, _ = echoing(3, 3, np.complex64)
    result = bss.projection_back(bss.tiss(X, contrast=contrast, n_iter=10), X, reference_mic=1)
    assert_near(result.sources.sum(1), result.observed[:, 1], 1e-3)


@pytest.mark.parametrize("contrast", ["laplace", "nmf"])
def test_the_same_bytes_on_any_number_of_threads(contrast: str) -> None:
    X, _ = echoing(3, 2, np.complex64)

    def run(count: int) -> bytes:
        with threads.limited(count):
            return bss.tiss(X, n_sources=2, contrast=contrast, n_iter=4).sources.tobytes()

    assert len({run(count) for count in (1, 2, 3, 16)}) == 1


def test_a_start_is_where_it_starts_and_values_are_as_good_as_names() -> None:
    X, _ = echoing(2, 2)
    alone = bss.auxiva(X, tol=0, n_iter=80)
    warm = bss.tiss(X, taps=2, start=alone.demixing)
    assert warm.loss[0] == pytest.approx(bss.auxiva(X, start=alone.demixing, n_iter=1).loss[0], abs=1e-9)
    assert warm.loss[2] < bss.tiss(X, taps=2).loss[2] - 0.05
    for name, value in (("gauss", Gauss()), ("nmf", Nmf())):
        named, given = (bss.tiss(X, contrast=c, n_iter=4, rng=3) for c in (name, value))
        assert named.sources.tobytes() == given.sources.tobytes()
    seen: list[tuple[int, float]] = []
    result = bss.tiss(X, n_iter=6, tol=0, callback=lambda i, loss: seen.append((i, loss)))
    assert seen == list(enumerate(result.loss))


# ---- silence and other trouble


# but for Gauss not all bins but one: its frames' variances, which silent bins share in, would have no lower bound
SILENCES = [(w, c) for c in CONTRASTS for w in [(2,), (..., 7), (..., slice(100, 200)), (3, 1)]]
SILENCES += [((slice(1, None),), c) for c in ("laplace", "nmf")]


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize(("where", "contrast"), SILENCES)
def test_silence_stays_finite(where: Any, contrast: str, dtype: Any) -> None:
    X, _ = echoing(3, 3, dtype)
    X[where] = 0
    for n in (3, 2):
        result = bss.tiss(X, n_sources=n, contrast=contrast, n_iter=30, tol=0)
        assert np.isfinite(result.sources).all()
        assert np.isfinite(result.stacked_demixing).all()
        assert np.isfinite(result.loss).all()
        silent = ~X.any(axis=(1, 2))
        assert not result.sources[silent].any()


def test_no_more_taps_than_the_recording_is_long_enough_for() -> None:
    X, _ = echoing(2, 2, n_frames=42)
    result = bss.tiss(X, taps=9, delay=2, n_iter=2)
    assert result.dereverberation.taps == 5
    assert "5 taps and not 9" in result.message
    with pytest.raises(InputError, match="at least 10 frames"):
        bss.tiss(X[:, :, :9])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"taps": 0}, "taps=0"), ({"delay": 0}, "delay=0"), ({"contrast": "laplacian"}, "did you mean 'laplace'"),
        ({"update": "issp"}, "update='issp'"), ({"n_sources": 3}, "3 sources asked for"), ({"tol": -1}, "tol=-1"),
        ({"start": np.ones((5, 2, 2))}, "start has shape"), ({"n_iter": 0}, "n_iter=0"),
    ],
)  # fmt: skip
def test_options_that_cannot_work_are_named(options: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        bss.tiss(echoing(2, 2)[0], **options)


def test_a_contrast_without_weights_is_refused() -> None:
    class Odd:
        def start(self, kernels: Any, state: Any, rng: Any) -> None: ...

        def step(self, state: Any, learnt: Any, update: Any) -> float:
            return 0.0

    with pytest.raises(UsageError, match="no weights that T-ISS knows"):
        bss.tiss(echoing(2, 2)[0], contrast=Odd())


@pytest.mark.parametrize("X", [np.zeros((5, 2, 200), complex), np.ones((5, 2, 200)), np.full((5, 2, 200), np.inf + 0j)])
def test_recordings_that_cannot_be_used_are_refused(X: Any) -> None:
    with pytest.raises(BssError):
        bss.tiss(X)
