"""Picard and Picard-O: derivatives, descent, and that `converged` is a small gradient on all of the data, for FastICA as well."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import reference
from signals_for_tests import independent, interference_db, mixing_matrix

import bss
from bss.backends.cpu import threads
from bss.errors import BssError, InputError, UsageError
from bss.solvers.instantaneous import picard
from bss.solvers.instantaneous.infomax import Likelihood
from bss.solvers.instantaneous.problem import Problem, symmetric_decorrelation

REAL = [np.float32, np.float64]
CONTRASTS = ["logcosh", "exp", "cube"]
KINDS = ["super", "sub", "mixed", "voices"]

fastica = functools.partial(bss.fastica, refine=False)  # the fixed point itself
fastica.__name__ = "fastica"  # type: ignore[attr-defined]


def rotation_gradient(result: bss.Separation, contrast: str) -> float:
    """Largest entry of the skew part of s_i E[g(y_i) y_j], of the sources as they are, in double precision."""
    y = result.demixing.astype(float) @ (result.observed.astype(float) - result.observed.mean(1, dtype=float)[:, None])
    _, g, slope = reference.PENALTIES[contrast]
    odd = g(y) @ y.T / y.shape[1]
    odd *= np.sign(slope(y).mean(1) * (y**2).mean(1) - np.diag(odd))[:, None]
    return float(np.abs(odd - odd.T).max() / 2)


def likelihood_gradient(result: bss.Separation) -> float:
    """Largest entry of E[psi(y) y^T] - I, psi by the sign that is stable."""
    y = result.demixing.astype(float) @ (result.observed.astype(float) - result.observed.mean(1, dtype=float)[:, None])
    heavy = ((1 - np.tanh(y) ** 2).mean(1) * (y**2).mean(1) > (np.tanh(y) * y).mean(1))[:, None]
    psi = np.where(heavy, np.tanh(y), y - np.tanh(y))
    return float(np.abs(psi @ y.T / y.shape[1] - np.eye(len(y))).max())


def long_recording(dtype: Any = np.float64) -> np.ndarray:
    """(2, n), so long that a part of it is looked at first."""
    s = np.random.default_rng(0).laplace(size=(2, 600_000))
    return np.asarray((mixing_matrix(2, 2) @ s).astype(dtype))


# ---- converged means a small gradient on all of the data


@pytest.mark.parametrize("tol", [1e-3, 1e-5, 1e-8])
@pytest.mark.parametrize("contrast", CONTRASTS)
@pytest.mark.parametrize("solve", [fastica, bss.picard_o])
def test_rotations_converge_to_a_small_gradient(solve: Any, contrast: str, tol: float) -> None:
    result = solve(mixing_matrix(3, 3) @ independent("mixed"), contrast=contrast, tol=tol)
    assert result.converged
    assert rotation_gradient(result, contrast) <= tol + 1e-12


@pytest.mark.parametrize("solver", ["picard", "newton", "natural"])
@pytest.mark.parametrize("tol", [1e-3, 1e-5, 1e-8])
def test_infomax_converges_to_a_small_gradient(tol: float, solver: str) -> None:
    result = bss.infomax(mixing_matrix(3, 3) @ independent("mixed"), tol=tol, solver=solver, n_iter=1000)
    assert result.converged
    assert likelihood_gradient(result) <= tol + 1e-12


@pytest.mark.parametrize("dtype", REAL)
def test_the_gradient_is_small_on_all_of_a_long_recording(dtype: Any) -> None:
    X = long_recording(dtype)
    for solve in (fastica, bss.picard_o):
        result = solve(X)
        assert result.converged
        assert rotation_gradient(result, "logcosh") <= 1.2e-5
    assert likelihood_gradient(bss.infomax(X)) <= 1.2e-5


@pytest.mark.parametrize("solve", [fastica, bss.picard_o, bss.infomax])
@pytest.mark.parametrize("condition", [3.0, 1e3])
def test_single_precision_stops_at_its_roundings(condition: float, solve: Any) -> None:
    X = (mixing_matrix(3, 3, condition) @ independent("super")).astype(np.float32)
    result = solve(X, tol=0.0)
    assert result.converged  # nothing smaller can be told
    gradient = likelihood_gradient(result) if solve is bss.infomax else rotation_gradient(result, "logcosh")
    assert gradient < 1e-5 * condition


def test_deflation_converges_to_a_small_gradient_too() -> None:
    result = fastica(mixing_matrix(3, 3) @ independent("super"), algorithm="deflation", tol=1e-8)
    y = result.demixing @ (result.observed - result.observed.mean(1, keepdims=True))
    odd = np.tanh(y) @ y.T / y.shape[1]
    assert result.converged
    assert np.abs(np.triu(odd, 1)).max() <= 1.01e-8  # across the direction, and those not yet found


# ---- Picard-O


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("contrast", CONTRASTS)
def test_picard_o_finds_what_fastica_finds(contrast: str, kind: str) -> None:
    X = mixing_matrix(3, 3) @ independent(kind)
    one = bss.picard_o(X, contrast=contrast, tol=1e-8)
    other = fastica(X, contrast=contrast, tol=1e-8, n_iter=1000)
    match = np.abs(np.corrcoef(one.sources, other.sources)[:3, 3:])
    np.testing.assert_allclose(np.sort(match, axis=1)[:, -1], 1, atol=1e-10)
    assert sorted(match.argmax(1)) == [0, 1, 2]


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("contrast", CONTRASTS)
def test_sources_are_separated_and_white(contrast: str, kind: str, dtype: Any) -> None:
    A = mixing_matrix(3, 3)
    X = (A @ independent(kind)).astype(dtype)
    kept = X.copy()
    result = bss.picard_o(X, contrast=contrast)
    assert result.converged
    assert interference_db(result.demixing @ A) < -27
    assert result.demixing.dtype == result.sources.dtype == dtype
    assert result.n_iter == len(result.loss) < 40
    np.testing.assert_allclose(np.cov(result.sources.astype(float), bias=True), np.eye(3), atol=20 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(X, kept)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("contrast", CONTRASTS)
def test_the_loss_of_given_signs_never_rises(contrast: str, kind: str) -> None:
    problem = Problem.of(mixing_matrix(3, 3) @ independent(kind), None, 1, None)
    W = symmetric_decorrelation(np.random.default_rng(1).standard_normal((3, 3)))
    model, known = picard.Rotations(contrast), picard.Memory()
    point = picard.evaluate(problem, model, W, None)
    for _ in range(30):
        moved = picard.step_down(problem, model, point, known, 1)
        if moved is None:
            break
        assert moved.loss <= point.loss + 1e-14
        np.testing.assert_allclose(moved.W @ moved.W.T, np.eye(3), atol=1e-12)
        np.testing.assert_array_equal(moved.signs, point.signs)
        point = moved
    assert np.abs(point.gradient).max() < 1e-6


@pytest.mark.parametrize("kind", ["super", "voices"])
def test_the_loss_never_rises(kind: str) -> None:
    assert np.all(np.diff(bss.picard_o(mixing_matrix(3, 3) @ independent(kind)).loss) <= 1e-14)


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_the_gradient_is_the_derivative_of_the_loss(contrast: str) -> None:
    problem = Problem.of(mixing_matrix(3, 3) @ independent("mixed", n=500), None, 1, None)
    model, signs = picard.Rotations(contrast), np.array([1.0, -1.0, 1.0])
    W = symmetric_decorrelation(np.random.default_rng(0).standard_normal((3, 3)))
    gradient = picard.evaluate(problem, model, W, signs).gradient
    np.testing.assert_array_equal(gradient, -gradient.T)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        E = np.zeros((3, 3))
        E[i, j], E[j, i] = 1e-5, -1e-5
        up, down = (picard.evaluate(problem, model, model.retract(sign * E, W), signs).loss for sign in (1, -1))
        assert (up - down) / 2e-5 == pytest.approx(2 * gradient[i, j], abs=1e-8)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 0.5, 3.0])
def test_moves_are_rotations(angle: float) -> None:
    E = np.zeros((3, 3))
    E[0, 2], E[2, 0] = angle, -angle
    want = np.eye(3)
    want[[0, 0, 2, 2], [0, 2, 0, 2]] = np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)
    W = symmetric_decorrelation(np.random.default_rng(0).standard_normal((3, 3)))
    np.testing.assert_allclose(picard.Rotations("logcosh").retract(E, W), want @ W, atol=1e-14)


# ---- the memory of the curvature


def test_the_two_loops_are_the_bfgs_inverse() -> None:
    rng = np.random.default_rng(0)
    problem = Problem.of(mixing_matrix(3, 3) @ independent("super", n=500), None, 1, None)
    model = Likelihood(extended=False, newton=False)  # H = I to start from
    point = picard.evaluate(problem, model, symmetric_decorrelation(rng.standard_normal((3, 3))), None)
    known, H = picard.Memory(), np.eye(9)
    bend = rng.standard_normal((9, 9))
    for _ in range(4):
        s = rng.standard_normal(9)
        y = (bend @ bend.T + np.eye(9)) @ s
        known.add(s.reshape(3, 3), y.reshape(3, 3))
        left = np.eye(9) - np.outer(s, y) / (s @ y)
        H = left @ H @ left.T + np.outer(s, s) / (s @ y)
    np.testing.assert_allclose(known.direction(model, point).ravel(), -H @ point.gradient.ravel(), atol=1e-10)


def test_a_step_along_which_the_gradient_falls_is_not_remembered() -> None:
    known = picard.Memory()
    known.add(np.ones((2, 2)), -np.ones((2, 2)))
    assert not known.pairs


def test_picard_needs_fewer_iterations_than_its_preconditioner_alone() -> None:
    X = mixing_matrix(6, 6) @ independent("voices", 6)
    n_iter = {s: bss.infomax(X, solver=s, tol=1e-8, n_iter=500).n_iter for s in ("picard", "newton", "natural")}
    assert n_iter["picard"] < n_iter["newton"] < n_iter["natural"]


# ---- as every solver


@pytest.mark.parametrize("solve", [bss.picard_o, bss.infomax])
def test_equivariance(solve: Any) -> None:
    s, A = independent("mixed"), mixing_matrix(3, 3)
    one, other = solve(s, tol=1e-9), solve(1e3 * (A @ s) + 5, tol=1e-9)
    match = np.abs(np.corrcoef(one.sources, other.sources)[:3, 3:])
    np.testing.assert_allclose(np.sort(match, axis=1)[:, -1], 1, atol=1e-10)


def test_fewer_sources_than_microphones_and_channels_that_add_nothing() -> None:
    A = mixing_matrix(5, 2)
    X = A @ independent("super", 2) + 0.003 * np.random.default_rng(0).standard_normal((5, 20_000))
    assert interference_db(bss.picard_o(X, n_sources=2).demixing @ A) < -22
    A = np.vstack([mixing_matrix(2, 2), np.zeros(2), [[0.3, -0.2]]])
    copied = bss.picard_o(A @ independent("super", 2))
    assert copied.demixing.shape == (2, 4)
    assert interference_db(copied.demixing @ A) < -27
    assert bss.picard_o(independent("super", 1)).converged


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("solve", [bss.picard_o, bss.infomax, fastica])
def test_same_seed_same_bytes_on_any_number_of_threads(solve: Any, dtype: Any) -> None:
    X = (mixing_matrix(3, 3) @ independent("super")).astype(dtype)
    results = [solve(X, rng=r) for r in (7, 7, np.random.default_rng(7))]
    for count in (1, 2):
        with threads.limited(count):
            results.append(solve(X, rng=7))
    assert len({r.demixing.tobytes() for r in results}) == 1
    assert len({r.loss.tobytes() for r in results}) == 1
    assert solve(X, rng=8).loss[0] != results[0].loss[0]


def test_callbacks_and_too_few_iterations() -> None:
    heard: list[tuple[int, float]] = []
    X = mixing_matrix(3, 3) @ independent("super")
    result = bss.picard_o(X, n_iter=2, callback=lambda i, v: heard.append((i, v)))
    assert heard == list(enumerate(result.loss))
    assert not result.converged
    assert result.message.startswith("stopped after 2 iterations; try a larger n_iter")


@pytest.mark.parametrize(
    ("X", "options", "error", "said"),
    [
        (np.zeros((2, 500), complex), {}, UsageError, "X is complex"),
        (np.zeros((2, 500)), {}, InputError, "every channel is constant"),
        (np.full((2, 500), np.nan), {}, InputError, "channel 0 of X contains 500 NaN"),
        (np.ones((500, 2)), {}, InputError, "500 channels of 2 samples"),
        (np.random.default_rng(0).normal(size=(2, 500)), {"n_sources": 3}, UsageError, "3 sources asked for, 2 microphones"),
        (np.random.default_rng(0).normal(size=(2, 500)), {"n_iter": 0}, UsageError, "n_iter=0"),
        (np.random.default_rng(0).normal(size=(2, 500)), {"tol": -1.0}, UsageError, "tol=-1.0"),
        (np.random.default_rng(0).normal(size=(2, 500)), {"contrast": "tanh"}, UsageError, "contrast='tanh'"),
    ],
)
def test_refusals(X: Any, options: dict[str, Any], error: type[BssError], said: str) -> None:
    with pytest.raises(BssError, match=said) as caught:
        bss.picard_o(X, **options)
    assert type(caught.value) is error


@pytest.mark.parametrize("kind", ["heavy", "light"])
def test_a_step_teaches_how_much_a_scale_bends_the_likelihood(kind: str) -> None:
    rng = np.random.default_rng(0)
    y = rng.laplace(size=(2, 200_000)) / np.sqrt(2) if kind == "heavy" else rng.uniform(-1.73, 1.73, (2, 200_000))
    scales = np.array([2.0, 2.1]) if kind == "heavy" else np.array([1.5, 1.6])
    problem, model = Problem.of(y, None, 1, None), Likelihood(extended=True, newton=True)
    before = picard.evaluate(problem, model, scales[0] * np.eye(2), None)
    after = picard.evaluate(problem, model, scales[1] * np.eye(2), None)
    s = scales.mean() * (problem.K @ (y - problem.mean[:, None]))
    np.testing.assert_allclose(
        model.with_scale_curvature(before, after).scale_curvature, np.mean((s / np.cosh(s)) ** 2, axis=1), rtol=0.04
    )
    assert model.with_scale_curvature(before, before).scale_curvature == pytest.approx(
        model.scale_curvature
    )  # nothing to learn from no step


def test_a_solve_looks_at_parts_first() -> None:
    x = np.random.default_rng(0).laplace(size=(2, 600_000)).astype(np.float32)
    problem = Problem.of(x, None, 1, None)
    assert problem.strides() == [16, 1]
    assert problem.strides(eighth=True) == [16, 8, 1]
    assert Problem.of(x[:, :100_000], None, 1, None).strides(eighth=True) == [1]
