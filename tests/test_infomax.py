"""Infomax's likelihood: its gradient, its line search, and that it falls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from signals_for_tests import independent, mixing_matrix

import bss
from bss.solvers import infomax as infomax_module
from bss.solvers.ica import Problem, symmetric_decorrelation

REAL = [np.float32, np.float64]


@pytest.mark.parametrize("signs", [None, [1, 1, 1], [-1, 1, -1]], ids=["not extended", "super", "mixed"])
def test_infomax_s_gradient_is_the_derivative_of_its_loss(signs: list[int] | None) -> None:
    problem = Problem.of(mixing_matrix(3, 3) @ independent("mixed", n=500), None, 1, None)
    rng = np.random.default_rng(0)
    W = rng.standard_normal((3, 3))
    fixed = None if signs is None else np.array(signs, float)

    def loss(E: np.ndarray) -> float:
        return infomax_module._evaluate(problem, (np.eye(3) + E) @ W, signs is not None, fixed).loss

    gradient = infomax_module._evaluate(problem, W, signs is not None, fixed).gradient
    for i, j in np.ndindex(3, 3):
        E = np.zeros((3, 3))
        E[i, j] = 1e-5
        assert (loss(E) - loss(-E)) / 2e-5 == pytest.approx(gradient[i, j], abs=1e-8)


@pytest.mark.parametrize("extended", [True, False])
@pytest.mark.parametrize("dtype", REAL)
def test_infomax_s_line_search_goes_down_and_keeps_the_signs(dtype: Any, extended: bool) -> None:
    problem = Problem.of((mixing_matrix(3, 3) @ independent("mixed", n=2000)).astype(dtype), None, 1, None)
    rng = np.random.default_rng(0)
    for _ in range(20):
        W = symmetric_decorrelation(rng.standard_normal((3, 3))) * rng.uniform(0.1, 10)
        point = infomax_module._evaluate(problem, W, extended, None)
        for step in (-point.gradient, infomax_module._newton_direction(point)):
            assert np.sum(step * point.gradient) < 0
            moved = infomax_module._line_search(problem, point, step, extended)
            assert moved is not None
            assert moved.loss < point.loss
            np.testing.assert_array_equal(moved.signs, point.signs)
        assert infomax_module._line_search(problem, point, point.gradient, extended) is None  # uphill


@pytest.mark.parametrize("solver", ["newton", "natural"])
@pytest.mark.parametrize(("extended", "kind"), [(False, "super"), (False, "voices"), (True, "super"), (True, "mixed")])
def test_infomax_s_loss_never_rises(kind: str, extended: bool, solver: str) -> None:
    result = bss.infomax(mixing_matrix(3, 3) @ independent(kind), solver=solver, extended=extended)
    falls = -np.diff(result.loss)
    assert np.all(falls[2 if extended else 0 :] >= 0)  # the signs are found at once
