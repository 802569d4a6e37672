"""The convolutive family's manners: starts, stops, seeds, callbacks, silence and levels, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from array_kinds import Kind, of_every_kind
from signals_for_tests import UPDATES_AND_TYPES, convolutive, every_update_and_type, interference_db

import bss
from bss.errors import BssError, InputError, SolverError, UsageError
from bss.solvers.demixing import updates
from bss.solvers.demixing.contrasts import Nmf, Spherical

METHODS: dict[str, Callable[..., bss.Separation]] = {
    "laplace": bss.auxiva,
    "gauss": lambda X, **o: bss.auxiva(X, contrast="gauss", **o),
    "nmf": lambda X, **o: bss.ilrma(X, **{"start": "microphones", **o}),
    "nmf after FD-ICA": bss.ilrma,
}
AFTER_FDICA = ("nmf after FD-ICA",)  # half of the iterations are its, at most 20
every_method = pytest.mark.parametrize("method", METHODS)
every_update = pytest.mark.parametrize("update", updates.NAMES)
X2, A2 = convolutive(2, 2, np.complex64)
X3, A3 = convolutive(3, 2, np.complex64)


# ---- silence and levels


@every_method
@every_update_and_type
@pytest.mark.parametrize("gain", [1e-9, 1e9])
@pytest.mark.parametrize(("n_mics", "n_sources"), [(2, 2), (3, 2)])
def test_the_level_does_not_matter(n_mics: int, n_sources: int, gain: float, dtype: Any, update: str, method: str) -> None:
    X, _ = convolutive(n_mics, n_sources, dtype)
    X_gained = (X * gain).astype(dtype)
    options = {"n_sources": n_sources, "update": update, "n_iter": 30, "tol": 0}
    here, there = METHODS[method](X, **options), METHODS[method](X_gained, **options)
    np.testing.assert_allclose(there.loss, here.loss, atol=1e-3)
    here, there = bss.projection_back(here, X), bss.projection_back(there, X_gained)
    np.testing.assert_allclose(there.demixing, here.demixing, atol=1e-2 * np.abs(here.demixing).max())


@pytest.mark.parametrize(
    ("kind", "silent", "n_mics", "n_sources", "dtype", "update", "method"),
    of_every_kind(
        [
            (silent, *size, dtype, update, method)
            for silent in ("frames", "bins", "frames and bins") for size in ((2, 2), (3, 2), (3, 1))
            for update, dtype in UPDATES_AND_TYPES for method in METHODS
        ],
        lambda silent, M, N, dtype, update, method: silent == "frames and bins" and method in ("laplace", "nmf") and N == 2,
    ),
)  # fmt: skip
def test_digital_silence_gives_silence_and_the_same_separation(
    kind: Kind, silent: str, n_mics: int, n_sources: int, dtype: Any, update: str, method: str
) -> None:
    X, A = convolutive(n_mics, n_sources, dtype)
    live = np.ones(len(X), bool)
    if "frames" in silent:
        X[:, :, 120:200], X[:, :, :3], X[:, :, -1] = 0, 0, 0
    if "bins" in silent:
        live[[0, 7, -1]] = False
    X[~live] = 0
    given = kind.array(X)
    result = METHODS[method](given, n_sources=n_sources, update=update, n_iter=40)
    assert np.isfinite(result.loss).all()
    back = bss.projection_back(result, given)
    for scaled in map(kind.result, (result, back, bss.minimal_distortion(result, given))):
        assert np.isfinite(scaled.demixing).all()
        assert np.isfinite(scaled.sources).all()
        assert not scaled.sources[~live].any()
        assert interference_db(scaled.demixing[live] @ A[live]) < -20
    if n_mics == n_sources:
        np.testing.assert_allclose(kind.numpy(back.sources).sum(1), X[:, 0], atol=1e3 * np.finfo(dtype).eps * np.abs(X).max())


@every_method
@every_update
def test_one_microphone_is_one_source(method: str, update: str, kind: Kind) -> None:
    X = X2[:, :1]
    given = kind.array(X)
    back = kind.result(bss.projection_back(METHODS[method](given, update=update), given))
    np.testing.assert_allclose(back.sources, X, rtol=1e-5)
    np.testing.assert_allclose(back.demixing, np.ones((len(X), 1, 1)), rtol=1e-5)


def test_the_layout_in_memory_does_not_matter(kind: Kind) -> None:
    here = kind.numpy(bss.auxiva(kind.array(X2), n_iter=5).sources)
    copied = kind.array(X2.transpose(2, 1, 0).copy()).T if kind.name == "numpy" else kind.array(X2.T.copy()).permute(2, 1, 0)
    for X in (np.asfortranarray(X2) if kind.name == "numpy" else copied, copied, kind.array(np.repeat(X2, 2, 1))[:, ::2]):
        assert tuple(X.shape) == X2.shape
        np.testing.assert_allclose(kind.numpy(bss.auxiva(X, n_iter=5).sources), here, rtol=1e-2, atol=1e-3)


# ---- starts


@every_method
@pytest.mark.parametrize("update", ["ip", "iss"])  # a pair's best outputs depend on the weights alone: one step from anywhere
@pytest.mark.parametrize(("X", "A"), [(X2, A2), (X3, A3)], ids=["square", "more microphones"])
def test_a_warm_start_begins_near_its_end(X: np.ndarray, A: np.ndarray, update: str, method: str, kind: Kind) -> None:
    options, X = {"n_sources": 2, "update": update}, kind.array(X)
    for done in (METHODS[method](X, n_iter=40, **options), bss.projection_back(bss.auxiva(X, n_sources=2), X)):
        kept = kind.numpy(done.demixing).copy()
        cold, warm = (kind.result(METHODS[method](X, n_iter=1, start=start, **options)) for start in (None, done.demixing))
        np.testing.assert_array_equal(kind.numpy(done.demixing), kept)
        assert interference_db(warm.demixing @ A) < -20
        assert interference_db(cold.demixing @ A) > -12


@every_method
@pytest.mark.parametrize("gain", [1e-60, 1e-6, 1e6, 1e60])
def test_the_scale_of_a_start_does_not_matter(gain: float, method: str, kind: Kind) -> None:
    start, X = bss.auxiva(X2, n_iter=3).demixing, kind.array(X2)
    here = METHODS[method](X, start=start, n_iter=5)
    there = METHODS[method](X, start=kind.array(gain * start.astype(complex)), n_iter=5)
    np.testing.assert_allclose(there.loss, here.loss, rtol=1e-4)
    listed = METHODS[method](X, start=start.tolist(), n_iter=5)
    np.testing.assert_allclose(listed.loss, here.loss, rtol=1e-4)


# ---- stops


@pytest.mark.parametrize("method", [name for name in METHODS if name not in AFTER_FDICA])  # FD-ICA stops early, too
def test_tol_stops_where_the_loss_falls_by_less(method: str, kind: Kind) -> None:
    X = kind.array(X2)
    every = METHODS[method](X, tol=0, n_iter=60)
    assert every.n_iter == 60
    assert not every.converged
    assert every.message == "stopped after 60 iterations"
    falls = -np.diff(every.loss)
    early = METHODS[method](X, tol=1e-2, n_iter=60)
    assert early.n_iter == 2 + int(np.argmax(falls < 1e-2)) < 60
    assert early.converged
    assert early.message == f"converged in {early.n_iter} iterations"
    np.testing.assert_array_equal(early.loss, every.loss[: early.n_iter])


def test_a_start_that_makes_silence_is_refused(kind: Kind) -> None:
    X, start = X2.copy(), np.zeros((len(X2), 2, 2))
    X[0], start[0] = 0, np.eye(2)  # it lets a bin through that is silent
    with pytest.raises(UsageError, match="start makes silence of the recording"):
        bss.auxiva(kind.array(X), start=start)


def test_without_a_tolerance_there_is_no_convergence() -> None:
    falls = -np.diff(bss.auxiva(X2, tol=0, n_iter=150).loss)
    roundings = np.flatnonzero(falls < 0)
    assert len(roundings) > 0  # at the end the loss goes up and down by its last digits
    result = bss.auxiva(X2, tol=0, n_iter=int(roundings[0]) + 2)
    assert not result.converged
    assert result.message == f"stopped after {result.n_iter} iterations"


@every_method
def test_too_few_iterations_are_admitted(method: str, kind: Kind) -> None:
    result = METHODS[method](kind.array(X2), n_iter=3)
    count = 3 - (method in AFTER_FDICA)
    assert (result.n_iter, result.converged) == (count, False)
    assert result.message.startswith(f"stopped after {count} iterations")
    assert "larger n_iter" in result.message


@every_method
def test_callbacks_hear_every_loss(method: str, kind: Kind) -> None:
    heard: list[tuple[int, float]] = []
    result = METHODS[method](kind.array(X2), n_iter=7, callback=lambda i, loss: heard.append((i, loss)))
    assert heard == list(enumerate(result.loss))


@every_method
def test_an_exception_in_a_callback_ends_the_solve(method: str) -> None:
    heard: list[int] = []

    def stop(i: int, loss: float) -> None:
        heard.append(i)
        if i == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        METHODS[method](X2, tol=0, callback=stop)
    assert heard == [0, 1, 2]


# ---- seeds


@every_method
@every_update
def test_same_seed_same_bytes(method: str, update: str, kind: Kind) -> None:
    X = kind.array(X3)
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - that nobody touches it is the point
    seeds = (7, 7, np.random.default_rng(7))
    runs = [kind.result(METHODS[method](X, n_sources=2, update=update, n_iter=10, rng=r)) for r in seeds]
    for other in runs[1:]:
        assert runs[0].sources.tobytes() == other.sources.tobytes()
        assert runs[0].demixing.tobytes() == other.demixing.tobytes()
        assert runs[0].loss.tobytes() == other.loss.tobytes()
    another = METHODS[method](X, n_sources=2, update=update, n_iter=10, rng=8)
    assert (another.loss.tobytes() == runs[0].loss.tobytes()) == ("nmf" not in method)  # only the factors are drawn
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


# ---- divergence


@dataclass(frozen=True)
class Broken(Spherical):
    """A contrast whose weights are good for nothing."""

    value: float

    def weights(self, r: np.ndarray, n_bins: int) -> np.ndarray:
        return self.value + 0 * r

    def penalty(self, r: np.ndarray, n_bins: int) -> np.ndarray:
        return r


@pytest.mark.parametrize("n_iter", [1, 5])
@pytest.mark.parametrize("update", updates.NAMES)
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_what_is_not_finite_is_an_error_and_no_result(value: float, update: str, n_iter: int, kind: Kind) -> None:
    with pytest.raises(SolverError, match="diverged") as caught:
        bss.auxiva(kind.array(X2), contrast=Broken(value), update=update, n_iter=n_iter)
    assert caught.value.hint


@dataclass(frozen=True)
class Careless(Spherical):
    """A contrast whose weights have nothing to do with its penalty: they make the outputs louder, which it does not like."""

    def weights(self, r: np.ndarray, n_bins: int) -> np.ndarray:
        return 1e-6 + 0 * r

    def penalty(self, r: np.ndarray, n_bins: int) -> np.ndarray:
        return r


@pytest.mark.parametrize("tol", [0, 1e-6])
def test_a_loss_that_rises_is_no_convergence(tol: float, kind: Kind) -> None:
    result = bss.auxiva(kind.array(X2), contrast=Careless(), n_iter=2, tol=tol)
    assert result.loss[1] > result.loss[0]
    assert not result.converged
    assert "the loss rose" in result.message
    assert "bss check" in result.message


# ---- refusals


def spoiled(value: float) -> np.ndarray:
    X = X2.copy()
    X[3, 1, 17] = value
    return X


@every_method
@pytest.mark.parametrize(
    ("X", "options", "error", "said"),
    [
        (X2[0], {}, InputError, r"\(2, 300\)"),
        (X2[None], {}, InputError, r"\(1, 33, 2, 300\)"),
        (X2.real, {}, InputError, "float32"),
        (X2.tolist(), {}, InputError, "list"),
        (X2.transpose(0, 2, 1), {}, InputError, "300 microphones and 2 frames"),
        (X2[:0], {}, InputError, r"\(0, 2, 300\)"),
        (X2[:, :0], {}, InputError, r"\(33, 0, 300\)"),
        (spoiled(np.nan), {}, InputError, "channel 1 of X holds NaN"),
        (spoiled(np.inf), {}, InputError, "channel 1 of X holds NaN or infinite"),
        (0 * X2, {}, InputError, "the recording is silent"),
        (np.insert(X2, 1, 0, axis=1), {}, InputError, "channel 1 of X is silent"),
        (X2, {"n_sources": 3}, UsageError, "3 sources asked for, 2 microphones given"),
        (X2, {"n_sources": 0}, UsageError, "n_sources=0"),
        (X2, {"n_sources": 1.5}, UsageError, "n_sources=1.5"),
        (X2, {"n_sources": "2"}, UsageError, "n_sources='2'"),
        (X2, {"n_iter": 0}, UsageError, "n_iter=0"),
        (X2, {"n_iter": 2.5}, UsageError, "n_iter=2.5"),
        (X2, {"tol": -1}, UsageError, "tol=-1"),
        (X2, {"tol": float("nan")}, UsageError, "tol=nan"),
        (X2, {"tol": "small"}, UsageError, "tol='small'"),
        (X2, {"update": "isss"}, UsageError, "update='isss' is not known\nTry: did you mean 'iss'"),
        (X2, {"update": None}, UsageError, "update='None'"),
        (X2, {"start": np.eye(2)}, UsageError, r"start has shape \(2, 2\)"),
        (X3, {"start": np.zeros((33, 3, 3)), "n_sources": 2}, UsageError, r"start has shape \(33, 3, 3\)"),
        (X2, {"start": np.zeros((33, 2, 2))}, UsageError, "start holds NaN, infinite values or only zeros"),
        (X2, {"start": np.full((33, 2, 2), np.nan)}, UsageError, "start holds NaN"),
    ],
)
def test_refusals(method: str, X: Any, options: dict[str, Any], error: type[BssError], said: str, kind: Kind) -> None:
    with pytest.raises(BssError, match=said) as caught:
        METHODS[method](kind.array(X), **options)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: bss.auxiva(X2, contrast="laplac"), "contrast='laplac' is not known\nTry: did you mean 'laplace'"),
        (lambda: bss.auxiva(X2, contrast=None), "contrast='None'"),
        (lambda: bss.ilrma(X2, n_components=0), "n_components=0"),
        (lambda: bss.ilrma(X2, n_components=1.5), "n_components=1.5"),
        (lambda: Nmf(2, basis=np.ones((2, 33, 2))), "one of basis and activation"),
        (
            lambda: bss.auxiva(X2, contrast=Nmf(2, np.ones((2, 32, 2)), np.ones((2, 2, 300)))),
            r"basis \(2, 32, 2\) and activation \(2, 2, 300\) do not fit",
        ),
        (lambda: bss.overiva(X2, n_sources=3), "3 sources asked for"),
    ],
)
def test_refusals_of_their_own(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        call()
