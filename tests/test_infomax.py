"""Infomax's likelihood: its gradient, its line search, and that it falls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from signals_for_tests import independent, mixing_matrix

import bss
from bss.solvers.instantaneous import picard
from bss.solvers.instantaneous.infomax import Likelihood
from bss.solvers.instantaneous.problem import Problem, symmetric_decorrelation

REAL = [np.float32, np.float64]


@pytest.mark.parametrize("signs", [None, [1, 1, 1], [-1, 1, -1]], ids=["not extended", "super", "mixed"])
def test_infomax_s_gradient_is_the_derivative_of_its_loss(signs: list[int] | None) -> None:
    problem = Problem.of(mixing_matrix(3, 3) @ independent("mixed", n=500), None, 1, None)
    rng = np.random.default_rng(0)
    W = rng.standard_normal((3, 3))
    model = Likelihood(extended=signs is not None, newton=True)
    fixed = None if signs is None else np.array(signs, float)

    def loss(E: np.ndarray) -> float:
        return picard.evaluate(problem, model, (np.eye(3) + E) @ W, fixed).loss

    gradient = picard.evaluate(problem, model, W, fixed).gradient
    for i, j in np.ndindex(3, 3):
        E = np.zeros((3, 3))
        E[i, j] = 1e-5
        assert (loss(E) - loss(-E)) / 2e-5 == pytest.approx(gradient[i, j], abs=1e-8)


@pytest.mark.parametrize("newton", [True, False])
@pytest.mark.parametrize("extended", [True, False])
@pytest.mark.parametrize("dtype", REAL)
def test_infomax_s_line_search_goes_down_and_keeps_the_signs(dtype: Any, extended: bool, newton: bool) -> None:
    problem = Problem.of((mixing_matrix(3, 3) @ independent("mixed", n=2000)).astype(dtype), None, 1, None)
    model = Likelihood(extended, newton)
    rng = np.random.default_rng(0)
    for _ in range(20):
        W = symmetric_decorrelation(rng.standard_normal((3, 3))) * rng.uniform(0.1, 10)
        point = picard.evaluate(problem, model, W, None)
        direction = -model.precondition(point, point.gradient)
        assert np.sum(direction * point.gradient) < 0
        found = picard.line_search(problem, model, point, direction)
        assert found is not None
        moved, step = found
        assert moved.loss < point.loss
        np.testing.assert_array_equal(moved.signs, point.signs)
        np.testing.assert_allclose(moved.W, point.W + step @ point.W, rtol=1e-4, atol=1e-4 * np.abs(moved.W).max())
        assert picard.line_search(problem, model, point, point.gradient) is None  # uphill


@pytest.mark.parametrize("variance", [0.3, 1.0])
def test_infomax_s_newton_step_solves_its_blocks(variance: float) -> None:
    rng = np.random.default_rng(0)
    h, G = rng.uniform(1.2, 3, (4, 4)), rng.standard_normal((4, 4))
    np.fill_diagonal(h, variance)  # h = 1 on the diagonal is nothing special
    point = picard.Point(np.eye(4), (h, h[0], h[0]), np.ones(4), 0.0, G, h)
    E = Likelihood(extended=True, newton=True).precondition(point, G)
    np.testing.assert_allclose(h * E + E.T, G, atol=1e-12)


@pytest.mark.parametrize("solver", ["picard", "newton", "natural"])
@pytest.mark.parametrize(("extended", "kind"), [(False, "super"), (False, "voices"), (True, "super"), (True, "mixed")])
def test_infomax_s_loss_never_rises(kind: str, extended: bool, solver: str) -> None:
    result = bss.infomax(mixing_matrix(3, 3) @ independent(kind), solver=solver, extended=extended)
    falls = -np.diff(result.loss)
    assert np.all(falls[2 if extended else 0 :] >= 0)  # the signs are found at once
