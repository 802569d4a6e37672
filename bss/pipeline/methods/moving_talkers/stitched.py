"""FD-ICA of a few seconds at a time, the pieces in one order of talkers and cross-faded: a first separation of moving talkers.

Each piece is separated afresh, as ICA that begins where it ended in the piece before loses its way. Pieces overlap by most of
their length, and what two of them make of the same seconds tells which of their outputs is the same talker.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
from scipy.optimize import linear_sum_assignment

from bss.pipeline.methods.shared.base import Task
from bss.pipeline.planning.windows import medium_window
from bss.signals.stft import Stft
from bss.solvers import scaling
from bss.solvers.demixing import fdica

PIECE_SECONDS, STEP_SECONDS = 4.0, 1.0
ITERATIONS, CANDIDATES = 30, 3
ANCHOR = 0.3  # weight of the similarity to the separation of the whole recording, against that of neighbouring pieces
FEW = 5  # talkers up to whom all orders are tried; of more, each piece is matched with the one before
TINY = float(np.finfo(np.float32).tiny)


def stitched(task: Task, whole: np.ndarray) -> np.ndarray:
    """(N, n) tracks at the reference microphone, from pieces; `whole` (N, n) are tracks of a separation of the whole recording.

    Where a piece cannot be separated by itself, as a microphone is silent in all of it, the tracks of the whole are taken.
    """
    n = task.x.shape[1]
    length = min(n, round(PIECE_SECONDS * task.rate))
    starts = _starts(n, length, round(STEP_SECONDS * task.rate))
    stft = _window(length, task.rate)
    weight = np.hanning(length + 2)[1:-1].astype(np.float32) + np.float32(1e-3)
    before: np.ndarray | None = None
    steps, similarity, pieces = [], [], []
    for k, start in enumerate(starts):
        span = slice(start, start + length)
        piece = _separated(task, task.x[:, span], stft)
        piece = whole[:, span] if piece is None else piece
        similarity.append(_similarity(whole[:, span], piece))
        if before is not None:
            overlap = length - (start - starts[k - 1])
            steps.append(_similarity(before[:, -overlap:], piece[:, :overlap]))
        before = piece
        pieces.append(piece)
    orders = _orders(np.asarray(similarity), np.asarray(steps).reshape(-1, len(whole), len(whole)))
    tracks, total = np.zeros_like(whole, np.float32), np.zeros(n, np.float32)
    for start, order, piece in zip(starts, orders, pieces, strict=True):
        tracks[:, start : start + length] += weight * piece[order]
        total[start : start + length] += weight
    return np.asarray(tracks / total)


def _starts(n: int, length: int, step: int) -> list[int]:
    """First samples of the pieces; the last piece ends where the recording does."""
    starts = list(range(0, n - length + 1, step))
    return starts if starts[-1] == n - length else [*starts, n - length]


def _window(length: int, rate: int) -> Stft:
    stft = medium_window(length, rate)
    return Stft(stft.n_fft, stft.n_fft // 8)


def _separated(task: Task, x: np.ndarray, stft: Stft) -> np.ndarray | None:
    """(N, length) tracks of a piece x (M, length) at the reference microphone; None if a microphone is silent."""
    if not x.any(axis=1).all():
        return None
    X = stft.forward(np.ascontiguousarray(x))
    separation = fdica.fdica(
        X, n_sources=task.n_sources, n_iter=ITERATIONS, tol=0.0, rng=task.rng, candidates=CANDIDATES, activity="log"
    )
    back = scaling.projection_back(separation, X, reference_mic=task.reference)
    return np.asarray(stft.inverse(back.sources, x.shape[1]), np.float32)


def _similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, N) correlation of tracks a and b (N, n), relative to the power of all: a talker who is nearly silent hardly counts."""
    scale = (np.vdot(a, a) * np.vdot(b, b)) ** 0.5
    return np.asarray(np.abs(a @ b.T) / max(float(scale), TINY), np.float64)


def _orders(similarity: np.ndarray, steps: np.ndarray) -> list[np.ndarray]:
    """The order of each of P pieces: talker k is output order[k] of the piece.

    By the similarity (P, N, N) to the whole recording, and that of each piece to the one before (P - 1, N, N).
    """
    if similarity.shape[1] <= FEW:
        return _best_orders(similarity, steps)
    orders: list[np.ndarray] = []
    for p, own in enumerate(similarity):
        score = ANCHOR * own + (steps[p - 1][orders[-1]] if p else 0.0)
        orders.append(linear_sum_assignment(-score)[1])
    return orders


def _best_orders(similarity: np.ndarray, steps: np.ndarray) -> list[np.ndarray]:
    """The best path through all orders of all pieces (Viterbi)."""
    P, N, _ = similarity.shape
    talkers = np.arange(N)
    every = np.array(list(permutations(range(N))))  # (N!, N)
    unary = ANCHOR * similarity[:, talkers, every].sum(-1)  # (P, N!)
    best, origin = unary[0], np.zeros((P, len(every)), int)
    for p in range(1, P):
        pairs = steps[p - 1][every[:, None], every[None]].sum(-1)  # (before, now)
        through = best[:, None] + pairs
        origin[p] = through.argmax(0)
        best = through.max(0) + unary[p]
    path = [int(best.argmax())]
    for p in range(P - 1, 0, -1):
        path.append(int(origin[p, path[-1]]))
    return [every[k] for k in reversed(path)]
