"""A recording in pieces, in the time of its reference: what `sync` does to a recording in memory."""

from __future__ import annotations

import itertools
import math

import numpy as np

from bss.backends.cpu import resampling
from bss.signals.files.blocks import Blocks, channel_of, check_span
from bss.signals.sync.alignment import Alignment, MicAlignment
from bss.signals.sync.applying import Span, Stretch, covered, is_shift, position_of, stretches
from bss.signals.sync.clocks.clock import Clock
from bss.signals.sync.prediction import FADE_SECONDS, LEARNED_SECONDS, bridge
from bss.signals.sync.spectra import Reader
from bss.signals.sync.synchronise import BRIDGED_SECONDS

GRID = 1 << 12  # samples between which positions are counted on: they are the same whichever piece is read
LOOK = 1 << 18  # samples read at a time in search of the first and the last sound


class AlignedBlocks:
    """Another recording with the microphones of an alignment put in step.

    Samples are those of `bss.sync` on the whole recording, to the rounding of single precision, whatever is read.

    Parameters
    ----------
    blocks : Blocks
        The recording as it is.
    alignment : Alignment
        Of as many microphones.

    Attributes
    ----------
    covered : tuple[tuple[tuple[int, int], ...], ...]
        For each microphone the spans of samples in which it holds a recording.
    """

    def __init__(self, blocks: Blocks, alignment: Alignment) -> None:
        if len(alignment.mics) != blocks.n_mics:
            raise ValueError(f"an alignment of {len(alignment.mics)} microphones for {blocks.n_mics}")
        self.blocks, self.alignment = blocks, alignment
        self._mics = {k: _Mic(blocks, k, mic) for k, mic in enumerate(alignment.mics) if mic.clock is not None}
        self.covered = tuple(self._mics[k].covered if k in self._mics else mic.covered for k, mic in enumerate(alignment.mics))
        self._fades = round(FADE_SECONDS * blocks.rate)
        self._holes = {k: self._short_holes(mic.covered) for k, mic in self._mics.items()}
        self._bridges: dict[tuple[int, int], np.ndarray] = {}

    @property
    def rate(self) -> int:
        """Hz."""
        return self.blocks.rate

    @property
    def n(self) -> int:
        """Samples of each channel."""
        return self.blocks.n

    @property
    def n_mics(self) -> int:
        """M."""
        return self.blocks.n_mics

    @property
    def names(self) -> tuple[str, ...]:
        """M names of the channels, for messages."""
        return self.blocks.names

    def read(self, start: int, stop: int) -> np.ndarray:
        """(M, stop - start) float32."""
        check_span(start, stop, self.n)
        untouched = len(self._mics) < self.n_mics
        x = self.blocks.read(start, stop) if untouched else np.empty((self.n_mics, stop - start), np.float32)
        for k in self._mics:
            x[k] = self._one(k, start, stop, len(self._holes[k]))
        return x

    def _one(self, k: int, start: int, stop: int, holes: int) -> np.ndarray:
        """(stop - start,) of a microphone, with what goes into the first `holes` of its holes."""
        y = self._mics[k].read(start, stop)
        for number in range(holes):
            a, b = (self._holes[k][number][0] - self._fades, self._holes[k][number][1] + self._fades)
            first, last = max(a, start, 0), min(b, stop, self.n)
            if first < last:
                y[first - start : last - start] = self._bridge(k, number)[first - max(a, 0) : last - max(a, 0)]
        return y

    def _bridge(self, k: int, number: int) -> np.ndarray:
        """What goes into a hole, and fades on either side of it."""
        if (k, number) not in self._bridges:
            hole = self._holes[k][number]
            learned = round(LEARNED_SECONDS * self.rate)
            start, stop = max(0, hole[0] - learned), min(self.n, hole[1] + learned)
            y = self._one(k, start, stop, number)
            compared = self.alignment.reference if self.alignment.heard is None else self.alignment.heard
            heard = channel_of(self.blocks, compared, start, stop)
            bridge(Reader(heard, self.rate), y, (hole[0] - start, hole[1] - start))
            a, b = max(0, hole[0] - self._fades), min(self.n, hole[1] + self._fades)
            self._bridges[k, number] = y[a - start : b - start].copy()
        return self._bridges[k, number]

    def _short_holes(self, spans: tuple[Span, ...]) -> list[Span]:
        most = BRIDGED_SECONDS * self.rate
        return [(a, b) for (_, a), (b, _) in itertools.pairwise(spans) if b - a <= most]


class _Mic:
    """A microphone whose clock is not that of the reference."""

    def __init__(self, blocks: Blocks, channel: int, mic: MicAlignment) -> None:
        assert isinstance(mic.clock, Clock)
        self.blocks, self.channel = blocks, channel
        self.stretches = stretches(extent_of(blocks, channel), blocks.rate, mic.clock, mic.cuts, blocks.n)
        self.covered = covered(self.stretches)

    def read(self, start: int, stop: int) -> np.ndarray:
        y = np.zeros(stop - start, np.float32)
        for part in self.stretches:
            first, last = max(start, part.begin), min(stop, part.end)
            if first < last:
                y[first - start : last - start] = self._part(part, first, last)
        return y

    def _part(self, part: Stretch, first: int, last: int) -> np.ndarray:
        """Samples `first` to `last` of the reference, computed from the grid point before them on."""
        begin = part.begin + (first - part.begin) // GRID * GRID
        offset, stop = self._needed(part, begin, last)
        x = channel_of(self.blocks, self.channel, offset, stop)
        y = np.empty(last - begin, np.float32)
        for k in range(0, len(y), GRID):
            cell = y[k : k + GRID]
            # positions in a cell are counted from its own first sample, as they are rounded
            low, high = self._needed(part, begin + k, min(begin + k + GRID, part.end))
            position = position_of(part.piece, begin + k, self.blocks.rate) - low
            near = x[low - offset : high - offset]
            if is_shift(part.piece, position):
                cell[:] = near[round(position) : round(position) + len(cell)]
            else:
                cell[:] = resampling.at(near, position, 1.0 + part.piece.rate, len(cell))
        return y[first - begin :]

    def _needed(self, part: Stretch, begin: int, end: int) -> tuple[int, int]:
        """The samples of the microphone by which those of the reference from `begin` to before `end` are computed."""
        low = math.floor(position_of(part.piece, begin, self.blocks.rate)) - resampling.HALF
        high = math.ceil(position_of(part.piece, end, self.blocks.rate)) + resampling.HALF + 1
        low = min(max(part.lowest, low), part.highest)
        return low, max(low, min(part.highest, high))


def extent_of(blocks: Blocks, channel: int) -> Span:
    """The samples from the first to the last that is not zero: files that are shorter were padded with zeros."""
    for start in range(0, blocks.n, LOOK):
        sound = channel_of(blocks, channel, start, min(start + LOOK, blocks.n)) != 0
        if sound.any():
            first = start + int(sound.argmax())
            break
    else:
        return (0, 0)
    for stop in range(blocks.n, 0, -LOOK):
        sound = channel_of(blocks, channel, max(0, stop - LOOK), stop) != 0
        if sound.any():
            return first, stop - int(sound[::-1].argmax())
    return first, blocks.n
