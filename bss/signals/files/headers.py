"""The lengths stated in the headers of audio files, to detect files that libsndfile would cut short silently.

These are a WAV that ends early, a stream whose sizes were never filled in, several consecutive Ogg streams, and an MP3 whose
length libsndfile can only estimate.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

# WAVE formats whose samples can be read without libsndfile: (format tag, bytes per sample) -> subtype
PLAIN = {
    (1, 1): "PCM_U8",
    (1, 2): "PCM_16",
    (1, 3): "PCM_24",
    (1, 4): "PCM_32",
    (3, 4): "FLOAT",
    (3, 8): "DOUBLE",
}
EXTENSIBLE = 0xFFFE
NEVER_FILLED_IN = 1 << 62  # sizes from here on mean "unknown" in 64-bit headers
OVER_4_GIB = 0xFFFFFFFF + 8


@dataclass(frozen=True)
class WaveLayout:
    """Where the samples of a WAV, RF64 or W64 file are. `declared`, in bytes, is None where the header does not state it."""

    offset: int
    declared: int | None
    available: int
    block: int  # bytes of a frame, or of a block of a compressed format
    channels: int
    rate: int
    subtype: str  # "" unless PLAIN
    byte_order: str

    @property
    def truncated(self) -> bool:
        """Whether the header announces more than the file contains."""
        return self.declared is not None and self.declared // self.block > self.available // self.block


def wave_layout(path: Path) -> WaveLayout | None:
    """The layout of a WAV, RF64 or W64 file; None for any other file, and for one without a format or data chunk."""
    size = path.stat().st_size
    with path.open("rb") as file:
        kind = file.read(4)
        order = ">" if kind == b"RIFX" else "<"
        fmt, riff_size, data_size = b"", _riff_size(file, kind, order), 0
        for name, start, length in _chunks(file, kind, order):
            file.seek(start)
            if name == b"ds64":
                riff_size, data_size = struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))
            elif name == b"fmt ":
                fmt = file.read(min(length, 40))
            elif name == b"data" and len(fmt) >= 16:
                length = data_size if kind in (b"RF64", b"BW64") and length == 0xFFFFFFFF else length
                unfinished = abs(size - 8 - riff_size) > 1 if kind != b"riff" else size != riff_size
                unknown = unfinished and stands_for_unknown(length, kind, size)
                return layout_of(fmt, order, start, None if unknown else length, size - start)
    return None


def _riff_size(file: BinaryIO, kind: bytes, order: str) -> int:
    if kind == b"riff":
        file.seek(16)
        return int.from_bytes(file.read(8), "little")
    file.seek(4)
    return int.from_bytes(file.read(4), "little" if order == "<" else "big")


def _chunks(file: BinaryIO, kind: bytes, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset and length of each chunk of a RIFF-like or FORM file."""
    if kind not in (b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM"):
        return
    wide = kind == b"riff"
    at = 40 if wide else 12
    while True:
        file.seek(at)
        head = file.read(24 if wide else 8)
        if len(head) < (24 if wide else 8):
            return
        # the sizes of W64 chunks include their header of 24 bytes, and chunks start at multiples of 8
        length = struct.unpack("<Q", head[16:])[0] - 24 if wide else struct.unpack(order + "I", head[4:])[0]
        at += len(head)
        yield head[:4], at, max(length, 0)
        at += max(length, 0) + (-length % 8 if wide else length % 2)


def stands_for_unknown(length: int, kind: bytes, file_size: int) -> bool:
    """Whether a data size is a placeholder, written by a program that could not seek back: 0, or the largest that fits."""
    if length == 0 or length >= NEVER_FILLED_IN:
        return True
    if kind == b"riff":
        return False
    # ffmpeg writes 2^32-1; sox and arecord write about 2^31; in a RIFF file of over 4 GiB the size has wrapped around
    return length >= 0xFFFFFF00 or abs(length - 0x7FFFFFFF) <= 0x2000 or (kind != b"RF64" and file_size > OVER_4_GIB)


def layout_of(fmt: bytes, order: str, offset: int, declared: int | None, available: int) -> WaveLayout:
    tag, channels, rate, _, block, bits = struct.unpack(order + "HHIIHH", fmt[:16])
    if tag == EXTENSIBLE and len(fmt) >= 26:
        tag = struct.unpack(order + "H", fmt[24:26])[0]
    width = block // max(channels, 1)
    subtype = PLAIN.get((tag, width), "") if width * channels == block and bits > 8 * (width - 1) else ""
    return WaveLayout(offset, declared, available, max(block, 1), channels, rate, subtype, order)


def clear_peak_time(path: Path) -> None:
    """Zero the time stamp in the PEAK chunk of a float WAV or AIFF file, so that the same samples give the same bytes."""
    with path.open("r+b") as file:
        kind = file.read(4)
        for name, start, _ in _chunks(file, kind, ">" if kind in (b"RIFX", b"FORM") else "<"):
            if name == b"PEAK":  # version, time, then value and position per channel
                file.seek(start + 4)
                file.write(bytes(4))
                return
            if name == b"data":
                return


def ogg_fault(path: Path) -> str:
    """``"truncated"``; ``"chained"`` for an Ogg file of several consecutive streams; ``""`` for an intact one."""
    with path.open("rb") as file:
        first = file.read(27)
        file.seek(max(path.stat().st_size - 65536 - 512, 0))  # a page is at most 65307 bytes
        tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0 or len(tail) < page + 27:
        return "truncated"
    head = tail[page : page + 27]
    lengths = tail[page + 27 : page + 27 + head[26]]
    if len(lengths) < head[26] or len(tail) < page + 27 + head[26] + sum(lengths) or not head[5] & 4:
        return "truncated"  # the last page is incomplete, or not marked as the end of the stream
    return "chained" if head[14:18] != first[14:18] else ""


_KBIT = {  # bit rates of layer III, by whether the version is MPEG-1
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def mp3_length(path: Path) -> tuple[int, bool]:
    """Samples per channel in an MPEG layer III file, counted frame by frame, and whether a header states their number."""
    data = path.read_bytes()
    at, samples, declared, in_sync = 0, 0, False, False
    if data[:3] == b"ID3" and len(data) > 10:
        at = 10 + (data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9])
    while 0 <= at <= len(data) - 4:
        length, inside = _mp3_frame(data[at : at + 4])
        # what resembles a frame in a tag or picture is not followed by another frame
        if not length or not (in_sync or data[at + length : at + length + 1] in (b"\xff", b"")):
            at, in_sync = data.find(b"\xff", at + 1), False
            continue
        if samples == 0:
            declared = any(mark in data[at : at + 200] for mark in (b"Xing", b"Info", b"VBRI"))
        at, samples, in_sync = at + length, samples + inside, True
    return samples, declared


def _mp3_frame(head: bytes) -> tuple[int, int]:
    """Bytes and samples of the layer III frame with this header; zeros if it is not one."""
    version, bit_rate, hz = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if head[0] != 0xFF or head[1] & 0xE6 != 0xE2 or version == 1 or not 0 < bit_rate < 15 or hz == 3:
        return 0, 0
    first = version == 3
    return (144000 if first else 72000) * _KBIT[first][bit_rate] // _HZ[version][hz] + (head[2] >> 1 & 1), (
        1152 if first else 576
    )
