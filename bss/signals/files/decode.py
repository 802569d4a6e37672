"""Reading any audio file: with libsndfile, else with ffmpeg, and never less of a file than it contains without an error."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bss.checks import HIGHEST_RATE, LOWEST_RATE
from bss.errors import InputError
from bss.signals import streams
from bss.signals.files import ffmpeg, headers
from bss.signals.files.libsndfile import error_text, sound_file, without_notes
from bss.signals.files.paths import STDIN, label
from bss.signals.values import bounded, plain_values

BLOCK = 1 << 17  # frames read at a time
MP3_SLACK = 4 * 1152  # samples: the header frame, and the padding that encoder and decoder add at both ends
PLAIN_TYPES = {"PCM_U8": "u1", "PCM_16": "i2", "PCM_24": "u1", "PCM_32": "i4", "FLOAT": "f4", "DOUBLE": "f8"}


@dataclass(frozen=True)
class FileInfo:
    """The properties of an audio file from its header. `note` is a warning if the header was wrong."""

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
    exact: bool  # whether a sample is the same when those before it were not read

    def fill(self, out: np.ndarray, start: int) -> None:
        """Read frames from `start` into `out` (channels, k) float32; InputError if the file ends too early."""

    def close(self) -> None:
        """Close the file."""


@contextmanager
def opened(path: Path) -> Iterator[Reader]:
    """A reader of an audio file, or of stdin for ``Path("-")``.

    Raises
    ------
    InputError
        The file is not audio, truncated, damaged or empty, or needs ffmpeg and ffmpeg is not installed.
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
        original = ffmpeg.describe(file)
        kind = file.suffix.lstrip(".").upper() or "UNKNOWN"
        decoded.info = replace(decoded.info, format=kind, subtype=original.subtype if original else "UNKNOWN")
        with closing(decoded):
            yield decoded


def describe(path: Path) -> FileInfo:
    """The properties of an audio file, without decoding it where that can be avoided."""
    file = _on_disk(path)
    reader = _native(file, path)
    if not isinstance(reader, str):
        with closing(reader):
            return reader.info
    original = ffmpeg.describe(file)
    if original is None or not original.seconds:
        with opened(path) as decoded:
            return decoded.info
    frames = round(original.seconds * original.rate)
    return FileInfo(path, original.rate, original.channels, frames, file.suffix.lstrip(".").upper(), original.subtype)


def _on_disk(path: Path) -> Path:
    file = streams.spool_stdin() if path == STDIN else path
    try:
        with file.open("rb") as stream:
            empty = not stream.read(1)
    except OSError as error:
        raise InputError(f"{label(path)} cannot be opened", str(error)) from error
    if empty:
        raise InputError(f"{label(path)} is empty", "the file has a size of zero", "record or copy it again")
    if file.suffix.lower() in (".raw", ".pcm"):
        hint = f"specify them: ffmpeg -f s16le -ar 16000 -ac 4 -i {shlex.quote(str(path))} named.wav"
        raise InputError(f"{path} has no header", "its rate, channels and sample format are unknown", hint)
    return file


def _native(file: Path, path: Path) -> _Sound | _Plain | str:
    """A reader that does without ffmpeg, or the reason why there is none."""
    import soundfile

    try:
        with without_notes() if _may_be_mp3(file) else nullcontext():
            sound = sound_file(file)
    except soundfile.LibsndfileError as error:
        return error_text(error)
    info = FileInfo(path, sound.samplerate, sound.channels, sound.frames, sound.format, sound.subtype)
    try:
        _refuse_rate(info)
        reader = _checked(file, sound, info)
    except BaseException:
        sound.close()
        raise
    if not isinstance(reader, _Sound):
        sound.close()
    if not isinstance(reader, str) and reader.info.frames == 0:
        reader.close()
        raise InputError(f"{label(path)} contains no samples", "its header is valid, but nothing was recorded", "leave it out")
    return reader


