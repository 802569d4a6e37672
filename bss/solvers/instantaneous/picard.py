"""Picard: quasi-Newton steps in the relative gradient, for Infomax's likelihood and, as Picard-O, on the rotations."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from bss.checks import check_rng
from bss.errors import check_choice
from bss.solvers.instantaneous.problem import GAUSSIAN_VALUE, Problem, rotation_gradient, symmetric_decorrelation
from bss.solvers.mm import Callback, check_tol
from bss.solvers.result import Separation

MEMORY = 7
LOWEST_CURVATURE = 1e-2
HALVINGS = 10
ROUGH_STEPS, ROUGH = 12, 0.03
SIGN_CHANGES = 20  # iterations in which a source may ask for the other model; a nearly Gaussian one could go on forever

Sums = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Point:
    """An objective at W: its loss and relative gradient, as those of one pass over the data; W <- retract(E, W) changes the
    loss by <gradient, E> to first order."""

    W: np.ndarray
    sums: Sums
    signs: np.ndarray
    loss: float
    gradient: np.ndarray
    curvature: np.ndarray


class Objective(Protocol):
    """What is descended: how the sums of a pass become a loss with its derivatives, and how W is changed."""

    @property
    def contrast(self) -> str:
        """The nonlinearity whose sums a pass is to bring."""

    def point(self, W: np.ndarray, sums: Sums, signs: np.ndarray | None) -> Point:
        """The loss and its derivatives; the signs of the source models are as given, or as the sums ask for."""

    def precondition(self, point: Point, G: np.ndarray) -> np.ndarray:
        """H^-1 G, H being the Hessian where the sources are independent, kept positive."""

    def retract(self, E: np.ndarray, W: np.ndarray) -> np.ndarray:
        """W after a relative step E."""


@dataclass(frozen=True)
class Rotations:
    """sum_i s_i E[G(y_i)] over orthogonal W; Ablin, Cardoso and Gramfort (ICASSP 2018)."""

    contrast: str

    def point(self, W: np.ndarray, sums: Sums, signs: np.ndarray | None) -> Point:
        cross, slope, value = sums
        if signs is None:
            signs, _ = rotation_gradient(cross, slope, W)
        odd = signs[:, None] * (cross @ W.T)
        curvature = signs * slope - np.diag(odd)
        # W is orthogonal but for the rounding of W K: what that does to the loss, to first order, is taken out
        loss = float(signs @ value - np.sum(odd * (W @ W.T - np.eye(len(W)))) / 2)
        return Point(W, sums, signs, loss, (odd - odd.T) / 2, (curvature[:, None] + curvature) / 2)

    def precondition(self, point: Point, G: np.ndarray) -> np.ndarray:
        return np.asarray(G / np.maximum(point.curvature, LOWEST_CURVATURE))

    def retract(self, E: np.ndarray, W: np.ndarray) -> np.ndarray:
        """exp(E) W, made orthogonal once more: roundings would add up. E is skew, so that iE is Hermitian."""
        angles, U = np.linalg.eigh(1j * E)
        turn = ((U * np.exp(-1j * angles)) @ U.conj().T).real
        return symmetric_decorrelation(turn @ W)


@dataclass
class Memory:
    """The last steps and what they did to the gradient: limited-memory BFGS, started from the preconditioner."""

    pairs: deque[tuple[np.ndarray, np.ndarray]] = field(default_factory=lambda: deque(maxlen=MEMORY))

    def add(self, step: np.ndarray, change: np.ndarray) -> None:
        if np.sum(step * change) > 1e-10 * np.linalg.norm(step) * np.linalg.norm(change):
            self.pairs.append((step, change))

    def direction(self, objective: Objective, point: Point) -> np.ndarray:
        """-H^-1 G by the two-loop recursion; Ablin et al. (IEEE TSP 2018)."""
        q, shares = point.gradient, []
        for s, y in reversed(self.pairs):
            share = np.sum(s * q) / np.sum(s * y)
            q = q - share * y
            shares.append(share)
        r = objective.precondition(point, q)
        for (s, y), share in zip(self.pairs, reversed(shares), strict=True):
            r = r + (share - np.sum(y * r) / np.sum(s * y)) * s
        return -r


def descend(
    problem: Problem, objective: Objective, W: np.ndarray, *, n_iter: int, tol: float, memory: int = MEMORY
) -> tuple[np.ndarray, bool]:
    """Quasi-Newton descent on growing parts of the data, at last on all of it; whether its gradient there is small.

    The curvature learned on a part is kept: on the whole, two or three passes are enough.
    """
    known = Memory(deque(maxlen=memory))
    converged = False
    for stride in problem.strides():
        W, converged = _descend(problem, objective, W, known, n_iter, tol, stride)
    return W, converged


def rough_start(problem: Problem, W: np.ndarray, contrast: str) -> tuple[np.ndarray, np.ndarray]:
    """From far away FastICA's fixed point is the better guide: a few steps of it on the smallest part of the data.

    W, and the signs of the sources (see `rotation_gradient`).
    """
    signs = np.ones(len(W))
    for _ in range(ROUGH_STEPS):
        cross, slope, _ = problem.pass_over(W, contrast, problem.strides()[0])
        signs, gradient = rotation_gradient(cross, slope, W)
        if np.max(np.abs(gradient)) < ROUGH:
            break
        W = symmetric_decorrelation(cross - slope[:, None] * W)
    return W, signs


def evaluate(
    problem: Problem, objective: Objective, W: np.ndarray, signs: np.ndarray | None, stride: int = 1, *, value: bool = True
) -> Point:
    """One pass over the data, at W as the precision of the samples holds it; without `value` the loss means nothing."""
    W = problem.held(W)
    return objective.point(W, problem.pass_over(W, objective.contrast, stride, value=value), signs)


def _descend(
    problem: Problem, objective: Objective, W: np.ndarray, known: Memory, n_iter: int, tol: float, stride: int
) -> tuple[np.ndarray, bool]:
    point = evaluate(problem, objective, W, None, stride)
    for i in range(n_iter):
        problem.note(point.loss)
        if np.max(np.abs(point.gradient)) <= problem.enough(point.W, tol, stride):
            return point.W, True
        following = step_down(problem, objective, point, known, stride)
        if following is None:  # no descent left at this precision
            break
        point = following
        if i < SIGN_CHANGES:
            asked = objective.point(point.W, point.sums, None)
            if np.any(asked.signs != point.signs):
                point = asked
                known.pairs.clear()
    return point.W, False


def step_down(problem: Problem, objective: Objective, point: Point, known: Memory, stride: int) -> Point | None:
    """The next point; without what is remembered where that leads nowhere, None where nothing leads down."""
    while True:
        direction = known.direction(objective, point)
        result = line_search(problem, objective, point, direction, stride)
        if result is not None:
            following, step = result
            if np.linalg.norm(step) < 0.7 * np.linalg.norm(direction):
                known.pairs.clear()  # too far: what is remembered is of elsewhere
            known.add(step, following.gradient - point.gradient)
            return following
        if not known.pairs:
            return None
        known.pairs.clear()


def line_search(
    problem: Problem, objective: Objective, point: Point, direction: np.ndarray, stride: int = 1
) -> tuple[Point, np.ndarray] | None:
    """The first of the steps 1, 1/2, 1/4 ... that lowers the loss, with the step; None if none does.

    Near the end the loss falls by less than its roundings; there the gradient has to fall, and the loss not to rise by more.
    """
    roundings = np.finfo(problem.precision).eps * (1 + abs(point.loss))
    slope = float(np.sum(direction * point.gradient))
    if slope >= 0:
        return None
    size = 1.0
    for _ in range(HALVINGS):
        candidate = evaluate(problem, objective, objective.retract(size * direction, point.W), point.signs, stride)
        level = abs(candidate.loss - point.loss) <= roundings
        if candidate.loss < point.loss and not level:
            return candidate, size * direction
        if level and np.linalg.norm(candidate.gradient) < np.linalg.norm(point.gradient):
            return candidate, size * direction
        size /= 2
        if level and size < 0.1:  # nothing to see at this precision
            break
    return None


def picard_o(
    X: np.ndarray,
    *,
    n_sources: int | None = None,
    contrast: str = "logcosh",
    n_iter: int = 200,
    tol: float = 1e-5,
    rng: int | np.random.Generator = 0,
    callback: Callback | None = None,
) -> Separation:
    """Picard-O: what symmetric FastICA looks for, by quasi-Newton steps that go on where its fixed point slows down.

    Parameters
    ----------
    X : np.ndarray
        (M, n) samples, real. The mean is taken out for the estimation and stays in the sources.
    n_sources : int, optional
        N; the number of independent channels by default.
    contrast : {"logcosh", "exp", "cube"}
        The function whose mean tells from Gaussian: robust, very robust, or kurtosis.
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
        Sources (N, n) of unit variance, demixing (N, M); loss is the sum of E[G(y_i)], negative for light-tailed sources
        (heavy-tailed ones under "cube").

    Raises
    ------
    InputError, UsageError, SolverError
        X is not usable; an option is not; it diverged.

    References
    ----------
    P. Ablin, J.-F. Cardoso and A. Gramfort, "Faster ICA under orthogonal constraint", ICASSP 2018.

    Examples
    --------
    >>> import numpy as np, bss
    >>> s = np.random.default_rng(0).laplace(size=(2, 20_000))
    >>> A = np.array([[1.0, 0.6], [0.4, 1.0]])
    >>> G = abs(bss.picard_o(A @ s).demixing @ A)
    >>> bool((np.sort(G)[:, 0] / np.sort(G)[:, 1]).max() < 0.05)
    True
    """
    check_tol(tol)
    check_choice("contrast", contrast, tuple(GAUSSIAN_VALUE))
    problem = Problem.of(X, n_sources, n_iter, callback)
    first = check_rng(rng).normal(size=(len(problem.K),) * 2)
    start, _ = rough_start(problem, symmetric_decorrelation(first), contrast)
    W, converged = descend(problem, Rotations(contrast), start, n_iter=n_iter, tol=tol)
    return problem.finish(W, converged, "try a larger n_iter, another contrast, or infomax")
