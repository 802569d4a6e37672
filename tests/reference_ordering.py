"""Twins of the kernels that order and group bins, and of the NMF fit: the rules as they are said, in NumPy, float64."""

from __future__ import annotations

import itertools

import numpy as np


def around(U: np.ndarray, f: int, reach: int) -> np.ndarray:
    """Sum of U (F, N, T) over the bins up to `reach` from f, without f."""
    return U[max(0, f - reach) : f + reach + 1].sum(0) - U[f]


def unit_rows(a: np.ndarray) -> np.ndarray:
    """Rows of length one; zeros stay."""
    length = np.linalg.norm(a, axis=-1, keepdims=True)
    return np.asarray(a / np.where(length > 0, length, 1))


def ordering_pass(
    U: np.ndarray, order: np.ndarray, fits: np.ndarray | None, reach: int, whole: float, phase: float
) -> tuple[np.ndarray, int]:
    """New order and how many bins changed: bin after bin, the best of all N! orders."""
    V = np.take_along_axis(U, order[:, :, None], axis=1).astype(float)
    order, changed = order.copy(), 0
    N = U.shape[1]
    for f in range(len(U)):
        wanted = unit_rows(around(V, f, reach)) + whole * unit_rows(V.sum(0) - V[f])
        scores = wanted @ V[f].T / np.sqrt(np.sum(V[f] ** 2) / N + 1e-30)
        if fits is not None:
            scores += phase * fits[f]
        options = [np.array(p) for p in itertools.permutations(range(N))]
        best = max(options, key=lambda p: scores[np.arange(N), p].sum())
        if scores[np.arange(N), best].sum() > np.trace(scores) + 1e-7:
            V[f], order[f] = V[f, best], order[f, best]
            changed += 1
    return order, changed


def coherence(U: np.ndarray, order: np.ndarray, reach: int) -> float:
    """Mean over bins of sum_n corr(u_fn, the sum of its neighbours)."""
    V = np.take_along_axis(U, order[:, :, None], axis=1).astype(float)
    return float(np.mean([np.sum(unit_rows(around(V, f, reach)) * V[f]) for f in range(len(V))]))


def phase_fits(template: np.ndarray, phases: np.ndarray, order: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """S_bij = sum_f Re sum_p conj(template_ipf) phases_(order_fj)pf / (P sqrt(size of block))."""
    placed = np.stack([phases[order[f], :, f] for f in range(len(order))])  # (F, N, P)
    S = np.einsum("ipf,fjp->fij", template.conj(), placed).real / phases.shape[1]
    return np.stack([S[a:b].sum(0) / np.sqrt(b - a) for a, b in itertools.pairwise(edges)])


def pooled_powers(X: np.ndarray, W: np.ndarray, gain: np.ndarray, pool: int) -> np.ndarray:
    """Means of gain |W x|^2 over `pool` frames at a time, fewer at the end."""
    P = gain[:, :, None] * np.abs(W @ X) ** 2
    return np.stack([P[:, :, t : t + pool].mean(2) for t in range(0, P.shape[2], pool)], axis=2)


def grouping_scores(
    V: np.ndarray, U: np.ndarray, first: np.ndarray, whole: np.ndarray, reach: int, first_weight: float, whole_weight: float
) -> np.ndarray:
    """(F, N, M): how well each output is like what its bin expects of each talker."""
    near = np.stack([unit_rows(around(U, f, reach)) for f in range(len(U))])
    return np.einsum("fit,fjt->fij", near + whole_weight * whole + first_weight * first, V)


def nmf_step(P: np.ndarray, B: np.ndarray, H: np.ndarray, small: float) -> tuple[np.ndarray, np.ndarray]:
    """New B, then new H: B <- B sqrt((P R^-2) H^T / R^-1 H^T), R = B H; Fevotte, Bertin and Durrieu (2009), with a root."""
    R = B @ H + small
    B = B * np.sqrt((P / R**2) @ H.swapaxes(1, 2) / (1 / R @ H.swapaxes(1, 2)))
    R = B @ H + small
    H = H * np.sqrt(B.swapaxes(1, 2) @ (P / R**2) / (B.swapaxes(1, 2) @ (1 / R)))
    return B, np.maximum(H, small)