def _may_be_mp3(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(4) not in (b"RIFF", b"RF64", b"RIFX", b"riff", b"fLaC", b"OggS", b"FORM", b"caff", b".snd")


def _refuse_rate(info: FileInfo) -> None:
    if not LOWEST_RATE <= info.rate <= HIGHEST_RATE:
        raise InputError(
            f"{label(info.path)} has a sample rate of {info.rate} Hz", "no recording has such a rate: its header is wrong",
            f"write the header anew with the true rate: sox -r 16000 {shlex.quote(label(info.path))} fixed.wav",
        )  # fmt: skip


def _checked(file: Path, sound: Any, info: FileInfo) -> _Sound | _Plain | str:
    """The reader for a file that libsndfile can open, after checking that it would read all of it."""
    name = label(info.path)
    if info.format in ("WAV", "WAVEX", "RF64", "W64"):
        layout = headers.wave_layout(file)
        if layout and layout.truncated:
            raise _truncated(name, f"the header announces {layout.declared} bytes of audio, the file contains {layout.available}")
        if layout and layout.subtype and (layout.declared is None or layout.subtype != info.subtype):
            return _Plain(file, layout, info)
    elif info.format == "OGG":
        fault = headers.ogg_fault(file)
        if fault == "truncated":
            raise _truncated(name, "its last page is missing")
        if fault == "chained":
            return "it contains several consecutive streams, and libsndfile reads only the first"
    elif info.format == "MP3":
        with without_notes():
            return _checked_mp3(file, sound, info)
    elif any(int(declared) > int(actual) for declared, actual in re.findall(r"(\d+) \(should be (\d+)\)", sound.extra_info)):
        raise _truncated(name, "the header announces more than the file contains")
    if info.frames >= headers.NEVER_FILLED_IN:
        return "its header does not state its length"
    return _Sound(sound, info)


def _checked_mp3(file: Path, sound: Any, info: FileInfo) -> _Sound | str:
    counted, declared = headers.mp3_length(file)
    frames = info.frames
    if not declared:  # then libsndfile estimates the length from the bit rate, and stops there
        frames = 0
        while block := len(sound.read(BLOCK, dtype="float32")):
            frames += block
        sound.seek(0)
        counted = counted or frames + (MP3_SLACK + 1) * (frames == info.frames)
    if frames < counted - MP3_SLACK:
        return f"libsndfile reads only {frames} of about {counted} samples"
    if frames > counted + MP3_SLACK:
        raise _truncated(label(info.path), f"the header announces {frames} samples, the file contains about {counted}")
    return _Sound(sound, replace(info, frames=frames))


def _truncated(name: str, why: str) -> InputError:
    hint = f"copy it again, or recover the rest: ffmpeg -i {shlex.quote(name)} fixed.wav"
    return InputError(
        f"{name} is truncated", why, "check whether the program before the pipe failed" if name == "stdin" else hint
    )


class _Sound:
    """A file read by libsndfile."""

    def __init__(self, sound: Any, info: FileInfo) -> None:
        self.sound, self.info = sound, info
        self.position: int | None = None  # the frame that is read next, once there was one
        self.exact = bool(sound.seekable())

    def fill(self, out: np.ndarray, start: int) -> None:
        with without_notes() if self.info.format == "MP3" else nullcontext():
            self._fill(out, start)

    def _fill(self, out: np.ndarray, start: int) -> None:
        import soundfile

        name, done, n = label(self.info.path), 0, out.shape[1]
        try:
            self._seek(start)
            while done < n:
                block = self.sound.read(min(BLOCK, n - done), dtype="float32", always_2d=True)
                if not len(block):
                    why = f"the header announces {self.info.frames} samples, the file ends after {start + done}"
                    raise _truncated(name, why)
                out[:, done : done + len(block)] = bounded(block).T  # libsndfile gives (k, M)
                done += len(block)
                self.position = start + done
        except soundfile.LibsndfileError as error:
            at = (start + done) / self.info.rate
            why = f"{error_text(error)}, at {at:.2f} s or later"
            raise InputError(f"{name} is truncated or damaged", why, "copy it again, or stop before with --end") from error

    def _seek(self, start: int) -> None:
        if start == self.position:  # decoders round otherwise behind a seek, and blocks in a row should be what the whole is
            return
        if self.sound.seekable():
            self.sound.seek(start)
            self.position = start
            return
        # GSM and some ADPCM: each sample depends on all samples before it
        if self.position is None or start < self.position:
            name = self.sound.name
            self.sound.close()
            self.sound, self.position = type(self.sound)(name), 0
        left = start - self.position
        while left and (skipped := len(self.sound.read(min(BLOCK, left), dtype="float32"))):
            left -= skipped
        self.position = start

    def close(self) -> None:
        self.sound.close()


class _Plain:
    """A PCM or float WAV whose header libsndfile misreads: a stream without sizes, or a float W64 that it takes for PCM."""

    exact = True

    def __init__(self, file: Path, layout: headers.WaveLayout, info: FileInfo) -> None:
        n_bytes = layout.available if layout.declared is None else layout.declared
        frames, self.layout, self.file = n_bytes // layout.block, layout, file.open("rb")
        note = ""
        if layout.declared is None and info.path != STDIN:  # a pipe cannot know its length
            seconds = frames / layout.rate
            note = f"{label(info.path)}: its header does not state its length; all {seconds:.3f} s after it were read"
        self.info = replace(info, frames=frames, subtype=layout.subtype, note=note)

    def fill(self, out: np.ndarray, start: int) -> None:
        layout, (channels, n) = self.layout, out.shape
        kind = np.dtype(PLAIN_TYPES[self.info.subtype]).newbyteorder("<" if layout.byte_order == "<" else ">")
        self.file.seek(layout.offset + start * layout.block)
        for first in range(0, n, BLOCK):
            count = min(BLOCK, n - first)
            data = self.file.read(count * layout.block)
            if len(data) < count * layout.block:
                raise _truncated(label(self.info.path), f"it ended while it was being read, {n - first} samples too early")
            values = plain_values(np.frombuffer(data, kind), self.info.subtype, layout.byte_order)
            with np.errstate(over="ignore", invalid="ignore"):  # of doubles
                out[:, first : first + count] = bounded(values.astype(np.float32)).reshape(count, channels).T

    def close(self) -> None:
        self.file.close()
