"""Compiled iteration over delayed frames, for dereverberation joint with separation: laid out as in `iva`.

The outputs y = W (x - G^H z) also depend on what the microphones heard some frames ago, z. Its rows are pivots that never
change: each takes from every output, in turn, what it predicts of it. The rows are not laid out; see `wpe`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from bss.backends.cpu.arithmetic.linalg import INNER, INNER_FAST, JIT, background_log_det, solve
from bss.backends.cpu.compiling import compiled
from bss.backends.cpu.demixing import low_rank
from bss.backends.cpu.demixing.covariance import products, unpack
from bss.backends.cpu.demixing.iva import add_power
from bss.backends.cpu.demixing.low_rank import LowRank
from bss.backends.cpu.outputs import Outputs
from bss.backends.cpu.wpe import real_parts, shifted
from bss.backends.numeric import NO_POWER
from bss.backends.protocol import SourceModel


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
def subtract(Y, f, b, n, Z, m, begin, vr, vi):  # type: ignore[no-untyped-def]
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
        inverse = 1.0 / below if below > NO_POWER * blocks * size else 0.0
        V[n, k] = complex(above_r * inverse, above_i * inverse)
        for b in range(blocks):
            subtract(Y, f, b, n, Z, k % m, np.uint64(begin + b * size), real(V[n, k].real), real(V[n, k].imag))


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


class Delayed(NamedTuple):
    """Delayed frames and what they predict: X (F, M, T), the factor that brings it to the level of the outputs, filters G
    (F, M taps, M), and how many frames ago the newest was."""

    X: Any
    scale: float
    G: Any
    delay: int


class PredictionRoom(NamedTuple):
    """Arrays that one call of a kernel works in: X of one bin Z (M, 2, .), what rows predict V (M, M taps), work (M, M), w (M,),
    products P (M M, size) and their sums (M M, 1)."""

    Z: Any
    V: Any
    work: Any
    w: Any
    P: Any
    sums: Any


@numba.njit(**{**INNER, "_nrt": True, "forceinline": True})
def make_prediction_room(Y, delayed):  # type: ignore[no-untyped-def]
    """Room for outputs Y."""
    blocks, m, size, rows = Y.shape[1], Y.shape[2], Y.shape[4], delayed.G.shape[1]
    return PredictionRoom(
        np.empty((m, 2, delayed.delay + rows // m - 1 + blocks * size), Y.dtype), np.empty((m, rows), np.complex128),
        np.empty((m, m), np.complex128), np.empty(m, np.complex128), np.empty((m * m, size), Y.dtype), np.empty((m * m, 1)),
    )  # fmt: skip


@numba.njit(**INNER)
def predict_bin(solve, delayed, f, phi, n_sources, room):  # type: ignore[no-untyped-def]
    """One iteration in one bin; returns the change of -log det C_b of the background, whose weights are one."""
    Y, C, Z, frames = solve.Y, solve.C, room.Z, solve.frames
    m, blocks, size = Y.shape[2], Y.shape[1], Y.shape[4]
    lead = Z.shape[2] - blocks * size
    before = background_log_det(C, f, n_sources, room.work) if n_sources < m else 0.0
    real_parts(delayed.X, f, lead, delayed.scale, Z)
    for n in range(m):
        steer_row(Y, f, n, phi, Z, lead, delayed.delay, room.V)
        for b in range(blocks):
            end_with_zeros(Y[f, b, n, 0], frames - b * size)
            end_with_zeros(Y[f, b, n, 1], frames - b * size)
    add_filters(room.V, solve.W[f], delayed.G[f], room.work, room.w)
    if n_sources == m:
        return 0.0
    plain_covariance(Y, f, frames, room.P, room.sums, C[f : f + 1])
    return before - background_log_det(C, f, n_sources, room.work)


@compiled(**JIT)
def prediction_update(first, step, solve, delayed, phi, n_sources, power, change):  # type: ignore[no-untyped-def]
    """One iteration with weights phi[b, m, t] common to all bins. Y, C and the filters in place, power as `frame_power`;
    change[chunk] of -log det C_b."""
    bins, chunks, room = solve.Y.shape[0], power.shape[0], make_prediction_room(solve.Y, delayed)
    for c in range(first, chunks, step):
        power[c] = 0
        change[c] = 0.0
        for f in range(c * bins // chunks, (c + 1) * bins // chunks):
            change[c] += predict_bin(solve, delayed, f, phi, n_sources, room)
            for b in range(solve.Y.shape[1]):
                add_power(solve.Y, f, b, power, c)


@compiled(**JIT)
def low_rank_prediction_update(first, step, solve, delayed, model, change):  # type: ignore[no-untyped-def]
    """As `prediction_update`, with the weights 1 / R of low-rank variances R = B H."""
    Y, n_sources, chunks = solve.Y, model.H.shape[1], change.shape[0]
    bins, blocks, m, _, size = Y.shape
    room = make_prediction_room(Y, delayed)
    phi, R, total = np.ones((blocks, m, size), Y.dtype), np.empty(size, Y.dtype), np.ones(3)  # no loss is asked for
    for b in range(blocks):
        for n in range(m):
            end_with_zeros(phi[b, n], solve.frames - b * size)
    for c in range(first, chunks, step):
        change[c] = 0.0
        for f in range(c * bins // chunks, (c + 1) * bins // chunks):
            for n in range(n_sources):
                low_rank.weights(Y, model, f, n, solve.frames, R, phi, total)
            change[c] += predict_bin(solve, delayed, f, phi, n_sources, room)


class JointPrediction:
    """What the outputs do without: filters G (F, M taps, M) of the delayed frames of X, y = W (x - G^H z)."""

    def __init__(self, outputs: Outputs, X: np.ndarray, taps: int, delay: int) -> None:
        self.outputs, self.delay = outputs, delay
        self.X = np.ascontiguousarray(X)
        bins, m, _ = X.shape
        self.filters = np.zeros((bins, m * taps, m), np.complex128)

    @property
    def delayed(self) -> Delayed:
        """For kernels."""
        return Delayed(self.X, 1.0 / self.outputs.level, self.filters, self.delay)

    def update(self, phi: np.ndarray) -> None:
        """One iteration with weights phi (N, T) that all bins share; their scale does not matter, and must not overflow."""
        y = self.outputs
        phi = phi / phi.mean(1, keepdims=True)
        background = np.ones((self.X.shape[1] - y.n_sources, y.n_frames))
        blocked = y.to_blocks(np.concatenate([phi, background]))
        y.run(prediction_update, y.solve, self.delayed, blocked, y.n_sources, y.power_sums, y.change, powers=True)

    def update_low_rank(self, model: SourceModel) -> None:
        """One iteration with the weights 1 / R of R = B H."""
        if not isinstance(model, LowRank):
            raise TypeError(f"no low-rank variances: {type(model).__qualname__}")
        y = self.outputs
        y.run(low_rank_prediction_update, y.solve, self.delayed, model.model, y.change)
