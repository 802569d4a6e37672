"""Twin of FastMNMF2's kernels: the updates as they stand in the paper, einsum over everything at once, complex128 throughout.

Letters as everywhere: X (F, M, T), Q (F, M, M), B (N, F, K), H (N, K, T), g (N, M). Nothing is written in place.
"""

from __future__ import annotations

import numpy as np
import reference


def variances(B: np.ndarray, H: np.ndarray, g: np.ndarray) -> np.ndarray:
    """v_fmt = sum_n g_nm sum_k b_nfk h_nkt."""
    return np.einsum("nm,nfk,nkt->fmt", g, B, H)


def loss(X: np.ndarray, Q: np.ndarray, B: np.ndarray, H: np.ndarray, g: np.ndarray) -> float:
    """Sum over bins and outputs of E[|z|^2 / v + log v], minus 2 log |det Q|, per bin."""
    P, v = np.abs(reference.demix(Q, X)) ** 2, variances(B, H, g)
    return float((P / v + np.log(v)).mean(2).sum() - 2 * np.linalg.slogdet(Q)[1].sum()) / len(X)


def spectral_step(P: np.ndarray, B: np.ndarray, H: np.ndarray, g: np.ndarray) -> np.ndarray:
    """New B; P (F, M, T) is |z|^2."""
    v = variances(B, H, g)
    return B * np.sqrt(np.einsum("nm,nkt,fmt->nfk", g, H, P / v**2) / np.einsum("nm,nkt,fmt->nfk", g, H, 1 / v))


def temporal_step(P: np.ndarray, B: np.ndarray, H: np.ndarray, g: np.ndarray) -> np.ndarray:
    """New H."""
    v = variances(B, H, g)
    return H * np.sqrt(np.einsum("nm,nfk,fmt->nkt", g, B, P / v**2) / np.einsum("nm,nfk,fmt->nkt", g, B, 1 / v))


def directional_step(P: np.ndarray, B: np.ndarray, H: np.ndarray, g: np.ndarray) -> np.ndarray:
    """New g."""
    v = variances(B, H, g)
    return g * np.sqrt(np.einsum("nfk,nkt,fmt->nm", B, H, P / v**2) / np.einsum("nfk,nkt,fmt->nm", B, H, 1 / v))


def levelled(B: np.ndarray, H: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same products, with activations of mean one and rows of g that sum to one."""
    h, s = H.mean(2), g.sum(1)
    return B * (h * s[:, None])[:, None], H / h[:, :, None], g / s[:, None]


def iteration(
    X: np.ndarray, Q: np.ndarray, B: np.ndarray, H: np.ndarray, g: np.ndarray, update: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """New Q, B, H, g by one step each of B, Q, H, g, in this order; and the loss between the first two."""
    B = spectral_step(np.abs(reference.demix(Q, X)) ** 2, B, H, g)
    before = loss(X, Q, B, H, g)
    phi = 1 / variances(B, H, g).swapaxes(0, 1)  # (M, F, T)
    if update == "iss":
        _, Q = reference.iss(reference.demix(Q, X), Q, phi, len(phi))
    else:
        for m in range(len(phi)):
            Q = reference.ip(X, Q, phi, m)
    P = np.abs(reference.demix(Q, X)) ** 2
    B, H, g = levelled(B, temporal_step(P, B, H, g), g)
    return (Q, *levelled(B, H, directional_step(P, B, H, g)), before)


def wiener(X: np.ndarray, Q: np.ndarray, B: np.ndarray, H: np.ndarray, g: np.ndarray, mic: int) -> np.ndarray:
    """Row `mic` of Q^-1 diag(g_n lambda_n / v) Q x, of every source: (F, N, T)."""
    share = np.einsum("nm,nfk,nkt->nfmt", g, B, H) / variances(B, H, g)
    return np.einsum("fm,nfmt,fmt->fnt", np.linalg.inv(Q)[:, mic], share, reference.demix(Q, X))
