"""FastICA, and what it shares with Infomax: the whitening, the pass over the data and the result."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from bss.checks import check_recording
from bss.errors import SolverError, UsageError, check_choice, check_int
from bss.kernels import seam
from bss.solvers.mm import Callback, check_sources, check_tol
from bss.solvers.result import Separation
from bss.solvers.whitening import whitening_matrix

GROWTH = 16
FEWEST_SAMPLES = 1 << 15
GAUSSIAN_VALUE = {"logcosh": 0.374567207, "exp": -np.sqrt(0.5), "cube": 0.75}  # E[G(v)] of a unit Gaussian v


@dataclass
class Problem:
    """The data of one solve: x with its whitening K, and what the iterations leave behind."""

    x: np.ndarray
    K: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    kernels: ModuleType
    callback: Callback | None
    losses: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, X: Any, n_sources: int | None, n_iter: int, callback: Callback | None) -> Problem:
        """Check what the user gave, and whiten."""
        check_int("n_iter", n_iter, 1)
        kernels = seam.of(X)
        if np.iscomplexobj(X):
            raise UsageError("X is complex", "instantaneous ICA works on samples", "bss.auxiva for spectra")
        x = check_recording(X, name="X")
        if n_sources is not None:
            n_sources = check_sources(n_sources, len(x))
        K, mean, covariance = whitening_matrix(x, n_sources)
        return cls(x, K, mean, np.sqrt(np.diag(covariance)), kernels, callback)

    def pass_over(self, W: np.ndarray, nonlinearity: str, stride: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """E[g(y) z^T] (R, R), E[g'(y)], E[G(y)] (R,) of y = W z, z = K (x - mean) white; z itself is never stored."""
        cross, slope, value = self.kernels.ica_pass(self.x, W @ self.K, self.mean, nonlinearity, stride=stride)
        return cross @ self.K.T, slope, value

    def strides(self) -> list[int]:
        """Ever larger samples of the recording to iterate on, every so many-th block of it; at last all of it.

        A demixing is no better than what it is learned from allows, so there is no use in seeing every sample early on.
        """
        strides = [1]
        while self.x.shape[1] // (strides[0] * GROWTH) >= FEWEST_SAMPLES:
            strides.insert(0, strides[0] * GROWTH)
        return strides

    def held(self, W: np.ndarray) -> np.ndarray:
        """W as it is once W K is rounded to the precision of the samples, as it is for a pass and in the result."""
        return np.asarray((W @ self.K).astype(self.x.dtype).astype(np.float64) @ np.linalg.pinv(self.K))

    def enough(self, W: np.ndarray, tol: float, stride: int) -> float:
        """The largest entry of the relative gradient at which to stop: `tol`, or where more would mean nothing.

        On a part of n samples gradients are off by about n^-1/2 from those on all. On the whole, W K is rounded to the
        precision of the samples, which turns the outputs, of unit variance, by a small angle.
        """
        if stride > 1:
            return max(tol, float((stride / self.x.shape[1]) ** 0.5))
        rounding = np.finfo(self.x.dtype).eps * np.sqrt(np.max((W @ self.K) ** 2 @ self.deviation**2))
        return max(tol, 4 * float(rounding))

    def note(self, loss: float) -> None:
        """Keep and report the loss of an iteration; SolverError when it is not finite."""
        if not np.isfinite(loss):
            raise SolverError("ICA diverged", "its objective is no longer finite", "double precision, or `bss check`")
        self.losses.append(loss)
        if self.callback is not None:
            self.callback(len(self.losses) - 1, loss)

    def finish(self, W: np.ndarray, converged: bool, advice: str) -> Separation:
        """The result of a rotation W (R, R) of the whitened data."""
        B = (W @ self.K).astype(self.x.dtype)
        n = len(self.losses)
        message = f"converged in {n} iterations" if converged else f"stopped after {n} iterations; {advice}"
        return Separation(B, self.x, np.asarray(self.losses), n, converged, message)


def fastica(
    X: np.ndarray,
    *,
    n_sources: int | None = None,
    algorithm: str = "symmetric",
    contrast: str = "logcosh",
    n_iter: int = 200,
    tol: float = 1e-5,
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
    rng : int or np.random.Generator
        Draws the first rotation.
    callback : callable, optional
        Called with (iteration, loss).

    Returns
    -------
    Separation
        Sources (N, n) of unit variance, demixing (N, M); loss is minus the summed negentropy approximations.

    Raises
    ------
    InputError, UsageError, SolverError
        X is not usable; an option is not; it diverged.

    References
    ----------
    A. Hyvärinen, "Fast and robust fixed-point algorithms for independent component analysis", IEEE TNN 10(3), 1999.

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
    check_choice("algorithm", algorithm, ("symmetric", "deflation"))
    check_choice("contrast", contrast, tuple(GAUSSIAN_VALUE))
    problem = Problem.of(X, n_sources, n_iter, callback)
    first = np.random.default_rng(rng).normal(size=(len(problem.K),) * 2)
    solve = _symmetric if algorithm == "symmetric" else _deflation
    W, converged = solve(problem, symmetric_decorrelation(first), contrast, n_iter, tol)
    return problem.finish(W, converged, "try a larger n_iter, another contrast, or infomax")


def symmetric_decorrelation(W: np.ndarray) -> np.ndarray:
    """(W W^T)^-1/2 W, the nearest orthogonal matrix."""
    U, _, V = np.linalg.svd(W)
    return np.asarray(U @ V)


def rotation_gradient(cross: np.ndarray, slope: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signs s_i under which the sources are far from Gaussian where sum_i s_i E[G(y_i)] is small, and its relative gradient
    on the rotations, the skew part of s_i E[g(y_i) y_j]: Ablin et al. (2018, ICASSP), section 2."""
    odd = cross @ W.T
    signs = np.where(slope > np.diag(odd), 1.0, -1.0)
    odd *= signs[:, None]
    return signs, (odd - odd.T) / 2


def _symmetric(problem: Problem, W: np.ndarray, contrast: str, n_iter: int, tol: float) -> tuple[np.ndarray, bool]:
    converged = False
    for stride in problem.strides():
        for _ in range(n_iter):
            cross, slope, value = problem.pass_over(W, contrast, stride)
            problem.note(-float(np.sum((value - GAUSSIAN_VALUE[contrast]) ** 2)))
            gradient = np.max(np.abs(rotation_gradient(cross, slope, W)[1]))
            converged = bool(gradient <= problem.enough(W, tol, stride))
            if converged:
                break
            W = symmetric_decorrelation(cross - slope[:, None] * W)  # eq. 20: E[g(y) z^T] - diag(E[g'(y)]) W
    return W, converged


def _deflation(problem: Problem, W: np.ndarray, contrast: str, n_iter: int, tol: float) -> tuple[np.ndarray, bool]:
    W, done = W.copy(), True
    for p in range(len(W)):
        w, converged = _unit_orthogonal(W[p], W[:p]), False
        for stride in problem.strides():
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


def _orthogonal(w: np.ndarray, found: np.ndarray) -> np.ndarray:
    """w without its part along the rows of `found` (Gram-Schmidt, twice for roundings)."""
    for _ in range(2):
        w = w - found.T @ (found @ w)
    return w


def _unit_orthogonal(w: np.ndarray, found: np.ndarray) -> np.ndarray:
    w = _orthogonal(w, found)
    return np.asarray(w / np.linalg.norm(w))
