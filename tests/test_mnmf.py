"""FastMNMF2: each iteration is the paper's, its loss falls, and its sources are separated and sum to the recording."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import reference_mnmf as reference
from signals_for_tests import RATE, complex_normal, convolutive, images, room, voices

import bss
from bss.backends.cpu import backend, outputs as planes, threads
from bss.errors import InputError, SolverError, UsageError

COMPLEX = [np.complex64, np.complex128]
UPDATES = ["ip", "iss"]
# in double precision, which is the same code compiled once more, the default stands for both
every_update_and_type = pytest.mark.parametrize(
    ("update", "dtype"), [("ip", np.complex64), ("iss", np.complex64), ("ip", np.complex128)]
)
F, T, K = 4, 60, 3
SIZES = [(1, 1), (2, 2), (3, 3), (2, 1), (3, 2), (4, 2), (2, 3)]  # (M, N)


def begin(m: int, n: int, dtype: Any) -> tuple[np.ndarray, ...]:
    """X, Q, B, H, g."""
    rng = np.random.default_rng(m + 10 * n)
    X = complex_normal(rng, F, m, T) * rng.gamma(0.5, size=(1, m, T)) + 0.1 * complex_normal(rng, F, m, T)
    Q = complex_normal(rng, F, m, m) + 2 * np.eye(m)
    B, H, g = (rng.uniform(0.2, 1.0, shape) for shape in ((n, F, K), (n, K, T), (n, m)))
    return (X.astype(dtype), Q, *reference.levelled(B, H, g))


def near(got: np.ndarray, want: np.ndarray, dtype: Any) -> None:
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= 3000 * np.finfo(dtype).eps * np.abs(want).max()


# ---- the kernels


@every_update_and_type
@pytest.mark.parametrize(("m", "n"), SIZES)
@pytest.mark.parametrize("block", [512, 16, 48], ids=["one-block", "many-blocks", "padded-blocks"])
def test_iterations_are_the_papers(block: int, m: int, n: int, update: str, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planes, "BLOCK_FRAMES", block)
    X, Q, B, H, g = begin(m, n, dtype)
    kept = [a.copy() for a in (X, Q, B, H, g)]
    state = backend.outputs(X, Q, m)
    model = backend.fast_mnmf(state, B, H, g)
    for now, then in zip((X, Q, B, H, g), kept, strict=True):
        np.testing.assert_array_equal(now, then)
    for _ in range(3):
        before = state.log_det
        Q, B, H, g, loss = reference.iteration(X, Q, B, H, g, update)
        assert (model.update(update) - before) / F == pytest.approx(loss, abs=1e-3 if dtype is np.complex64 else 1e-10)
    near(state.W, Q, dtype)
    for got, want in zip((model.B, state.from_blocks(model.H), model.g), (B, H, g), strict=True):
        near(got, want, dtype)
    for mic in range(m):
        near(model.wiener(mic), reference.wiener(X, Q, B, H, g, mic), dtype)
    assert model.wiener(0).dtype == dtype


@pytest.mark.parametrize("dtype", COMPLEX)
def test_the_number_of_threads_does_not_change_a_byte(dtype: Any) -> None:
    X, Q, B, H, g = begin(3, 3, dtype)

    def run(count: int) -> tuple[bytes, ...]:
        with threads.limited(count):
            model = backend.fast_mnmf(backend.outputs(X, Q, 3), B, H, g)
            loss = [model.update("ip") for _ in range(3)]
            return np.array(loss).tobytes(), model.B.tobytes(), model.wiener(0).tobytes()

    want = run(1)
    assert all(run(count) == want for count in (2, 3, 16))
    with ThreadPoolExecutor(3) as pool:
        assert all(got == want for got in pool.map(run, [1, 2, 4]))


# ---- the solver


@every_update_and_type
@pytest.mark.parametrize(("m", "n"), SIZES)
def test_the_loss_never_rises_and_the_sources_sum_to_the_microphone(m: int, n: int, update: str, dtype: Any) -> None:
    X, _ = convolutive(m, min(m, n), dtype)
    kept, seen = X.copy(), []
    result = bss.fastmnmf(
        X, n_sources=n, update=update, n_iter=30, tol=0, reference_mic=m - 1, callback=lambda i, loss: seen.append((i, loss))
    )
    np.testing.assert_array_equal(X, kept)
    assert result.sources.shape == (len(X), n, X.shape[2])
    assert result.sources.dtype == dtype
    assert result.demixing is None
    assert result.n_iter == len(result.loss) == 30
    assert seen == list(enumerate(result.loss))
    assert np.diff(result.loss).max() <= (1e-9 if dtype is np.complex128 else 1e-4) * np.abs(result.loss).max()
    assert result.loss[-1] < result.loss[0] - 0.05
    np.testing.assert_allclose(result.sources.sum(1), X[:, m - 1], atol=1e3 * np.finfo(dtype).eps * np.abs(X).max())


def distortion_db(truth: np.ndarray, found: np.ndarray) -> float:
    """Worst error of the sources (F, N, T), in the better of two orders."""
    power = np.sum(np.abs(truth) ** 2, axis=(0, 2))
    errors = [np.sum(np.abs(truth - found[:, list(order)]) ** 2, axis=(0, 2)) / power for order in ((0, 1), (1, 0))]
    return float(10 * np.log10(min(error.max() for error in errors)))


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("mic", [0, 1])
@pytest.mark.parametrize("m", [2, 3])
def test_an_easy_mixture_is_separated(m: int, mic: int, update: str) -> None:
    X, A = convolutive(m, 2, np.complex64)
    truth = A[:, mic, :2, None] * np.linalg.solve(A, X)[:, :2]
    result = bss.fastmnmf(X, n_sources=2, n_components=1, update=update, reference_mic=mic)
    assert distortion_db(truth, X[:, [mic, mic]]) > -3
    assert distortion_db(truth, result.sources) < -15


def test_talkers_in_a_room_are_separated() -> None:
    n = 3 * RATE
    at_mics = images(room(2, 2, seed=2), voices(2, n, seed=3))
    x, truth = at_mics.sum(0).astype(np.float32), at_mics[:, 0]
    stft = bss.Stft(1024, 256)
    y = stft.inverse(bss.fastmnmf(stft.forward(x)).sources, n)
    pairs = np.asarray(bss.si_sdr(truth[:, None], y))
    gains = [[pairs[k, order[k]] - bss.si_sdr(truth[k], x[0]) for k in (0, 1)] for order in [(0, 1), (1, 0)]]
    assert max(map(min, gains)) > 10, gains


def test_a_start_is_where_it_begins_and_rng_draws_the_rest() -> None:
    X, _ = convolutive(2, 2, np.complex64)
    start = bss.auxiva(X, n_iter=30).demixing
    kept = start.copy()
    first, again, other = (bss.fastmnmf(X, start=start, n_iter=3, rng=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(start, kept)
    assert first.sources.tobytes() == again.sources.tobytes()
    assert first.sources.tobytes() != other.sources.tobytes()
    far = bss.fastmnmf(X, start=np.broadcast_to(np.eye(2), (len(X), 2, 2)), n_iter=3)
    assert first.loss[0] < far.loss[0] - 0.1


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize("gain", [1e-9, 1e9])
def test_the_level_does_not_matter(gain: float, dtype: Any) -> None:
    X, _ = convolutive(2, 2, dtype)
    here, there = bss.fastmnmf(X, n_iter=20, tol=0), bss.fastmnmf((gain * X).astype(dtype), n_iter=20, tol=0)
    np.testing.assert_allclose(there.loss, here.loss, atol=1e-3)
    np.testing.assert_allclose(there.sources / gain, here.sources, atol=1e-2 * np.abs(X).max())


@every_update_and_type
@pytest.mark.parametrize(("m", "n"), [(2, 2), (3, 2), (2, 1)])
def test_digital_silence_gives_silence(m: int, n: int, update: str, dtype: Any) -> None:
    X, _ = convolutive(m, n, dtype)
    X[:, :, 120:200], X[:, :, :3], X[:, :, -1] = 0, 0, 0
    X[[0, 7, -1]] = 0
    result = bss.fastmnmf(X, n_sources=n, update=update, n_iter=40)
    assert np.isfinite(result.loss).all()
    assert np.isfinite(result.sources).all()
    assert not result.sources[[0, 7, -1]].any()
    assert not result.sources[:, :, 120:200].any()
    np.testing.assert_allclose(result.sources.sum(1), X[:, 0], atol=1e3 * np.finfo(dtype).eps * np.abs(X).max())


def test_copies_of_a_channel_are_survived() -> None:
    X, _ = convolutive(2, 2, np.complex64)
    result = bss.fastmnmf(X[:, [0, 1, 1]], n_sources=2, n_iter=20)
    assert np.isfinite(result.sources).all()
    np.testing.assert_allclose(result.sources.sum(1), X[:, 0], atol=1e-2 * np.abs(X).max())


X2, _ = convolutive(2, 2, np.complex64)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"n_sources": 0}, "n_sources=0 is out of range"),
        ({"n_sources": 1.5}, "n_sources=1.5 is not a whole number"),
        ({"n_components": 0}, "n_components=0 is out of range"),
        ({"n_iter": 0}, "n_iter=0 is out of range"),
        ({"tol": -1}, "tol=-1"),
        ({"update": "newton"}, "update='newton' is not known"),
        ({"reference_mic": 2}, "reference_mic=2 is out of range"),
        ({"start": np.eye(2)}, "start has shape (2, 2)"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        bss.fastmnmf(X2, **options)
    assert text in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("X", "text"),
    [
        (np.ones((2, 900)), "expected complex (F, M, T)"),
        (np.zeros((3, 2, 9), complex), "silent"),
        (np.where(np.arange(300) == 7, np.nan, X2), "channel 0 of X holds NaN"),
    ],
)
def test_spectra_that_cannot_work_are_refused(X: np.ndarray, text: str) -> None:
    with pytest.raises(InputError) as caught:
        bss.fastmnmf(X)
    assert text in str(caught.value)


def test_a_callback_may_end_the_solve() -> None:
    def stop(i: int, loss: float) -> None:
        raise SolverError(f"enough at {i}")

    with pytest.raises(SolverError, match="enough at 0"):
        bss.fastmnmf(X2, callback=stop)


def test_scaling_needs_a_demixing() -> None:
    result = bss.fastmnmf(X2, n_iter=2)
    for scale in (bss.projection_back, bss.minimal_distortion):
        with pytest.raises(UsageError):
            scale(result, X2)
