"""One compiled pass over a recording for all fourth-order moments of its whitened channels."""

from __future__ import annotations

import numba
import numpy as np

from bss.backends.cpu.arithmetic.linalg import FAST, INLINED, INNER_FAST
from bss.backends.cpu.arithmetic.tile import ROWS, tile
from bss.backends.cpu.compiling import compiled

BLOCK = 256  # all products of two of 16 channels, over so many samples, fit in a second-level cache


@numba.njit(**INNER_FAST)
def white_products(x, K, mean, b, z, p):  # type: ignore[no-untyped-def]
    """z = K (x - mean) over block b, zeros behind the end, and p = z_i z_j for i <= j, one row per pair in the order of i, j."""
    here = min(BLOCK, x.shape[1] - b * BLOCK)
    for i in range(K.shape[0]):
        for t in range(here, BLOCK):
            z[i, t] = 0
        for j in range(K.shape[1]):
            w, offset = K[i, j], mean[j]
            row = x[j, b * BLOCK : b * BLOCK + here]
            if j == 0:
                for t in range(here):
                    z[i, t] = w * (row[t] - offset)
            else:
                for t in range(here):
                    z[i, t] += w * (row[t] - offset)
    pair = 0
    for i in range(K.shape[0]):
        for j in range(i, K.shape[0]):
            for t in range(BLOCK):
                p[pair, t] = z[i, t] * z[j, t]
            pair += 1


@numba.njit(**INLINED)
def put_row(row, b, first, second, third, fourth):  # type: ignore[no-untyped-def]
    """Onto row[b] and the next three."""
    row[b] += first
    row[b + 1] += second
    row[b + 2] += third
    row[b + 3] += fourth


@compiled(**FAST)
def fourth_sums(first, step, x, K, mean, gram):  # type: ignore[no-untyped-def]
    """gram[chunk, ij, kl] = sum z_i z_j z_k z_l of z = K (x - mean), for i <= j <= k <= l alone: each moment once.

    The pairs (k, l) with j <= k are the last ones, so that each j is one product of its j + 1 rows (i, j) with a run of rows,
    made in tiles of 2 by 4. gram has ROWS - 1 columns more than there are pairs, for the last tile.
    """
    n, rank, chunks = x.shape[1], K.shape[0], gram.shape[0]
    pairs = rank * (rank + 1) // 2
    blocks = (n + BLOCK - 1) // BLOCK
    z, p = np.empty((rank, BLOCK), x.dtype), np.zeros((pairs + ROWS - 1, BLOCK), x.dtype)
    for c in range(first, chunks, step):
        gram[c] = 0.0
        for block in range(c * blocks // chunks, (c + 1) * blocks // chunks):
            white_products(x, K, mean, block, z, p)
            for j in range(rank):
                run = j * rank - j * (j - 1) // 2  # where the pair (j, j) is
                for i in range(0, j + 1, 2):
                    above = i * rank - i * (i - 1) // 2 + j - i
                    below = above + rank - i - 1 if i < j else above  # the pair (i + 1, j)
                    for b in range(run, pairs, ROWS):
                        a0, a1, a2, a3, b0, b1, b2, b3 = tile(p[above], p[below], p[b], p[b + 1], p[b + 2], p[b + 3])
                        put_row(gram[c, above], b, a0, a1, a2, a3)
                        if i < j:
                            put_row(gram[c, below], b, b0, b1, b2, b3)
