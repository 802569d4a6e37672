"""Compiled search for the order of the sources in every bin: passes over all bins, each put in the order that fits the others.

U (F, N, T) are features of mean zero and length one over frames, of single bins or summed over blocks of them; order (F, N): in
bin f the output order[f, i] is in place i. Passes are sequential, as each bin sees what those before it have become.
"""

from __future__ import annotations

import numba
import numpy as np

from bss.backends import numeric
from bss.backends.cpu.arithmetic.linalg import FAST, INLINED, INNER, INNER_FAST
from bss.backends.cpu.compiling import compiled

TINY, ROUNDINGS = np.float32(numeric.NEVER_ZERO), np.float32(numeric.CANCELLED)
FAR = 1e30
GAIN = 1e-7  # of a score, under which no order is changed: roundings


@numba.njit(**INNER_FAST)
def dot(a, i, j, b, k, l):  # type: ignore[no-untyped-def] # noqa: E741
    """a[i, j] . b[k, l]."""
    total = np.float32(0)
    for t in range(a.shape[2]):
        total += a[i, j, t] * b[k, l, t]
    return total


@compiled(**FAST)
def grams(U, G):  # type: ignore[no-untyped-def]
    """G[f, i, j] = U[f, i] . U[f, j]."""
    for f in range(U.shape[0]):
        for i in range(U.shape[1]):
            for j in range(i + 1):
                G[f, i, j] = G[f, j, i] = dot(U, f, i, U, f, j)


@compiled(**FAST)
def block_sums(U, order, edges, S):  # type: ignore[no-untyped-def]
    """S[b, i] = the sum of U[f, order[f, i]] over the bins of block b."""
    S[:] = 0
    for b in range(S.shape[0]):
        for f in range(edges[b], edges[b + 1]):
            for i in range(U.shape[1]):
                j = order[f, i]
                for t in range(U.shape[2]):
                    S[b, i, t] += U[f, j, t]


@compiled(**FAST)
def phase_fits(template, phases, order, edges, S):  # type: ignore[no-untyped-def]
    """S[b, i, j]: how well what is in place j of block b has the phases of place i; one bin that fits perfectly scores 1.

    template (N, P, F), phases (N, P, F). A block's sum is divided by the root of its size.
    """
    n, pairs = phases.shape[:2]
    for b in range(S.shape[0]):
        share = 1.0 / (pairs * np.sqrt(edges[b + 1] - edges[b]))
        for i in range(n):
            for j in range(n):
                total = 0.0
                for f in range(edges[b], edges[b + 1]):
                    for p in range(pairs):
                        a, z = template[i, p, f], phases[order[f, j], p, f]
                        total += a.real * z.real + a.imag * z.imag
                S[b, i, j] = total * share


@numba.njit(**INNER_FAST)
def add(U, f, order, sign, window):  # type: ignore[no-untyped-def]
    """window[0, i] += sign U[f, order[f, i]]."""
    for i in range(U.shape[1]):
        j = order[f, i]
        for t in range(U.shape[2]):
            window[0, i, t] += sign * U[f, j, t]


@numba.njit(**INLINED)
def slide(U, f, reach, order, window):  # type: ignore[no-untyped-def]
    """window: from the sum over the bins about f - 1 to that over the bins about f."""
    coming, going = f + reach, f - reach - 1
    if coming < U.shape[0] and going >= 0:
        for i in range(U.shape[1]):
            j, k = order[coming, i], order[going, i]
            for t in range(U.shape[2]):
                window[0, i, t] += U[coming, j, t] - U[going, k, t]
    elif coming < U.shape[0]:
        add(U, coming, order, np.float32(1), window)
    elif going >= 0:
        add(U, going, order, np.float32(-1), window)


@numba.njit(**INNER_FAST)
def opened(U, reach, order, window):  # type: ignore[no-untyped-def]
    """window: the sum over the bins that come before `slide` adds one for bin 0."""
    window[:] = 0
    for f in range(min(reach, U.shape[0])):
        add(U, f, order, np.float32(1), window)


@numba.njit(**INLINED)
def products_of(near, i, U, f, j, k):  # type: ignore[no-untyped-def]
    """near[0, i] times U[f, j], U[f, k] and itself: a loop for each of them would take as long to start as to run."""
    first, second, own = np.float32(0), np.float32(0), np.float32(0)
    for t in range(U.shape[2]):
        value = near[0, i, t]
        first += value * U[f, j, t]
        second += value * U[f, k, t]
        own += value * value
    return first, second, own


@numba.njit(**INLINED)
def correlations(U, G, f, order, near, weight, scores, along):  # type: ignore[no-untyped-def]
    """scores[i, j] += weight times the correlation of what is in place j of bin f with near[0, i] without bin f.

    along (N,) is room for the products of near[0, i] with each place.
    """
    n = U.shape[1]
    length = TINY
    for i in range(n):
        length += G[f, i, i]
    own = np.sqrt(length / np.float32(n))
    for i in range(n):
        here, total = order[f, i], np.float32(0)
        for j in range(0, n, 2):
            k = min(j + 1, n - 1)
            along[j], along[k], total = products_of(near, i, U, f, order[f, j], order[f, k])
        rest = max(total - np.float32(2) * along[i] + G[f, here, here], ROUNDINGS * total + TINY)
        scale = weight / (own * np.sqrt(rest))
        for j in range(n):
            scores[i, j] += scale * (along[j] - G[f, here, order[f, j]])


