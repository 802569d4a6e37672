"""Compiled EM of the full-rank local Gaussian model, x ~ N(0, sum_k v_k R_k + noise I), laid out as in `iva`.

v (F, blocks, N, size) are the powers of each source in each bin and frame, R (F, N, M, M) how a source is spread
over the microphones, echo included: Duong, Vincent and Gribonval (2010). Matrices of a block are kept as rows S[i, j, 0 or
1, t], so that they are inverted side by side.
"""

from __future__ import annotations

import numba
import numpy as np

from bss.backends.cpu import threads
from bss.backends.cpu.arithmetic.linalg import FAST, INNER, INNER_FAST, scaled
from bss.backends.cpu.compiling import compiled
from bss.backends.cpu.demixing.covariance import unpack, weigh
from bss.backends.cpu.models.cacgmm import coefficients, quadratic, unit_trace
from bss.backends.cpu.outputs import Outputs, aligned
from bss.backends.numeric import LEAST_VARIANCE


@numba.njit(**INNER_FAST)
def covariances(Y, v, f, b, R, noise, power, S):  # type: ignore[no-untyped-def]
    """S[i, j, :, t] = sum_k v[f, b, k, t] R[k, i, j] + (noise |x|^2 / M + LEAST_VARIANCE) I. `power` is overwritten."""
    m, frames = S.shape[0], S.shape[3]
    real = S.dtype.type
    for t in range(frames):
        power[t] = 0
    for i in range(m):
        for t in range(frames):
            power[t] += Y[f, b, i, 0, t] * Y[f, b, i, 0, t] + Y[f, b, i, 1, t] * Y[f, b, i, 1, t]
    share, floor = real(noise / m), real(LEAST_VARIANCE)
    for i in range(m):
        for j in range(m):
            if i == j:
                for t in range(frames):
                    S[i, j, 0, t] = share * power[t] + floor
                    S[i, j, 1, t] = 0
            else:
                for t in range(frames):
                    S[i, j, 0, t] = 0
                    S[i, j, 1, t] = 0
            for k in range(R.shape[0]):
                a, c = real(R[k, i, j].real), real(R[k, i, j].imag)
                for t in range(frames):
                    S[i, j, 0, t] += a * v[f, b, k, t]
                    S[i, j, 1, t] += c * v[f, b, k, t]


@numba.njit(**INNER_FAST)
def invert_frames(S, d, det):  # type: ignore[no-untyped-def]
    """S := S^-1, frame by frame, by Gauss-Jordan elimination on the diagonal; det[t] is the determinant of what it was."""
    m, frames = S.shape[0], S.shape[3]
    one = S.dtype.type(1)
    for p in range(m):
        for t in range(frames):
            det[t] = S[p, p, 0, t] if p == 0 else det[t] * S[p, p, 0, t]
            d[t] = one / S[p, p, 0, t]
        for j in range(m):
            if j != p:
                for t in range(frames):
                    S[p, j, 0, t] *= d[t]
                    S[p, j, 1, t] *= d[t]
        for i in range(m):
            if i != p:
                for j in range(m):
                    if j != p:
                        for t in range(frames):
                            ar, ai, br, bi = S[i, p, 0, t], S[i, p, 1, t], S[p, j, 0, t], S[p, j, 1, t]
                            S[i, j, 0, t] -= ar * br - ai * bi
                            S[i, j, 1, t] -= ar * bi + ai * br
                for t in range(frames):
                    S[i, p, 0, t] *= -d[t]
                    S[i, p, 1, t] *= -d[t]
        for t in range(frames):
            S[p, p, 0, t] = d[t]
            S[p, p, 1, t] = 0


@numba.njit(**INNER_FAST)
def whitened(Y, f, b, S, z):  # type: ignore[no-untyped-def]
    """z[i, :, t] = S x."""
    m, frames = S.shape[0], S.shape[3]
    for i in range(m):
        for t in range(frames):
            z[i, 0, t] = 0
            z[i, 1, t] = 0
        for j in range(m):
            for t in range(frames):
                sr, si, xr, xi = S[i, j, 0, t], S[i, j, 1, t], Y[f, b, j, 0, t], Y[f, b, j, 1, t]
                z[i, 0, t] += sr * xr - si * xi
                z[i, 1, t] += sr * xi + si * xr


