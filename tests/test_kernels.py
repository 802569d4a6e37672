"""Kernels of the convolutive family: each move against the papers' equations in `reference`, at every precision, in one block of
frames and in many; the same bytes on any number of threads; and silence."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import reference
from signals_for_tests import UPDATES_AND_TYPES, every_update_and_type

from bss.backends import dispatch, numeric
from bss.backends.cpu import backend, outputs as planes, threads
from bss.backends.cpu.instantaneous import passes
from bss.solvers import mm
from bss.solvers.mm import background

COMPLEX = [np.complex64, np.complex128]
F, T = 5, 60


@pytest.fixture(params=[512, 16, 25], ids=["one-block", "many-blocks", "padded-blocks"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of so many frames at most, of 60."""
    monkeypatch.setattr(planes, "BLOCK_FRAMES", request.param)


def spectra(dtype: Any, m: int, n_frames: int = T, bins: int = F, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((bins, m, n_frames)) + 1j * rng.standard_normal((bins, m, n_frames))
    return np.asarray(X * rng.gamma(0.5, size=(1, m, n_frames)), dtype)


def square(m: int, seed: int = 1) -> np.ndarray:
    """(F, M, M) far from singular."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.standard_normal((F, m, m)) + 1j * rng.standard_normal((F, m, m)) + 3 * np.eye(m))


def positive(*shape: int, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).gamma(1.0, size=shape) + 0.1


def outputs(state: planes.Outputs) -> np.ndarray:
    """Y (F, M, T) complex, out of its planes."""
    Y = state.from_blocks(np.moveaxis(state.Y, 1, 0))
    return np.asarray(Y[:, :, 0] + 1j * Y[:, :, 1])


def assert_near(got: np.ndarray, want: np.ndarray, dtype: Any, roundings: float = 1000.0) -> None:
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= roundings * np.finfo(dtype).eps * np.abs(want).max()


def moved(Y: np.ndarray, W: np.ndarray, C: np.ndarray, phi: np.ndarray, update: str) -> tuple[np.ndarray, np.ndarray]:
    """What one move should leave, by the twins; phi (N, 1 or F, T). Rows are compared up to a phase with pairs."""
    n, m = len(phi), W.shape[1]
    X = np.linalg.solve(W, Y)
    odd = n - n % 2
    if update == "iss":
        Y, W = reference.iss(Y, W, phi, n)
    elif update == "iss2":
        for k in range(0, odd, 2):
            W = reference.iss2(X, W, phi, k, k + 1)
        for k in range(odd, m):
            W = steered(X, W, phi, k)
    else:
        for k in range(0, odd, 2) if update == "ip2" else []:
            W = reference.ip2(X, W, phi, k, k + 1)
            W = reference.orthogonal_background(C, W, n) if n < m else W
        for k in range(odd if update == "ip2" else 0, n):
            W = reference.ip(X, W, phi, k)
            W = reference.orthogonal_background(C, W, n) if n < m else W
    return reference.demix(W, X)[:, :n], W[:, :n]


def steered(X: np.ndarray, W: np.ndarray, phi: np.ndarray, k: int) -> np.ndarray:
    """The step of `reference.iss` with pivot k alone."""
    n, bins = len(phi), len(W)
    weights = np.broadcast_to(phi.astype(float), (n, bins, X.shape[2]))
    Y, new = reference.demix(W, X), W.astype(complex).copy()
    for f in range(bins):
        for i in range(n):
            d = np.mean(weights[i, f] * np.abs(Y[f, k]) ** 2)
            v = 1 - d**-0.5 if i == k else np.mean(weights[i, f] * Y[f, i] * Y[f, k].conj()) / d
            new[f, i] -= v * W[f, k]
    return new


def in_phase(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """`got` with each row of each bin turned to the phase of `want`, which pairs leave open."""
    turn = np.sum(want * got.conj(), axis=-1, keepdims=True)
    return np.asarray(got * turn / np.abs(turn))


@every_update_and_type
@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 2), (2, 1), (3, 3), (4, 4), (5, 5), (3, 2), (4, 1), (5, 3), (7, 7)])
@pytest.mark.usefixtures("blocks")
def test_a_move_is_the_papers(m: int, n: int, update: str, dtype: Any) -> None:
    X, W, phi = spectra(dtype, m), square(m), positive(n, T)
    C = reference.covariance(X)
    if n < m:
        background(backend, C, W, n)
    state = backend.outputs(X, W, n)
    start = state.log_det
    want_Y, want_W = moved(reference.demix(W, X), W, C, phi[:, None], update)
    kept = X.copy(), phi.copy(), W.copy()
    state.update(phi, update)
    assert_near(in_phase(outputs(state)[:, :n], want_Y), want_Y, dtype)
    assert_near(in_phase(state.demixing(), want_W), want_W, dtype)
    assert_near(state.power(), reference.frame_power(want_Y), dtype)
    assert_near(outputs(state), reference.demix(state.W, X), dtype)
    full = backend.outputs(X, state.W, n)  # the determinants that it follows are those of where it is
    assert state.log_det == pytest.approx(full.log_det, abs=2e-4 if dtype is np.complex64 else 1e-9)
    assert state.log_det != start or m == 0
    for now, then in zip((X, phi, W), kept, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize(
    ("update", "dtype", "dof"),
    # Student's t changes the weights, not the updates
    [(u, t, None) for u, t in UPDATES_AND_TYPES] + [(u, t, 3.0) for u, t in UPDATES_AND_TYPES if u in ("iss", "ip")],
)
@pytest.mark.parametrize(("m", "components"), [(2, 1), (2, 3), (3, 2)])
@pytest.mark.usefixtures("blocks")
def test_a_low_rank_move_is_the_papers(m: int, components: int, update: str, dtype: Any, dof: float | None) -> None:
    X, W = spectra(dtype, m), square(m)
    B, H = positive(m, F, components), positive(m, components, T, seed=3)
    kept = B.copy(), H.copy()
    Y = reference.demix(W, X)
    state = backend.outputs(X, W, m)
    lowrank = backend.low_rank(state, B, H, dof)
    loss = lowrank.update(update)
    fitted = [reference.nmf_step(np.abs(Y[:, n]) ** 2, B[n], H[n], dof)[0] for n in range(m)]
    R = np.stack([fitted[n] @ H[n] for n in range(m)])
    P = np.abs(Y.swapaxes(0, 1)) ** 2
    fit = P / R if dof is None else (1 + dof / 2) * np.log(1 + 2 * P / (dof * R))
    assert loss == pytest.approx(np.sum(fit + np.log(R)) / T, rel=1e-4 if dtype is np.complex64 else 1e-10)
    want_Y, want_W = moved(Y, W, reference.covariance(X), 1 / reference.majorised(P, R, dof), update)
    assert_near(in_phase(state.demixing(), want_W), want_W, dtype)
    assert_near(in_phase(outputs(state), want_Y), want_Y, dtype)
    P = np.abs(want_Y.swapaxes(0, 1)) ** 2
    C = reference.majorised(P, R, dof)
    want_H = [H[n] * np.sqrt((fitted[n].T @ (P[n] / (R[n] * C[n]))) / (fitted[n].T @ (1 / R[n]))) for n in range(m)]
    new_H = state.from_blocks(lowrank.H)
    np.testing.assert_allclose(new_H.mean(2), 1, rtol=1e-5)  # the level is in the spectra
    want_R = np.stack([fitted[n] @ want_H[n] for n in range(m)])
    assert_near(lowrank.B @ new_H, want_R, dtype)
    for now, then in zip((B, H), kept, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("model", ["laplace_per_bin", "known_variances", "low_rank", "joint_prediction", "fast_mnmf"])
def test_what_is_known_of_the_outputs_is_that_of_the_outputs_as_they_are(model: str, n: int) -> None:
    X = spectra(np.complex128, n)
    state = planes.Outputs(X, square(n), n, 0.5)
    arguments: dict[str, tuple[Any, ...]] = {
        "laplace_per_bin": (), "known_variances": (positive(F, n, T),), "joint_prediction": (X, 2, 1),
        "low_rank": (positive(n, F, 2), positive(n, 2, T)), "fast_mnmf": (positive(n, F, 2), positive(n, 2, T), positive(n, n)),
    }  # fmt: skip
    state.update(1 / np.sqrt(state.power()), "iss")
    state.power()
    learning = getattr(backend, model)(state, *arguments[model])
    learning.update(positive(n, T) if model == "joint_prediction" else "iss")
    assert_near(state.power(), reference.frame_power(outputs(state)[:, :n]), np.complex128)
    assert state.log_det == pytest.approx(2 * np.linalg.slogdet(state.W)[1].sum(), abs=1e-9)


@pytest.mark.parametrize("update", planes.UPDATES)
def test_the_same_bytes_on_any_number_of_threads_and_side_by_side(update: str) -> None:
    X = spectra(np.complex64, 3, n_frames=200, bins=70)

    def solve(count: int) -> bytes:
        with threads.limited(count):
            state = backend.outputs(X, np.tile(np.eye(3), (70, 1, 1)), 3)
            lowrank = backend.low_rank(state, positive(3, 70, 2), positive(3, 2, 200))
            for _ in range(3):
                state.update(1 / np.sqrt(state.power()), update)
                lowrank.update(update)
            return state.W.tobytes()

    alone = solve(1)
    assert [solve(count) for count in (2, 3, 5, 16, 40)] == [alone] * 5
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(solve, [1, 2, 3, 2] * 3)) == [alone] * 12


def test_the_limit_of_threads_is_the_caller_s_own() -> None:
    everything = threads.count()
    with threads.limited(1):
        assert threads.count() == 1
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(threads.count).result() == everything
    assert threads.count() == everything >= 1


def test_an_exception_in_a_kernel_s_thread_reaches_the_caller() -> None:
    def kernel(first: int, step: int) -> None:
        if first:
            raise ValueError("from a worker")

    with threads.limited(2), pytest.raises(ValueError, match="from a worker"):
        threads.run(kernel)


@every_update_and_type
@pytest.mark.parametrize("what", ["a bin", "a frame", "an output", "an output in one bin", "everything but one bin"])
def test_moves_of_silence_are_finite_and_stay_so(what: str, update: str, dtype: Any) -> None:
    X = spectra(dtype, 3)
    where: dict[str, Any] = {
        "a bin": (2,), "a frame": (..., 7), "an output": (slice(None), 1), "an output in one bin": (3, 1),
        "everything but one bin": (slice(1, None),),
    }  # fmt: skip
    X[where[what]] = 0
    for n in (3, 2):
        W = np.tile(np.eye(3, dtype=complex), (F, 1, 1))
        state = backend.outputs(X, W, n)
        lowrank = backend.low_rank(state, positive(n, F, 2), positive(n, 2, T))
        for _ in range(60):
            state.update(1 / np.maximum(state.power(), 1e-6), update)
            assert np.isfinite(lowrank.update(update))
        assert np.isfinite(state.W).all()
        assert np.isfinite(state.W.astype(dtype)).all()
        assert np.isfinite(state.power()).all()
        assert np.isfinite(state.log_det)


@pytest.mark.parametrize("dtype", COMPLEX)
def test_covariance_and_demix_are_their_twins(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    X, W = spectra(dtype, 3), square(3)[:, :2].astype(dtype)
    for size in (1, 1 << 21):
        monkeypatch.setattr(backend, "BLOCK_BYTES", size)
        assert_near(backend.covariance(X), reference.covariance(X), dtype)
    assert_near(backend.demix(W, X), reference.demix(W, X), dtype)
    assert backend.demix(W, X).dtype == dtype


def test_planes_begin_on_a_cache_line() -> None:
    for shape in ((3, 16), (1, 2, 32), (5, 1, 2, 2, 16)):
        for dtype in (np.float32, np.float64):
            a = planes.aligned(shape, np.dtype(dtype))
            assert a.shape == shape
            assert a.dtype == dtype
            assert a.ctypes.data % 64 == 0
            assert not a.any()


@pytest.mark.parametrize(("n", "stride", "count", "padding"), [(1024, 1, 1024, 0), (1500, 1, 1500, 36), (5000, 2, 2560, 0),
                                                              (5120, 4, 1280, 256), (99, 9, 99, 413)])  # fmt: skip
def test_samples_that_a_stride_reads(n: int, stride: int, count: int, padding: int) -> None:
    assert passes.samples_read(n, stride) == (count, padding)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (5, 6), (8, 8), (9, 9)])
def test_a_pass_of_any_number_of_outputs_and_channels(shape: tuple[int, int], dtype: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.laplace(size=(shape[1], 3000)).astype(dtype) + 3
    W, mean = rng.normal(size=shape) / shape[1], np.full(shape[1], 3.0)
    tolerance = 1e-9 if dtype == np.float64 else 2e-5
    for name in passes.NONLINEARITIES:
        for got, want in zip(backend.ica_pass(x, W, mean, name), reference.ica_pass(x, W, mean, name), strict=True):
            np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
    mean, covariance = backend.moments(x)
    np.testing.assert_allclose(mean, x.mean(1, dtype=float), rtol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(x.astype(float), bias=True).reshape(shape[1], -1), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("rest", [0, 50, 128, 300])
@pytest.mark.parametrize("stride", [1, 2, 3, 7])
@pytest.mark.parametrize("name", passes.NONLINEARITIES)
def test_a_pass_with_a_stride_is_a_pass_over_those_pieces(name: str, stride: int, rest: int) -> None:
    from bss.backends.cpu.instantaneous.ica import PIECE

    x = np.random.default_rng(0).laplace(size=(2, 84 * PIECE + rest))
    W, mean = np.array([[1.0, 0.3], [-0.2, 0.8]]), np.array([0.1, -0.2])
    part = np.concatenate([x[:, p * PIECE : (p + 1) * PIECE] for p in range(0, 87, stride)], axis=1)
    assert passes.samples_read(x.shape[1], stride)[0] == part.shape[1]
    for got, want in zip(backend.ica_pass(x, W, mean, name, stride=stride), reference.ica_pass(part, W, mean, name), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9)


@pytest.mark.parametrize("n_times", [1, 3, 4, 5, 9, 30])
def test_blocks_of_the_network_are_their_twins(n_times: int) -> None:
    from bss.networks.source_model import block

    rng = np.random.default_rng(n_times)
    C, K, groups = 6, 10, 3

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    x, mix, scale, shift, mean = draw(C, n_times, K), draw(groups, K, K), draw(C), draw(C), draw(C, K)
    wanted, wanted_mean = reference.mix_bands(x.astype(float), mix, scale, shift)
    block.mix_bands(x, mix, scale, shift, mean)
    np.testing.assert_allclose(x, wanted, atol=1e-4)
    np.testing.assert_allclose(mean, wanted_mean, atol=1e-4)
    for dilation in (1, 2, 3, 4, 8, 16):
        x, taps, offset, narrow, bias = draw(C, n_times, K), draw(C, 3 * C), draw(C, K), draw(C, C), draw(C)
        wanted = reference.mix_times(x.astype(float), taps, scale, shift, offset, narrow, bias, dilation)
        block.mix_times(x, taps, scale, shift, offset, narrow, bias, dilation)
        np.testing.assert_allclose(x, wanted, atol=1e-3)


@pytest.mark.parametrize("array", [[1.0, 2.0], (1,), "abc"])
def test_arrays_without_kernels_are_refused(array: Any) -> None:
    with pytest.raises(Exception, match="cannot be used"):
        dispatch.of(array)


def test_level_and_floor() -> None:
    X = np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)
    assert mm.level(X) == pytest.approx(2.5)
    assert numeric.floor(np.float32, 2.0) == pytest.approx(20 * np.finfo(np.float32).eps)
    with pytest.raises(Exception, match="silent"):
        mm.level(np.zeros((2, 3), np.complex64))