@numba.njit(**{**INLINED, "fastmath": False})
def assign(scores, places, work):  # type: ignore[no-untyped-def]
    """places[i]: what is best put in place i, the sum of scores[i, places[i]] being largest; False where all stay."""
    n = scores.shape[0]
    settled = True
    for i in range(n):
        places[i] = i
        for j in range(n):
            settled = settled and scores[i, j] <= scores[i, i]
    if settled:
        return False
    gain = 0.0
    shortest_paths(scores, places, work)
    for i in range(n):
        gain += scores[i, places[i]] - scores[i, i]
    if gain > GAIN:
        return True
    for i in range(n):
        places[i] = i
    return False


@numba.njit(**INNER)
def shortest_paths(scores, places, work):  # type: ignore[no-untyped-def]
    """The best assignment by Kuhn's method: one row after the other takes a column, along the shortest path to a free one.

    work (6, N + 1): prices of rows and columns, distances, rows by column, the paths back, and which columns are reached.
    Rows and columns count from one; column 0 is where the new row starts from, row 0 is nobody.
    """
    n = scores.shape[0]
    row_price, price, distance, row_of, back, reached = work
    work[:] = 0
    for new in range(1, n + 1):
        row_of[0], column = new, 0
        distance[:] = FAR
        reached[:] = 0
        while row_of[column] > 0:
            reached[column] = 1
            row, step, nearest = int(row_of[column]), FAR, 0
            for j in range(1, n + 1):
                if reached[j] == 0:
                    way = -scores[row - 1, j - 1] - row_price[row] - price[j]
                    if way < distance[j]:
                        distance[j], back[j] = way, column
                    if distance[j] < step:
                        step, nearest = distance[j], j
            for j in range(n + 1):
                if reached[j] == 1:
                    row_price[int(row_of[j])] += step
                    price[j] -= step
                else:
                    distance[j] -= step
            column = nearest
        while column > 0:
            before = int(back[column])
            row_of[column] = row_of[before]
            column = before
    for j in range(1, n + 1):
        places[int(row_of[j]) - 1] = j - 1


@numba.njit(**INNER_FAST)
def reorder(U, f, order, places, old, window, whole):  # type: ignore[no-untyped-def]
    """Bin f in its new order, and the sums that it is part of."""
    n = U.shape[1]
    for i in range(n):
        old[i] = order[f, i]
    for i in range(n):
        new, was = old[places[i]], old[i]
        order[f, i] = new
        if new != was:
            for t in range(U.shape[2]):
                d = U[f, new, t] - U[f, was, t]
                window[0, i, t] += d
                whole[0, i, t] += d


@compiled(**FAST)
def ordering_pass(U, G, order, S, reach, whole_weight, phase_weight):  # type: ignore[no-untyped-def]
    """Every bin put in the order that fits the bins up to `reach` away, all bins, and the phases; returns how many changed."""
    bins, n, frames = U.shape
    window, whole = np.empty((1, n, frames), np.float32), np.empty((1, n, frames), np.float32)
    scores, work, along = np.empty((n, n)), np.empty((6, n + 1)), np.empty(n, np.float32)
    places, old = np.empty(n, np.int64), np.empty(n, np.int64)
    opened(U, bins, order, whole)
    opened(U, reach, order, window)
    changed = 0
    for f in range(bins):
        slide(U, f, reach, order, window)
        for i in range(n):
            for j in range(n):
                scores[i, j] = phase_weight * S[f, i, j] if S.shape[0] > 0 else 0.0
        if reach > 0:
            correlations(U, G, f, order, window, 1.0, scores, along)
        correlations(U, G, f, order, whole, whole_weight, scores, along)
        if assign(scores, places, work):
            reorder(U, f, order, places, old, window, whole)
            changed += 1
    return changed


@compiled(**FAST)
def coherence(U, G, order, reach):  # type: ignore[no-untyped-def]
    """Mean over bins of the correlation of each, summed over the sources, with the bins up to `reach` away."""
    bins, n, frames = U.shape
    window = np.empty((1, n, frames), np.float32)
    scores, along = np.zeros((n, n)), np.empty(n, np.float32)
    opened(U, reach, order, window)
    for f in range(bins):
        slide(U, f, reach, order, window)
        correlations(U, G, f, order, window, 1.0, scores, along)
    total = 0.0
    for i in range(n):
        total += scores[i, i]
    return total / bins


@compiled(**FAST)
def join(U, order):  # type: ignore[no-untyped-def]
    """Neighbours joined to groups, groups to larger groups, each time in the order in which they fit best. U is overwritten."""
    bins, n, frames = U.shape
    scores, work = np.empty((n, n)), np.empty((6, n + 1))
    places, old = np.empty(n, np.int64), np.empty(n, np.int64)
    width = 1
    while width < bins:
        for left in range(0, bins - width, 2 * width):
            right = left + width
            for i in range(n):
                for j in range(n):
                    scores[i, j] = dot(U, left, i, U, right, j)
            assign(scores, places, work)
            for i in range(n):
                for t in range(frames):
                    U[left, i, t] += U[right, places[i], t]
            for f in range(right, min(right + width, bins)):
                for i in range(n):
                    old[i] = order[f, i]
                for i in range(n):
                    order[f, i] = old[places[i]]
        width *= 2
