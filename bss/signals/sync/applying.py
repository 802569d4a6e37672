"""A recording in the time of another clock."""

from __future__ import annotations

import math

import numpy as np

from bss.backends.cpu import resampling
from bss.signals.sync.clock import Clock, Piece

Span = tuple[int, int]
BLOCK = 1 << 20  # samples


def extent(x: np.ndarray) -> Span:
    """The samples from the first to the last that is not zero: files that are shorter were padded with zeros."""
    sound = x != 0
    return (int(sound.argmax()), len(x) - int(sound[::-1].argmax())) if sound.any() else (0, 0)


def in_time(x: np.ndarray, rate: int, clock: Clock, cuts: tuple[int, ...], y: np.ndarray) -> tuple[Span, ...]:
    """Write x (n,) as heard by the reference's clock into y (n,), zeros where it holds nothing; the spans of y that it covers.

    `cuts` are the samples of x after each jump: no sample is read by the piece before and by the one after it.
    """
    first, last = extent(x)
    limits = [first, *cuts, last]
    edges = _edges(clock, cuts)
    covered = []
    y[:] = 0
    for k, pieces in enumerate(edges):
        lowest, highest = limits[k], max(limits[k], limits[k + 1])
        for piece in pieces:
            begin = max(0, math.ceil(piece.start * rate), _when(piece, lowest, rate))
            end = min(math.ceil(min(piece.stop * rate, len(y))), _when(piece, highest, rate))
            if end > begin:
                _fill(x[lowest:highest], lowest, rate, piece, begin, y[begin:end])
                covered.append((begin, end))
    return _joined(covered)


def _edges(clock: Clock, cuts: tuple[int, ...]) -> list[list[Piece]]:
    """The pieces before the first jump, between jumps, and after the last; the outer ones go on for ever."""
    groups: list[list[Piece]] = [[]]
    for k, piece in enumerate(clock.pieces):
        previous = clock.pieces[k - 1] if k else None
        if previous is not None and abs(previous.at(piece.start) - piece.lag) > 1e-9 and len(groups) <= len(cuts):
            groups.append([])
        groups[-1].append(piece)
    head, tail = groups[0][0], groups[-1][-1]
    groups[0][0] = Piece(min(0.0, head.start), head.stop, head.at(min(0.0, head.start)), head.rate)
    last = groups[-1].pop()
    groups[-1].append(Piece(last.start, math.inf, last.lag, last.rate) if tail is last else last)
    return groups


def _when(piece: Piece, sample: int, rate: int) -> int:
    """The first sample of the reference at which the microphone is at `sample` or later."""
    return math.ceil((sample - (piece.lag - piece.rate * piece.start) * rate) / (1.0 + piece.rate) - 1e-6)


def _fill(x: np.ndarray, offset: int, rate: int, piece: Piece, begin: int, y: np.ndarray) -> None:
    for k in range(0, len(y), BLOCK):
        part = y[k : k + BLOCK]
        position = begin + k + piece.at((begin + k) / rate) * rate - offset
        if piece.rate == 0 and abs(position - round(position)) < 1e-6:
            part[:] = x[round(position) : round(position) + len(part)]
        else:
            part[:] = resampling.at(x, position, 1.0 + piece.rate, len(part))


def _joined(spans: list[Span]) -> tuple[Span, ...]:
    joined: list[Span] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return tuple(joined)
