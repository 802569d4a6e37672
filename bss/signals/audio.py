"""Reading and writing recordings: files of one or more channels as one array, with one rate and one length."""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bss.errors import InputError, UsageError
from bss.signals.decode import FileInfo, Reader, describe, opened
from bss.signals.encode import encoded_bytes, format_of
from bss.signals.paths import expand, label
from bss.signals.resample import resample, resampled_length
from bss.signals.writing import output_folder

Files = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


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


@dataclass(frozen=True)
class Recording:
    """The signals of several microphones. `format` and `subtype` are those of the first file; `repairs` lists adjustments."""

    x: np.ndarray  # (M, n) float32
    rate: int
    channels: tuple[Channel, ...]
    format: str
    subtype: str
    repairs: tuple[str, ...] = ()


def probe(files: Files) -> list[FileInfo]:
    """The properties of audio files from their headers, without reading the audio.

    Parameters
    ----------
    files : path or sequence of paths
        Files, folders, globs, or ``"-"`` for stdin.

    Returns
    -------
    list of FileInfo
        Each with path, rate, channels, frames, seconds, format and subtype.

    Raises
    ------
    InputError
        A file is missing, not audio, truncated or empty.
    """
    return [describe(path) for path in expand(files)]


def load(files: Files, *, start: float = 0.0, end: float | None = None) -> Recording:
    """Read one recording from one multichannel file, from one file per microphone, or from a combination of both.

    Files are resampled to the rate of the first one, and shorter files are padded with zeros at the end; `repairs` reports
    both. NaN and infinite samples are kept.

    Parameters
    ----------
    files : path or sequence of paths
        Files, folders, globs, or ``"-"`` for stdin.
    start, end : float
        The part to read, in seconds; `end=None` reads to the end.

    Returns
    -------
    Recording

    Raises
    ------
    InputError
        A file is missing, not audio, truncated, empty, or ends before `start`.
    UsageError
        `start` and `end` leave nothing to read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(folder + "/a.wav", np.zeros((2, 16000)), 16000)
    ...     write(folder + "/b.wav", np.zeros(12000), 16000)
    ...     recording = load(folder)
    >>> recording.x.shape, [Path(channel.name).name for channel in recording.channels]
    ((3, 16000), ['a.wav[1]', 'a.wav[2]', 'b.wav'])
    >>> recording.repairs[0].split(": ")[1]
    'padded with 4000 samples (0.250 s) at its end'
    """
    if not (0 <= start < math.inf and (end is None or start < end < math.inf)):
        raise UsageError(f"start={start} and end={end} leave nothing to read", hint="times in seconds, with 0 <= start < end")
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(opened(path)) for path in expand(files)]
        first = readers[0].info
        parts = [_Part(reader, first.rate, start, end) for reader in readers]
        n = max(part.length for part in parts)
        x = np.zeros((sum(part.info.channels for part in parts), n), np.float32)
        row = 0
        for part in parts:
            part.fill(x[row : row + part.info.channels, : part.length])
            row += part.info.channels
    channels = [Channel(str(p.info.path), k, p.info.channels) for p in parts for k in range(p.info.channels)]
    repairs = [repair for part in parts for repair in part.repairs(first, n)]
    longest = max(part.info.seconds for part in parts)
    if end is not None and end > longest:
        repairs.append(f"the requested end, {end:g} s, is after the end of the recording, {longest:.3f} s")
    return Recording(x, first.rate, tuple(channels), first.format, first.subtype, tuple(repairs))


def read(files: Files) -> tuple[np.ndarray, int]:
    """Read a recording as an array.

    Files of different rates or lengths are adjusted, and a warning is logged for each adjustment; `bss.signals.audio.load`
    returns these warnings together with the names of the channels.

    Parameters
    ----------
    files : path or sequence of paths
        One multichannel file, one file per microphone, or a combination; folders and globs.

    Returns
    -------
    x : (M, n) float32
        Microphones in the order of `files`; full scale is 1.
    rate : int
        Hz.

    Raises
    ------
    InputError
        A file is missing, not audio, truncated or empty.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(folder + "/a.wav", np.zeros((2, 16000)), 16000)
    ...     x, rate = read(folder + "/a.wav")
    >>> x.shape, rate
    ((2, 16000), 16000)
    """
    recording = load(files)
    for repair in recording.repairs:
        logging.getLogger("bss").warning(repair)
    return recording.x, recording.rate


def write(path: str | os.PathLike[str], x: np.ndarray, rate: int, *, subtype: str | None = None, overwrite: bool = False) -> None:
    """Write audio to a file, completely or not at all.

    Parameters
    ----------
    path : path
        The suffix determines the format: wav, flac, ogg, opus, mp3, w64, rf64, aiff, au, caf. Missing folders are created.
    x : (M, n) or (n,) float
        Full scale is 1.
    rate : int
        Hz.
    subtype : str, optional
        Such as ``"PCM_16"``. By default the most precise of the format: FLOAT in WAV, PCM_24 in FLAC.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    InputError
        The file exists; `x` is not finite, or exceeds full scale in a subtype that would clip it; the disk is full.
    UsageError
        The suffix or subtype is not supported.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(folder + "/a.flac", np.zeros((2, 16000)), 16000)
    ...     probe(folder)[0].subtype
    'PCM_24'
    """
    path = Path(path)
    kind, subtype = format_of(path.name, subtype=subtype)
    needed = encoded_bytes(np.size(x), subtype)
    with output_folder(path.parent, [path.name], overwrite=overwrite, needed_bytes=needed) as out:
        out.audio(path.name, x, rate, format=kind, subtype=subtype)


class _Part:
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

    def fill(self, out: np.ndarray) -> None:
        """Read into `out` (channels, length)."""
        old, new = self.info.rate, self.rate
        if old == new:
            self.reader.fill(out, self.start)
            return
        # Read some more on both sides, as the resampler rings at edges, and start where a sample of the file coincides with
        # one of the recording: so that a part has the same samples as when the whole file is read.
        margin, period = new // 10, new // math.gcd(old, new)
        first = max(self.start - margin, 0) // period * period
        last = min(resampled_length(self.end + margin, new, old), self.info.frames)
        native = np.empty((self.info.channels, last - first * old // new), np.float32)
        self.reader.fill(native, first * old // new)
        out[:] = resample(native, old, new)[:, self.start - first : self.end - first]

    def repairs(self, first: FileInfo, n: int) -> list[str]:
        name = label(self.info.path)
        repairs = [self.info.note] if self.info.note else []
        if self.info.rate != self.rate:
            repairs.append(f"{name}: resampled from {self.info.rate} Hz to the {self.rate} Hz of {label(first.path)}")
        missing = n - self.length
        if missing:
            pad = f"{name}: padded with {missing} samples ({missing / self.rate:.3f} s) at its end"
            short = f"; it is less than half as long as the recording ({n / self.rate:.3f} s): does it belong to it?"
            repairs.append(pad + (short if self.length < n / 2 else ""))
        return repairs
