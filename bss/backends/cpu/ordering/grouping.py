"""Compiled sharing out of more outputs than talkers, and the powers over time that outputs are compared by."""

from __future__ import annotations

import numba
import numpy as np

from bss.backends.cpu.arithmetic.linalg import FAST, INNER_FAST
from bss.backends.cpu.compiling import compiled
from bss.backends.cpu.ordering.permutation import ROUNDINGS, TINY, dot, opened, slide


@compiled(**FAST)
def pooled_powers(first, step, chunks, X, W, gain, pool, P):  # type: ignore[no-untyped-def]
    """P[f, n, s] = gain[f, n] times the mean of |sum_m W[f, n, m] X[f, m, t]|^2 over the frames of pool s."""
    bins, n_sources, n_mics = W.shape
    frames = X.shape[2]
    real = X.real.dtype.type
    re, im = np.empty(frames, X.real.dtype), np.empty(frames, X.real.dtype)
    for c in range(first, chunks, step):
        for f in range(c * bins // chunks, (c + 1) * bins // chunks):
            for n in range(n_sources):
                re[:] = 0
                im[:] = 0
                for m in range(n_mics):
                    a, b = real(W[f, n, m].real), real(W[f, n, m].imag)
                    for t in range(frames):
                        x, y = X[f, m, t].real, X[f, m, t].imag
                        re[t] += a * x - b * y
                        im[t] += a * y + b * x
                pool_power(re, im, gain[f, n], pool, P[f, n])


@numba.njit(**INNER_FAST)
def pool_power(re, im, gain, pool, p):  # type: ignore[no-untyped-def]
    """p[s] = gain times the mean of re^2 + im^2 over pool s; the last pool may be shorter."""
    frames = re.shape[0]
    if pool == 1:
        for t in range(frames):
            p[t] = gain * (re[t] * re[t] + im[t] * im[t])
        return
    for s in range(p.shape[0]):
        begin, end = s * pool, min((s + 1) * pool, frames)
        total = re.dtype.type(0)
        for t in range(begin, end):
            total += re[t] * re[t] + im[t] * im[t]
        p[s] = gain * total / (end - begin)


@numba.njit(**INNER_FAST)
def expected(U, first, f, window, whole, first_weight, whole_weight, wanted):  # type: ignore[no-untyped-def]
    """wanted[0, i]: what an output of talker i should look like in bin f, from the bins about, from all, and as it was first.

    The window holds bin f too, which is left out; whole (1, N, T) has rows of length one.
    """
    for i in range(U.shape[1]):
        total = dot(window, 0, i, window, 0, i)
        rest = total - np.float32(2) * dot(window, 0, i, U, f, i) + dot(U, f, i, U, f, i)
        scale = np.float32(1) / np.sqrt(max(rest, ROUNDINGS * total + TINY))
        for t in range(U.shape[2]):
            far = whole_weight * whole[0, i, t] + first_weight * first[f, i, t]
            wanted[0, i, t] = scale * (window[0, i, t] - U[f, i, t]) + far


@numba.njit(**INNER_FAST)
def share_out(scores, f, talker, counts):  # type: ignore[no-untyped-def]
    """talker[f, j] = the talker i with the largest scores[i, j]; one left without any gets the output that costs least."""
    n, outputs = scores.shape
    counts[:] = 0
    for j in range(outputs):
        best = 0
        for i in range(1, n):
            if scores[i, j] > scores[best, j]:
                best = i
        talker[f, j] = best
        counts[best] += 1
    for i in range(n):
        if counts[i] == 0:
            cheapest = -1
            for j in range(outputs):
                if counts[talker[f, j]] > 1:
                    cost = scores[talker[f, j], j] - scores[i, j]
                    if cheapest < 0 or cost < scores[talker[f, cheapest], cheapest] - scores[i, cheapest]:
                        cheapest = j
            counts[talker[f, cheapest]] -= 1
            counts[i] += 1
            talker[f, cheapest] = i


@compiled(**FAST)
def grouping_pass(V, U, first, whole, reach, first_weight, whole_weight, talker):  # type: ignore[no-untyped-def]
    """talker (F, M): whom each output belongs to, by features V (F, M, T) of outputs, U and first (F, N, T) of talkers."""
    bins, n, frames = U.shape
    outputs = V.shape[1]
    window, wanted = np.empty((1, n, frames), np.float32), np.empty((1, n, frames), np.float32)
    scores, counts, order = np.empty((n, outputs)), np.empty(n, np.int64), np.empty((bins, n), np.int64)
    for i in range(n):
        order[:, i] = i
    opened(U, reach, order, window)
    for f in range(bins):
        slide(U, f, reach, order, window)
        expected(U, first, f, window, whole, first_weight, whole_weight, wanted)
        for i in range(n):
            for j in range(outputs):
                scores[i, j] = dot(wanted, 0, i, V, f, j)
        share_out(scores, f, talker, counts)
