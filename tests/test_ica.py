"""FastICA and Infomax on instantaneous mixtures: they separate, they say how it went, and refuse what they cannot use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from signals_for_tests import independent, interference_db, mixing_matrix

import bss
from bss.errors import BssError, InputError, SolverError, UsageError
from bss.solvers.instantaneous.problem import Problem

N = 20_000
REAL = [np.float32, np.float64]
Solver = Callable[..., bss.Separation]


FASTICA = [(a, c) for a in ("symmetric", "deflation") for c in ("logcosh", "exp", "cube")]
INFOMAX = [(s, e) for s in ("picard", "newton", "natural") for e in (True, False)]
ALL: list[tuple[Solver, dict[str, Any]]] = [
    *((bss.fastica, {"algorithm": a, "contrast": c}) for a, c in FASTICA),
    *((bss.infomax, {"solver": s, "extended": e}) for s, e in INFOMAX),
]
every_solver = pytest.mark.parametrize(
    ("solve", "options"), ALL, ids=["-".join([f.__name__, *map(str, o.values())]) for f, o in ALL]
)
both = pytest.mark.parametrize("solve", [bss.fastica, bss.infomax])


def assert_consistent(result: bss.Separation, X: np.ndarray, n_sources: int) -> None:
    assert result.sources.shape == (n_sources, X.shape[1])
    assert result.demixing.shape == (n_sources, len(X))
    assert result.sources.dtype == result.demixing.dtype == X.dtype
    size = np.abs(result.demixing) @ np.abs(X)  # what the sums are made of
    assert np.all(np.abs(result.sources - result.demixing @ X) <= 20 * np.finfo(X.dtype).eps * size)
    assert result.loss.shape == (result.n_iter,)
    assert result.loss.dtype == np.float64
    assert np.isfinite(result.loss).all()


# ---- they separate


@every_solver
@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("kind", ["super", "voices"])
def test_heavy_tailed_sources_are_separated(kind: str, dtype: Any, solve: Solver, options: dict[str, Any]) -> None:
    A = mixing_matrix(3, 3)
    X = (A @ independent(kind)).astype(dtype)
    kept = X.copy()
    result = solve(X, **options, n_iter=1000)
    # kurtosis is a rougher judge of heavy tails than the bounded functions
    assert interference_db(result.demixing @ A) < (-27 if options.get("contrast") == "cube" else -31)
    assert result.converged
    assert result.n_iter < (1000 if options.get("solver") == "natural" else 100)
    assert f"converged in {result.n_iter} iterations" in result.message
    assert_consistent(result, X, 3)
    np.testing.assert_array_equal(X, kept)


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("kind", ["sub", "mixed"])
@pytest.mark.parametrize(
    ("solve", "options"), [*((bss.fastica, {"contrast": c}) for c in ("logcosh", "exp", "cube")),
                           (bss.infomax, {}), (bss.infomax, {"solver": "natural"})],
)  # fmt: skip
def test_light_tailed_sources_are_separated(solve: Solver, options: dict[str, Any], kind: str, dtype: Any) -> None:
    A = mixing_matrix(3, 3)
    result = solve((A @ independent(kind)).astype(dtype), **options, n_iter=1000)
    assert interference_db(result.demixing @ A) < -27
    assert result.converged


def test_infomax_that_is_not_extended_takes_all_sources_for_heavy_tailed() -> None:
    A = mixing_matrix(3, 3)
    result = bss.infomax(A @ independent("sub"), extended=False)
    assert interference_db(result.demixing @ A) > -15


@every_solver
def test_a_badly_conditioned_mixture_is_separated_as_well(solve: Solver, options: dict[str, Any]) -> None:
    A, s = mixing_matrix(3, 3, condition=1e3), independent("super")
    X = A @ s
    result = solve(X, **options)
    easy = solve(mixing_matrix(3, 3) @ s, **options)
    assert_consistent(result, X, 3)
    assert interference_db(result.demixing @ A) < -22
    assert interference_db(result.demixing @ A) < interference_db(easy.demixing @ mixing_matrix(3, 3)) + 3


@every_solver
def test_fewer_sources_than_microphones(solve: Solver, options: dict[str, Any]) -> None:
    A = mixing_matrix(5, 2)
    X = A @ independent("super", 2) + 0.003 * np.random.default_rng(0).standard_normal((5, N))
    result = solve(X, n_sources=2, **options)
    assert_consistent(result, X, 2)
    assert interference_db(result.demixing @ A) < -22


@both
@pytest.mark.parametrize("dtype", REAL)
def test_copied_and_silent_channels_are_no_sources(solve: Solver, dtype: Any) -> None:
    A = mixing_matrix(2, 2)
    A = np.vstack([A, A[0], np.zeros(2), A[0] - 0.5 * A[1]])
    X = (A @ independent("super", 2)).astype(dtype)
    result = solve(X)
    assert_consistent(result, X, 2)
    assert interference_db(result.demixing @ A) < -27
    with pytest.raises(UsageError, match="3 components asked for, 2 of 5 channels are independent"):
        solve(X, n_sources=3)


@both
@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("gain", [1e-6, 1e6])
@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_level_and_offset_do_not_matter(offset: float, gain: float, dtype: Any, solve: Solver) -> None:
    A = mixing_matrix(3, 3)
    X = A @ independent("super")
    here = solve(X.astype(dtype))
    there = solve((gain * (X + offset)).astype(dtype))
    np.testing.assert_allclose(gain * there.demixing, here.demixing, atol=1e-2 * np.abs(here.demixing).max())
    assert interference_db(there.demixing @ A) < -27
    assert_consistent(there, (gain * (X + offset)).astype(dtype), 3)


@both
def test_one_channel_is_one_source(solve: Solver) -> None:
    s = independent("super", 1)
    result = solve(0.2 * s)
    assert result.converged
    assert_consistent(result, 0.2 * s, 1)
    np.testing.assert_allclose(bss.projection_back(result, 0.2 * s).sources, 0.2 * s)


@pytest.mark.parametrize(("algorithm", "contrast"), FASTICA)
def test_fastica_s_sources_are_white(algorithm: str, contrast: str) -> None:
    x = mixing_matrix(3, 3) @ independent("super") + 2
    result = bss.fastica(x, algorithm=algorithm, contrast=contrast, refine=False)
    np.testing.assert_allclose(np.cov(result.sources, bias=True), np.eye(3), atol=1e-9)
    refined = bss.fastica(x, algorithm=algorithm, contrast=contrast)
    np.testing.assert_allclose(np.var(refined.sources, axis=1), 1, atol=1e-9)


# ---- they say how it went


@every_solver
def test_callbacks_hear_every_loss(solve: Solver, options: dict[str, Any]) -> None:
    heard: list[tuple[int, float]] = []
    result = solve(mixing_matrix(3, 3) @ independent("super"), callback=lambda i, loss: heard.append((i, loss)), **options)
    assert heard == list(enumerate(result.loss))


@every_solver
def test_an_exception_in_a_callback_ends_the_solve(solve: Solver, options: dict[str, Any]) -> None:
    class Enough(Exception):
        pass

    def stop(i: int, loss: float) -> None:
        if i == 2:
            raise Enough

    with pytest.raises(Enough):
        solve(mixing_matrix(3, 3) @ independent("super"), callback=stop, tol=0, **options)


@every_solver
def test_too_few_iterations_are_admitted(solve: Solver, options: dict[str, Any]) -> None:
    X = mixing_matrix(3, 3) @ independent("super")
    result = solve(X, n_iter=2, **options)
    assert not result.converged
    assert result.n_iter in ((5, 6) if options.get("algorithm") == "deflation" else (2,))  # the last direction is soon found
    assert result.message.startswith(f"stopped after {result.n_iter} iterations; try")
    assert_consistent(result, X, 3)


@both
def test_a_looser_tolerance_stops_earlier(solve: Solver) -> None:
    X = mixing_matrix(3, 3) @ independent("super")
    loose, tight = solve(X, tol=1e-2), solve(X, tol=1e-8)
    assert loose.converged
    assert tight.converged
    assert loose.n_iter < tight.n_iter
    np.testing.assert_array_equal(loose.loss, tight.loss[: loose.n_iter])


@every_solver
def test_same_seed_same_bytes(solve: Solver, options: dict[str, Any]) -> None:
    X = mixing_matrix(3, 3) @ independent("super")
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - that nobody touches it is the point
    first, again, generator = (solve(X, rng=r, **options) for r in (7, 7, np.random.default_rng(7)))
    for other in (again, generator):
        assert first.sources.tobytes() == other.sources.tobytes()
        assert first.demixing.tobytes() == other.demixing.tobytes()
        assert first.loss.tobytes() == other.loss.tobytes()
    assert solve(X, rng=8, **options).loss[0] != first.loss[0]
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


# ---- they refuse

GOOD = mixing_matrix(3, 3) @ independent("super", n=500)
WITH_NAN = GOOD.copy()
WITH_NAN[1, 17] = np.nan


@both
@pytest.mark.parametrize(
    ("X", "options", "error", "said"),
    [
        (GOOD + 0j, {}, UsageError, "X is complex"),
        (GOOD[None], {}, InputError, r"\(1, 3, 500\)"),
        (GOOD.T, {}, InputError, "500 channels of 3 samples"),
        (GOOD[0], {}, InputError, r"\(500,\)"),
        ((1000 * GOOD).astype(np.int16), {}, InputError, "int16"),
        (GOOD.tolist(), {}, InputError, "list"),
        (WITH_NAN, {}, InputError, "channel 1 of X contains 1 NaN or infinite samples, the first at sample 17"),
        (np.zeros((2, 500)), {}, InputError, "every channel is constant"),
        (GOOD, {"n_sources": 4}, UsageError, "4 sources asked for, 3 microphones given"),
        (GOOD, {"n_sources": 0}, UsageError, "n_sources=0"),
        (GOOD, {"n_sources": 1.5}, UsageError, "n_sources=1.5"),
        (GOOD, {"n_sources": "2"}, UsageError, "n_sources='2'"),
        (GOOD, {"n_iter": 0}, UsageError, "n_iter=0"),
        (GOOD, {"n_iter": 2.5}, UsageError, "n_iter=2.5"),
        (GOOD, {"tol": -1e-3}, UsageError, "tol=-0.001"),
        (GOOD, {"tol": float("nan")}, UsageError, "tol=nan"),
        (GOOD, {"tol": "small"}, UsageError, "tol='small'"),
    ],
)
def test_refusals(solve: Solver, X: Any, options: dict[str, Any], error: type[BssError], said: str) -> None:
    with pytest.raises(BssError, match=said) as caught:
        solve(X, **options)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("solve", "options", "said"),
    [
        (bss.fastica, {"algorithm": "symetric"}, "algorithm='symetric'"),
        (bss.fastica, {"contrast": "tanh"}, "contrast='tanh'"),
        (bss.fastica, {"contrast": None}, "contrast=None"),
        (bss.infomax, {"solver": "newtn"}, "solver='newtn'"),
    ],
)
def test_unknown_names(solve: Solver, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        solve(GOOD, **options)
    assert "one of" in caught.value.hint


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    problem = Problem.of(GOOD, None, 1, None)
    with pytest.raises(SolverError, match="diverged"):
        problem.note(float("nan"))
    assert not problem.losses


@pytest.mark.parametrize("kind", ["super", "sub", "mixed"])
def test_refinement_goes_where_whiteness_does_not_let(kind: str) -> None:
    interference = []
    for seed in range(6):
        A = np.random.default_rng(seed).normal(size=(3, 3))
        x = A @ independent(kind, n=4000 + seed)
        white, refined, likely = (s.demixing @ A for s in (bss.fastica(x, refine=False), bss.fastica(x), bss.infomax(x)))
        interference.append([interference_db(G) for G in (white, refined, likely)])
    white, refined, likely = np.mean(interference, axis=0)
    assert refined < white + 0.2
    assert refined < likely + 0.5


def test_refinement_succeeds_wherever_fastica_began() -> None:
    rng = np.random.default_rng(0)  # bursts: samples of them differ more than their number tells
    bursts = np.repeat(rng.gamma(0.5, size=(4, 600)), 1600, axis=1)
    A = rng.normal(size=(4, 4))
    X = (A @ (rng.laplace(size=bursts.shape) * np.sqrt(bursts))).astype(np.float32)
    found = [interference_db(bss.fastica(X, rng=seed).demixing @ A) for seed in range(6)]
    assert max(found) < min(found) + 1, found


def test_refinement_leaves_alone_what_no_likelihood_tells_apart() -> None:
    x = np.random.default_rng(0).normal(size=(3, 5000))
    found = bss.fastica(x, tol=1e-2)
    turned = found.demixing @ np.linalg.inv(bss.fastica(x, tol=1e-2, refine=False).demixing)
    assert np.abs(turned - np.eye(3)).max() < 0.1
