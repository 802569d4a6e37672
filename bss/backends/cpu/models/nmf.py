"""Compiled fit of low-rank variances to known powers: NMF under the Itakura-Saito divergence, sources apart from each other.

q [n, f, b, t] are powers of mean one in every bin, in blocks of frames, with zeros behind the last; B [n, f, k], H [n, b, k, t],
K a multiple of ROWS, with zeros in what fills it up. ROWS components, or BINS bins, share what is loaded once.
"""

from __future__ import annotations

import numba
import numpy as np

from bss.backends.cpu import threads
from bss.backends.cpu.arithmetic.linalg import FAST, INNER_FAST
from bss.backends.cpu.arithmetic.tile import ROWS, tile
from bss.backends.cpu.compiling import compiled
from bss.backends.cpu.outputs import BLOCK_FRAMES, ROUND_FRAMES, aligned
from bss.backends.numeric import LEAST_SHARE

BINS = 4
LEAST = np.float32(LEAST_SHARE)  # of powers, variances and activations


@compiled(**FAST)
def whitened(first, step, chunks, Y, q, mean):  # type: ignore[no-untyped-def]
    """q = |y|^2 / mean, mean (N, F) over frames, of Y (F, N, T); ones where a bin is silent."""
    bins, n_sources, frames = Y.shape
    size = q.shape[3]
    for c in range(first, chunks, step):
        for f in range(c * bins // chunks, (c + 1) * bins // chunks):
            for n in range(n_sources):
                total = np.float32(0)
                for t in range(frames):
                    power = Y[f, n, t].real * Y[f, n, t].real + Y[f, n, t].imag * Y[f, n, t].imag
                    q[n, f, t // size, t % size] = power
                    total += np.float32(power)
                mean[n, f] = total / np.float32(frames)
                scale = np.float32(1) / mean[n, f] if mean[n, f] > 0 else np.float32(0)
                least = LEAST if mean[n, f] > 0 else np.float32(1)
                for t in range(frames):
                    q[n, f, t // size, t % size] = max(q[n, f, t // size, t % size] * scale, least)


@numba.njit(**INNER_FAST)
def variances(B, H, n, f, b, R):  # type: ignore[no-untyped-def]
    """R[t] = sum_k B[n, f, k] H[n, b, k, t]."""
    size = R.shape[0]
    for t in range(size):
        R[t] = LEAST
    for k in range(0, B.shape[2], ROWS):
        b0, b1, b2, b3 = B[n, f, k], B[n, f, k + 1], B[n, f, k + 2], B[n, f, k + 3]
        for t in range(size):
            R[t] += b0 * H[n, b, k, t] + b1 * H[n, b, k + 1, t] + b2 * H[n, b, k + 2, t] + b3 * H[n, b, k + 3, t]


@numba.njit(**INNER_FAST)
def quotients(q, n, f, b, R, i, above, below):  # type: ignore[no-untyped-def]
    """below[i] = 1 / R, above[i] = q / R^2."""
    one = np.float32(1)
    for t in range(R.shape[0]):
        inverse = one / R[t]
        below[i, t] = inverse
        R[t] = inverse * inverse
    for t in range(R.shape[0]):
        above[i, t] = R[t] * q[n, f, b, t]


@numba.njit(**INNER_FAST)
def spectral_sums(above, below, i, H, n, b, sums):  # type: ignore[no-untyped-def]
    """sums[k] += above[i] . H[n, k] and below[i] . H[n, k], over one block of frames."""
    for k in range(0, H.shape[2], ROWS):
        h0, h1, h2, h3 = H[n, b, k], H[n, b, k + 1], H[n, b, k + 2], H[n, b, k + 3]
        a0, a1, a2, a3, b0, b1, b2, b3 = tile(above[i], below[i], h0, h1, h2, h3)
        sums[k, 0] += a0
        sums[k, 1] += b0
        sums[k + 1, 0] += a1
        sums[k + 1, 1] += b1
        sums[k + 2, 0] += a2
        sums[k + 2, 1] += b2
        sums[k + 3, 0] += a3
        sums[k + 3, 1] += b3


@numba.njit(**INNER_FAST)
def temporal_sums(values, B, n, f, c, b, sums):  # type: ignore[no-untyped-def]
    """sums[c, n, b, k, t] += sum_i B[n, f + i, k] values[i, t], of BINS bins."""
    for k in range(B.shape[2]):
        b0, b1, b2, b3 = B[n, f, k], B[n, f + 1, k], B[n, f + 2, k], B[n, f + 3, k]
        for t in range(values.shape[1]):
            sums[c, n, b, k, t] += b0 * values[0, t] + b1 * values[1, t] + b2 * values[2, t] + b3 * values[3, t]


@numba.njit(**INNER_FAST)
def spectral_step(q, B, H, n, f, R, above, below, sums):  # type: ignore[no-untyped-def]
    """B[n, f] by one multiplicative step; Fevotte, Bertin and Durrieu (2009), with the root that makes it a majorisation."""
    sums[:] = 0.0
    for b in range(q.shape[2]):
        variances(B, H, n, f, b, R)
        quotients(q, n, f, b, R, 0, above, below)
        spectral_sums(above, below, 0, H, n, b, sums)
    for k in range(sums.shape[0]):
        if sums[k, 1] > 0.0:
            B[n, f, k] *= np.sqrt(np.float32(sums[k, 0] / sums[k, 1]))


@compiled(**FAST)
def nmf_iteration(first, step, q, B, H, stride, above, below):  # type: ignore[no-untyped-def]
    """Spectra, then what they say of the activations, of every `stride`-th group of BINS bins.

    above, below [chunk, n, b, k, t] are the sums of the activations' step; F is a multiple of BINS.
    """
    n_sources, bins, _, size = q.shape
    chunks, groups = above.shape[0], -(-bins // (BINS * stride))
    R, sums = np.empty(size, np.float32), np.empty((H.shape[2], 2))
    A, D = np.empty((BINS, size), np.float32), np.empty((BINS, size), np.float32)
    for c in range(first, chunks, step):
        above[c] = 0
        below[c] = 0
        for n in range(n_sources):
            for g in range(c * groups // chunks, (c + 1) * groups // chunks):
                f = g * stride * BINS
                for i in range(BINS):
                    spectral_step(q, B, H, n, f + i, R, A, D, sums)
                for b in range(q.shape[2]):
                    for i in range(BINS):
                        variances(B, H, n, f + i, b, R)
                        quotients(q, n, f + i, b, R, i, A, D)
                    temporal_sums(A, B, n, f, c, b, above)
                    temporal_sums(D, B, n, f, c, b, below)


@compiled(**FAST)
def temporal_step(above, below, H):  # type: ignore[no-untyped-def]
    """H by one multiplicative step from the sums of all chunks, in their order; what is zero stays zero."""
    n_sources, blocks, components, size = H.shape
    zero = np.float32(0)
    for n in range(n_sources):
        for b in range(blocks):
            for k in range(components):
                for c in range(1, above.shape[0]):
                    for t in range(size):
                        above[0, n, b, k, t] += above[c, n, b, k, t]
                        below[0, n, b, k, t] += below[c, n, b, k, t]
                for t in range(size):
                    if H[n, b, k, t] > zero and below[0, n, b, k, t] > zero:
                        stepped = H[n, b, k, t] * np.sqrt(above[0, n, b, k, t] / below[0, n, b, k, t])
                        H[n, b, k, t] = max(stepped, LEAST)


class NmfFit:
    """Variances B H of the powers of Y (F, N, T), from a random start; in float32."""

    def __init__(self, Y: np.ndarray, n_components: int, rng: np.random.Generator) -> None:
        bins, n_sources, self.n_frames = Y.shape
        self.n_bins, self.n_components = bins, n_components
        blocks = -(-self.n_frames // BLOCK_FRAMES)
        self.size = -(-self.n_frames // (blocks * ROUND_FRAMES)) * ROUND_FRAMES
        blocks, components = -(-self.n_frames // self.size), -(-n_components // ROWS) * ROWS
        self.mean = np.empty((n_sources, bins), np.float32)
        self.q = aligned((n_sources, -(-bins // BINS) * BINS, blocks, self.size), np.float32)
        threads.run(whitened, threads.CHUNKS, np.ascontiguousarray(Y), self.q, self.mean)
        self.B = aligned((n_sources, self.q.shape[1], components), np.float32)
        self.B[:, :bins, :n_components] = rng.uniform(0.1, 1.0, (n_sources, bins, n_components))
        self.H = aligned((n_sources, blocks, components, self.size), np.float32)
        loudness = self.q[:, :bins].mean(1).reshape(n_sources, -1)[:, : self.n_frames]
        start = rng.uniform(0.1, 1.0, (n_sources, n_components, self.n_frames)) * loudness[:, None]
        for b in range(blocks):
            part = start[:, :, b * self.size : (b + 1) * self.size]
            self.H[:, b, :n_components, : part.shape[2]] = part
        shape = (threads.CHUNKS, *self.H.shape)
        self.above, self.below = aligned(shape, np.float32), aligned(shape, np.float32)

    def step(self, stride: int = 1) -> None:
        """One multiplicative step of the spectra, then of the activations, by one of every so many groups of bins."""
        threads.run(nmf_iteration, self.q, self.B, self.H, stride, self.above, self.below)
        temporal_step(self.above, self.below, self.H)

    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """Spectra (N, F, K) and activations (N, K, T) of the powers as they were given."""
        B = self.B[:, : self.n_bins, : self.n_components] * self.mean[:, :, None]
        H = np.concatenate(list(self.H.swapaxes(0, 1)), axis=2)
        return B, H[:, : self.n_components, : self.n_frames]
