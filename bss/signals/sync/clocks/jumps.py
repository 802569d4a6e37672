"""Samples that a recorder lost or wrote twice: from there on its lag is another one.

The cross-spectra before and after are compared at all lags. Another talker, or one who moved, changes them too; but then they are
not as alike at any lag as each side is in itself, with the echoes and all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bss.signals.sync.clocks.agreement import peak
from bss.signals.sync.spectra import Blocks

SMALLEST = 2e-4  # seconds; what is less may be a talker elsewhere, before an array of microphones close to each other
LARGEST = 0.12  # seconds, nearly half a frame
SIDES_SECONDS = 20.0, 6.0  # what is compared; the longer the surer, but a side must not hold another jump
SHORTEST_SIDE = 3  # blocks
LOOKS = 5  # at how many places of a side a jump is looked for at first
AS_ALIKE = 0.7  # of what each side is in itself
MORE_ALIKE = 1.5  # than at the lag that held so far
# Another talker makes a jump, too, of at most what sound travels in a room. Direct paths are then alike but for their lag, and
# echoes are not: the sides agree as far as the direct paths make them, to 0.01. What is lost leaves the echoes alike as well.
TRAVEL_SECONDS = 0.02  # 7 m; what is beyond it no talker makes
LEAST_NEAR, LEAST = 0.6, 0.4  # agreement with a jump of less, and of more
ECHOES = 0.1


@dataclass(frozen=True)
class Break:
    """From block `block` on the lag of a microphone is greater by `lag` seconds; `seconds` is where that block begins.

    `agreement` is that of both sides at this lag, `staying` the best at a lag that is less than a jump.
    """

    block: int
    seconds: float
    lag: float
    agreement: float
    staying: float

    @property
    def likely(self) -> bool:
        """Whether the sides are much more alike with the jump than without."""
        least = LEAST_NEAR if abs(self.lag) < TRAVEL_SECONDS else LEAST
        return self.agreement >= max(least, MORE_ALIKE * self.staying)


def find(blocks: Blocks, *, close: bool = False) -> Break | None:
    """The clearest jump in blocks whose clock runs evenly otherwise, or None; with `close` also among jumps that are close."""
    found = [_clearest(_Sides(blocks, seconds)) for seconds in (SIDES_SECONDS if close else SIDES_SECONDS[:1])]
    return max((b for b in found if b is not None), key=_contrast, default=None)


def _clearest(sides: _Sides) -> Break | None:
    coarse = [b for b in map(sides.compare, sides.places(sides.longest // LOOKS)) if b is not None and b.likely]
    if not coarse:
        return None
    first = max(coarse, key=_contrast)
    near = range(max(SHORTEST_SIDE, first.block - sides.longest // LOOKS), first.block + sides.longest // LOOKS + 1)
    best = max((b for b in map(sides.compare, near) if b is not None), key=_contrast)
    needed = AS_ALIKE * sides.themselves(best.block)
    if abs(best.lag) < TRAVEL_SECONDS:
        needed = max(needed, sides.direct(best.block) + ECHOES)
    return best if best.likely and best.agreement >= needed else None


def rest(blocks: Blocks, seconds: float) -> float:
    """What is left of a jump at a known time, in seconds of lag."""
    found = _Sides(blocks, SIDES_SECONDS[0]).compare(int(np.searchsorted(blocks.seconds, seconds)))
    return found.lag if found is not None and found.agreement >= LEAST else 0.0


def _contrast(b: Break) -> float:
    return b.agreement - b.staying


class _Sides:
    """What comes before and after a block, as sums of cross-spectra."""

    def __init__(self, blocks: Blocks, seconds: float) -> None:
        self.blocks, self.count = blocks, len(blocks.C)
        self.longest = max(SHORTEST_SIDE, min(self.count // 2, round(seconds / blocks.step)))
        self.sums = np.concatenate([np.zeros_like(blocks.C[:1]), np.cumsum(blocks.C, axis=0)])

    def places(self, step: int) -> range:
        """Blocks before which a jump may be, `step` apart."""
        return range(SHORTEST_SIDE, self.count - SHORTEST_SIDE + 1, max(1, step))

    def total(self, start: int, stop: int) -> np.ndarray:
        """(F,) sum of blocks."""
        return np.asarray(self.sums[min(stop, self.count)] - self.sums[max(0, start)])

    def compare(self, block: int) -> Break | None:
        """How alike the sides are, at the best lag and at those that are no jump; None if one is silent or there is none."""
        if not SHORTEST_SIDE <= block <= self.count - SHORTEST_SIDE:
            return None
        before, after = self.total(block - self.longest, block), self.total(block, block + self.longest)
        weight = float(np.vdot(np.abs(before), np.abs(after)))
        if weight <= 0:
            return None
        lag, height = peak(self.blocks, before.conj() * after, LARGEST)
        staying = height if abs(lag) < SMALLEST else peak(self.blocks, before.conj() * after, SMALLEST)[1]
        begin = self.blocks.seconds[block] - self.blocks.step / 2 if block < self.count else self.blocks.seconds[-1]
        return Break(block, float(begin), lag, height / weight, max(0.0, staying / weight))

    def direct(self, block: int) -> float:
        """How alike the sides would be at some lag if they had but one path in common: 1 without echoes, and one talker each."""
        shares = 1.0
        for side in (self.total(block - self.longest, block), self.total(block, block + self.longest)):
            weight = float(np.abs(side).sum())
            shares *= peak(self.blocks, side, LARGEST)[1] / weight if weight > 0 else 1.0
        return shares

    def themselves(self, block: int) -> float:
        """How alike the halves of each side are: the mean of both sides."""
        sides = ((block - self.longest, block), (block, block + self.longest))
        halves = [(max(0, a), min(b, self.count)) for a, b in sides]
        alike = []
        for a, b in halves:
            one, other = self.total(a, (a + b) // 2), self.total((a + b) // 2, b)
            weight = float(np.vdot(np.abs(one), np.abs(other)))
            if weight > 0:
                alike.append(max(0.0, peak(self.blocks, one.conj() * other, SMALLEST)[1] / weight))
        return float(np.mean(alike)) if alike else 1.0
