"""Infomax: instantaneous ICA by maximum likelihood, with quasi-Newton or natural-gradient steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bss.errors import check_choice
from bss.solvers.ica import Problem, symmetric_decorrelation
from bss.solvers.mm import Callback, check_tol
from bss.solvers.result import Separation


def infomax(
    X: np.ndarray,
    *,
    n_sources: int | None = None,
    extended: bool = True,
    solver: str = "newton",
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
    solver : {"newton", "natural"}
        Quasi-Newton steps in the relative gradient, or plain natural-gradient ascent with a line search.
    n_iter, tol : int, float
        Iterations at most, and the largest entry of the relative gradient under which it stops.
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
    check_choice("solver", solver, ("newton", "natural"))
    problem = Problem.of(X, n_sources, n_iter, callback)
    first = np.random.default_rng(rng).normal(size=(len(problem.K),) * 2)
    W = symmetric_decorrelation(first)
    W, converged = _likelihood(problem, W, extended, solver == "newton", n_iter, tol)
    return problem.finish(W, converged, "try a larger n_iter, or fastica")


@dataclass(frozen=True)
class _Point:
    """The likelihood at W: its loss, relative gradient G = E[psi(y) y^T] - I and the diagonal of its curvature."""

    W: np.ndarray
    loss: float
    gradient: np.ndarray
    curvature: np.ndarray
    signs: np.ndarray


def _evaluate(problem: Problem, W: np.ndarray, extended: bool, signs: np.ndarray | None, stride: int = 1) -> _Point:
    """One pass over the data. Model per source: psi(y) = y + k tanh(y), k = 1 super-, -1 sub-Gaussian (Lee et al., eq. 2.24);
    without the extended form psi(y) = 2 tanh(y), the hyperbolic-secant-squared density."""
    cross, slope, value = problem.pass_over(W, "logcosh", stride)
    tanh_y = cross @ W.T  # E[tanh(y_i) y_j]
    second = W @ W.T  # E[y_i y_j], as z is white
    variance = np.diag(second)
    if not extended:
        psi, dpsi, cost = 2 * tanh_y, 2 * slope, 2 * value.sum()
        signs = np.ones(len(W))
    else:
        if signs is None:
            # stability of the two models: Lee et al., eq. 2.26
            signs = np.where(slope * variance - np.diag(tanh_y) > 0, 1.0, -1.0)
        psi = second + signs[:, None] * tanh_y
        dpsi = 1 + signs * slope
        cost = np.sum(variance / 2 + signs * value)
    loss = float(cost - np.linalg.slogdet(W)[1])
    return _Point(W, loss, psi - np.eye(len(W)), dpsi[:, None] * variance[None, :], signs)


def _likelihood(
    problem: Problem, W: np.ndarray, extended: bool, newton: bool, n_iter: int, tol: float
) -> tuple[np.ndarray, bool]:
    converged = False
    for stride in problem.strides():
        # on a part, to what that part can tell: see `Problem.strides`
        enough = tol if stride == 1 else max(tol, (stride / problem.x.shape[1]) ** 0.5)
        W, converged = _climb(problem, W, extended, newton, n_iter, enough, stride)
    return W, converged


def _climb(
    problem: Problem, W: np.ndarray, extended: bool, newton: bool, n_iter: int, tol: float, stride: int
) -> tuple[np.ndarray, bool]:
    point = _evaluate(problem, W, extended, None, stride)
    for _ in range(n_iter):
        problem.note(point.loss)
        if np.max(np.abs(point.gradient)) < tol:
            return point.W, True
        step = _newton_direction(point) if newton else -point.gradient
        moved = _line_search(problem, point, step, extended, stride)
        if moved is None:  # no descent left at this precision: as converged as these samples allow
            return point.W, bool(np.max(np.abs(point.gradient)) < 4 * np.sqrt(np.finfo(problem.x.dtype).eps))
        point = _evaluate(problem, moved.W, extended, None, stride) if _sign_changed(moved, extended) else moved
    return point.W, False


def _sign_changed(point: _Point, extended: bool) -> bool:
    """Whether a source asks for the other of the two models at this point; the signs are kept along a line search."""
    if not extended:
        return False
    # diag(psi) = variance + k E[tanh(y) y] and curvature = (1 + k E[1 - tanh^2]) variance give the criterion back
    variance = np.sum(point.W**2, axis=1)
    tanh_y = (np.diag(point.gradient) + 1 - variance) * point.signs
    slope = (np.diag(point.curvature) / variance - 1) * point.signs
    return bool(np.any(np.where(slope * variance - tanh_y > 0, 1.0, -1.0) != point.signs))


def _newton_direction(point: _Point) -> np.ndarray:
    """-H^-1 G with H made of 2 x 2 blocks over (i, j), (j, i), its eigenvalues kept above a floor: Ablin et al., section 3."""
    lowest = 1e-2
    h, ht = point.curvature, point.curvature.T
    smallest = (h + ht - np.sqrt((h - ht) ** 2 + 4)) / 2
    shift = np.where(smallest < lowest, lowest - smallest, 0.0)
    h, ht = h + shift, ht + shift
    G = point.gradient
    with np.errstate(divide="ignore", invalid="ignore"):
        step = -(ht * G - G.T) / (h * ht - 1)
    diagonal = np.diag(G) / (1 + np.diag(point.curvature))
    np.fill_diagonal(step, -diagonal)
    return np.asarray(step)


def _line_search(problem: Problem, point: _Point, step: np.ndarray, extended: bool, stride: int = 1) -> _Point | None:
    """The first of the steps 1, 1/2, 1/4 ... that lowers the loss, W <- (I + a E) W; None if none does."""
    size = 1.0
    for _ in range(12):
        W = point.W + size * step @ point.W
        trial = _evaluate(problem, W, extended, point.signs if extended else None, stride)
        if trial.loss < point.loss:
            return trial
        size /= 2
    return None
