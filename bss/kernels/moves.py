"""Compiled updates of one frequency bin: from weighted covariances to what the outputs are multiplied with.

Letters as in `small`: A (M, M) becomes the move, V (N, M, M) are the loaded weighted covariances of the outputs as they came in.
An output that is not above what was loaded holds nothing but roundings, and keeps its row.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.extending import overload

from bss.kernels.small import INNER, background_log_det, congruence, decorrelate, load, log_abs_det, norm2, scaled, solve

# Updates by pairs are floats: the type of an update picks the code, and kernels compile without pairs until one is used.
ISS, IP, ISS2, IP2 = 0, 1, 2.0, 3.0
SINGULAR = -200.0  # log |det|^2 of a move


@numba.njit(**INNER)
def steer(V, A, loads, v):  # type: ignore[no-untyped-def]
    """One sweep of iterative source steering, eqs. 9-11 of Scheibler and Ono (2020), on covariances."""
    for k in range(V.shape[1]):
        steer_by(V, A, k, loads, v)


@numba.njit(**INNER)
def steer_by(V, A, k, loads, v):  # type: ignore[no-untyped-def]
    """Every source's part along output k taken out, and output k brought to unit power."""
    n_sources, m = V.shape[0], V.shape[1]
    for n in range(n_sources):
        below, above, length = 0.0, 0j, 0.0
        for p in range(m):
            z = 0j
            for q in range(m):
                z += V[n, p, q] * A[k, q].conjugate()
            below += (A[k, p] * z).real
            above += A[n, p] * z
            length += norm2(A[k, p])
        if below <= 2.0 * loads[n] * length:
            v[n] = 0j
        elif n == k:
            v[n] = complex(1.0 - 1.0 / np.sqrt(below), 0.0)
        else:
            v[n] = scaled(above, 1.0 / below)
    for q in range(m):
        pivot = A[k, q]
        for n in range(n_sources):
            A[n, q] -= v[n] * pivot


@numba.njit(**INNER)
def project(V, A, C, loads, work, w):  # type: ignore[no-untyped-def]
    """Iterative projection of every source in turn, eqs. 18-19 of Ono (2011): w = (A V_n)^-1 e_n, then w^H V_n w = 1."""
    n_sources, m = V.shape[0], V.shape[1]
    for n in range(n_sources):
        if projection(V, A, n, n, work, w):
            set_row(V, A, n, loads, w)
        if n_sources < m:
            decorrelate(A, C, n_sources, work, w)


@numba.njit(**INNER)
def projection(V, A, n, k, work, w):  # type: ignore[no-untyped-def]
    """w := (A V_n)^-1 e_k; False where that is singular."""
    m = A.shape[0]
    for i in range(m):
        for j in range(m):
            z = 0j
            for q in range(m):
                z += A[i, q] * V[n, q, j]
            work[i, j] = z
        w[i] = 0j
    w[k] = 1.0
    return solve(work, w)


@numba.njit(**INNER)
def quadratic(V, n, u, w):  # type: ignore[no-untyped-def]
    """u^H V_n w."""
    m = V.shape[1]
    total = 0j
    for i in range(m):
        z = 0j
        for j in range(m):
            z += V[n, i, j] * w[j]
        total += u[i].conjugate() * z
    return total


@numba.njit(**INNER)
def unit_size(V, n, loads, w):  # type: ignore[no-untyped-def]
    """1 / sqrt(w^H V_n w); 0 for an output that would be nothing but roundings."""
    power, length = quadratic(V, n, w, w).real, 0.0
    for i in range(V.shape[1]):
        length += norm2(w[i])
    return 1.0 / np.sqrt(power) if power > 2.0 * loads[n] * length and np.isfinite(power) else 0.0


@numba.njit(**INNER)
def set_row(V, A, n, loads, w):  # type: ignore[no-untyped-def]
    """Row n of A := w^H / sqrt(w^H V_n w), if that sounds."""
    size = unit_size(V, n, loads, w)
    if size > 0.0:
        for i in range(V.shape[1]):
            A[n, i] = scaled(w[i].conjugate(), size)


