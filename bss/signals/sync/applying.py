"""A recording in the time of another clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bss.backends.cpu import resampling
from bss.signals.sync.clocks.clock import Clock, Piece

Span = tuple[int, int]
BLOCK = 1 << 20  # samples


def extent(x: np.ndarray) -> Span:
    """The samples from the first to the last that is not zero: files that are shorter were padded with zeros."""
    sound = x != 0
    return (int(sound.argmax()), len(x) - int(sound[::-1].argmax())) if sound.any() else (0, 0)


@dataclass(frozen=True)
class Stretch:
    """Samples `begin` to `end` of the reference, which a piece of a clock takes from the samples `lowest` to `highest` of x."""

    piece: Piece
    lowest: int
    highest: int
    begin: int
    end: int


def in_time(x: np.ndarray, rate: int, clock: Clock, cuts: tuple[int, ...], y: np.ndarray) -> tuple[Span, ...]:
    """Write x (n,) as heard by the reference's clock into y (n,), zeros where it holds nothing; the spans of y that it covers.

    `cuts` are the samples of x after each jump: no sample is read by the piece before and by the one after it.
    """
    found = stretches(extent(x), rate, clock, cuts, len(y))
    y[:] = 0
    for part in found:
        _fill(x[part.lowest : part.highest], part.lowest, rate, part.piece, part.begin, y[part.begin : part.end])
    return covered(found)


def stretches(sound: Span, rate: int, clock: Clock, cuts: tuple[int, ...], n: int) -> list[Stretch]:
    """Where the samples of a microphone that sounds in this span go, in the `n` samples of the reference."""
    limits = [sound[0], *cuts, sound[1]]
    found = []
    for k, pieces in enumerate(_edges(clock, cuts)):
        lowest, highest = limits[k], max(limits[k], limits[k + 1])
        for piece in pieces:
            begin = max(0, math.ceil(piece.start * rate), _when(piece, lowest, rate))
            end = min(math.ceil(min(piece.stop * rate, n)), _when(piece, highest, rate))
            if end > begin:
                found.append(Stretch(piece, lowest, highest, begin, end))
    return found


def covered(found: list[Stretch]) -> tuple[Span, ...]:
    """The spans of the reference that these cover."""
    return _joined([(part.begin, part.end) for part in found])


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


def position_of(piece: Piece, sample: int, rate: int) -> float:
    """Where in the microphone a sample of the reference is, in samples."""
    return sample + piece.at(sample / rate) * rate


def is_shift(piece: Piece, position: float) -> bool:
    """Whether samples need only be copied."""
    return piece.rate == 0 and abs(position - round(position)) < 1e-6


def _fill(x: np.ndarray, offset: int, rate: int, piece: Piece, begin: int, y: np.ndarray) -> None:
    for k in range(0, len(y), BLOCK):
        part = y[k : k + BLOCK]
        position = position_of(piece, begin + k, rate) - offset
        if is_shift(piece, position):
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
