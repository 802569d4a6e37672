"""Compiled algebra of one frequency bin: small complex matrices, in double precision whatever the data are kept in.

A (M, M) is what one iteration multiplies the outputs with: rows 0..N-1 the sources, the rest background. V (N, M, M) are the
weighted covariances of the outputs as they came in, C (M, M) their plain covariance. Every function here works in place.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

JIT: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}
FAST: dict[str, Any] = {**JIT, "fastmath": True}
ISS, IP = 0, 1


@numba.njit(**JIT)
def log_abs_det(A, work):  # type: ignore[no-untyped-def]
    """log |det A| by elimination with partial pivoting; -inf for a singular matrix. `work` is overwritten."""
    m = A.shape[0]
    for i in range(m):
        for j in range(m):
            work[i, j] = A[i, j]
    total = 0.0
    for k in range(m):
        pivot = k
        for i in range(k + 1, m):
            if abs(work[i, k]) > abs(work[pivot, k]):
                pivot = i
        if pivot != k:
            for j in range(m):
                work[k, j], work[pivot, j] = work[pivot, j], work[k, j]
        total += np.log(abs(work[k, k]))
        if work[k, k] == 0:
            return total
        for i in range(k + 1, m):
            factor = work[i, k] / work[k, k]
            for j in range(k + 1, m):
                work[i, j] -= factor * work[k, j]
    return total


@numba.njit(**JIT)
def solve(matrix, rhs):  # type: ignore[no-untyped-def]
    """rhs := matrix^-1 rhs for one right-hand side, by elimination with partial pivoting; both are overwritten.

    False for a matrix that is singular, of which nothing can be said.
    """
    m = matrix.shape[0]
    for k in range(m):
        pivot = k
        for i in range(k + 1, m):
            if abs(matrix[i, k]) > abs(matrix[pivot, k]):
                pivot = i
        if pivot != k:
            for j in range(m):
                matrix[k, j], matrix[pivot, j] = matrix[pivot, j], matrix[k, j]
            rhs[k], rhs[pivot] = rhs[pivot], rhs[k]
        if matrix[k, k] == 0:
            return False
        for i in range(k + 1, m):
            factor = matrix[i, k] / matrix[k, k]
            for j in range(k + 1, m):
                matrix[i, j] -= factor * matrix[k, j]
            rhs[i] -= factor * rhs[k]
    for k in range(m - 1, -1, -1):
        for j in range(k + 1, m):
            rhs[k] -= matrix[k, j] * rhs[j]
        rhs[k] /= matrix[k, k]
    return True


@numba.njit(**JIT)
def load(V, share, loads):  # type: ignore[no-untyped-def]
    """Raise the diagonal of each V[n] by `share` of its mean, noted in loads[n]; False when there is nothing in the bin."""
    sounding = True
    for n in range(V.shape[0]):
        trace = 0.0
        for i in range(V.shape[1]):
            trace += V[n, i, i].real
        loads[n] = share * trace / V.shape[1]
        sounding = sounding and loads[n] > 0.0
        for i in range(V.shape[1]):
            V[n, i, i] += loads[n]
    return sounding


@numba.njit(**JIT)
def steer(V, A, loads, v):  # type: ignore[no-untyped-def]
    """One sweep of iterative source steering, eqs. 9-11 of Scheibler and Ono (2020), on covariances."""
    n_sources, m = V.shape[0], V.shape[1]
    for k in range(m):
        for n in range(n_sources):
            below, above, length = 0.0, 0j, 0.0
            for p in range(m):
                z = 0j
                for q in range(m):
                    z += V[n, p, q] * A[k, q].conjugate()
                below += (A[k, p] * z).real
                above += A[n, p] * z
                length += A[k, p].real ** 2 + A[k, p].imag ** 2
            if below <= 2.0 * loads[n] * length:
                v[n] = 0j
            elif n == k:
                v[n] = 1.0 - 1.0 / np.sqrt(below)
            else:
                v[n] = above / below
        for q in range(m):
            pivot = A[k, q]
            for n in range(n_sources):
                A[n, q] -= v[n] * pivot


@numba.njit(**JIT)
def project(V, A, C, loads, work, w):  # type: ignore[no-untyped-def]
    """Iterative projection of every source in turn, eqs. 18-19 of Ono (2011): w = (A V_n)^-1 e_n, then w^H V_n w = 1."""
    n_sources, m = V.shape[0], V.shape[1]
    for n in range(n_sources):
        for i in range(m):
            for j in range(m):
                z = 0j
                for q in range(m):
                    z += A[i, q] * V[n, q, j]
                work[i, j] = z
            w[i] = 0j
        w[n] = 1.0
        if not solve(work, w):
            continue
        power, length = 0.0, 0.0
        for i in range(m):
            z = 0j
            for j in range(m):
                z += V[n, i, j] * w[j]
            power += (w[i].conjugate() * z).real
            length += w[i].real ** 2 + w[i].imag ** 2
        if power > 2.0 * loads[n] * length and np.isfinite(power):
            for i in range(m):
                A[n, i] = w[i].conjugate() / np.sqrt(power)
        if n_sources < m:
            decorrelate(A, C, n_sources, work, w)


@numba.njit(**JIT)
def decorrelate(A, C, n_sources, work, w):  # type: ignore[no-untyped-def]
    """Background rows of A made uncorrelated with the sources' rows: OverIVA's constraint, eq. 13 of Scheibler and Ono (2019)."""
    m = A.shape[0]
    for b in range(n_sources, m):
        # coefficients D of the sources in row b: (A_s C A_s^H) D^H = A_s C a_b^H
        for i in range(n_sources):
            for j in range(n_sources + 1):
                row = b if j == n_sources else j
                z = 0j
                for p in range(m):
                    for q in range(m):
                        z += A[i, p] * C[p, q] * A[row, q].conjugate()
                if j == n_sources:
                    w[i] = z
                else:
                    work[i, j] = z
        if solve(work[:n_sources, :n_sources], w[:n_sources]):
            for i in range(n_sources):
                for q in range(m):
                    A[b, q] -= w[i].conjugate() * A[i, q]


@numba.njit(**JIT)
def congruence(A, C, work):  # type: ignore[no-untyped-def]
    """C := A C A^H; `work` is overwritten."""
    m = A.shape[0]
    for i in range(m):
        for j in range(m):
            z = 0j
            for q in range(m):
                z += A[i, q] * C[q, j]
            work[i, j] = z
    for i in range(m):
        for j in range(m):
            z = 0j
            for q in range(m):
                z += work[i, q] * A[j, q].conjugate()
            C[i, j] = z


@numba.njit(**JIT)
def move(update, V, C, A, W, share, loads, work, w):  # type: ignore[no-untyped-def]
    """One iteration in one bin: A from V and C, W := A W, C := A C A^H. Returns the change of log |det W|^2 - log |det C_b|,
    C_b being the covariance of the background rows."""
    n_sources, m = V.shape[0], V.shape[1]
    for i in range(m):
        for j in range(m):
            A[i, j] = 1.0 if i == j else 0.0
    if not load(V, share, loads):
        return 0.0
    before = background_log_det(C, n_sources, work) if n_sources < m else 0.0
    if update == ISS:
        steer(V, A, loads, w)
        if n_sources < m:
            decorrelate(A, C, n_sources, work, w)
    else:
        project(V, A, C, loads, work, w)
    change = 2.0 * log_abs_det(A, work)
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


@numba.njit(**JIT)
def background_log_det(C, n_sources, work):  # type: ignore[no-untyped-def]
    """log det of the background's block of C; 0 where it is singular, which a silent bin stays."""
    value = log_abs_det(C[n_sources:, n_sources:], work)
    return value if np.isfinite(value) else 0.0
