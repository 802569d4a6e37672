"""Updates of two sources at a time, of all bins at once: laid out as in `updates`."""

from __future__ import annotations

import torch
from torch import Tensor

from bss.backends.numeric import DEPENDENT, EQUAL
from bss.backends.torch.demixing.algebra import decorrelate, log_abs_det, norm2, solved
from bss.backends.torch.demixing.row_updates import project, steer_by, unit_size


def head(s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Rows h (F, 2, 2) that are orthogonal under both Hermitian s and t (F, 2, 2), that with less of s beside t first.

    The generalised eigenvectors of (s, t), smaller eigenvalue first; second (F,), False where t is singular or both are alike.
    """
    dt = (t[:, 0, 0] * t[:, 1, 1]).real - norm2(t[:, 0, 1])
    regular = dt > 0.0
    dt = torch.where(regular, dt, torch.ones_like(dt))
    # the eigenvalues of t^-1 s are real: trace and determinant give them
    products = t[:, 1, 1] * s[:, 0, 0] + t[:, 0, 0] * s[:, 1, 1] - t[:, 0, 1] * s[:, 1, 0] - t[:, 1, 0] * s[:, 0, 1]
    trace = products.real / dt
    det = ((s[:, 0, 0] * s[:, 1, 1]).real - norm2(s[:, 0, 1])) / dt
    root = (0.25 * trace * trace - det).clamp_min(0.0).sqrt()
    rows = []
    for sign in (-1.0, 1.0):
        z = s - t * (0.5 * trace + sign * root)[:, None, None]
        a, b, c, d = z[:, 0, 0], z[:, 0, 1], z[:, 1, 0], z[:, 1, 1]
        first = norm2(a) + norm2(b) > norm2(c) + norm2(d)
        rows.append(torch.stack([torch.where(first, -b, d), torch.where(first, a, -c)], -1))
    return torch.stack(rows, 1), regular & (root > EQUAL * trace.abs())


def project_pair(A: Tensor, V: Tensor, n: int, k: int, loads: Tensor) -> None:
    """Both rows n, k at once, IP2 of Ono (2018) and Scheibler (2021): their best two outputs in what the others leave them.

    w_n = P_n h_n, w_k = P_k h_k, P_j = (A V_j)^-1 [e_n e_k], h the generalised eigenvectors of P_n^H V_n P_n, P_k^H V_k P_k.
    """
    e = torch.zeros((len(A), A.shape[1], 2), dtype=A.dtype, device=A.device)
    e[:, n, 0], e[:, k, 1] = 1.0, 1.0
    Pn, regular_n = solved(A @ V[:, n], e)
    Pk, regular_k = solved(A @ V[:, k], e)
    s, t = Pn.mH @ V[:, n] @ Pn, Pk.mH @ V[:, k] @ Pk
    # s and t are inverse to powers: more of s is less power under V_n
    h, apart = head(t, s)
    w, u = (Pn @ h[:, 0, :, None])[..., 0], (Pk @ h[:, 1, :, None])[..., 0]
    set_pair(A, V, n, k, loads, w, u, regular_n & regular_k & apart)


def steer_pair(A: Tensor, V: Tensor, n: int, k: int, loads: Tensor) -> None:
    """Every other source's part along outputs n and k = n + 1 taken out, and the best two outputs in their span for these:
    ISS2 of Ikeshita and Nakatani (2022)."""
    U = A[:, n : k + 1].mH  # (F, M, 2)
    VU = V @ U[:, None]  # (F, N, M, 2)
    S = U.mH[:, None] @ VU  # (F, N, 2, 2)
    r = (A[:, : V.shape[1], None] @ VU)[:, :, 0]  # (F, N, 2): E phi_i y_i conj(y_a)
    det = (S[..., 0, 0] * S[..., 1, 1]).real - norm2(S[..., 0, 1])
    solvable = det > DEPENDENT * (S[..., 0, 0] * S[..., 1, 1]).real
    solvable[:, n : k + 1] = False
    inverse = torch.where(solvable, 1.0 / det, torch.zeros_like(det))
    first = (r[..., 0] * S[..., 1, 1] - r[..., 1] * S[..., 1, 0]) * inverse
    second = (r[..., 1] * S[..., 0, 0] - r[..., 0] * S[..., 0, 1]) * inverse
    A[:, : V.shape[1]] -= torch.stack([first, second], -1) @ U.mH
    h, apart = head(S[:, n], S[:, k])
    w, u = (U @ h[:, 0, :, None])[..., 0], (U @ h[:, 1, :, None])[..., 0]
    set_pair(A, V, n, k, loads, w, u, apart)


def set_pair(A: Tensor, V: Tensor, n: int, k: int, loads: Tensor, w: Tensor, u: Tensor, possible: Tensor) -> None:
    """Rows n and k of A from w and u, where both sound: one alone might be the other's old row."""
    first, second = unit_size(V, n, loads, w), unit_size(V, k, loads, u)
    both = (possible & (first > 0) & (second > 0))[:, None]
    A[:, n] = torch.where(both, w.conj() * first[:, None], A[:, n])
    A[:, k] = torch.where(both, u.conj() * second[:, None], A[:, k])


def iss2(A: Tensor, V: Tensor, C: Tensor, loads: Tensor) -> Tensor:
    """ISS2: sources two by two, a last odd one and the background by ISS; returns log |det A|^2."""
    n_sources, m = V.shape[1], V.shape[2]
    for n in range(0, n_sources - 1, 2):
        steer_pair(A, V, n, n + 1, loads)
    for k in range(n_sources - n_sources % 2, m):
        steer_by(A, V, k, loads)
    decorrelate(A, C, n_sources)
    return 2.0 * log_abs_det(A)


def ip2(A: Tensor, V: Tensor, C: Tensor, loads: Tensor) -> Tensor:
    """IP2: sources two by two, a last odd one by IP; returns log |det A|^2."""
    n_sources = V.shape[1]
    for n in range(0, n_sources - 1, 2):
        project_pair(A, V, n, n + 1, loads)
        decorrelate(A, C, n_sources)
    if n_sources % 2 == 1:
        project(A, V, n_sources - 1, loads)
    decorrelate(A, C, n_sources)
    return 2.0 * log_abs_det(A)
