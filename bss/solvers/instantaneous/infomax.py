"""Infomax: instantaneous ICA by maximum likelihood, with quasi-Newton or natural-gradient steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bss.checks import check_rng
from bss.errors import check_choice
from bss.solvers.instantaneous.picard import (
    LOWEST_CURVATURE,
    MEMORY,
    Memory,
    Point,
    Sums,
    descend,
    evaluate,
    rough_start,
    step_down,
)
from bss.solvers.instantaneous.problem import Problem, symmetric_decorrelation
from bss.solvers.mm import Callback, check_tol
from bss.solvers.result import Separation


def infomax(
    X: np.ndarray,
    *,
    n_sources: int | None = None,
    extended: bool = True,
    solver: str = "picard",
    n_iter: int = 200,
    tol: float = 1e-5,
    rng: int | np.random.Generator = 0,
    callback: Callback | None = None,
) -> Separation:
    """Infomax: maximum likelihood under heavy-tailed sources, and light-tailed ones in its extended form.

    Parameters
    ----------
    X : np.ndarray
        (M, n) samples, real. The mean is taken out for the estimation and stays in the sources.
    n_sources : int, optional
        N; the number of independent channels by default.
    extended : bool
        Switch the model of each source between super- and sub-Gaussian as the data say; without it all are super-Gaussian.
    solver : {"picard", "newton", "natural"}
        Quasi-Newton steps in the relative gradient that learn the curvature on the way, those without, or plain
        natural-gradient ascent; all with a line search.
    n_iter, tol : int, float
        Iterations at most, on each part of the data, and the largest entry of the relative gradient, on all samples, at
        which it has converged.
    rng : int or np.random.Generator
        Draws the first rotation.
    callback : callable, optional
        Called with (iteration, loss).

    Returns
    -------
    Separation
        Sources (N, n), demixing (N, M); loss is the negative log likelihood per sample up to a constant.

    Raises
    ------
    InputError, UsageError, SolverError
        X is not usable; an option is not; it diverged.

    References
    ----------
    A. Bell and T. Sejnowski, Neural Computation 7, 1995; S. Amari et al., NIPS 1996 (natural gradient); T. Lee, M. Girolami
    and T. Sejnowski, Neural Computation 11, 1999 (extended); P. Ablin, J.-F. Cardoso and A. Gramfort, IEEE TSP 66, 2018.

    Examples
    --------
    >>> import numpy as np, bss
    >>> rng = np.random.default_rng(0)
    >>> s = np.stack([rng.laplace(size=20_000), rng.uniform(-1, 1, 20_000)])
    >>> A = np.array([[1.0, 0.6], [0.4, 1.0]])
    >>> G = abs(bss.infomax(A @ s).demixing @ A)
    >>> bool((np.sort(G)[:, 0] / np.sort(G)[:, 1]).max() < 0.05)
    True
    """
    check_tol(tol)
    check_choice("solver", solver, ("picard", "newton", "natural"))
    problem = Problem.of(X, n_sources, n_iter, callback)
    first = check_rng(rng).normal(size=(len(problem.K),) * 2)
    W = symmetric_decorrelation(first)
    if extended and solver != "natural":
        W, signs = rough_start(problem, W, "logcosh")
        W = np.where(signs > 0, *USUAL_SCALES)[:, None] * W
    W, converged = descend(
        problem, Likelihood(extended, solver != "natural"), W,
        n_iter=n_iter, tol=tol, memory=MEMORY if solver == "picard" else 0,
    )  # fmt: skip
    return problem.finish(W, converged, "try a larger n_iter, or fastica")


def refined(problem: Problem, W: np.ndarray, n_iter: int, tol: float) -> tuple[np.ndarray, bool] | None:
    """White W (R, R) after quasi-Newton steps of Infomax, at unit variance again, and whether they converged.

    The first steps are on a part of the data, so that on all of it one step mostly goes all the way. None where they lead away
    from W, as with Gaussian sources, which no likelihood tells apart.
    """
    objective, known, steps = Likelihood(extended=True, newton=True), Memory(), min(n_iter, REFINEMENTS)
    best = USUAL_SCALES[0] * W
    for stride in problem.strides(eighth=True)[-2:-1]:  # of a short recording there is no part
        best, objective = _first_steps(problem, objective, best, known, steps, tol, stride)
    best, converged = _last_steps(problem, objective, best, known, steps, tol)
    best = best / np.sqrt(np.sum(best**2, axis=1))[:, None]
    turn = np.abs(best @ W.T - np.eye(len(W)))
    return (best, converged) if turn.max() < FURTHEST else None


def _first_steps(
    problem: Problem, objective: Likelihood, W: np.ndarray, known: Memory, n_iter: int, tol: float, stride: int
) -> tuple[np.ndarray, Likelihood]:
    """Steps on a part of the data, which also settle the scales; and the objective with what they say of its curvature."""
    point = evaluate(problem, objective, W, None, stride)
    for _ in range(n_iter):
        better = step_down(problem, objective, point, known, stride)
        if better is None:
            break
        objective = objective.with_scale_curvature(point, better)
        point = objective.point(better.W, better.sums, better.signs)
        enough = problem.enough(point.W, tol, stride)
        # scales that are off by some part act on the rest to second order: they need not be settled as well
        if _across(point) <= enough and np.abs(np.diag(point.gradient)).max() <= enough**0.5:
            break
    return point.W, objective


def _last_steps(
    problem: Problem, objective: Likelihood, W: np.ndarray, known: Memory, n_iter: int, tol: float
) -> tuple[np.ndarray, bool]:
    """Steps on all of the data, each as long as the gradient falls, but for its diagonal: that is of the scales, which go."""
    point = evaluate(problem, objective, W, None, value=False)
    for _ in range(n_iter):
        if _across(point) <= problem.enough(point.W, tol, 1):
            return point.W, True
        step = known.direction(objective, point)
        candidate = evaluate(problem, objective, objective.retract(step, point.W), point.signs, value=False)
        if not _across(candidate) < _across(point):
            break
        known.add(step, candidate.gradient - point.gradient)
        objective = objective.with_scale_curvature(point, candidate)
        point = objective.point(candidate.W, candidate.sums, candidate.signs)
    return point.W, _across(point) <= problem.enough(point.W, tol, 1)


def _across(point: Point) -> float:
    """The largest entry of the gradient off its diagonal."""
    return float(np.max(np.abs(point.gradient - np.diag(np.diag(point.gradient)))))


REFINEMENTS = 10
FURTHEST = 0.1  # of an output that may be exchanged for another in a refinement
USUAL_SCALES = (2.0, 1.5)  # about the standard deviations at which heavy- and light-tailed sources fit their models
SCALE_CURVATURE = 0.3  # about E[y^2 / cosh^2 y] of a heavy-tailed y at its own scale
SCALE_CURVATURES = (0.05, 0.44)  # what it may be: y^2 / cosh^2 y is never more
SMALLEST_STEP = 1e-3  # of the logarithm of a scale, from which something can be learned


@dataclass(frozen=True)
class Likelihood:
    """-log |det W| - sum_i E[log p_i(y_i)], its gradient E[psi(y) y^T] - I, and how to step: quasi-Newton or natural gradient.

    psi(y) = tanh(y) for a heavy-tailed source, of density 1 / cosh y, and y - tanh(y) for a light-tailed one: Lee et al. (1999).
    """

    extended: bool
    newton: bool
    contrast: str = "logcosh"
    scale_curvature: float | np.ndarray = SCALE_CURVATURE

    def with_scale_curvature(self, before: Point, after: Point) -> Likelihood:
        """With what a step did to the gradient's diagonal: the curvature of the likelihood in the scale of each output.

        That diagonal, E[psi(y) y] - 1, changes by E[psi'(y) y^2] + E[psi(y) y] times the logarithm of the scale.
        """
        old, new = np.sum(before.W**2, axis=1), np.sum(after.W**2, axis=1)
        step = np.log(new / old) / 2
        far = np.abs(step) > SMALLEST_STEP
        first, last = np.diag(before.gradient), np.diag(after.gradient)
        own = (last - first) / np.where(far, step, 1.0) - 1 - (first + last) / 2
        seen = np.where(after.signs < 0, (old + new) / 2 - own, own)
        return replace(self, scale_curvature=np.where(far, np.clip(seen, *SCALE_CURVATURES), self.scale_curvature))

    def point(self, W: np.ndarray, sums: Sums, signs: np.ndarray | None) -> Point:
        cross, slope, value = sums
        tanh_y = cross @ W.T  # E[tanh(y_i) y_j]
        second = W @ W.T  # E[y_i y_j], as z is white
        variance = np.diag(second)
        if signs is None:
            # where the model is stable: Lee et al., eq. 2.26
            stable = slope * variance > np.diag(tanh_y)
            signs = np.where(stable | (not self.extended), 1.0, -1.0)
        light = signs < 0
        psi = np.where(light[:, None], second - tanh_y, tanh_y)
        dpsi = np.where(light, 1 - slope, slope)
        cost = np.sum(np.where(light, variance / 2 - value, value))
        loss = float(cost - np.linalg.slogdet(W)[1])
        curvature = dpsi[:, None] * variance
        # E[psi'(y) y^2] is no product: it is what `scale_curvature` says
        np.fill_diagonal(curvature, np.where(light, np.maximum(variance - self.scale_curvature, 0), self.scale_curvature))
        return Point(W, sums, signs, loss, psi - np.eye(len(W)), curvature)

    def precondition(self, point: Point, G: np.ndarray) -> np.ndarray:
        """H is made of 2 x 2 blocks over (i, j), (j, i), its eigenvalues kept above a floor: Ablin et al., section 3."""
        if not self.newton:
            return G
        h, ht = point.curvature, point.curvature.T
        smallest = (h + ht - np.sqrt((h - ht) ** 2 + 4)) / 2
        shift = np.where(smallest < LOWEST_CURVATURE, LOWEST_CURVATURE - smallest, 0.0)
        h, ht = h + shift, ht + shift
        determinant = h * ht - 1
        np.fill_diagonal(determinant, 1.0)
        step = (ht * G - G.T) / determinant
        np.fill_diagonal(step, np.diag(G) / (1 + np.diag(point.curvature)))
        return np.asarray(step)

    def retract(self, E: np.ndarray, W: np.ndarray) -> np.ndarray:
        return np.asarray(W + E @ W)