@numba.njit(**INNER_FAST)
def surplus(S, z, E):  # type: ignore[no-untyped-def]
    """Rows of z z^H - S in the order of `covariance.products`: by how much more there is than the model expects."""
    m, frames = S.shape[0], S.shape[3]
    row = 0
    for i in range(m):
        for t in range(frames):
            E[row, t] = z[i, 0, t] * z[i, 0, t] + z[i, 1, t] * z[i, 1, t] - S[i, i, 0, t]
        row += 1
        for j in range(i + 1, m):
            for t in range(frames):
                E[row, t] = z[i, 0, t] * z[j, 0, t] + z[i, 1, t] * z[j, 1, t] - S[i, j, 0, t]
                E[row + 1, t] = z[i, 1, t] * z[j, 0, t] - z[i, 0, t] * z[j, 1, t] - S[i, j, 1, t]
            row += 2


@numba.njit(**INNER_FAST)
def misfit(Y, f, b, z, det, here):  # type: ignore[no-untyped-def]
    """sum_t log det + x^H S^-1 x over the frames that are not padding."""
    total = 0.0
    for t in range(here):
        total += np.log(det[t])
    for i in range(z.shape[0]):
        part = Y.dtype.type(0)
        for t in range(here):
            part += Y[f, b, i, 0, t] * z[i, 0, t] + Y[f, b, i, 1, t] * z[i, 1, t]
        total += part
    return total


@numba.njit(**INNER_FAST)
def powers_step(v, f, b, k, m, here, h, u):  # type: ignore[no-untyped-def]
    """v := E[c^H R^-1 c] / M with the surplus h[t] of source k; u[0, k, t] = v^2 / v_new, and returns the sum of v / v_new."""
    floor, share = v.dtype.type(LEAST_VARIANCE), v.dtype.type(1.0 / m)
    kept = v.dtype.type(0)
    for t in range(here):
        old = v[f, b, k, t]
        new = max(old + old * old * h[t] * share, floor)
        ratio = old / new
        kept += ratio
        u[0, k, t] = old * ratio
        v[f, b, k, t] = new
    return kept


@numba.njit(**INNER)
def covariance_step(R, D, kept, work, new):  # type: ignore[no-untyped-def]
    """R := kept R + R D R, Hermitian, at a trace of M; returns what it was divided by."""
    m = R.shape[0]
    for i in range(m):
        for j in range(m):
            z = 0j
            for q in range(m):
                z += R[i, q] * D[q, j]
            work[i, j] = z
    for i in range(m):
        for j in range(m):
            z = scaled(R[i, j], kept)
            for q in range(m):
                z += work[i, q] * R[q, j]
            new[i, j] = z
    for i in range(m):
        for j in range(m):
            work[i, j] = scaled(new[i, j] + new[j, i].conjugate(), 0.5)
    return unit_trace(work, R)


