"""Compiled algebra of one frequency bin: small complex matrices, in double precision whatever the data are kept in.

A (M, M) is what one iteration multiplies the outputs with: outputs 0..N-1 are the sources, the rest background. V (N, M, M) are
the weighted covariances of the outputs as they came in, C (M, M) their plain covariance. Every function here works in place.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

# What Python calls is a `compiling.compiled`, kept on disk; what only kernels call becomes a part of them, and needs no way in.
# fastmath is said even where it is off: an inner function takes over what is not said from the first kernel that calls it.
JIT: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": False}
FAST: dict[str, Any] = {**JIT, "fastmath": True}
# Inner functions only borrow arrays. Counting references to them, which is atomic, took as long as the arithmetic of a bin.
INNER: dict[str, Any] = {
    "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "fastmath": False, "_nrt": False,
}  # fmt: skip
INNER_FAST: dict[str, Any] = {**INNER, "fastmath": True}
ALLOCATES: dict[str, Any] = {**INNER_FAST, "_nrt": True}  # those that make arrays of their own have to count
# What runs once per bin: a call that hands over a dozen arrays takes longer than the algebra of two microphones.
INLINED: dict[str, Any] = {**INNER_FAST, "forceinline": True}


@numba.njit(**INNER)
def norm2(z):  # type: ignore[no-untyped-def]
    """|z|^2, without a square root."""
    return z.real * z.real + z.imag * z.imag


@numba.njit(**INNER)
def scaled(z, real):  # type: ignore[no-untyped-def]
    """z times a real number: a complex product or quotient would take four times the work, and longer to compile."""
    return complex(z.real * real, z.imag * real)


@numba.njit(**INNER)
def reciprocal(z):  # type: ignore[no-untyped-def]
    """1 / z."""
    return scaled(z.conjugate(), 1.0 / norm2(z))


@numba.njit(**INNER)
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
            if norm2(work[i, k]) > norm2(work[pivot, k]):
                pivot = i
        if pivot != k:
            for j in range(m):
                work[k, j], work[pivot, j] = work[pivot, j], work[k, j]
        square = norm2(work[k, k])
        total += 0.5 * np.log(square)
        if square == 0.0:
            return total
        inverse = reciprocal(work[k, k])
        for i in range(k + 1, m):
            factor = work[i, k] * inverse
            for j in range(k + 1, m):
                work[i, j] -= factor * work[k, j]
    return total


@numba.njit(**INNER)
def solve(matrix, rhs):  # type: ignore[no-untyped-def]
    """rhs := matrix^-1 rhs for one right-hand side, by elimination with partial pivoting; both are overwritten.

    False for a matrix that is singular, of which nothing can be said.
    """
    m = matrix.shape[0]
    for k in range(m):
        pivot = k
        for i in range(k + 1, m):
            if norm2(matrix[i, k]) > norm2(matrix[pivot, k]):
                pivot = i
        if pivot != k:
            for j in range(m):
                matrix[k, j], matrix[pivot, j] = matrix[pivot, j], matrix[k, j]
            rhs[k], rhs[pivot] = rhs[pivot], rhs[k]
        if norm2(matrix[k, k]) == 0.0:
            return False
        matrix[k, k] = reciprocal(matrix[k, k])
        for i in range(k + 1, m):
            factor = matrix[i, k] * matrix[k, k]
            for j in range(k + 1, m):
                matrix[i, j] -= factor * matrix[k, j]
            rhs[i] -= factor * rhs[k]
    for k in range(m - 1, -1, -1):
        for j in range(k + 1, m):
            rhs[k] -= matrix[k, j] * rhs[j]
        rhs[k] *= matrix[k, k]
    return True


@numba.njit(**INNER)
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


@numba.njit(**INNER)
def decorrelate(A, C, f, n_sources, work, w):  # type: ignore[no-untyped-def]
    """Background rows of A made uncorrelated with the sources' rows under C[f]: OverIVA, eq. 13 of Scheibler and Ono (2019)."""
    m = A.shape[0]
    for b in range(n_sources, m):
        # coefficients D of the sources in row b: (A_s C A_s^H) D^H = A_s C a_b^H
        for i in range(n_sources):
            for j in range(n_sources + 1):
                row = b if j == n_sources else j
                z = 0j
                for p in range(m):
                    for q in range(m):
                        z += A[i, p] * C[f, p, q] * A[row, q].conjugate()
                if j == n_sources:
                    w[i] = z
                else:
                    work[i, j] = z
        if solve(work[:n_sources, :n_sources], w[:n_sources]):
            for i in range(n_sources):
                for q in range(m):
                    A[b, q] -= w[i].conjugate() * A[i, q]


@numba.njit(**INNER)
def congruence(A, C, f, work):  # type: ignore[no-untyped-def]
    """C[f] := A C[f] A^H; `work` is overwritten."""
    m = A.shape[0]
    for i in range(m):
        for j in range(m):
            z = 0j
            for q in range(m):
                z += A[i, q] * C[f, q, j]
            work[i, j] = z
    for i in range(m):
        for j in range(m):
            z = 0j
            for q in range(m):
                z += work[i, q] * A[j, q].conjugate()
            C[f, i, j] = z


@numba.njit(**INNER)
def background_log_det(C, f, n_sources, work):  # type: ignore[no-untyped-def]
    """log det of the background's block of C[f]; 0 where it is singular, which a silent bin stays."""
    value = log_abs_det(C[f, n_sources:, n_sources:], work)
    return value if np.isfinite(value) else 0.0
