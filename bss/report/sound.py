"""The sound of the tracks, for a page: inside it, compressed, or in files beside it."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from bss.report.material import Material, Track
from bss.signals.files import encode
from bss.signals.files.writing import OutputFolder
from bss.signals.resample import Resampling, resampled_length

LOSSLESS_SAMPLES = 12_000_000  # of all tracks: FLAC of them is about 15 MB, and 20 MB in a page
INSIDE_BYTES = 40e6  # of a page
INSIDE_SAMPLES = 200_000_000  # which a browser holds as floating point
# MP3 plays in every browser, is six times as fast as Opus to make, and the same sound gives the same bytes.
# Its rates -> bits per second of a track at most; tracks of higher rates are converted, as there is little to hear above 12 kHz
MP3_BITS = {8_000: 28e3, 11_025: 40e3, 12_000: 42e3, 16_000: 52e3, 22_050: 80e3, 24_000: 86e3}
FULL_SCALE = 0.999  # of the loudest sample, where tracks are louder than files of whole numbers can hold


@dataclass(frozen=True)
class Sound:
    """How a page gets at the sound.

    Attributes
    ----------
    inside : bool
        Whether the page holds it; otherwise it refers to files.
    kind : {"FLAC", "MP3"}
        What it is compressed as, and `rate` its rate in Hz.
    gain : float
        By which all tracks are multiplied, so that none is clipped.
    """

    inside: bool
    kind: str
    rate: int
    gain: float = 1.0


def choose(material: Material, peak: float = 1.0) -> Sound:
    """Without loss where that is small, else as MP3, else in files beside the page."""
    samples, seconds = len(material.tracks) * material.n, len(material.tracks) * material.seconds
    gain = 1.0 if peak <= 1 else FULL_SCALE / peak
    if samples <= LOSSLESS_SAMPLES:
        return Sound(True, "FLAC", material.rate, gain)
    rate = next((r for r in MP3_BITS if r >= material.rate), max(MP3_BITS))
    in_base64 = seconds * MP3_BITS[rate] / 8 * 4 / 3
    return Sound(in_base64 <= INSIDE_BYTES and samples <= INSIDE_SAMPLES, "MP3", rate, gain)


def inlined(sound: Sound, track: Track, material: Material) -> str:
    """A track, compressed, in base64."""
    with tempfile.TemporaryDirectory(prefix="bss-") as folder:
        path = Path(folder, "track")
        _encode(path, sound, track, material)
        return base64.b64encode(path.read_bytes()).decode("ascii")


def beside(page: Path, sound: Sound, k: int, track: Track, material: Material, out: OutputFolder) -> str:
    """The address of track k as the page has to give it; what is not in a file of its own gets one."""
    if track.file is not None and sound.gain == 1.0:
        return address(track.file, page.parent)
    name = file_names(page, material)[k]
    with out.file(name) as path:
        _encode(path, sound, track, material)
    return quote(name)


def file_names(page: Path, material: Material) -> list[str]:
    """The files beside the page that may be written for its tracks."""
    return [f"{page.stem}_files/track{k + 1}.mp3" for k in range(len(material.tracks))]


def address(file: Path, folder: Path) -> str:
    """A file as seen from a page in `folder`, as a URL."""
    try:
        return quote(Path(os.path.relpath(file, folder)).as_posix())
    except ValueError:  # on another drive
        return file.resolve().as_uri()


def _encode(path: Path, sound: Sound, track: Track, material: Material) -> None:
    frames = resampled_length(material.n, material.rate, sound.rate)
    kind, subtype = (sound.kind, "PCM_16" if sound.kind == "FLAC" else "MPEG_LAYER_III")
    blocks = _blocks(sound, track, material)
    encode.encode_blocks(path, blocks, sound.rate, channels=1, frames=frames, kind=kind, subtype=subtype, name=track.name)


def _blocks(sound: Sound, track: Track, material: Material) -> Iterator[np.ndarray]:
    """The track in blocks (1, k) at the rate and level of the sound."""
    step = 1 << 18
    pieces = (
        track.signal.read(start, min(start + step, material.n))[None] * np.float32(sound.gain)
        for start in range(0, material.n, step)
    )
    if sound.rate == material.rate:
        yield from pieces
        return
    stream = Resampling(material.rate, sound.rate, 1)
    for piece in pieces:
        yield np.clip(stream.push(piece), -1, 1)  # band-limiting may overshoot a little
    yield np.clip(stream.end(), -1, 1)