@compiled(**FAST)
def full_rank_em(first, step, Y, v, R, frames, noise, loss):  # type: ignore[no-untyped-def]
    """One iteration of EM, v and R in place; loss[chunk] is the negative log-likelihood as the iteration began."""
    bins, blocks, m, _, size = Y.shape
    n_sources, chunks = R.shape[1], loss.shape[0]
    S, z, E = np.empty((m, m, 2, size), Y.dtype), np.empty((m, 2, size), Y.dtype), np.empty((m * m, size), Y.dtype)
    d, det, u = np.empty(size, Y.dtype), np.empty(size), np.zeros((1, n_sources, size), Y.dtype)
    c, G, kept = np.empty((n_sources, m * m), Y.dtype), np.empty((m * m, n_sources)), np.empty(n_sources)
    D = np.empty((n_sources, m, m), np.complex128)
    work, new = np.empty((m, m), np.complex128), np.empty((m, m), np.complex128)
    for chunk in range(first, chunks, step):
        loss[chunk] = 0.0
        for f in range(chunk * bins // chunks, (chunk + 1) * bins // chunks):
            G[:] = 0.0
            for k in range(n_sources):
                coefficients(R[f, k], c[k])
                kept[k] = 0.0
            for b in range(blocks):
                here = min(size, frames - b * size)
                covariances(Y, v, f, b, R[f], noise, d, S)
                invert_frames(S, d, det)
                whitened(Y, f, b, S, z)
                loss[chunk] += misfit(Y, f, b, z, det, here)
                surplus(S, z, E)
                u[:] = 0
                for k in range(n_sources):
                    quadratic(E, c[k], d)
                    kept[k] += powers_step(v, f, b, k, m, here, d, u)
                weigh(E, u, 0, G)
            unpack(G, 1.0, D)
            for k in range(n_sources):
                gain = v.dtype.type(covariance_step(R[f, k], D[k], kept[k], work, new) / frames)
                for b in range(blocks):
                    for t in range(size):
                        v[f, b, k, t] *= gain


@compiled(**FAST)
def wiener_filter(first, step, Y, v, R, noise, mic, images, powers):  # type: ignore[no-untyped-def]
    """images[f, b, k, :, t] = v_k (R_k S^-1 x) at microphone `mic`, powers[chunk, k, m] their power at every microphone."""
    bins, blocks, m, _, size = Y.shape
    n_sources, chunks = R.shape[1], powers.shape[0]
    S, z = np.empty((m, m, 2, size), Y.dtype), np.empty((m, 2, size), Y.dtype)
    d, det, e = np.empty(size, Y.dtype), np.empty(size), np.empty((2, size), Y.dtype)
    real = Y.dtype.type
    for chunk in range(first, chunks, step):
        powers[chunk] = 0.0
        for f in range(chunk * bins // chunks, (chunk + 1) * bins // chunks):
            for b in range(blocks):
                covariances(Y, v, f, b, R[f], noise, d, S)
                invert_frames(S, d, det)
                whitened(Y, f, b, S, z)
                for k in range(n_sources):
                    for i in range(m):
                        e[:] = 0
                        for j in range(m):
                            a, c = real(R[f, k, i, j].real), real(R[f, k, i, j].imag)
                            for t in range(size):
                                e[0, t] += a * z[j, 0, t] - c * z[j, 1, t]
                                e[1, t] += a * z[j, 1, t] + c * z[j, 0, t]
                        total = real(0)
                        for t in range(size):
                            e[0, t] *= v[f, b, k, t]
                            e[1, t] *= v[f, b, k, t]
                            total += e[0, t] * e[0, t] + e[1, t] * e[1, t]
                        powers[chunk, k, i] += total
                        if i == mic:
                            for t in range(size):
                                images[f, b, k, 0, t] = e[0, t]
                                images[f, b, k, 1, t] = e[1, t]


class FullRank:
    """Powers v and spatial covariances R (F, N, M, M) of N sources in spectra, and their EM."""

    def __init__(self, outputs: Outputs, v: np.ndarray, R: np.ndarray, *, noise: float) -> None:
        self.outputs = outputs
        self.R = np.array(R, np.complex128, order="C")  # a copy: the kernel writes to it
        self.v = aligned((outputs.n_bins, outputs.blocks, self.R.shape[1], outputs.size), outputs.dtype)
        for b in range(outputs.blocks):
            part = v[:, :, b * outputs.size : (b + 1) * outputs.size]
            np.maximum(part, LEAST_VARIANCE, out=self.v[:, b, :, : part.shape[2]])
        self.noise = noise
        self.loss = np.zeros(threads.CHUNKS)

    def step(self) -> float:
        """One iteration; the loss as it began."""
        y = self.outputs
        threads.run(full_rank_em, y.Y, self.v, self.R, y.n_frames, self.noise, self.loss)
        return float(self.loss.sum())

    def step_powers(self) -> float:
        """The same of the powers alone."""
        kept = self.R.copy()  # the kernel writes to it
        loss = self.step()
        self.R[:] = kept
        return loss

    def covariances(self) -> np.ndarray:
        """(F, N, M, M) spatial covariances of the talkers."""
        return np.array(self.R)

    def images(self, mic: int) -> tuple[np.ndarray, np.ndarray]:
        """(F, N, T) what microphone `mic` hears of each source, by a multichannel Wiener filter, and (N, M) their powers."""
        y = self.outputs
        parts = aligned((y.n_bins, y.blocks, self.R.shape[1], 2, y.size), y.dtype)
        powers = np.zeros((threads.CHUNKS, *self.R.shape[1:3]))
        threads.run(wiener_filter, y.Y, self.v, self.R, self.noise, mic, parts, powers)
        joined = y.from_blocks(np.moveaxis(parts, 1, 0))
        Y = np.empty(joined.shape[:2] + joined.shape[3:], np.result_type(y.dtype, np.complex64))
        Y.real, Y.imag = joined[:, :, 0], joined[:, :, 1]
        Y *= y.level
        return Y, powers.sum(0) * y.level**2
