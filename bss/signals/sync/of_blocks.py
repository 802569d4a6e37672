"""Synchronising a recording that is read in pieces: what `sync` finds, without holding it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from bss.signals.files.blocks import Blocks, channel_of
from bss.signals.sync.aligned_blocks import extent_of
from bss.signals.sync.alignment import Alignment, MicAlignment, Span, blamed
from bss.signals.sync.applying import covered, stretches
from bss.signals.sync.clocks.tracing import Trace
from bss.signals.sync.spectra import Reader
from bss.signals.sync.synchronise import SHORTEST_SECONDS, aligned, find, groups_of


def sync_blocks(
    blocks: Blocks, channels: Sequence[int], powers: np.ndarray, *, mode: str, devices: Sequence[object] | None
) -> Alignment | None:
    """What puts the channels of a recording in step; None if they are, by what is asked for.

    Parameters
    ----------
    blocks : Blocks
        The recording.
    channels : sequence of int
        Those that can be compared; others are left as they are.
    powers : np.ndarray
        (M,) of all channels: of each recorder the loudest is compared.
    mode : str
        As of `sync`.
    devices : sequence of M hashable, optional
        Which recorder each channel comes from.
    """
    given = list(range(blocks.n_mics)) if devices is None else list(devices)
    groups = [[channels[k] for k in group] for group in groups_of([given[c] for c in channels])]
    if mode == "off" or len(groups) < 2 or blocks.n < SHORTEST_SECONDS * blocks.rate:
        return None
    readers = [ChannelReader(blocks, max(group, key=lambda c: float(powers[c]))) for group in groups]
    reference, traces = find(readers, mode)
    mics = [MicAlignment(name, covered=((0, blocks.n),)) for name in blocks.names]
    for group, found in zip(groups, traces, strict=True):
        for c in group:
            mics[c] = aligned(blocks.names[c], found, _covered(blocks, c, found))
    microphones = blamed(mics, groups, reference)
    return Alignment(tuple(microphones), groups[reference][0], blocks.n, blocks.rate, readers[reference].channel)


def _covered(blocks: Blocks, channel: int, found: Trace | None) -> tuple[Span, ...]:
    extent = extent_of(blocks, channel)
    if found is None or not found.needed:
        return (extent,)
    return covered(stretches(extent, blocks.rate, found.clock, found.cuts, blocks.n))


class ChannelSamples:
    """The samples of one channel as an array (n,) that is read where it is sliced."""

    def __init__(self, blocks: Blocks, channel: int) -> None:
        self.blocks, self.channel = blocks, channel
        self.shape = (blocks.n,)

    def __len__(self) -> int:
        return self.blocks.n

    def __getitem__(self, part: slice) -> np.ndarray:
        start, stop, _ = part.indices(len(self))
        return channel_of(self.blocks, self.channel, start, max(start, stop))


class ChannelReader(Reader):
    """Spectra of one channel of a recording that is read in pieces."""

    def __init__(self, blocks: Blocks, channel: int) -> None:
        super().__init__(ChannelSamples(blocks, channel), blocks.rate)  # type: ignore[arg-type]
        self.blocks, self.channel = blocks, channel

    def extent(self) -> Span:
        """The samples from the first to the last that is not zero."""
        return extent_of(self.blocks, self.channel)

    def frames(self, first: np.ndarray) -> np.ndarray:
        """(T, n_fft) samples of frames; those near each other are read at once."""
        out = np.empty((len(first), self.n_fft), np.float32)
        order = np.argsort(first, kind="stable")
        edges = np.flatnonzero(np.diff(first[order]) > self.n_fft) + 1
        for begin, end in itertools.pairwise([0, *edges.tolist(), len(first)]):
            rows = order[begin:end]
            if len(rows):
                low = int(first[rows[0]])
                x = self.x[low : int(first[rows[-1]]) + self.n_fft]
                out[rows] = np.lib.stride_tricks.sliding_window_view(x, self.n_fft)[first[rows] - low]
        return out
