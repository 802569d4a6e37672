"""Compiled updates of one frequency bin that take one source after the other, ISS and IP.

Letters as in `linalg`: A (M, M) becomes the update, V (N, M, M) are the loaded weighted covariances of the outputs as they
came in. An output that is not above what was loaded holds nothing but roundings, and keeps its row.
"""

from __future__ import annotations

import numba
import numpy as np

from bss.backends.cpu.arithmetic.linalg import INNER, decorrelate, log_abs_det, norm2, scaled, solve


@numba.njit(**INNER)
def steer(V, A, loads, v):  # type: ignore[no-untyped-def]
    """One sweep of iterative source steering, eqs. 9-11 of Scheibler and Ono (2020), on covariances; returns det A.

    As `steer_by` for every k, from A = I. Rows then still end at column k, but for their own one: half of the products would be
    with zeros, and are left out.
    """
    n_sources, m = V.shape[0], V.shape[1]
    det = 1.0
    for k in range(m):
        begin = 0 if k < n_sources else k  # rows of the background stay those of I
        length = 0.0
        for q in range(begin, k + 1):
            length += norm2(A[k, q])
        for n in range(n_sources):
            below, above = 0.0, 0j
            for p in range(k + 1):
                z = 0j
                for q in range(begin, k + 1):
                    z += V[n, p, q] * A[k, q].conjugate()
                if p >= begin:
                    below += (A[k, p] * z).real
                if p < k:
                    above += A[n, p] * z
            if n > k:
                for q in range(begin, k + 1):
                    above += V[n, n, q] * A[k, q].conjugate()
            if below <= 2.0 * loads[n] * length:
                v[n] = 0j
            elif n == k:
                size = 1.0 / np.sqrt(below)
                det *= size
                v[n] = complex(1.0 - size, 0.0)
            else:
                v[n] = scaled(above, 1.0 / below)
        for q in range(begin, k + 1):
            pivot = A[k, q]
            for n in range(n_sources):
                A[n, q] -= v[n] * pivot
    return det


@numba.njit(**INNER)
def steer_by(V, A, k, loads, v):  # type: ignore[no-untyped-def]
    """Every source's part along output k taken out, and output k brought to unit power; returns how much that scales det A."""
    n_sources, m = V.shape[0], V.shape[1]
    size = 1.0
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
            size = 1.0 / np.sqrt(below)
            v[n] = complex(1.0 - size, 0.0)
        else:
            v[n] = scaled(above, 1.0 / below)
    for q in range(m):
        pivot = A[k, q]
        for n in range(n_sources):
            A[n, q] -= v[n] * pivot
    return size


@numba.njit(**INNER)
def project(V, A, C, f, loads, work, w):  # type: ignore[no-untyped-def]
    """Iterative projection of every source in turn, eqs. 18-19 of Ono (2011): w = (A V_n)^-1 e_n, then w^H V_n w = 1."""
    n_sources, m = V.shape[0], V.shape[1]
    for n in range(n_sources):
        if projection(V, A, n, n, work, w):
            set_row(V, A, n, loads, w)
        if n_sources < m:
            decorrelate(A, C, f, n_sources, work, w)


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
def update_iss(C, f, room):  # type: ignore[no-untyped-def]
    """ISS: one source after the other; returns log |det A|^2."""
    V, A = room.V, room.A
    n_sources, m = V.shape[0], V.shape[1]
    det = steer(V, A, room.loads, room.w)
    if n_sources < m:
        decorrelate(A, C, f, n_sources, room.work, room.w)
    return 2.0 * np.log(det)


@numba.njit(**INNER)
def update_ip(C, f, room):  # type: ignore[no-untyped-def]
    """IP: one source after the other; returns log |det A|^2."""
    project(room.V, room.A, C, f, room.loads, room.work, room.w)
    return 2.0 * log_abs_det(room.A, room.work)
