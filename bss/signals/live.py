"""Audio that goes through pipes while it is made: a WAV from stdin as it comes, a WAV to stdout of unknown length."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from bss.errors import InputError
from bss.signals.files.decode import PLAIN_TYPES
from bss.signals.files.encode import BITS, FLOATS, to_pcm
from bss.signals.files.headers import NEVER_FILLED_IN, WaveLayout, layout_of, stands_for_unknown
from bss.signals.values import plain_values

UNKNOWN = 0xFFFFFFFF  # the size that programs write which cannot seek back
BLOCK_SECONDS = 0.02
CHECK = "check the program before the pipe"
HINT = "a WAV of PCM or float samples: ffmpeg -i ... -f wav -, sox ... -t wav -, arecord -t wav"


class WavInput:
    """A WAV that is read as it comes.

    Parameters
    ----------
    stream : binary file
        Need not be seekable. The header is read at once.

    Attributes
    ----------
    rate, channels : int
    subtype : str
        As named by soundfile.
    declared : int or None
        Samples of each channel that the header announces; None where it does not know.

    Raises
    ------
    InputError
        The stream is empty, no WAV, or of a compressed format.
    """

    def __init__(self, stream: BinaryIO, name: str = "stdin") -> None:
        self.stream, self.name = stream, name
        layout = self._header()
        if not layout.subtype:
            raise InputError(f"the WAV on {name} is compressed", "live recordings must be PCM or float", HINT)
        self.layout, self.rate, self.channels, self.subtype = layout, layout.rate, layout.channels, layout.subtype
        self.declared = None if layout.declared is None else layout.declared // layout.block

    def blocks(self, seconds: float = BLOCK_SECONDS) -> Iterator[np.ndarray]:
        """(M, k) float32 blocks of so many seconds, the last one being shorter.

        Raises
        ------
        InputError
            The stream ends before what its header announces, or within a sample; after all that came was given.
        """
        layout, size = self.layout, max(1, round(seconds * self.rate)) * self.layout.block
        left = None if layout.declared is None else layout.declared // layout.block * layout.block
        came = 0
        while left is None or left > 0:
            data = self._read(size if left is None else min(size, left))
            came += len(data)
            whole = len(data) // layout.block * layout.block
            if whole:
                yield self._samples(data[:whole])
            if left is not None:
                left -= len(data)
            if len(data) < size and (left is None or left > 0):
                self._refuse_early(came, left)
                return

    def _refuse_early(self, came: int, left: int | None) -> None:
        block = self.layout.block
        why = "the program before the pipe ended, or the connection broke; what came until then was separated"
        if left is not None:
            at, wanted = came // block / self.rate, (came + left) // block / self.rate
            raise InputError(
                f"{self.name} ended early", f"{at:.2f} of {wanted:.2f} s came: {why}", "check the program before the pipe"
            )
        if came % block:
            raise InputError(f"{self.name} ended within a sample", why, CHECK)

    def _samples(self, data: bytes) -> np.ndarray:
        kind = np.dtype(PLAIN_TYPES[self.subtype]).newbyteorder("<" if self.layout.byte_order == "<" else ">")
        values = plain_values(np.frombuffer(data, kind), self.subtype, self.layout.byte_order)
        return np.ascontiguousarray(values.reshape(-1, self.channels).T, np.float32)

    def _read(self, count: int) -> bytes:
        """So many bytes, or all that came until the end."""
        parts: list[bytes] = []
        while count and (part := self.stream.read(count)):
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _header(self) -> WaveLayout:
        head = self._read(12)
        if not head:
            raise InputError(f"{self.name} is empty", "the program before the pipe wrote nothing", "check its messages")
        kind, order = head[:4], ">" if head[:4] == b"RIFX" else "<"
        if kind not in (b"RIFF", b"RIFX", b"RF64", b"BW64") or head[8:12] != b"WAVE":
            raise InputError(f"{self.name} is no WAV", "live recordings are read as they come, so that ffmpeg cannot help", HINT)
        fmt, wide = b"", 0
        while len(chunk := self._read(8)) == 8:
            name, length = chunk[:4], struct.unpack(order + "I", chunk[4:])[0]
            if name == b"data" and len(fmt) >= 16:
                length = wide if kind in (b"RF64", b"BW64") and length == UNKNOWN else length
                unknown = stands_for_unknown(length, kind, 0)
                return layout_of(fmt, order, 0, None if unknown else length, 0)
            body = self._read(length + length % 2)
            if name == b"ds64":
                wide = struct.unpack("<Q", body[8:16])[0]
                wide = 0 if wide >= NEVER_FILLED_IN else wide
            elif name == b"fmt ":
                fmt = body
        raise InputError(f"{self.name} is no WAV", "it ended before its samples began", HINT)


class WavOutput:
    """A WAV of unknown length that is written as it is made.

    Parameters
    ----------
    stream : binary file
        Need not be seekable. The header is written at once.
    rate : int
        Hz.
    channels : int
        N.
    subtype : str
        PCM_16, PCM_24, PCM_32 or FLOAT.

    Attributes
    ----------
    clipped : int
        Samples so far that were beyond full scale, and are now at it.
    """

    def __init__(self, stream: BinaryIO, rate: int, channels: int, subtype: str) -> None:
        self.stream, self.subtype, self.clipped = stream, subtype, 0
        bits = 32 if subtype == "FLOAT" else BITS[subtype]
        block = channels * bits // 8
        tag = 3 if subtype in FLOATS else 1
        fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)
        self._write(b"RIFF" + struct.pack("<I", UNKNOWN) + b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt)
        self._write(b"data" + struct.pack("<I", UNKNOWN))

    def write(self, y: np.ndarray) -> None:
        """Samples (N, k), at once.

        Raises
        ------
        InputError
            Nobody reads any more.
        """
        if y.shape[1]:
            self._write(self._encoded(np.asarray(y, np.float32).T))

    def _encoded(self, samples: np.ndarray) -> bytes:
        if self.subtype == "FLOAT":
            return np.ascontiguousarray(samples, "<f4").tobytes()
        self.clipped += int(np.count_nonzero(np.abs(samples) > 1))
        values = np.ascontiguousarray(to_pcm(samples, BITS[self.subtype]), "<i4")
        width = BITS[self.subtype] // 8
        # the upper bytes of the 32 bits
        return values.view(np.uint8).reshape(-1, 4)[:, 4 - width :].tobytes()

    def _write(self, data: bytes) -> None:
        try:
            self.stream.write(data)
            self.stream.flush()
        except BrokenPipeError as error:
            raise InputError("stdout was closed", "the program after the pipe exited") from error
