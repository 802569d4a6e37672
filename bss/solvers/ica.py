"""FastICA: fixed-point iterations on white data, and a last step that whiteness no longer binds."""

from __future__ import annotations

import numpy as np

from bss.checks import check_rng
from bss.errors import check_choice, check_flag
from bss.solvers.infomax import refined
from bss.solvers.mm import Callback, check_tol
from bss.solvers.problem import GAUSSIAN_VALUE, Problem, rotation_gradient, symmetric_decorrelation
from bss.solvers.result import Separation


def fastica(
    X: np.ndarray,
    *,
    n_sources: int | None = None,
    algorithm: str = "symmetric",
    contrast: str = "logcosh",
    n_iter: int = 200,
    tol: float = 1e-5,
    refine: bool = True,
    rng: int | np.random.Generator = 0,
    callback: Callback | None = None,
) -> Separation:
    """FastICA: directions of the whitened data that are as far from Gaussian as can be.

    Parameters
    ----------
    X : np.ndarray
        (M, n) samples, real. The mean is taken out for the estimation and stays in the sources.
    n_sources : int, optional
        N; the number of independent channels by default.
    algorithm : {"symmetric", "deflation"}
        All sources together, or one after the other.
    contrast : {"logcosh", "exp", "cube"}
        The function whose mean tells from Gaussian: robust, very robust, or kurtosis.
    n_iter, tol : int, float
        Iterations at most (per source in deflation), and the largest entry of the relative gradient, on all samples, at
        which it has converged: the skew part of E[g(y) y^T], or in deflation the part of E[g(y) z] across the direction.
    refine : bool
        End with a few steps of Infomax's likelihood. Outputs that have to be exactly uncorrelated are further from the
        sources than they need be, by 2 to 4 dB of interference, as even independent sources correlate by chance. Left out where
        the steps would lead elsewhere, as with Gaussian sources.
    rng : int or np.random.Generator
        Draws the first rotation.
    callback : callable, optional
        Called with (iteration, loss).

    Returns
    -------
    Separation
        Sources (N, n) of unit variance, demixing (N, M); loss is minus the summed negentropy approximations. Without `refine`
        the sources are uncorrelated.

    Raises
    ------
    InputError, UsageError, SolverError
        X is not usable; an option is not; it diverged.

    References
    ----------
    A. Hyvärinen, "Fast and robust fixed-point algorithms for independent component analysis", IEEE TNN 10(3), 1999.
    J.-F. Cardoso, "On the performance of orthogonal source separation algorithms", EUSIPCO 1994, for what whiteness costs.

    Examples
    --------
    >>> import numpy as np, bss
    >>> s = np.random.default_rng(0).laplace(size=(2, 20_000))
    >>> A = np.array([[1.0, 0.6], [0.4, 1.0]])
    >>> G = bss.fastica(A @ s).demixing @ A
    >>> bool((np.sort(abs(G))[:, 0] / np.sort(abs(G))[:, 1]).max() < 0.05)
    True
    """
    check_tol(tol)
    check_flag("refine", refine)
    check_choice("algorithm", algorithm, ("symmetric", "deflation"))
    check_choice("contrast", contrast, tuple(GAUSSIAN_VALUE))
    problem = Problem.of(X, n_sources, n_iter, callback)
    first = check_rng(rng).normal(size=(len(problem.K),) * 2)
    solve = _symmetric if algorithm == "symmetric" else _deflation
    strides = problem.strides(eighth=refine)
    last = strides[1:][-2:] if refine else []  # left to the refinement
    W, converged = solve(problem, symmetric_decorrelation(first), contrast, n_iter, tol, strides[: len(strides) - len(last)])
    refinement = refined(problem, W, n_iter, tol) if refine else None
    if refinement is not None:
        W, converged = refinement
    elif last:
        W, converged = solve(problem, W, contrast, n_iter, tol, last)
    return problem.finish(W, converged, "try a larger n_iter, another contrast, or infomax")


def _symmetric(
    problem: Problem, W: np.ndarray, contrast: str, n_iter: int, tol: float, strides: list[int]
) -> tuple[np.ndarray, bool]:
    converged = False
    for stride in strides:
        for _ in range(n_iter):
            cross, slope, value = problem.pass_over(W, contrast, stride)
            problem.note(-float(np.sum((value - GAUSSIAN_VALUE[contrast]) ** 2)))
            gradient = np.max(np.abs(rotation_gradient(cross, slope, W)[1]))
            converged = bool(gradient <= problem.enough(W, tol, stride))
            if converged:
                break
            W = symmetric_decorrelation(cross - slope[:, None] * W)  # eq. 20: E[g(y) z^T] - diag(E[g'(y)]) W
    return W, converged


def _deflation(
    problem: Problem, W: np.ndarray, contrast: str, n_iter: int, tol: float, strides: list[int]
) -> tuple[np.ndarray, bool]:
    W, done = W.copy(), True
    for p in range(len(W)):
        w, converged = _unit_orthogonal(W[p], W[:p]), False
        for stride in strides:
            for _ in range(n_iter):
                cross, slope, value = problem.pass_over(w[None], contrast, stride)
                problem.note(-float((value[0] - GAUSSIAN_VALUE[contrast]) ** 2))
                gradient = np.linalg.norm(_orthogonal(cross[0], np.vstack([W[:p], w])))
                converged = bool(gradient <= problem.enough(w[None], tol, stride))
                if converged:
                    break
                w = _unit_orthogonal(cross[0] - slope[0] * w, W[:p])
        done = done and converged
        W[p] = w
    return W, done


def _orthogonal(w: np.ndarray, previous: np.ndarray) -> np.ndarray:
    """w without its part along the rows of `previous` (Gram-Schmidt, twice for roundings)."""
    for _ in range(2):
        w = w - previous.T @ (previous @ w)
    return w


def _unit_orthogonal(w: np.ndarray, previous: np.ndarray) -> np.ndarray:
    w = _orthogonal(w, previous)
    return np.asarray(w / np.linalg.norm(w))
