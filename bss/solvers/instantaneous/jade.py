"""JADE: the rotation that makes all fourth-order cumulant matrices of the whitened data as diagonal as can be."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from bss.checks import check_rng
from bss.errors import UsageError
from bss.solvers.instantaneous.problem import Problem, symmetric_decorrelation
from bss.solvers.mm import Callback, check_tol
from bss.solvers.result import Separation

MOST_SOURCES = 32  # fourth-order moments go with the fourth power of their number


def jade(
    X: np.ndarray,
    *,
    n_sources: int | None = None,
    n_iter: int = 100,
    tol: float = 1e-8,
    rng: int | np.random.Generator = 0,
    callback: Callback | None = None,
) -> Separation:
    """JADE: joint diagonalisation of the fourth-order cumulants, which take one pass over the data.

    Parameters
    ----------
    X : np.ndarray
        (M, n) samples, real. The mean is taken out for the estimation and stays in the sources.
    n_sources : int, optional
        N, at most 32; the number of independent channels by default.
    n_iter, tol : int, float
        Sweeps over all pairs of sources at most, and the largest rotation of a sweep, in radians, at which it has converged.
    rng : int or np.random.Generator
        Draws the first rotation.
    callback : callable, optional
        Called with (sweep, loss).

    Returns
    -------
    Separation
        Sources (N, n) of unit variance, demixing (N, M); loss is the energy of the cumulant matrices off their diagonals.

    Raises
    ------
    InputError, UsageError, SolverError
        X is not usable; an option is not, or there are too many sources; the moments are not finite.

    References
    ----------
    J.-F. Cardoso and A. Souloumiac, "Blind beamforming for non-Gaussian signals", IEE Proceedings F 140(6), 1993;
    and "Jacobi angles for simultaneous diagonalization", SIAM J. Matrix Anal. Appl. 17(1), 1996.

    Examples
    --------
    >>> import numpy as np, bss
    >>> rng = np.random.default_rng(0)
    >>> s = np.stack([rng.laplace(size=20_000), rng.uniform(-1, 1, 20_000)])
    >>> A = np.array([[1.0, 0.6], [0.4, 1.0]])
    >>> G = abs(bss.jade(A @ s).demixing @ A)
    >>> bool((np.sort(G)[:, 0] / np.sort(G)[:, 1]).max() < 0.1)
    True
    """
    check_tol(tol)
    problem = Problem.of(X, n_sources, n_iter, callback)
    rank = len(problem.K)
    if rank > MOST_SOURCES:
        raise UsageError(
            f"JADE of {rank} sources would need {rank**4} moments", f"it is for at most {MOST_SOURCES}",
            f"n_sources={MOST_SOURCES}, or fastica",
        )  # fmt: skip
    first = symmetric_decorrelation(check_rng(rng).normal(size=(rank, rank)))
    Q = first @ cumulant_matrices(problem.passes.fourth_moments(problem.x, problem.K, problem.mean)) @ first.T
    V, converged = _diagonalise(problem, Q, n_iter, tol)
    return problem.finish(V @ first, converged, "try a larger n_iter, or fastica")


def cumulant_matrices(moments: np.ndarray) -> np.ndarray:
    """(R (R + 1) / 2, R, R): Q_kl[i, j] = cum(z_i, z_j, z_k, z_l) of white z for k <= l, from E[z_i z_j z_k z_l] (R, R, R, R).

    Those with k < l stand for Q_lk as well. Their off-diagonal energy is that of any other orthonormal set of cumulant
    matrices, such as all eigenmatrices of the cumulant tensor.
    """
    one = np.eye(len(moments))
    gaussian = np.einsum("ij,kl->ijkl", one, one)
    cumulants = moments - gaussian - gaussian.transpose(0, 2, 1, 3) - gaussian.transpose(0, 2, 3, 1)
    k, l = np.triu_indices(len(one))  # noqa: E741 - the indices of the paper
    weight = np.where(k == l, 1.0, np.sqrt(2))
    return np.asarray((cumulants[:, :, k, l] * weight).transpose(2, 0, 1))


def off_diagonal(Q: np.ndarray) -> float:
    """Sum of squares off the diagonals of Q (L, R, R)."""
    return float(np.sum((Q * (1 - np.eye(Q.shape[1]))) ** 2))


def _diagonalise(problem: Problem, Q: np.ndarray, n_iter: int, tol: float) -> tuple[np.ndarray, bool]:
    """V such that the matrices V Q V^T are as diagonal as can be, by Jacobi rotations; Q (L, R, R) is overwritten."""
    V = np.eye(Q.shape[1])
    for _ in range(n_iter):
        problem.note(off_diagonal(Q))
        largest = 0.0
        for p, q in combinations(range(len(V)), 2):
            angle = _angle(Q, p, q)
            largest = max(largest, abs(angle))
            if abs(angle) > np.finfo(np.float64).eps:
                rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
                Q[:, [p, q]] = rotation @ Q[:, [p, q]]
                Q[:, :, [p, q]] = Q[:, :, [p, q]] @ rotation.T
                V[[p, q]] = rotation @ V[[p, q]]
        if largest <= tol:
            return V, True
    return V, False


def _angle(Q: np.ndarray, p: int, q: int) -> float:
    """The rotation in the plane of p and q that leaves the least off the diagonals: Cardoso and Souloumiac (1996)."""
    g = np.stack([Q[:, p, p] - Q[:, q, q], 2 * Q[:, p, q]])
    G = g @ g.T
    on, off = G[0, 0] - G[1, 1], 2 * G[0, 1]
    return float(np.arctan2(off, on + np.hypot(on, off)) / 2)