@numba.njit(**INNER)
def set_pair(V, A, n, k, loads, w, u):  # type: ignore[no-untyped-def]
    """Rows n and k of A from w and u, if both sound: one alone might be the other's old row."""
    if unit_size(V, n, loads, w) > 0.0 and unit_size(V, k, loads, u) > 0.0:
        set_row(V, A, n, loads, w)
        set_row(V, A, k, loads, u)


@numba.njit(**INNER)
def head(s, t, h):  # type: ignore[no-untyped-def]
    """The two rows of h (2, 2) that are orthogonal under both Hermitian s and t (2, 2), that with less of s beside t first.

    The generalised eigenvectors of (s, t), smaller eigenvalue first; False where t is singular or both are alike.
    """
    dt = (t[0, 0] * t[1, 1]).real - norm2(t[0, 1])
    if not dt > 0.0:
        return False
    # the eigenvalues of t^-1 s are real: trace and determinant give them
    trace = (t[1, 1] * s[0, 0] + t[0, 0] * s[1, 1] - t[0, 1] * s[1, 0] - t[1, 0] * s[0, 1]).real / dt
    det = ((s[0, 0] * s[1, 1]).real - norm2(s[0, 1])) / dt
    root = np.sqrt(max(0.25 * trace * trace - det, 0.0))
    if not root > 1e-14 * abs(trace):
        return False
    for i in range(2):
        eigenvalue = 0.5 * trace + (root if i else -root)
        a, b = s[0, 0] - scaled(t[0, 0], eigenvalue), s[0, 1] - scaled(t[0, 1], eigenvalue)
        c, d = s[1, 0] - scaled(t[1, 0], eigenvalue), s[1, 1] - scaled(t[1, 1], eigenvalue)
        if norm2(a) + norm2(b) > norm2(c) + norm2(d):
            h[i, 0], h[i, 1] = -b, a
        else:
            h[i, 0], h[i, 1] = d, -c
    return True


@numba.njit(**INNER)
def project_pair(V, A, n, k, loads, work, w, u, s, t, h):  # type: ignore[no-untyped-def]
    """Both rows n, k at once, IP2 of Ono (2018) and Scheibler (2021): their best two outputs in what the others leave them.

    w_n = P_n h_n, w_k = P_k h_k, P_j = (A V_j)^-1 [e_n e_k], h the generalised eigenvectors of P_n^H V_n P_n, P_k^H V_k P_k.
    """
    m = V.shape[1]
    rows = (n, k)
    for i in range(2):
        for j in range(2):
            if not projection(V, A, rows[i], rows[j], work, w):
                return
            for q in range(m):
                u[2 * i + j, q] = w[q]
    for i in range(2):
        for j in range(2):
            s[i, j] = quadratic(V, n, u[i], u[j])
            t[i, j] = quadratic(V, k, u[2 + i], u[2 + j])
    # s and t are inverse to powers: more of s is less power under V_n
    if not head(t, s, h):
        return
    for q in range(m):
        u[0, q] = u[0, q] * h[0, 0] + u[1, q] * h[0, 1]
        u[2, q] = u[2, q] * h[1, 0] + u[3, q] * h[1, 1]
    set_pair(V, A, n, k, loads, u[0], u[2])


@numba.njit(**INNER)
def steer_pair(V, A, n, k, loads, u, v, s, t, h):  # type: ignore[no-untyped-def]
    """Every other source's part along outputs n and k taken out, and the best two outputs in their span for sources n and k:
    ISS2 of Ikeshita and Nakatani (2022)."""
    n_sources, m = V.shape[0], V.shape[1]
    for q in range(m):
        u[0, q], u[1, q] = A[n, q].conjugate(), A[k, q].conjugate()
    for i in range(n_sources):
        if i in (n, k):
            continue
        for q in range(m):
            u[2, q] = A[i, q].conjugate()
        for a in range(2):
            for b in range(2):
                s[a, b] = quadratic(V, i, u[a], u[b])
            v[a] = quadratic(V, i, u[2], u[a])  # E phi_i y_i conj(y_a)
        det = (s[0, 0] * s[1, 1]).real - norm2(s[0, 1])
        if det > 1e-12 * (s[0, 0] * s[1, 1]).real:
            first = scaled(v[0] * s[1, 1] - v[1] * s[1, 0], 1.0 / det)
            second = scaled(v[1] * s[0, 0] - v[0] * s[0, 1], 1.0 / det)
            for q in range(m):
                A[i, q] -= first * u[0, q].conjugate() + second * u[1, q].conjugate()
    for a in range(2):
        for b in range(2):
            s[a, b] = quadratic(V, n, u[a], u[b])
            t[a, b] = quadratic(V, k, u[a], u[b])
    if head(s, t, h):
        for q in range(m):
            u[2, q] = u[0, q] * h[0, 0] + u[1, q] * h[0, 1]
            u[3, q] = u[0, q] * h[1, 0] + u[1, q] * h[1, 1]
        set_pair(V, A, n, k, loads, u[2], u[3])


