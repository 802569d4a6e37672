"""Recordings that are read in pieces, so that nothing has to be as long as they are."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol

import numpy as np

from bss.errors import UsageError
from bss.signals.files.decode import FileInfo, opened
from bss.signals.files.parts import Part, repairs_of
from bss.signals.files.paths import expand, label

Files = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class Blocks(Protocol):
    """A recording of M microphones that is read in pieces."""

    @property
    def rate(self) -> int:
        """Hz."""

    @property
    def n(self) -> int:
        """Samples of each channel."""

    @property
    def n_mics(self) -> int:
        """M."""

    @property
    def names(self) -> tuple[str, ...]:
        """M names of the channels, for messages."""

    def read(self, start: int, stop: int) -> np.ndarray:
        """(M, stop - start) float32, the samples from `start` to before `stop`, which are inside the recording."""


class ArrayBlocks:
    """A recording x (M, n) that is in memory.

    Examples
    --------
    >>> blocks = ArrayBlocks(np.arange(8.0).reshape(2, 4), 16000)
    >>> blocks.n, blocks.names, blocks.read(1, 3).tolist()
    (4, ('mic1', 'mic2'), [[1.0, 2.0], [5.0, 6.0]])
    """

    def __init__(self, x: np.ndarray, rate: int, names: Sequence[str] | None = None) -> None:
        self.x, self.rate = x, rate
        self.names = tuple(names) if names is not None else tuple(f"mic{k + 1}" for k in range(len(x)))

    @property
    def n(self) -> int:
        """Samples of each channel."""
        return int(self.x.shape[1])

    @property
    def n_mics(self) -> int:
        """M."""
        return len(self.x)

    def read(self, start: int, stop: int) -> np.ndarray:
        """(M, stop - start) float32."""
        check_span(start, stop, self.n)
        return np.array(self.x[:, start:stop], np.float32, order="C")


class ChosenBlocks:
    """Some channels of another recording, in this order."""

    def __init__(self, blocks: Blocks, channels: Sequence[int]) -> None:
        self.blocks, self.channels = blocks, list(channels)

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
        return len(self.channels)

    @property
    def names(self) -> tuple[str, ...]:
        """M names of the channels, for messages."""
        return tuple(self.blocks.names[k] for k in self.channels)

    def read(self, start: int, stop: int) -> np.ndarray:
        """(M, stop - start) float32."""
        return self.blocks.read(start, stop)[self.channels]


class FileBlocks:
    """A recording in files; `open_blocks` makes one, and `close`, or leaving a ``with`` block, closes the files.

    Attributes
    ----------
    channels : tuple[Channel, ...]
        Where each of the M signals comes from.
    format, subtype : str
        Of the first file.
    repairs : tuple[str, ...]
        What was adjusted, in words.
    """

    def __init__(
        self, parts: Sequence[Part], repairs: Sequence[str], files: contextlib.ExitStack, gains: Sequence[float] | None = None
    ) -> None:
        self._parts, self._files = tuple(parts), files
        per_part = gains if gains is not None else [1.0] * len(parts)
        rows = [gain for part, gain in zip(parts, per_part, strict=True) for _ in part.channels]
        self._gains = None if gains is None else np.array(rows, np.float32)[:, None]
        self._first: FileInfo = parts[0].info
        self.repairs = tuple(repairs)
        self.channels = tuple(channel for part in parts for channel in part.channels)

    @property
    def rate(self) -> int:
        """Hz."""
        return self._first.rate

    @property
    def n(self) -> int:
        """Samples of each channel."""
        return max(part.length for part in self._parts)

    @property
    def n_mics(self) -> int:
        """M."""
        return len(self.channels)

    @property
    def names(self) -> tuple[str, ...]:
        """M names of the channels, for messages."""
        return tuple(channel.name for channel in self.channels)

    @property
    def format(self) -> str:
        """Of the first file."""
        return self._first.format

    @property
    def subtype(self) -> str:
        """Of the first file."""
        return self._first.subtype

    def prepare(self, progress: Callable[[float], None] | None = None) -> None:
        """Convert files of other rates, and those in which no sample can be read without those before it, to temporary files.

        The first `read` does so if it was not done before; `progress` is called with the fraction that is done, 0 to 1.
        """
        todo = [part for part in self._parts if part.needs_copy]
        total = sum(part.length * part.info.channels for part in todo)
        done = 0
        for part in todo:
            size, before = part.length * part.info.channels, done
            part.copy(lambda share, a=before, b=size: progress((a + share * b) / total) if progress else None)  # type: ignore[misc]
            done += size

    def read(self, start: int, stop: int) -> np.ndarray:
        """(M, stop - start) float32, the same samples as in `whole`; zeros after the end of shorter files.

        NaN and infinite samples are kept.

        Raises
        ------
        InputError
            A file is damaged, ends early, or has changed since it was opened; the disk is too small for a temporary file.
        """
        check_span(start, stop, self.n)
        self.prepare()
        x = np.zeros((self.n_mics, stop - start), np.float32)
        row = 0
        for part in self._parts:
            here = min(stop, part.length) - start
            if here > 0:
                part.read(x[row : row + part.info.channels, :here], start)
            row += part.info.channels
        return self._amplified(x)

    def read_one(self, channel: int, start: int, stop: int) -> np.ndarray:
        """(stop - start,) float32 of one channel, as of `read`, from its file alone."""
        check_span(start, stop, self.n)
        self.prepare()
        first = 0
        for part in self._parts:
            if channel < first + part.info.channels:
                x = np.zeros((part.info.channels, stop - start), np.float32)
                here = min(stop, part.length) - start
                if here > 0:
                    part.read(x[:, :here], start)
                one = np.ascontiguousarray(x[channel - first])
                return one if self._gains is None else one * self._gains[channel]
            first += part.info.channels
        raise IndexError(f"channel {channel} of {self.n_mics}")

    def whole(self) -> np.ndarray:
        """(M, n) float32, all of it."""
        x = np.zeros((self.n_mics, self.n), np.float32)
        row = 0
        for part in self._parts:
            part.fill(x[row : row + part.info.channels, : part.length])
            row += part.info.channels
        return self._amplified(x)

    def _amplified(self, x: np.ndarray) -> np.ndarray:
        if self._gains is not None:
            x *= self._gains
        return x

    def close(self) -> None:
        """Close the files, and remove temporary ones."""
        self._files.close()

    def __enter__(self) -> FileBlocks:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()


def open_blocks(
    files: Files, *, start: float = 0.0, end: float | None = None, gains: Sequence[float] | None = None
) -> FileBlocks:
    """Open a recording to be read in pieces: the same samples, channels and repairs as `bss.signals.files.audio.load` gives.

    Parameters
    ----------
    files : path or sequence of paths
        Files, folders, globs, or ``"-"`` for stdin, which is first stored in a temporary file.
    start, end : float
        The part to read, in seconds; `end=None` reads to the end.
    gains : sequence of float, optional
        By what the samples of each file are multiplied; `files` are then files, each once.

    Raises
    ------
    InputError, UsageError
        As of `load`.

    Examples
    --------
    >>> import tempfile
    >>> from bss.signals.files.audio import write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(folder + "/a.wav", np.ones((2, 16000)), 16000)
    ...     write(folder + "/b.wav", np.ones(12000), 16000)
    ...     with open_blocks(folder) as blocks:
    ...         print(blocks.n_mics, blocks.n, blocks.read(11_998, 12_002)[2].tolist())
    3 16000 [1.0, 1.0, 0.0, 0.0]
    """
    if not (0 <= start < float("inf") and (end is None or start < end < float("inf"))):
        raise UsageError(f"start={start} and end={end} leave nothing to read", hint="times in seconds, with 0 <= start < end")
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(opened(path)) for path in expand(files)]
        rate = readers[0].info.rate
        parts = [Part(reader, rate, start, end) for reader in readers]
        for part in parts:
            stack.callback(part.close)
        repairs = repairs_of(parts, end)
        for part, gain in zip(parts, gains or (), strict=gains is not None):
            if gain != 1.0:
                repairs.append(f"{label(part.info.path)}: a gain of {20 * math.log10(gain):+.1f} dB was applied, as asked for")
        return FileBlocks(parts, repairs, stack.pop_all(), gains)


def channel_of(blocks: Blocks, channel: int, start: int, stop: int) -> np.ndarray:
    """(stop - start,) float32 of one channel, without reading the other files."""
    if isinstance(blocks, FileBlocks):
        return blocks.read_one(channel, start, stop)
    if isinstance(blocks, ChosenBlocks):
        return channel_of(blocks.blocks, blocks.channels[channel], start, stop)
    return np.ascontiguousarray(blocks.read(start, stop)[channel])


def check_span(start: int, stop: int, n: int) -> None:
    """ValueError unless 0 <= start <= stop <= n."""
    if not 0 <= start <= stop <= n:
        raise ValueError(f"samples {start} to {stop} are not inside a recording of {n}")
