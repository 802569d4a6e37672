"""Compiled sweep over delayed frames, for dereverberation joint with separation: laid out as in `sweep`.

The outputs y = W (x - G^H z) also depend on what the microphones heard some frames ago, z. Its rows are pivots that never
change: each takes from every output, in turn, what it predicts of it. The rows are not laid out; see `prediction`.
"""

from __future__ import annotations

import numba
import numpy as np

from bss.backends.cpu.demixing import low_rank
from bss.backends.cpu.demixing.covariance import products, unpack
from bss.backends.cpu.demixing.iva import add_power
from bss.backends.cpu.demixing.low_rank import LowRank
from bss.backends.cpu.linalg import INNER, INNER_FAST, JIT, background_log_det, solve
from bss.backends.cpu.outputs import Outputs
from bss.backends.cpu.wpe import shifted, to_planes
from bss.backends.protocol import SourceModel

QUIET = 1e-24  # power beside a recording of level one: nothing is predicted from less, whose square single precision loses


@numba.njit(**INNER_FAST)
def correlations(yr, yi, phi, pr, pi):  # type: ignore[no-untyped-def]
    """Sums of phi y conj(p), real and imaginary, and of phi |p|^2 over a block."""
    zero = phi.dtype.type(0)
    above_r, above_i, below = zero, zero, zero
    for t in range(phi.shape[0]):
        ur, ui = phi[t] * pr[t], phi[t] * pi[t]
        above_r += yr[t] * ur + yi[t] * ui
        above_i += yi[t] * ur - yr[t] * ui
        below += ur * pr[t] + ui * pi[t]
    return above_r, above_i, below


@numba.njit(**INNER_FAST)
def take(Y, f, b, n, Z, m, begin, vr, vi):  # type: ignore[no-untyped-def]
    """y -= v z over a block. Two arrays and not four rows, and counters that cannot be negative: else it is not vectorised."""
    for t in range(np.uint64(Y.shape[4])):
        s = begin + t
        re = Y[f, b, n, 0, t] - (vr * Z[m, 0, s] - vi * Z[m, 1, s])
        im = Y[f, b, n, 1, t] - (vr * Z[m, 1, s] + vi * Z[m, 0, s])
        Y[f, b, n, 0, t] = re
        Y[f, b, n, 1, t] = im


