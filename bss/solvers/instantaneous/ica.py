"""FastICA: fixed-point iterations on white data, and a last step that whiteness no longer binds."""

from __future__ import annotations

import numpy as np

from bss.backends import dispatch
from bss.checks import check_recording, check_rng
from bss.errors import InputError, UsageError, check_choice, check_flag
from bss.solvers.instantaneous.infomax import refined
from bss.solvers.instantaneous.problem import GAUSSIAN_VALUE, Nonlinearity, Problem, rotation_gradient, symmetric_decorrelation
from bss.solvers.mm import Callback, check_tol
from bss.solvers.result import Separation


def fastica(
    X: np.ndarray,
    *,
    n_sources: int | None = None,
    algorithm: str = "symmetric",
    contrast: str | Nonlinearity = "logcosh",
    n_iter: int = 200,
    tol: float = 1e-5,
    refine: bool = True,
    start: np.ndarray | None = None,
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
    contrast : {"logcosh", "exp", "cube"} or callable
        The function whose mean tells from Gaussian: robust, very robust, or kurtosis. A function of your own is called with
        outputs (N, n), or (n,) of one, in NumPy, and returns g of them and g', or the mean of g' over the samples.
    n_iter, tol : int, float
        Iterations at most (per source in deflation), and the largest entry of the relative gradient, on all samples, at
        which it has converged: the skew part of E[g(y) y^T], or in deflation the part of E[g(y) z] across the direction.
    refine : bool
        End with a few steps of Infomax's likelihood. Outputs that have to be exactly uncorrelated are further from the
        sources than they need be, by 2 to 4 dB of interference, as even independent sources correlate by chance. Left out where
        the steps would lead elsewhere, as with Gaussian sources.
    start : array, shape=(N, M), optional
        The first demixing, of which iterations keep the rotation; drawn by `rng` by default.
    rng : int or np.random.Generator
        Draws the first rotation.
    callback : callable, optional
        Called with (iteration, loss).

    Returns
    -------
    Separation
        Sources (N, n) of unit variance, demixing (N, M); loss is minus the summed negentropy approximations, or with a function
        of your own the largest entry of the relative gradient. Without `refine` the sources are uncorrelated.

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
    if callable(contrast) and dispatch.is_tensor(X):
        raise UsageError("contrast is a function, and X a tensor", "functions are called with NumPy arrays", "X.cpu().numpy()")
    if not callable(contrast):
        check_choice("contrast", contrast, tuple(GAUSSIAN_VALUE))
    problem = Problem.of(X, n_sources, n_iter, callback)
    first = symmetric_decorrelation(check_rng(rng).normal(size=(len(problem.K),) * 2))
    if start is not None:
        first = _started(problem, start, orthogonal=algorithm == "symmetric")
    solve = _symmetric if algorithm == "symmetric" else _deflation
    strides = [1] if callable(contrast) else problem.strides(eighth=refine)
    last = strides[1:][-2:] if refine else []  # left to the refinement
    W, converged = solve(problem, first, contrast, n_iter, tol, strides[: len(strides) - len(last)])
    refinement = refined(problem, W, n_iter, tol) if refine else None
    if refinement is not None:
        W, converged = refinement
    elif last:
        W, converged = solve(problem, W, contrast, n_iter, tol, last)
    return problem.finish(W, converged, "try a larger n_iter, another contrast, or infomax")


def _started(problem: Problem, start: np.ndarray, *, orthogonal: bool) -> np.ndarray:
    """A demixing (N, M) as rows of unit length (R, R) for the whitened data."""
    B = np.asarray(check_recording(start, name="start"), np.float64)
    if B.shape != problem.K.shape:
        raise InputError(f"start has shape {B.shape}", f"expected {problem.K.shape}: a row of the demixing for each source")
    W = B @ np.linalg.pinv(problem.K)
    if np.linalg.matrix_rank(W) < len(W):
        raise InputError("start is singular", "its rows have to be linearly independent", "another one, or none")
    return symmetric_decorrelation(W) if orthogonal else np.asarray(W / np.linalg.norm(W, axis=1)[:, None])


def _loss(value: np.ndarray, gradient: float, contrast: str | Nonlinearity) -> float:
    """Minus the negentropy; of a function, of which there is none, the gradient."""
    return gradient if callable(contrast) else -float(np.sum((value - GAUSSIAN_VALUE[contrast]) ** 2))


def _symmetric(
    problem: Problem, W: np.ndarray, contrast: str | Nonlinearity, n_iter: int, tol: float, strides: list[int]
) -> tuple[np.ndarray, bool]:
    converged = False
    for stride in strides:
        for _ in range(n_iter):
            cross, slope, value = problem.pass_over(W, contrast, stride)
            gradient = float(np.max(np.abs(rotation_gradient(cross, slope, W)[1])))
            problem.note(_loss(value, gradient, contrast))
            converged = bool(gradient <= problem.enough(W, tol, stride))
            if converged:
                break
            W = symmetric_decorrelation(cross - slope[:, None] * W)  # eq. 20: E[g(y) z^T] - diag(E[g'(y)]) W
    return W, converged


def _deflation(
    problem: Problem, W: np.ndarray, contrast: str | Nonlinearity, n_iter: int, tol: float, strides: list[int]
) -> tuple[np.ndarray, bool]:
    W, done = W.copy(), True
    for p in range(len(W)):
        w, converged = _unit_orthogonal(W[p], W[:p]), False
        for stride in strides:
            for _ in range(n_iter):
                cross, slope, value = problem.pass_over(w[None], contrast, stride)
                gradient = float(np.linalg.norm(_orthogonal(cross[0], np.vstack([W[:p], w]))))
                problem.note(_loss(value, gradient, contrast))
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
