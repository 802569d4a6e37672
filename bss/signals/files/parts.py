"""The part of a file that goes into a recording: at the recording's rate, read as a whole or in pieces."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bss.errors import InputError, UsageError
from bss.signals.files.decode import BLOCK, FileInfo, Reader
from bss.signals.files.paths import STDIN, label
from bss.signals.files.spool import Spool
from bss.signals.resample import Resampling, resample, resampled_length

# any sample of these, FLAC's among them, can be read by itself; others take those before it, or round otherwise behind a seek
DIRECT = ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")


@dataclass(frozen=True)
class Channel:
    """The origin of a microphone signal: channel `index`, from 0, of the `of` channels in `file`."""

    file: str
    index: int
    of: int = 1

    @property
    def name(self) -> str:
        """Display name, counting from 1: ``"b.wav[2]"``, or ``"b.wav"`` for a file of one channel."""
        name = label(Path(self.file))
        return f"{name}[{self.index + 1}]" if self.of > 1 else name


class Part:
    """The part of one file that goes into the recording: `length` samples at the recording's rate."""

    def __init__(self, reader: Reader, rate: int, start: float, end: float | None) -> None:
        self.reader, self.info, self.rate = reader, reader.info, rate
        info = reader.info
        # positions in all files are counted in samples at the rate of the first
        whole = resampled_length(info.frames, info.rate, rate)
        self.start = round(start * rate)
        self.end = whole if end is None else min(round(end * rate), whole)
        if self.start >= whole:
            why = f"it is {info.seconds:.3f} s long"
            raise InputError(f"{label(info.path)} ends before the requested start, {start:g} s", why, "an earlier --start")
        self.length = self.end - self.start
        if self.length < 1:
            raise UsageError(f"start={start} and end={end} leave no sample at {rate} Hz")
        self._copy: Spool | None = None
        self._state = _state(info.path)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """All channels of the file."""
        return tuple(Channel(str(self.info.path), k, self.info.channels) for k in range(self.info.channels))

    @property
    def resampled(self) -> bool:
        """Whether the file has another rate than the recording."""
        return self.info.rate != self.rate

    @property
    def needs_copy(self) -> bool:
        """Whether the first sample that is read takes a conversion of the whole part to a temporary file."""
        return self._copy is None and (self.resampled or self.info.subtype not in DIRECT or not self.reader.exact)

    def fill(self, out: np.ndarray) -> None:
        """Read all of it into `out` (channels, length)."""
        if not self.resampled:
            self._fill(out, self.start)
            return
        first, span = self._native()
        native = np.empty((self.info.channels, span[1] - span[0]), np.float32)
        self._fill(native, span[0])
        out[:] = resample(native, self.info.rate, self.rate)[:, self.start - first : self.end - first]

    def read(self, out: np.ndarray, start: int) -> None:
        """Read the samples from `start` on, counted from the beginning of the part, into `out` (channels, k)."""
        if self.needs_copy:
            self.copy()
        if self._copy is not None:
            self._copy.read(out, start)
        else:
            self._fill(out, self.start + start)

    def copy(self, progress: Callable[[float], None] | None = None) -> None:
        """Write the part to a temporary file, from which it is read from now on."""
        spool = Spool(self.info.channels, self.length, label(self.info.path))
        try:
            for block in self._converted():
                spool.write(block)
                if progress is not None:
                    progress(spool.written / self.length)
        except BaseException:
            spool.close()
            raise
        self._copy = spool

    def close(self) -> None:
        """Remove the temporary file."""
        if self._copy is not None:
            self._copy.close()

    def _native(self) -> tuple[int, tuple[int, int]]:
        """The sample of the recording at which a conversion begins, and the span of the file that it takes.

        It takes some more on both sides, as the resampler rings at edges, and begins where a sample of the file coincides with
        one of the recording: so that a part has the same samples as when the whole file is read.
        """
        old, new = self.info.rate, self.rate
        margin, period = new // 10, new // math.gcd(old, new)
        first = max(self.start - margin, 0) // period * period
        last = min(resampled_length(self.end + margin, new, old), self.info.frames)
        return first, (first * old // new, last)

    def _converted(self) -> Iterator[np.ndarray]:
        """The part in blocks (channels, k)."""
        first, span = self._native() if self.resampled else (self.start, (self.start, self.end))
        skip, left = self.start - first, self.length
        stream = Resampling(self.info.rate, self.rate, self.info.channels) if self.resampled else None
        for start in range(span[0], span[1], BLOCK):
            native = np.empty((self.info.channels, min(BLOCK, span[1] - start)), np.float32)
            self._fill(native, start)
            blocks = [native] if stream is None else [stream.push(native)]
            if stream is not None and start + BLOCK >= span[1]:
                blocks.append(stream.end())
            for block in blocks:
                kept = block[:, skip : skip + left]
                skip = max(0, skip - block.shape[1])
                left -= kept.shape[1]
                yield kept

    def _fill(self, out: np.ndarray, start: int) -> None:
        """Read from the file, which must still be what it was when it was opened."""
        try:
            self.reader.fill(out, start)
        finally:  # a file that was cut ends early, too: that it was cut is what there is to say
            self._refuse_changed()

    def _refuse_changed(self) -> None:
        if self._state is not None and _state(self.info.path) != self._state:
            raise InputError(
                f"{label(self.info.path)} changed while it was being read", "another program writes to it, or removed it",
                "wait until the recording is complete, or copy the file and separate the copy",
            )  # fmt: skip


def repairs_of(parts: Sequence[Part], end: float | None) -> list[str]:
    """What is adjusted where these parts become one recording, in words."""
    first, n = parts[0].info, max(part.length for part in parts)
    repairs = [repair for part in parts for repair in _repairs(part, first, n)]
    longest = max(part.info.seconds for part in parts)
    if end is not None and end > longest:
        repairs.append(f"the requested end, {end:g} s, is after the end of the recording, {longest:.3f} s")
    return repairs


def _repairs(part: Part, first: FileInfo, n: int) -> list[str]:
    name = label(part.info.path)
    repairs = [part.info.note] if part.info.note else []
    if part.resampled:
        repairs.append(f"{name}: resampled from {part.info.rate} Hz to the {part.rate} Hz of {label(first.path)}")
    missing = n - part.length
    if missing:
        pad = f"{name}: padded with {missing} samples ({missing / part.rate:.3f} s) at its end"
        short = f"; it is less than half as long as the recording ({n / part.rate:.3f} s): does it belong to it?"
        repairs.append(pad + (short if part.length < n / 2 else ""))
    return repairs


def _state(path: Path) -> tuple[int, int, int] | None:
    """By which a change of a file is noticed; None for stdin, whose copy nobody else knows."""
    if path == STDIN:
        return None
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return found.st_ino, found.st_size, found.st_mtime_ns
