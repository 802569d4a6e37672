"""Twins of the kernels: the equations as they stand in the papers, in loops and einsum, complex128 throughout.

Slow, and with none of the guards against silence that the kernels have. Nothing is written in place: what a kernel changes, its
twin returns. Letters as everywhere: X (F, M, T), Y (F, N, T), W (F, N, M), phi (N, 1 or F, T), V and C (F, M, M).
"""

from __future__ import annotations

import numpy as np
import scipy.linalg


def demix(W: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Y = W X."""
    return np.einsum("fnm,fmt->fnt", *map(_complex, (W, X)))


def covariance(X: np.ndarray) -> np.ndarray:
    """C_f = 1/T sum_t x_ft x_ft^H."""
    return weighted_covariance(X, np.ones((1, X.shape[2])))


def weighted_covariance(X: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """V_f = 1/T sum_t phi_ft x_ft x_ft^H; Ono (2011), eq. 17."""
    X, phi = _complex(X), np.broadcast_to(phi.astype(float), X[:, 0].shape)
    return np.einsum("ft,fmt,fkt->fmk", phi, X, X.conj()) / X.shape[2]


def iss(Y: np.ndarray, W: np.ndarray, phi: np.ndarray, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """New Y and W: for every k, y_n <- y_n - v_nk y_k and w_n <- w_n - v_nk w_k; Scheibler and Ono (2020), eqs. 9-11."""
    Y, W = _complex(Y).copy(), _complex(W).copy()
    F, R, T = Y.shape
    phi = np.broadcast_to(phi.astype(float), (n_rows, F, T))
    for f in range(F):
        for k in range(R):
            pivot, row = Y[f, k].copy(), W[f, k].copy()
            for n in range(n_rows):
                d = sum(phi[n, f, t] * abs(pivot[t]) ** 2 for t in range(T)) / T
                c = sum(phi[n, f, t] * Y[f, n, t] * pivot[t].conj() for t in range(T)) / T
                v = 1 - d**-0.5 if n == k else c / d
                Y[f, n] -= v * pivot
                W[f, n] -= v * row
    return Y, W


def ip(X: np.ndarray, W: np.ndarray, phi: np.ndarray, n: int) -> np.ndarray:
    """New W: w_n = (W V_n)^-1 e_n, w_n <- w_n / sqrt(w_n^H V_n w_n), whose conjugate is row n; Ono (2011), eqs. 18-19."""
    W = _complex(W).copy()
    V = weighted_covariance(X, phi[n])
    for f in range(len(W)):
        w = np.linalg.inv(W[f] @ V[f])[:, n]
        W[f, n] = (w / np.sqrt((w.conj() @ V[f] @ w).real)).conj()
    return W


def head(s: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Columns h_1, h_2 orthogonal under both s and t, that with less of s beside t first: generalised eigenvectors."""
    return np.asarray(scipy.linalg.eigh(s, t)[1])


def ip2(X: np.ndarray, W: np.ndarray, phi: np.ndarray, n: int, k: int) -> np.ndarray:
    """New W: rows n and k by P_j = (W V_j)^-1 [e_n e_k], h = head(P_k^H V_k P_k, P_n^H V_n P_n).

    Scheibler (2021), section 3. Of the two orders this is the one of the larger determinant, as P^H V P is inverse to a power.
    """
    W = _complex(W).copy()
    Vn, Vk = weighted_covariance(X, phi[n]), weighted_covariance(X, phi[k])
    for f in range(len(W)):
        P = [np.linalg.inv(W[f] @ V[f])[:, [n, k]] for V in (Vn, Vk)]
        h = head(P[1].conj().T @ Vk[f] @ P[1], P[0].conj().T @ Vn[f] @ P[0])
        for row, V, Pj, hj in ((n, Vn[f], P[0], h[:, 0]), (k, Vk[f], P[1], h[:, 1])):
            w = Pj @ hj
            W[f, row] = (w / np.sqrt((w.conj() @ V @ w).real)).conj()
    return W


def iss2(X: np.ndarray, W: np.ndarray, phi: np.ndarray, n: int, k: int) -> np.ndarray:
    """New W: other rows i lose their least-squares part in y_n and y_k under phi_i; rows n and k are the best two in their span.

    Ikeshita and Nakatani (2022).
    """
    W = _complex(W).copy()
    V = [weighted_covariance(X, phi[i]) for i in range(len(phi))]
    for f in range(len(W)):
        pair = W[f, [n, k]].copy()
        for i in range(len(phi)):
            if i not in (n, k):
                W[f, i] -= (W[f, i] @ V[i][f] @ pair.conj().T) @ np.linalg.inv(pair @ V[i][f] @ pair.conj().T) @ pair
        h = head(pair @ V[n][f] @ pair.conj().T, pair @ V[k][f] @ pair.conj().T)
        for row, v, hj in ((n, V[n][f], h[:, 0]), (k, V[k][f], h[:, 1])):
            w = pair.conj().T @ hj
            W[f, row] = (w / np.sqrt((w.conj() @ v @ w).real)).conj()
    return W


def orthogonal_background(C: np.ndarray, W: np.ndarray, n_sources: int) -> np.ndarray:
    """New W with rows [J, -I], J = (E_2 C W^H) (E_1 C W^H)^-1; Scheibler and Ono (2019), eq. 13."""
    C, W = _complex(C), _complex(W).copy()
    M, N = W.shape[1], n_sources
    E1, E2 = np.eye(M)[:N], np.eye(M)[N:]
    for f in range(len(W)):
        CW = C[f] @ W[f, :N].conj().T
        W[f, N:] = np.hstack([(E2 @ CW) @ np.linalg.inv(E1 @ CW), -np.eye(M - N)])
    return W


def frame_power(Y: np.ndarray) -> np.ndarray:
    """1/F sum_f |y_nft|^2."""
    return np.einsum("fnt,fnt->nt", _complex(Y), _complex(Y).conj()).real / len(Y)


def majorised(P: np.ndarray, R: np.ndarray, dof: float | None) -> np.ndarray:
    """The variance of the majoriser: R for a Gauss, (dof R + 2 P) / (dof + 2) for Student's t; Kitamura et al. (2018), eq. 21."""
    return R if dof is None else (dof * R + 2 * P) / (dof + 2)


def nmf_step(P: np.ndarray, B: np.ndarray, H: np.ndarray, dof: float | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """New B, new H and R = B H: first the basis, then with it the activations; Kitamura et al. (2016), eqs. 19-20."""
    P, B, H = (a.astype(float) for a in (P, B, H))
    F, T = P.shape
    K = B.shape[1]
    R, new = B @ H, B.copy()
    C = majorised(P, R, dof)
    for f in range(F):
        for k in range(K):
            above = sum(P[f, t] * H[k, t] / (R[f, t] * C[f, t]) for t in range(T))
            below = sum(H[k, t] / R[f, t] for t in range(T))
            new[f, k] = B[f, k] * np.sqrt(above / below)
    B, R, new = new, new @ H, H.copy()
    C = majorised(P, R, dof)
    for t in range(T):
        for k in range(K):
            above = sum(P[f, t] * B[f, k] / (R[f, t] * C[f, t]) for f in range(F))
            below = sum(B[f, k] / R[f, t] for f in range(F))
            new[k, t] = H[k, t] * np.sqrt(above / below)
    return B, new, B @ new


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and covariance about it: two passes in extended precision."""
    x = x.astype(np.longdouble)
    mean = x.mean(1)
    d = x - mean[:, None]
    return mean.astype(float), np.einsum("mt,kt->mk", d, d).astype(float) / x.shape[1]


# G, g = G', and g'; the tests hold each against differences of the one before
PENALTIES = {
    "logcosh": (lambda y: np.log(np.cosh(y)), np.tanh, lambda y: np.cosh(y) ** -2.0),
    "exp": (lambda y: -np.exp(-(y**2) / 2), lambda y: y * np.exp(-(y**2) / 2), lambda y: (1 - y**2) * np.exp(-(y**2) / 2)),
    "cube": (lambda y: y**4 / 4, lambda y: y**3, lambda y: 3 * y**2),
}


def ica_pass(x: np.ndarray, W: np.ndarray, mean: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """E[g(y) d^T], E[g'(y)], E[G(y)] of y = W d, d = x - mean; Hyvärinen (1999), g = G'."""
    G, g, dg = PENALTIES[name]
    d = x.astype(float) - mean[:, None]
    y = W.astype(float) @ d
    return np.einsum("nt,mt->nm", g(y), d) / d.shape[1], dg(y).mean(1), G(y).mean(1)


def mix_bands(x: np.ndarray, mix: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x (C, T, K) + relu(scale x + shift) mix, and its mean over time (C, K)."""
    h = np.maximum(scale[:, None, None] * x + shift[:, None, None], 0)
    groups, C = len(mix), len(x)
    out = x + np.stack([h[c] @ mix[c * groups // C] for c in range(C)])
    return out, out.mean(1)


def mix_times(
    x: np.ndarray, taps: np.ndarray, scale: np.ndarray, shift: np.ndarray, offset: np.ndarray, narrow: np.ndarray,
    bias: np.ndarray, dilation: int,
) -> np.ndarray:  # fmt: skip
    """x (C, T, K) + narrow relu(taps (C, 3 C) of (scale x + shift) + offset (C, K)) + bias."""
    C, T, K = x.shape
    wide = np.zeros((C, T + 2 * dilation, K))
    wide[:, dilation : dilation + T] = scale[:, None, None] * x + shift[:, None, None]
    stacked = np.concatenate([wide[:, k * dilation : k * dilation + T] for k in range(3)])
    h = np.maximum(np.einsum("ij,jtk->itk", taps, stacked) + offset[:, None], 0)
    return np.asarray(x + np.einsum("ij,jtk->itk", narrow, h) + bias[:, None, None])


def _complex(a: np.ndarray) -> np.ndarray:
    return a.astype(np.complex128)
