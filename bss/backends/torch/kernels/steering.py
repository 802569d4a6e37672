"""Triton kernel of ISS's small algebra: one program for a bin, all of it in registers, in double precision.

Apart, its steps are some twenty kernels for each output, and to start them takes longer than to read the spectra of ten minutes.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit  # type: ignore[untyped-decorator]
def steer(V, loads, A, det, M: tl.constexpr, N: tl.constexpr, ROWS: tl.constexpr, SOURCES: tl.constexpr):  # type: ignore[no-untyped-def]
    """Rows n < N of A (F, M, M, 2), and what det A (F,) is: `row_updates.steer_by` with every output in turn, from the identity.

    V (F, N, M, M, 2) and loads (F, N) as there. Rows of the background stay those of the identity.
    """
    f = tl.program_id(0).to(tl.int64)
    n, m = tl.arange(0, SOURCES), tl.arange(0, ROWS)
    at = V + (((f * N + n[:, None, None]) * M + m[None, :, None]) * M + m[None, None, :]) * 2
    there = (n[:, None, None] < N) & (m[None, :, None] < M) & (m[None, None, :] < M)
    v_re, v_im = tl.load(at, mask=there, other=0.0), tl.load(at + 1, mask=there, other=0.0)
    least = 2.0 * tl.load(loads + f * N + n, mask=n < N, other=0.0)
    a_re = tl.where((n[:, None] == m[None, :]) & (n[:, None] < N), 1.0, 0.0).to(tl.float64)
    a_im = tl.zeros((SOURCES, ROWS), tl.float64)
    scale = tl.sum(tl.where(m == 0, 1.0, 0.0).to(tl.float64), axis=0)  # 1, in double precision
    for k in range(M):
        own = n == k
        row_re = tl.sum(tl.where(own[:, None], a_re, 0.0), axis=0) + tl.where((m == k) & (k >= N), 1.0, 0.0)
        row_im = tl.sum(tl.where(own[:, None], a_im, 0.0), axis=0)
        # V_n conj(a), (SOURCES, ROWS)
        u_re = tl.sum(v_re * row_re[None, None, :] + v_im * row_im[None, None, :], axis=2)
        u_im = tl.sum(v_im * row_re[None, None, :] - v_re * row_im[None, None, :], axis=2)
        below = tl.sum(row_re[None, :] * u_re - row_im[None, :] * u_im, axis=1)
        above_re = tl.sum(a_re * u_re - a_im * u_im, axis=1)
        above_im = tl.sum(a_re * u_im + a_im * u_re, axis=1)
        heard = below > least * tl.sum(row_re * row_re + row_im * row_im, axis=0)
        inverse = tl.where(heard, 1.0 / tl.where(heard, below, 1.0), 0.0)
        size = tl.where(heard & own, tl.sqrt(inverse), 1.0)
        share_re = tl.where(own, 1.0 - size, above_re * inverse)
        share_im = tl.where(own, 0.0, above_im * inverse)
        new_re = a_re - (share_re[:, None] * row_re[None, :] - share_im[:, None] * row_im[None, :])
        a_im = a_im - (share_re[:, None] * row_im[None, :] + share_im[:, None] * row_re[None, :])
        a_re = new_re
        scale *= tl.where(k < N, tl.sum(tl.where(own, size, 0.0), axis=0), 1.0)
    to = A + ((f * M + n[:, None]) * M + m[None, :]) * 2
    inside = (n[:, None] < N) & (m[None, :] < M)
    tl.store(to, a_re, mask=inside)
    tl.store(to + 1, a_im, mask=inside)
    tl.store(det + f, scale)
