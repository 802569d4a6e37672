"""Compiled updates of one frequency bin that take the sources two by two, ISS2 and IP2: laid out as in `row_updates`."""

from __future__ import annotations

import numba
import numpy as np

from bss.backends.cpu.arithmetic.linalg import ALLOCATES, INNER, decorrelate, log_abs_det, norm2, scaled
from bss.backends.cpu.demixing.row_updates import projection, quadratic, set_row, steer_by, unit_size
from bss.backends.numeric import DEPENDENT, EQUAL


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
    if not root > EQUAL * abs(trace):
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
def project_pair(room, n, k, u, s, t, h):  # type: ignore[no-untyped-def]
    """Both rows n, k at once, IP2 of Ono (2018) and Scheibler (2021): their best two outputs in what the others leave them.

    w_n = P_n h_n, w_k = P_k h_k, P_j = (A V_j)^-1 [e_n e_k], h the generalised eigenvectors of P_n^H V_n P_n, P_k^H V_k P_k.
    """
    V, A, work, w = room.V, room.A, room.work, room.w
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
    set_pair(V, A, n, k, room.loads, u[0], u[2])


@numba.njit(**INNER)
def steer_pair(room, n, k, u, v, s, t, h):  # type: ignore[no-untyped-def]
    """Every other source's part along outputs n and k taken out, and the best two outputs in their span for sources n and k:
    ISS2 of Ikeshita and Nakatani (2022)."""
    V, A = room.V, room.A
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
        if det > DEPENDENT * (s[0, 0] * s[1, 1]).real:
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
        set_pair(V, A, n, k, room.loads, u[2], u[3])


@numba.njit(**ALLOCATES)
def update_iss2(C, f, room):  # type: ignore[no-untyped-def]
    """ISS2: sources two by two, a last odd one and the background by ISS; returns log |det A|^2."""
    V, A, loads = room.V, room.A, room.loads
    n_sources, m = V.shape[0], V.shape[1]
    u, v = np.empty((4, m), np.complex128), np.empty(max(2, n_sources), np.complex128)
    s, t, h = np.empty((2, 2), np.complex128), np.empty((2, 2), np.complex128), np.empty((2, 2), np.complex128)
    for n in range(0, n_sources - 1, 2):
        steer_pair(room, n, n + 1, u, v, s, t, h)
    for k in range(n_sources - n_sources % 2, m):
        steer_by(V, A, k, loads, v)
    if n_sources < m:
        decorrelate(A, C, f, n_sources, room.work, room.w)
    return 2.0 * log_abs_det(A, room.work)


@numba.njit(**ALLOCATES)
def update_ip2(C, f, room):  # type: ignore[no-untyped-def]
    """IP2: sources two by two, a last odd one by IP; returns log |det A|^2."""
    V, A, loads, work, w = room.V, room.A, room.loads, room.work, room.w
    n_sources, m = V.shape[0], V.shape[1]
    u = np.empty((4, m), np.complex128)
    s, t, h = np.empty((2, 2), np.complex128), np.empty((2, 2), np.complex128), np.empty((2, 2), np.complex128)
    for n in range(0, n_sources - 1, 2):
        project_pair(room, n, n + 1, u, s, t, h)
        if n_sources < m:
            decorrelate(A, C, f, n_sources, work, w)
    odd = n_sources - 1
    if n_sources % 2 == 1 and projection(V, A, odd, odd, work, w):
        set_row(V, A, odd, loads, w)
    if n_sources < m:
        decorrelate(A, C, f, n_sources, work, w)
    return 2.0 * log_abs_det(A, work)
