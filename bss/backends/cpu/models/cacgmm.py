"""Compiled EM of the complex angular central Gaussian mixture, laid out as in `iva`: Y[f, b, m, 0 or 1, t].

The density of a direction z = x / |x| in class k is det(B_k)^-1 (z^H B_k^-1 z)^-M; Ito, Araki and Nakatani (2016). Only the
direction counts, so that x itself does: z z^H / (z^H B^-1 z) is x x^H / (x^H B^-1 x). Posteriors live for one block.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from bss.backends.cpu import threads
from bss.backends.cpu.arithmetic.linalg import FAST, INNER, INNER_FAST, scaled
from bss.backends.cpu.arithmetic.logarithm import log_sum
from bss.backends.cpu.compiling import compiled
from bss.backends.cpu.demixing.covariance import products, unpack, weigh
from bss.backends.cpu.outputs import Outputs, aligned
from bss.backends.numeric import NO_POWER


@numba.njit(**INNER)
def invert(A):  # type: ignore[no-untyped-def]
    """A := A^-1 of a Hermitian positive definite matrix, in place; returns log det of what it was."""
    m = A.shape[0]
    total = 0.0
    for p in range(m):
        pivot = A[p, p].real
        total += np.log(pivot)
        for j in range(m):
            if j != p:
                A[p, j] = scaled(A[p, j], 1.0 / pivot)
        for i in range(m):
            if i != p:
                factor = A[i, p]
                for j in range(m):
                    if j != p:
                        A[i, j] -= factor * A[p, j]
                A[i, p] = scaled(factor, -1.0 / pivot)
        A[p, p] = 1.0 / pivot
    return total


@numba.njit(**INNER)
def coefficients(A, c):  # type: ignore[no-untyped-def]
    """c[r] with which the rows of `covariance.products` add up to x^H A x, A Hermitian."""
    m = A.shape[0]
    row = 0
    for i in range(m):
        c[row] = A[i, i].real
        row += 1
        for j in range(i + 1, m):
            c[row] = 2.0 * A[i, j].real
            c[row + 1] = 2.0 * A[i, j].imag
            row += 2


@numba.njit(**INNER_FAST)
def quadratic(P, c, q):  # type: ignore[no-untyped-def]
    """q[t] = sum_r c[r] P[r, t]."""
    rows, frames = P.shape
    for t in range(frames):
        q[t] = P[0, t] * c[0]
    for r in range(1, rows):
        for t in range(frames):
            q[t] += P[r, t] * c[r]


@numba.njit(**INNER_FAST)
def trace(P, m, power):  # type: ignore[no-untyped-def]
    """power[t] = |x|^2, from the rows of `covariance.products`."""
    frames = P.shape[1]
    row = 0
    for t in range(frames):
        power[t] = P[0, t]
    for i in range(1, m):
        row += 1 + 2 * (m - i)
        for t in range(frames):
            power[t] += P[row, t]


@numba.njit(**INNER_FAST)
def posteriors(P, m, c, scale, weights, b, Q, power, best, total, ratios, gamma):  # type: ignore[no-untyped-def]
    """gamma[0, k, t], 0 for frames without a direction; Q[k, t] = x^H B_k^-1 x; returns the sum of the log-likelihoods.

    power, best, total and ratios are overwritten.
    """
    classes, frames = Q.shape
    real = P.dtype.type
    tiny = real(NO_POWER)
    for k in range(classes):
        quadratic(P, c[k], Q[k])
        for t in range(frames):
            Q[k, t] = max(Q[k, t], tiny)
            ratio = scale[k] / Q[k, t]
            best[t] = ratio if k == 0 else max(best[t], ratio)
            gamma[0, k, t] = ratio
    for t in range(frames):
        total[t] = 0
    for k in range(classes):
        for t in range(frames):
            ratio = gamma[0, k, t] / best[t]
            gamma[0, k, t] = weights[b, k, t] * ratio
            ratios[t] = ratio
        for _ in range(m - 1):  # outside of the loop over frames, which would not be vectorised about another
            for t in range(frames):
                gamma[0, k, t] *= ratios[t]
        for t in range(frames):
            total[t] += gamma[0, k, t]
    for t in range(frames):
        heard = power[t] > tiny and total[t] > 0
        best[t] = best[t] * power[t] if heard else real(1)
        power[t] = total[t] if heard else real(1)
        total[t] = real(1) / total[t] if heard else real(0)
    loss = m * log_sum(best, frames) + log_sum(power, frames)
    for k in range(classes):
        for t in range(frames):
            gamma[0, k, t] *= total[t]
    return loss


@numba.njit(**INNER_FAST)
def blurred(P, m, blur, power):  # type: ignore[no-untyped-def]
    """power[t] = |x|^2, and x x^H + blur |x|^2 / M I in place of x x^H in the rows of `covariance.products`."""
    trace(P, m, power)
    share = P.dtype.type(blur / m)
    row = 0
    for i in range(m):
        for t in range(P.shape[1]):
            P[row, t] += share * power[t]
        row += 1 + 2 * (m - 1 - i)


@numba.njit(**INNER)
def unit_trace(V, B):  # type: ignore[no-untyped-def]
    """B := V at a trace of M, or as it was where V is nothing; returns what V was divided by."""
    m = V.shape[0]
    total = 0.0
    for i in range(m):
        total += V[i, i].real
    if not total > 0.0:
        return 1.0
    total /= m
    for i in range(m):
        for j in range(m):
            B[i, j] = scaled(V[i, j], 1.0 / total)
    return total


@compiled(**FAST)
def angular_em(first, step, Y, B, weights, blur, learn, masks, share, loss):  # type: ignore[no-untyped-def]
    """One iteration of EM with class weights[b, k, t]: B in place where `learn`, masks[f, b, k, t] where they are not empty.

    share[chunk, b, k, t] is the sum of the posteriors over the chunk's bins, loss[chunk] the negative log-likelihood. With
    every z z^H goes blur / M I, sound from everywhere: without it the likelihood of sound from one point has no bound.
    """
    bins, blocks, m, _, size = Y.shape
    classes, chunks = B.shape[1], share.shape[0]
    P, Q = np.empty((m * m, size), Y.dtype), np.empty((classes, size), Y.dtype)
    gamma = np.empty((1, classes, size), Y.dtype)
    power, best = np.empty(size, Y.dtype), np.empty(size, Y.dtype)
    total, ratios = np.empty(size, Y.dtype), np.empty(size, Y.dtype)
    c, scale = np.empty((classes, m * m), Y.dtype), np.empty(classes, Y.dtype)
    inverse = np.empty((m, m), np.complex128)
    G, V = np.empty((m * m, classes)), np.empty((classes, m, m), np.complex128)
    for chunk in range(first, chunks, step):
        share[chunk] = 0
        loss[chunk] = 0.0
        for f in range(chunk * bins // chunks, (chunk + 1) * bins // chunks):
            for k in range(classes):
                for i in range(m):
                    for j in range(m):
                        inverse[i, j] = B[f, k, i, j]
                log_det = invert(inverse)
                coefficients(inverse, c[k])
                scale[k] = np.exp(-log_det / m)
            G[:] = 0.0
            for b in range(blocks):
                products(Y, f, b, P)
                blurred(P, m, blur, power)
                loss[chunk] -= posteriors(P, m, c, scale, weights, b, Q, power, best, total, ratios, gamma)
                for k in range(classes):
                    for t in range(size):
                        share[chunk, b, k, t] += gamma[0, k, t]
                    if masks.shape[0] > 0:
                        for t in range(size):
                            masks[f, b, k, t] = gamma[0, k, t]
                    for t in range(size):
                        gamma[0, k, t] /= Q[k, t]
                if learn:
                    weigh(P, gamma, 0, G)
            if learn:
                unpack(G, m, V)
                for k in range(classes):
                    unit_trace(V[k], B[f, k])


class AngularMixture:
    """Shape matrices B (F, N, M, M) of the directions of N classes, and their EM on spectra."""

    def __init__(self, outputs: Outputs, B: np.ndarray, blur: float) -> None:
        self.outputs = outputs
        self.B = np.array(B, np.complex128, order="C")  # a copy: the kernel writes to it
        self.blur = blur
        self.loss = np.zeros(threads.CHUNKS)
        self.share = aligned((threads.CHUNKS, outputs.blocks, self.n_classes, outputs.size), outputs.dtype)

    @property
    def n_classes(self) -> int:
        """N."""
        return int(self.B.shape[1])

    def step(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """One iteration with weights (N, T): the loss as it began, and the sum over bins of the posteriors, (N, T)."""
        return self._sweep(weights, True, np.empty((0, 0, 0, 0), self.outputs.dtype))

    def posteriors(self, weights: np.ndarray) -> np.ndarray:
        """(F, N, T) in the precision of the data; zero where nothing is heard."""
        y = self.outputs
        masks = aligned((y.n_bins, y.blocks, self.n_classes, y.size), y.dtype)
        self._sweep(weights, False, masks)
        return y.from_blocks(np.moveaxis(masks, 1, 0))

    def _sweep(self, weights: np.ndarray, learn: bool, masks: np.ndarray) -> tuple[float, np.ndarray]:
        y = self.outputs
        blocked: Any = y.to_blocks(weights)
        threads.run(angular_em, y.Y, self.B, blocked, self.blur, learn, masks, self.share, self.loss)
        return float(self.loss.sum()), y.from_blocks(self.share.sum(0, dtype=np.float64))
