"""The denoiser on audio files, block by block, so that a file may be of any length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bss.errors import InputError, SolverError
from bss.networks.denoiser.denoise import block_length, denoised
from bss.networks.files import Weights
from bss.signals.files.decode import BLOCK, Reader
from bss.signals.files.encode import blocks_of, check_peak, encode_blocks, format_of
from bss.signals.files.paths import label
from bss.signals.files.writing import gain_for

Progress = Callable[[float], Any]
Blocks = Iterable[np.ndarray]


@dataclass(frozen=True)
class Denoised:
    """What was done to a file: the gain against clipping, and the energy of all samples before and behind (without that gain)."""

    gain: float
    energy_before: float
    energy_after: float


def denoise_file(
    reader: Reader,
    path: Path,
    *,
    name: str,
    subtype: str,
    strength: float = 1.0,
    weights: Weights = None,
    first: Callable[[Blocks, int], Blocks] | None = None,
    progress: Progress | None = None,
) -> Denoised:
    """Write an open audio file to `path` without its noise, as `denoise` takes it out.

    A result that would clip is denoised once more and lowered as it is written: how loud it gets is known only at its end, a
    copy of all samples would take more disk than many have, and few results are as loud.

    Parameters
    ----------
    reader : Reader
        Of the recording.
    path : Path
        What is there is overwritten.
    name : str
        What the result is to be called: its suffix says the format.
    subtype : str
        Of the samples in WAV, and whether they may exceed full scale; other formats have the subtype that keeps most.
    strength, weights
        As of `denoise`.
    first : callable, optional
        (blocks, rate) -> blocks: what is done before, such as taking echo out.
    progress : callable, optional
        Called with the share done, 0 to 1.

    Raises
    ------
    InputError
        The samples are not finite; the result cannot be written, or would clip in a format that was asked to hold floats.
    """
    info = reader.info
    kind, written_as = format_of(name, None, subtype if Path(name).suffix.lower() == ".wav" else None)

    def write(gain: float) -> tuple[float, Denoised]:
        """The peak of what was written, and what was done."""
        before: list[float] = []
        after: list[float] = []
        blocks = metered(read_blocks(reader, progress), before)
        ready = blocks if first is None else first(blocks, info.rate)
        quiet = metered(denoised(ready, info.rate, strength=strength, weights=weights), after)
        lowered = quiet if gain == 1 else (y * np.float32(gain) for y in quiet)
        peak = encode_blocks(
            path, lowered, info.rate, channels=info.channels, frames=info.frames, kind=kind, subtype=written_as, name=name
        )
        return peak, Denoised(gain, sum(before), sum(after))

    peak, done = write(1.0)
    gain = gain_for(peak, subtype)
    if gain != 1:
        peak, done = write(gain)
    check_peak(peak, written_as, name)
    return done


def read_blocks(reader: Reader, progress: Progress | None = None) -> Iterator[np.ndarray]:
    """Blocks (M, k) of an open audio file as `denoise` cuts recordings; InputError where its samples are not finite."""
    return blocks_of(_read(reader, progress), block_length(reader.info.rate))


def _read(reader: Reader, progress: Progress | None) -> Iterator[np.ndarray]:
    info = reader.info
    for first in range(0, info.frames, BLOCK):  # the last bit of an MP3 depends on how much is decoded at once
        block = np.empty((info.channels, min(BLOCK, info.frames - first)), np.float32)
        reader.fill(block, first)
        if not np.isfinite(block).all():
            channel, sample = np.argwhere(~np.isfinite(block))[0]
            raise InputError(
                f"channel {channel + 1} of {label(info.path)} holds NaN or infinite samples, the first at {first + sample}",
                "they would spoil everything after them", "cut the recording before it",
            )  # fmt: skip
        yield block
        if progress is not None:
            progress((first + block.shape[1]) / info.frames)


def metered(blocks: Iterable[np.ndarray], energies: list[float]) -> Iterator[np.ndarray]:
    """The same blocks, the energy of each put down; SolverError where one is not finite."""
    for block in blocks:
        energies.append(float(np.sum(np.square(block, dtype=np.float64))))
        if not np.isfinite(energies[-1]):
            raise SolverError("the result holds NaN or infinite samples", "no file was written from it", "lower levels")
        yield block
