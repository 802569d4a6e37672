"""Encoding samples to files: formats by file name, rounding to PCM, output bytes that depend only on the samples."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from bss.checks import check_rate, check_recording
from bss.errors import InputError, UsageError
from bss.signals.files.headers import clear_peak_time
from bss.signals.files.libsndfile import error_text, sound_file

BLOCK = 1 << 16  # frames written at a time
FLOATS = ("FLOAT", "DOUBLE")
BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
WAV_LIMIT = 0xFFFFFFFF - (1 << 16)  # bytes of audio; RIFF sizes have 32 bits and include the header
# suffix -> format, and its most precise subtype for float samples
FORMATS = {
    ".wav": ("WAV", "FLOAT"),
    ".wave": ("WAV", "FLOAT"),
    ".rf64": ("RF64", "FLOAT"),
    ".w64": ("W64", "FLOAT"),
    ".caf": ("CAF", "FLOAT"),
    ".aif": ("AIFF", "FLOAT"),
    ".aiff": ("AIFF", "FLOAT"),
    ".au": ("AU", "FLOAT"),
    ".flac": ("FLAC", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
    ".oga": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}


def format_of(name: str, kind: str | None = None, subtype: str | None = None) -> tuple[str, str]:
    """Format and subtype for a file name; what is None follows from the suffix.

    Raises
    ------
    UsageError
        The suffix is not supported, or the format does not have the subtype.
    """
    import soundfile

    if subtype is not None and not isinstance(subtype, str):
        raise UsageError(f"subtype={subtype!r} is no name of a sample format", hint="such as PCM_16, PCM_24 or FLOAT")
    suffix = Path(name).suffix.lower()
    if kind is None:
        if suffix not in FORMATS:
            raise UsageError(f"cannot write {name}", f"the suffix {suffix!r} is not supported", "one of " + ", ".join(FORMATS))
        kind, usual = FORMATS[suffix]
    else:
        kind = kind.upper()
        usual = next((best for known, best in FORMATS.values() if known == kind), "PCM_16")
    chosen = (subtype or usual).upper()
    if not soundfile.check_format(kind, chosen):
        supported = ", ".join(soundfile.available_subtypes(kind)) if kind in soundfile.available_formats() else ""
        raise UsageError(f"cannot write {kind} with subtype {chosen}", hint=f"one of {supported}" if supported else "WAV or FLAC")
    return kind, chosen


def encoded_bytes(n_values: int, subtype: str) -> int:
    """File size in bytes of `n_values` samples, all channels together; for lossy subtypes that of PCM_16."""
    width = {"FLOAT": 4, "DOUBLE": 8}.get(subtype, BITS.get(subtype, 16) // 8)
    return n_values * width + 4096


def encode(path: Path, x: np.ndarray, rate: int, *, kind: str, subtype: str, name: str) -> None:
    """Write `x` (M, n) or (n,) to `path`, flushed to disk; WAV of more than 4 GiB becomes RF64.

    `name` is the name of the file in error messages.

    PCM is rounded to nearest, without dither. The same samples give the same bytes, except in Ogg, whose streams have
    random serial numbers.

    Raises
    ------
    InputError
        Samples are not finite or exceed full scale, the format does not support the shape or rate, or the disk is full.
    """
    x = check_recording(np.atleast_2d(x))
    check_rate(rate, low=1)
    check_peak(peak(x), subtype, name)
    encode_blocks(path, [x], rate, channels=len(x), frames=x.shape[1], kind=kind, subtype=subtype, name=name)


def encode_blocks(
    path: Path,
    blocks: Iterable[np.ndarray],
    rate: int,
    *,
    channels: int,
    frames: int,
    kind: str,
    subtype: str,
    name: str,
) -> float:
    """`encode` of blocks (M, k), finite and `frames` long together, in the memory of one: the same bytes, however they are cut.

    Returns the peak, which is known only behind the last block. Where it is more than full scale, and the subtype not floating
    point, the file is clipped and has to be written once more: see `check_peak`.
    """
    if kind == "WAV" and encoded_bytes(channels * frames, subtype) > WAV_LIMIT:
        kind = "RF64"
    loudest = 0.0

    def measured() -> Iterator[np.ndarray]:
        nonlocal loudest
        for block in blocks_of(blocks, BLOCK):
            loudest = max(loudest, peak(block))
            yield block

    _write_blocks(path, measured(), rate, channels, frames, kind, subtype, name)
    if kind in ("WAV", "WAVEX", "AIFF") and subtype in FLOATS:
        clear_peak_time(path)
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return loudest


def check_peak(loudest: float, subtype: str, name: str) -> None:
    """InputError where samples of this peak would be clipped."""
    if subtype not in FLOATS and loudest > 1:
        why = f"{subtype} cannot represent samples above 1, so they would be clipped"
        raise InputError(f"{name} would peak at {loudest:.4g}", why, "scale it down, or write the subtype FLOAT")


def peak(x: np.ndarray) -> float:
    """Largest magnitude; NaN if `x` contains one."""
    return float(max(np.max(x), -np.min(x)))


def to_pcm(x: np.ndarray, bits: int) -> np.ndarray:
    """Samples within [-1, 1] as int32 whose upper `bits` are the nearest PCM value; only +1 is off, by one step.

    Examples
    --------
    >>> (to_pcm(np.array([0.5, -1.0, 1.0, 1.5 / 32768]), 16) >> 16).tolist()
    [16384, -32768, 32767, 2]
    """
    top = 1 << (bits - 1)
    # libsndfile would round down, which adds half a step of DC
    nearest = np.clip(np.rint(x * np.float64(top)), -top, top - 1).astype(np.int32)
    shifted: np.ndarray = nearest << (32 - bits)
    return shifted


def blocks_of(blocks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same samples in blocks of `size`, but for the last: lossy encoders may depend on how they are fed."""
    rest: np.ndarray | None = None
    for block in blocks:
        held = block if rest is None else np.concatenate((rest, block), axis=1)
        whole = held.shape[1] // size * size
        for first in range(0, whole, size):
            yield held[:, first : first + size]
        rest = held[:, whole:] if whole < held.shape[1] else None
    if rest is not None:
        yield rest


def _write_blocks(
    path: Path, blocks: Iterable[np.ndarray], rate: int, channels: int, frames: int, kind: str, subtype: str, name: str
) -> None:
    import soundfile

    try:
        file = sound_file(path, "w", rate, channels, format=kind, subtype=subtype)
    except (soundfile.LibsndfileError, ValueError) as error:
        why = f"{channels} channels at {rate} Hz as {kind} {subtype}: {error_text(error)}"
        raise InputError(f"{name} cannot be written", why, "another format, such as .wav") from error
    full = InputError(f"{name} cannot be written", "not all samples could be written", "check whether the disk is full")
    try:
        with file:
            for block in blocks:
                samples = block.T  # libsndfile expects (k, M)
                file.write(np.ascontiguousarray(to_pcm(samples, BITS[subtype]) if subtype in BITS else samples))
        with sound_file(path) as written:  # some writers of libsndfile do not notice a full disk
            if written.seekable() and kind != "MP3":  # whose decoder complains on stderr where frames before it are missing
                written.seek(frames - 1)
            if written.frames < frames or not len(written.read(1)):
                raise full
    except (soundfile.LibsndfileError, AssertionError) as error:  # soundfile asserts that everything was written
        raise full from error
