"""The clock of a recorder beside that of another: its lag over time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Jump:
    """Samples that a microphone lost (`missing` > 0) or has too many of (< 0), in seconds; `seconds` is when, in the time of
    the reference."""

    seconds: float
    missing: float


@dataclass(frozen=True)
class Piece:
    """A span of the reference in which one clock ran evenly: what it hears at `t`, the other has at ``t + lag(t)``.

    Attributes
    ----------
    start, stop : float
        Seconds of the reference.
    lag : float
        Seconds, at `start`.
    rate : float
        By how much the lag grows in a second: 4e-5 for a clock that is 40 ppm fast.
    """

    start: float
    stop: float
    lag: float
    rate: float = 0.0

    def at(self, seconds: float) -> float:
        """The lag at a time of the reference, in seconds."""
        return self.lag + self.rate * (seconds - self.start)


@dataclass(frozen=True)
class Clock:
    """The lag of a recorder over the whole recording, as pieces that follow each other."""

    pieces: tuple[Piece, ...]

    @classmethod
    def steady(cls, stop: float, lag: float = 0.0, rate: float = 0.0) -> Clock:
        """One piece from 0 to `stop` seconds."""
        return cls((Piece(0.0, stop, lag, rate),))

    @classmethod
    def through(cls, knots: Sequence[float], lags: Sequence[float]) -> Clock:
        """Pieces between knots in seconds with these lags; two knots at one time are a jump."""
        pairs = zip(knots[:-1], knots[1:], lags[:-1], lags[1:], strict=True)
        return cls(tuple(Piece(a, b, u, (v - u) / (b - a)) for a, b, u, v in pairs if b > a))

    @property
    def start(self) -> float:
        """Seconds of the reference."""
        return self.pieces[0].start

    @property
    def stop(self) -> float:
        """Seconds of the reference."""
        return self.pieces[-1].stop

    def at(self, seconds: np.ndarray) -> np.ndarray:
        """Lags in seconds at times of the reference; before the first and after the last piece these go on."""
        which = np.searchsorted([p.start for p in self.pieces[1:]], seconds, side="right")
        start, lag, rate = (np.array([getattr(p, name) for p in self.pieces]) for name in ("start", "lag", "rate"))
        return np.asarray(lag[which] + rate[which] * (seconds - start[which]))

    def plus(self, more: Clock) -> Clock:
        """The lag of this clock and of what was measured along it."""
        knots = sorted({p.start for c in (self, more) for p in c.pieces} | {self.start, self.stop})
        knots = [k for k in knots if self.start <= k <= self.stop]
        pieces = []
        for a, b in itertools.pairwise(knots):
            if b - a < 1e-9:
                continue
            mine, other = self.piece_at((a + b) / 2), more.piece_at((a + b) / 2)
            pieces.append(Piece(a, b, mine.at(a) + other.at(a), mine.rate + other.rate))
        return Clock(tuple(pieces))

    def with_span(self, piece: Piece) -> Clock:
        """This clock, but for the span of a piece."""
        before = [replace(p, stop=min(p.stop, piece.start)) for p in self.pieces if p.start < piece.start]
        after = [
            replace(p, start=max(p.start, piece.stop), lag=p.at(max(p.start, piece.stop)))
            for p in self.pieces
            if p.stop > piece.stop
        ]
        return Clock((*before, piece, *after))

    def split(self, k: int, seconds: float, change: float) -> Clock:
        """This clock with the jump before piece `k` at another time, and with `change` added to the lag from there on."""
        before = [p for p in self.pieces[:k] if p.start < seconds] or [self.pieces[k - 1]]
        before[-1] = replace(before[-1], stop=seconds)
        after = [p for p in self.pieces[k:] if p.stop > seconds] or [self.pieces[-1]]
        after[0] = replace(after[0], start=seconds, lag=after[0].at(seconds))
        return Clock((*before, *(replace(p, lag=p.lag + change) for p in after)))

    def piece_at(self, seconds: float) -> Piece:
        """The piece that holds there."""
        for piece in self.pieces[::-1]:
            if seconds >= piece.start:
                return piece
        return self.pieces[0]

    @property
    def ppm(self) -> float:
        """Mean of the rates in parts per million, each for as long as it lasts."""
        return 1e6 * sum(p.rate * (p.stop - p.start) for p in self.pieces) / (self.stop - self.start)