@numba.njit(**INNER)
def move_pairs(update, V, A, C, loads, work, w):  # type: ignore[no-untyped-def]
    """ISS2 or IP2: sources two by two, a last odd one and the background by ISS or IP."""
    n_sources, m = V.shape[0], V.shape[1]
    u, v = np.empty((4, m), np.complex128), np.empty(max(2, n_sources), np.complex128)
    s, t, h = np.empty((2, 2), np.complex128), np.empty((2, 2), np.complex128), np.empty((2, 2), np.complex128)
    for n in range(0, n_sources - 1, 2):
        if update == ISS2:
            steer_pair(V, A, n, n + 1, loads, u, v, s, t, h)
        else:
            project_pair(V, A, n, n + 1, loads, work, w, u, s, t, h)
            if n_sources < m:
                decorrelate(A, C, n_sources, work, w)
    odd = n_sources - n_sources % 2
    if update == ISS2:
        for k in range(odd, m):
            steer_by(V, A, k, loads, v)
    elif odd < n_sources and projection(V, A, odd, odd, work, w):
        set_row(V, A, odd, loads, w)
    if n_sources < m:
        decorrelate(A, C, n_sources, work, w)


@numba.njit(**INNER)
def move_singly(update, V, A, C, loads, work, w):  # type: ignore[no-untyped-def]
    """ISS or IP: one source after the other."""
    if update == ISS:
        steer(V, A, loads, w)
        if V.shape[0] < V.shape[1]:
            decorrelate(A, C, V.shape[0], work, w)
    else:
        project(V, A, C, loads, work, w)


def update_rows(update: Any, V: Any, A: Any, C: Any, loads: Any, work: Any, w: Any) -> None:
    """A from V by `move_singly` or, for the updates that are floats, by `move_pairs`."""


@overload(update_rows)
def _update_rows(update, V, A, C, loads, work, w):  # type: ignore[no-untyped-def]
    chosen = move_pairs if isinstance(update, numba.types.Float) else move_singly
    return lambda update, V, A, C, loads, work, w: chosen(update, V, A, C, loads, work, w)


@numba.njit(**INNER)
def identity(A):  # type: ignore[no-untyped-def]
    """A := I."""
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            A[i, j] = 1.0 if i == j else 0.0


@numba.njit(**INNER)
def move(update, V, C, A, W, share, loads, work, w):  # type: ignore[no-untyped-def]
    """One iteration in one bin: A from V and C, W := A W, C := A C A^H. Returns the change of log |det W|^2 - log |det C_b|,
    C_b being the covariance of the background rows."""
    n_sources, m = V.shape[0], V.shape[1]
    identity(A)
    if not load(V, share, loads):
        return 0.0
    before = background_log_det(C, n_sources, work) if n_sources < m else 0.0
    update_rows(update, V, A, C, loads, work, w)
    change = 2.0 * log_abs_det(A, work)
    if not change > SINGULAR:  # of an output that is silent in this bin: better no move than one that cannot be undone
        identity(A)
        change = 0.0
    if n_sources < m:
        congruence(A, C, work)
        change -= background_log_det(C, n_sources, work) - before
    for j in range(m):
        for i in range(m):
            z = 0j
            for q in range(m):
                z += A[i, q] * W[q, j]
            w[i] = z
        for i in range(m):
            W[i, j] = w[i]
    return change
