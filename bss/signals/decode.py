"""One way to read any audio file: libsndfile first, ffmpeg second, and never less than the file holds without a word."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bss.errors import InputError
from bss.signals import ffmpeg, headers, streams
from bss.signals.libsndfile import complaint, sound_file
from bss.signals.paths import STDIN, label

BLOCK = 1 << 17  # frames read at a time
MP3_SLACK = 4 * 1152  # samples: the header frame and what encoder and decoder add before and after the sound
PLAIN_TYPES = {"PCM_U8": "u1", "PCM_16": "i2", "PCM_24": "u1", "PCM_32": "i4", "FLOAT": "f4", "DOUBLE": "f8"}


@dataclass(frozen=True)
class FileInfo:
    """What the header of an audio file says. `note` is a sentence where the header was wrong and had to be repaired."""

    path: Path
    rate: int
    channels: int
    frames: int
    format: str
    subtype: str
    note: str = ""

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.rate


class Reader(Protocol):
    """An open audio file."""

    info: FileInfo

    def fill(self, out: np.ndarray, start: int) -> None:
        """Read frames from `start` into `out` (channels, k) float32; InputError if the file ends before."""

    def close(self) -> None:
        """Give the file back."""


@contextmanager
def opened(path: Path) -> Iterator[Reader]:
    """The reader of an audio file, or of stdin for ``Path("-")``.

    Raises
    ------
    InputError
        Not audio, truncated, damaged, without samples, or of a kind that needs ffmpeg where there is none.
    """
    file = _on_disk(path)
    reader = _native(file, path)
    if not isinstance(reader, str):
        with closing(reader):
            yield reader
        return
    with tempfile.TemporaryDirectory(prefix="bss-") as folder:
        decoded = _native(ffmpeg.decode(file, label(path), reader, Path(folder)), path)
        if isinstance(decoded, str):
            raise InputError(f"{label(path)} cannot be read", decoded, "export it as WAV")
        known = ffmpeg.describe(file)
        kind = file.suffix.lstrip(".").upper() or "UNKNOWN"
        decoded.info = replace(decoded.info, format=kind, subtype=known.subtype if known else "UNKNOWN")
        with closing(decoded):
            yield decoded


def describe(path: Path) -> FileInfo:
    """What the header of an audio file says, without decoding it where that can be avoided."""
    file = _on_disk(path)
    reader = _native(file, path)
    if not isinstance(reader, str):
        with closing(reader):
            return reader.info
    known = ffmpeg.describe(file)
    if known is None or not known.seconds:
        with opened(path) as decoded:
            return decoded.info
    frames = round(known.seconds * known.rate)
    return FileInfo(path, known.rate, known.channels, frames, file.suffix.lstrip(".").upper(), known.subtype)


def _on_disk(path: Path) -> Path:
    file = streams.spool_stdin() if path == STDIN else path
    try:
        with file.open("rb") as stream:
            empty = not stream.read(1)
    except OSError as error:
        raise InputError(f"{label(path)} cannot be opened", str(error)) from error
    if empty:
        raise InputError(f"{label(path)} is empty", "the file has no bytes", "record or copy it again")
    if file.suffix.lower() in (".raw", ".pcm"):
        hint = f"say what it holds: ffmpeg -f s16le -ar 16000 -ac 4 -i {shlex.quote(str(path))} named.wav"
        raise InputError(f"{path} has no header", "its rate, channels and sample format are not known", hint)
    return file


def _native(file: Path, path: Path) -> _Sound | _Plain | str:
    """A reader without ffmpeg; or the reason why there is none."""
    import soundfile

    try:
        sound = sound_file(file)
    except soundfile.LibsndfileError as error:
        return complaint(error)
    info = FileInfo(path, sound.samplerate, sound.channels, sound.frames, sound.format, sound.subtype)
    try:
        reader = _checked(file, sound, info)
    except BaseException:
        sound.close()
        raise
    if not isinstance(reader, _Sound):
        sound.close()
    if not isinstance(reader, str) and reader.info.frames == 0:
        reader.close()
        raise InputError(f"{label(path)} has no samples", "its header is good, but nothing was recorded", "leave it out")
    return reader


def _checked(file: Path, sound: Any, info: FileInfo) -> _Sound | _Plain | str:
    """The reader for a file that libsndfile opened, after a look at whether it would read all of it."""
    name = label(info.path)
    if info.format in ("WAV", "WAVEX", "RF64", "W64"):
        layout = headers.wave_layout(file)
        if layout and layout.truncated:
            raise _truncated(name, f"the header says {layout.declared} bytes of audio, the file holds {layout.available}")
        if layout and layout.subtype and (layout.declared is None or layout.subtype != info.subtype):
            return _Plain(file, layout, info)
    elif info.format == "OGG":
        fault = headers.ogg_fault(file)
        if fault == "truncated":
            raise _truncated(name, "its last page is missing")
        if fault == "chained":
            return "it holds several streams, one behind the other, of which libsndfile reads the first"
    elif info.format == "MP3":
        return _checked_mp3(file, sound, info)
    elif any(int(said) > int(held) for said, held in re.findall(r"(\d+) \(should be (\d+)\)", sound.extra_info)):
        raise _truncated(name, "the header says more than the file holds")
    if info.frames >= headers.NEVER_FILLED_IN:
        return "its header does not say how long it is"
    return _Sound(sound, info)


def _checked_mp3(file: Path, sound: Any, info: FileInfo) -> _Sound | str:
    counted, header_says = headers.mp3_length(file)
    frames = info.frames
    if not header_says:  # then libsndfile guesses the length from the bit rate, and stops there
        frames = 0
        while block := len(sound.read(BLOCK, dtype="float32")):
            frames += block
        sound.seek(0)
        counted = counted or frames + (MP3_SLACK + 1) * (frames == info.frames)
    if frames < counted - MP3_SLACK:
        return f"libsndfile reads only {frames} of about {counted} samples"
    if frames > counted + MP3_SLACK:
        raise _truncated(label(info.path), f"the header says {frames} samples, the file holds about {counted}")
    return _Sound(sound, replace(info, frames=frames))


def _truncated(name: str, why: str) -> InputError:
    hint = f"copy it again, or save what is there: ffmpeg -i {shlex.quote(name)} fixed.wav"
    return InputError(f"{name} is truncated", why, "look whether the program before the pipe failed" if name == "stdin" else hint)


class _Sound:
    """A file read by libsndfile."""

    def __init__(self, sound: Any, info: FileInfo) -> None:
        self.sound, self.info = sound, info

    def fill(self, out: np.ndarray, start: int) -> None:
        import soundfile

        name, done, n = label(self.info.path), 0, out.shape[1]
        try:
            self._go_to(start)
            while done < n:
                block = self.sound.read(min(BLOCK, n - done), dtype="float32", always_2d=True)
                if not len(block):
                    why = f"the header says {self.info.frames} samples, the file ends after {start + done}"
                    raise _truncated(name, why)
                out[:, done : done + len(block)] = block.T  # libsndfile gives (k, M)
                done += len(block)
        except soundfile.LibsndfileError as error:
            at = (start + done) / self.info.rate
            why = f"{complaint(error)}, at {at:.2f} s or later"
            raise InputError(f"{name} is truncated or damaged", why, "copy it again, or use --end to stop before") from error

    def _go_to(self, start: int) -> None:
        if self.sound.seekable():
            self.sound.seek(start)
            return
        # GSM and some ADPCM: each sample follows from all before it
        name = self.sound.name
        self.sound.close()
        self.sound = type(self.sound)(name)
        while start and (skipped := len(self.sound.read(min(BLOCK, start), dtype="float32"))):
            start -= skipped

    def close(self) -> None:
        self.sound.close()


class _Plain:
    """A PCM or float WAV whose header libsndfile gets wrong: a stream without sizes, or a float W64 that it takes for PCM."""

    def __init__(self, file: Path, layout: headers.WaveLayout, info: FileInfo) -> None:
        held = layout.available if layout.declared is None else layout.declared
        frames, self.layout, self.file = held // layout.block, layout, file.open("rb")
        note = ""
        if layout.declared is None and info.path != STDIN:  # nothing else is to be expected of a pipe
            seconds = frames / layout.rate
            note = f"{label(info.path)}: its header does not say its length, all {seconds:.3f} s that follow it were taken"
        self.info = replace(info, frames=frames, subtype=layout.subtype, note=note)

    def fill(self, out: np.ndarray, start: int) -> None:
        layout, (channels, n) = self.layout, out.shape
        kind = np.dtype(PLAIN_TYPES[self.info.subtype]).newbyteorder("<" if layout.byte_order == "<" else ">")
        self.file.seek(layout.offset + start * layout.block)
        for first in range(0, n, BLOCK):
            count = min(BLOCK, n - first)
            data = self.file.read(count * layout.block)
            if len(data) < count * layout.block:
                raise _truncated(label(self.info.path), f"it ended while it was read, {n - first} samples too early")
            values = _plain_values(np.frombuffer(data, kind), self.info.subtype, layout.byte_order)
            out[:, first : first + count] = values.reshape(count, channels).T

    def close(self) -> None:
        self.file.close()


def _plain_values(raw: np.ndarray, subtype: str, byte_order: str) -> np.ndarray:
    """Samples as numbers of full scale 1."""
    values: np.ndarray = raw
    if subtype == "PCM_24":
        order = (0, 1, 2) if byte_order == "<" else (2, 1, 0)
        low, mid, high = (raw[k::3].astype(np.int32) for k in order)
        # the byte of most weight goes to the top of the 32 bits, and with it the sign
        values = (high << 24 | mid << 16 | low << 8) / np.float64(1 << 31)
    elif subtype == "PCM_U8":
        values = (raw.astype(np.float32) - 128) / 128
    elif subtype.startswith("PCM"):
        values = raw / np.float64(1 << 8 * raw.itemsize - 1)
    return values
