"""Reading and writing recordings: files of one or more channels as one array, with one rate and one length."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bss.signals.files.blocks import Files, open_blocks
from bss.signals.files.decode import FileInfo, describe
from bss.signals.files.encode import encoded_bytes, format_of
from bss.signals.files.parts import Channel as Channel
from bss.signals.files.paths import expand
from bss.signals.files.writing import output_folder


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
    with open_blocks(files, start=start, end=end) as blocks:
        x = blocks.whole()
    return Recording(x, blocks.rate, blocks.channels, blocks.format, blocks.subtype, blocks.repairs)


def read(files: Files) -> tuple[np.ndarray, int]:
    """Read a recording as an array.

    Files of different rates or lengths are adjusted, and a warning is logged for each adjustment; `bss.signals.files.audio.load`
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
