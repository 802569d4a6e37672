"""Triton kernels over spectra Y (F, M, T), read as real numbers (F, M, T, 2).

A program of a sum takes one bin and a stretch of its frames, BLOCK of them at a time, and keeps the sums of all sources in
registers; sums over stretches are added in double precision. A program of the demixing takes BLOCK frames of some bins, one after
the other, so that what is summed over bins is summed on the way. Rows of microphones and sources are as many as the next power of
two. Variances R = B H of ILRMA, B (N, F, K), H (N, K, T), none below least (N, F), are made where they are used.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit  # type: ignore[untyped-decorator]
def load_rows(bin_, t, heard, T, M: tl.constexpr, ROWS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Real and imaginary parts (ROWS, BLOCK) of a bin at frames t; zeros behind the last frame, and below the last row."""
    m = tl.arange(0, ROWS)
    at = bin_ + (m[:, None] * T + t[None, :]) * 2
    there = (m[:, None] < M) & heard[None, :]
    return tl.load(at, mask=there, other=0.0), tl.load(at + 1, mask=there, other=0.0)


@triton.jit  # type: ignore[untyped-decorator]
def load_activations(H, t, heard, T, N: tl.constexpr, K: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # type: ignore[no-untyped-def]
    """H (ROWS, COLUMNS, BLOCK) at frames t; zeros elsewhere."""
    n, k = tl.arange(0, ROWS)[:, None, None], tl.arange(0, COLUMNS)[None, :, None]
    at = H + (n * K + k).to(tl.int64) * T + t[None, None, :]
    return tl.load(at, mask=(n < N) & (k < K) & heard[None, None, :], other=0.0)


@triton.jit  # type: ignore[untyped-decorator]
def load_spectra(B, least, f, F, N: tl.constexpr, K: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # type: ignore[no-untyped-def]
    """B (ROWS, COLUMNS) of a bin, zeros elsewhere, and its least variances (ROWS,), ones elsewhere."""
    n, k = tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    at = B + (n[:, None] * F + f) * K + k[None, :]
    basis = tl.load(at, mask=(n[:, None] < N) & (k[None, :] < K), other=0.0)
    return basis, tl.load(least + n * F + f, mask=n < N, other=1.0)


@triton.jit
def low_rank_variances(basis, lowest, activations):  # type: ignore[no-untyped-def]
    """R (ROWS, BLOCK)."""
    return tl.maximum(tl.sum(basis[:, :, None] * activations, axis=1), lowest[:, None])


@triton.jit  # type: ignore[untyped-decorator]
def covariance_sums(  # type: ignore[no-untyped-def]
    Y, phi, B, H, least, sums, losses, F, T, stretch, phi_bin, core, tail, spread,
    M: tl.constexpr, N: tl.constexpr, K: tl.constexpr, ROWS: tl.constexpr, SOURCES: tl.constexpr, COLUMNS: tl.constexpr,
    BLOCK: tl.constexpr, WEIGHTS: tl.constexpr, HEAVY: tl.constexpr,
):  # fmt: skip
    """sums[f, s, n, i, j] = sum over the frames of stretch s of w_n times the real part of y_i conj(y_j) for i <= j, and of the
    imaginary part of y_j conj(y_i) below the diagonal; losses[f, s] the sum of penalties.

    WEIGHTS 0: w is phi (N, T), or phi (F, N, T) where `phi_bin` is its stride from bin to bin and not 0, without a loss.
    1: w = 1 / r, r = max(|y_n|, core), with the loss |y|^2 / r + r. 2: w = 1 / C, C = R + tail (|y|^2 - R), with the loss
    |y|^2 / R + log R, or, HEAVY, (log C / R - spread) / tail + log R.
    """
    f, s = tl.program_id(0).to(tl.int64), tl.program_id(1)  # of a long recording, places in it need more than 31 bits
    bin_ = Y + f * M * T * 2
    m, n = tl.arange(0, ROWS), tl.arange(0, SOURCES)
    real = Y.dtype.element_ty
    total = tl.zeros((SOURCES, ROWS, ROWS, BLOCK), real)
    upper = m[:, None, None] <= m[None, :, None]
    loss = tl.zeros((SOURCES, BLOCK), real)
    if WEIGHTS == 2:
        basis, lowest = load_spectra(B, least, f, F, N, K, SOURCES, COLUMNS)
    end = tl.minimum(T, (s + 1) * stretch)
    for begin in range(s * stretch, end, BLOCK):
        t = begin + tl.arange(0, BLOCK)
        re, im = load_rows(bin_, t, t < end, T, M, ROWS)
        known = (n[:, None] < N) & (t[None, :] < end)
        if WEIGHTS == 0:
            w = tl.load(phi + f * phi_bin + n[:, None] * T + t[None, :], mask=known, other=0.0)
        else:
            own_re, own_im = load_rows(bin_, t, t < end, T, N, SOURCES)
            power = own_re * own_re + own_im * own_im
            if WEIGHTS == 1:
                R = tl.maximum(tl.sqrt(power), core)
                w = tl.where(known, 1.0 / R, 0.0)
                loss += tl.where(known, power * w + R, 0.0)
            else:
                activations = load_activations(H, t, t < end, T, N, K, SOURCES, COLUMNS)
                R = low_rank_variances(basis, lowest, activations)
                if HEAVY:
                    C = R + tail * (power - R)
                    w = tl.where(known, 1.0 / C, 0.0)
                    loss += tl.where(known, (tl.log(C) - tl.log(R) - spread) / tail + tl.log(R), 0.0)
                else:
                    w = tl.where(known, 1.0 / R, 0.0)
                    loss += tl.where(known, power * w + tl.log(R), 0.0)
        a, b, c, d = re[:, None, :], im[:, None, :], re[None, :, :], im[None, :, :]
        total += w[:, None, None, :] * tl.where(upper, a * c + b * d, a * d - b * c)[None, :, :, :]
    place = ((f * tl.num_programs(1) + s) * N + n[:, None, None]) * M * M + m[None, :, None] * M + m[None, None, :]
    there = (n[:, None, None] < N) & (m[None, :, None] < M) & (m[None, None, :] < M)
    tl.store(sums + place, tl.sum(total, axis=3), mask=there)
    if WEIGHTS > 0:
        tl.store(losses + f * tl.num_programs(1) + s, tl.sum(tl.sum(loss, axis=1), axis=0))


@triton.jit  # type: ignore[untyped-decorator]
def spectral_sums(  # type: ignore[no-untyped-def]
    Y, B, H, least, sums, F, T, stretch, tail,
    M: tl.constexpr, N: tl.constexpr, K: tl.constexpr, SOURCES: tl.constexpr, COLUMNS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """sums[f, s, n, k, 0 or 1] = sum over the frames of stretch s of H |y|^2 / (R C) and of H / R: what the step of B needs."""
    f, s = tl.program_id(0).to(tl.int64), tl.program_id(1)
    bin_ = Y + f * M * T * 2
    above = tl.zeros((SOURCES, COLUMNS, BLOCK), Y.dtype.element_ty)
    below = tl.zeros((SOURCES, COLUMNS, BLOCK), Y.dtype.element_ty)
    basis, lowest = load_spectra(B, least, f, F, N, K, SOURCES, COLUMNS)
    end = tl.minimum(T, (s + 1) * stretch)
    for begin in range(s * stretch, end, BLOCK):
        t = begin + tl.arange(0, BLOCK)
        re, im = load_rows(bin_, t, t < end, T, N, SOURCES)
        activations = load_activations(H, t, t < end, T, N, K, SOURCES, COLUMNS)
        R = low_rank_variances(basis, lowest, activations)
        power = re * re + im * im
        above += activations * (power / (R * (R + tail * (power - R))))[:, None, :]
        below += activations * (1.0 / R)[:, None, :]
    n, k = tl.arange(0, SOURCES)[:, None], tl.arange(0, COLUMNS)[None, :]
    place = (((f * tl.num_programs(1) + s) * N + n) * K + k) * 2
    tl.store(sums + place, tl.sum(above, axis=2), mask=(n < N) & (k < K))
    tl.store(sums + place + 1, tl.sum(below, axis=2), mask=(n < N) & (k < K))


@triton.jit  # type: ignore[untyped-decorator]
def demix_rows(  # type: ignore[no-untyped-def]
    Y, A, B, H, least, sums, F, T, tail,
    M: tl.constexpr, N: tl.constexpr, K: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, BINS: tl.constexpr,
    BLOCK: tl.constexpr, SUMS: tl.constexpr,
):  # fmt: skip
    """Y := A Y in place, A (F, M, M, 2), and what the new outputs add up to over the BINS bins of a group.

    SUMS 0: nothing. 1: sums[group, n, t] of |y_n|^2. 2: sums[group, 0 or 1, n, k, t] of B |y_n|^2 / (R C) and of B / R.
    """
    group = tl.program_id(1).to(tl.int64)
    bin_, matrix = Y + group * BINS * M * T * 2, A + group * BINS * M * M * 2
    t = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    m, k = tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    real = Y.dtype.element_ty
    power_sum = tl.zeros((ROWS, BLOCK), real)
    if SUMS == 2:
        activations = load_activations(H, t, t < T, T, N, K, ROWS, COLUMNS)
        above = tl.zeros((ROWS, COLUMNS, BLOCK), real)
        below = tl.zeros((ROWS, COLUMNS, BLOCK), real)
    for i in range(tl.minimum(F - group * BINS, BINS).to(tl.int32)):
        re, im = load_rows(bin_, t, t < T, T, M, ROWS)
        at = matrix + (m[:, None] * M + m[None, :]) * 2
        square = (m[:, None] < M) & (m[None, :] < M)
        a, b = tl.load(at, mask=square, other=0.0)[:, :, None], tl.load(at + 1, mask=square, other=0.0)[:, :, None]
        new_re = tl.sum(a * re[None, :, :] - b * im[None, :, :], axis=1)
        new_im = tl.sum(a * im[None, :, :] + b * re[None, :, :], axis=1)
        tl.debug_barrier()  # no thread writes what another has still to read
        to = bin_ + (m[:, None] * T + t[None, :]) * 2
        there = (m[:, None] < M) & (t[None, :] < T)
        tl.store(to, new_re, mask=there)
        tl.store(to + 1, new_im, mask=there)
        power = new_re * new_re + new_im * new_im
        if SUMS == 1:
            power_sum += power
        if SUMS == 2:
            basis, lowest = load_spectra(B, least, group * BINS + i, F, N, K, ROWS, COLUMNS)
            R = low_rank_variances(basis, lowest, activations)
            above += basis[:, :, None] * (power / (R * (R + tail * (power - R))))[:, None, :]
            below += basis[:, :, None] * (1.0 / R)[:, None, :]
        bin_ += M * T * 2
        matrix += M * M * 2
    if SUMS == 1:
        place = (group * N + m[:, None]) * T + t[None, :]
        tl.store(sums + place, power_sum, mask=(m[:, None] < N) & (t[None, :] < T))
    if SUMS == 2:
        n = m[:, None, None]
        place = ((group * 2 * N + n) * K + k[None, :, None]) * T + t[None, None, :]
        there = (n < N) & (k[None, :, None] < K) & (t[None, None, :] < T)
        tl.store(sums + place, above, mask=there)
        tl.store(sums + place + N * K * T, below, mask=there)