@numba.njit(**INNER_FAST)
def steer_row(Y, f, n, phi, Z, lead, delay, V):  # type: ignore[no-untyped-def]
    """Output n without what each delayed row in turn predicts of it, V[n, k] of row k; eqs. 14-15 of Nakashima et al. (2021)."""
    blocks, size, m = Y.shape[1], Y.shape[4], Z.shape[0]
    rows = V.shape[1]
    real = Y.dtype.type
    for k in range(rows):
        begin = shifted(k, m, rows // m, lead, delay)
        above_r, above_i, below = 0.0, 0.0, 0.0
        for b in range(blocks):
            s = begin + b * size
            pr, pi = Z[k % m, 0, s : s + size], Z[k % m, 1, s : s + size]
            sums = correlations(Y[f, b, n, 0], Y[f, b, n, 1], phi[b, n], pr, pi)
            above_r += sums[0]
            above_i += sums[1]
            below += sums[2]
        inverse = 1.0 / below if below > QUIET * blocks * size else 0.0
        V[n, k] = complex(above_r * inverse, above_i * inverse)
        for b in range(blocks):
            take(Y, f, b, n, Z, k % m, np.uint64(begin + b * size), real(V[n, k].real), real(V[n, k].imag))


@numba.njit(**INNER)
def add_filters(V, W, G, work, w):  # type: ignore[no-untyped-def]
    """G^H += W^-1 V, so that W (x - G^H z) is what it was without V z. Nothing for a singular W."""
    m, rows = V.shape
    for k in range(rows):
        for i in range(m):
            w[i] = V[i, k]
            for j in range(m):
                work[i, j] = W[i, j]
        if solve(work, w):
            for i in range(m):
                G[k, i] += w[i].conjugate()


@numba.njit(**INNER_FAST)
def plain_covariance(Y, f, frames, P, G, C):  # type: ignore[no-untyped-def]
    """C[0] = E[y y^H] of one bin."""
    G[:] = 0.0
    for b in range(Y.shape[1]):
        products(Y, f, b, P)
        for r in range(P.shape[0]):
            total = P.dtype.type(0)
            for t in range(P.shape[1]):
                total += P[r, t]
            G[r, 0] += total
    unpack(G, 1.0 / frames, C)


@numba.njit(**INNER_FAST)
def end_with_zeros(a, begin):  # type: ignore[no-untyped-def]
    """Zeros in a row of a block from `begin` on, which may lie before or behind it."""
    for t in range(max(begin, 0), a.shape[0]):
        a[t] = 0


@numba.njit(**INNER)
def past_of_bin(X, Y, W, C, G, f, phi, Z, frames, scale, delay, n_sources, V, P, sums, work, w):  # type: ignore[no-untyped-def]
    """One sweep in one bin; returns the change of -log det C_b of the background's rows, whose weights are one."""
    m, blocks, size = X.shape[1], Y.shape[1], Y.shape[4]
    lead = Z.shape[2] - blocks * size
    before = background_log_det(C, f, n_sources, work) if n_sources < m else 0.0
    to_planes(X, f, lead, scale, Z)
    for n in range(m):
        steer_row(Y, f, n, phi, Z, lead, delay, V)
        for b in range(blocks):
            end_with_zeros(Y[f, b, n, 0], frames - b * size)
            end_with_zeros(Y[f, b, n, 1], frames - b * size)
    add_filters(V, W[f], G[f], work, w)
    if n_sources == m:
        return 0.0
    plain_covariance(Y, f, frames, P, sums, C[f : f + 1])
    return before - background_log_det(C, f, n_sources, work)


@numba.njit(**JIT)
def past_sweep(first, step, X, Y, W, C, G, phi, frames, scale, delay, n_sources, power, change):  # type: ignore[no-untyped-def]
    """One sweep over the delayed frames of X, with weights phi[b, m, t] common to all bins. Y, C and the filters G
    (F, M taps, M) in place, power as `frame_power`; change[chunk] of -log det C_b."""
    bins, blocks, m, _, size = Y.shape
    rows, chunks = G.shape[1], power.shape[0]
    Z = np.empty((m, 2, delay + rows // m - 1 + blocks * size), Y.dtype)
    V, work, w = np.empty((m, rows), np.complex128), np.empty((m, m), np.complex128), np.empty(m, np.complex128)
    P, sums = np.empty((m * m, size), Y.dtype), np.empty((m * m, 1))
    for c in range(first, chunks, step):
        power[c] = 0
        change[c] = 0.0
        for f in range(c * bins // chunks, (c + 1) * bins // chunks):
            change[c] += past_of_bin(X, Y, W, C, G, f, phi, Z, frames, scale, delay, n_sources, V, P, sums, work, w)
            for b in range(blocks):
                add_power(Y, f, b, power, c)


@numba.njit(**JIT)
def lowrank_past_sweep(first, step, X, Y, W, C, G, B, H, H_mean, frames, small, scale, delay, change):  # type: ignore[no-untyped-def]
    """As `past_sweep`, with the weights 1 / R of low-rank variances R = B H."""
    bins, blocks, m, _, size = Y.shape
    rows, chunks, n_sources = G.shape[1], change.shape[0], H.shape[1]
    Z = np.empty((m, 2, delay + rows // m - 1 + blocks * size), Y.dtype)
    V, work, w = np.empty((m, rows), np.complex128), np.empty((m, m), np.complex128), np.empty(m, np.complex128)
    P, sums = np.empty((m * m, size), Y.dtype), np.empty((m * m, 1))
    phi, R, total = np.ones((blocks, m, size), Y.dtype), np.empty(size, Y.dtype), np.ones(3)  # no loss is asked for
    for b in range(blocks):
        for n in range(m):
            end_with_zeros(phi[b, n], frames - b * size)
    for c in range(first, chunks, step):
        change[c] = 0.0
        for f in range(c * bins // chunks, (c + 1) * bins // chunks):
            for n in range(n_sources):
                low_rank.weights(Y, B, H, H_mean, f, n, frames, small, R, phi, total)
            change[c] += past_of_bin(X, Y, W, C, G, f, phi, Z, frames, scale, delay, n_sources, V, P, sums, work, w)


class JointPrediction:
    """What the outputs do without: filters G (F, M taps, M) of the delayed frames of X, y = W (x - G^H z)."""

    def __init__(self, outputs: Outputs, X: np.ndarray, taps: int, delay: int) -> None:
        self.outputs, self.delay = outputs, delay
        self.X = np.ascontiguousarray(X)
        bins, m, _ = X.shape
        self.filters = np.zeros((bins, m * taps, m), np.complex128)

    def update(self, phi: np.ndarray) -> None:
        """One sweep with weights phi (N, T) that all bins share; their scale does not matter, and must not overflow."""
        y = self.outputs
        phi = phi / phi.mean(1, keepdims=True)
        background = np.ones((self.X.shape[1] - y.n_sources, y.n_frames))
        blocked = y.to_blocks(np.concatenate([phi, background]))
        options = (y.n_frames, 1.0 / y.level, self.delay, y.n_sources, y.power_sums, y.change)
        y.run(past_sweep, self.X, y.Y, y.W, y.C, self.filters, blocked, *options, powers=True)

    def update_low_rank(self, model: SourceModel) -> None:
        """One sweep with the weights 1 / R of R = B H."""
        if not isinstance(model, LowRank):
            raise TypeError(f"no low-rank variances: {type(model).__qualname__}")
        y = self.outputs
        options = (y.n_frames, y.floor, 1.0 / y.level, self.delay, y.change)
        y.run(lowrank_past_sweep, self.X, y.Y, y.W, y.C, self.filters, model.B, model.H, model.H_mean(), *options)
