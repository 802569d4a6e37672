"""From tracks in a store to the files of a separation, block by block: what `Unmixed.tracks` and `leveled` do in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bss.pipeline.record import DenoisedRecord
from bss.pipeline.result import LINEAR, NOISE
from bss.signals.files import encode
from bss.signals.files.track_store import BLOCK, TrackStore
from bss.signals.files.writing import OutputFolder, gain_for

RESIDUAL = "residual"
DENOISED = "denoised"


@dataclass(frozen=True)
class StoredTracks:
    """The tracks of a separation, as they will be in files.

    Attributes
    ----------
    store : TrackStore
        source1, source2 ..., noise1 ..., residual, and linear/source1 ... as the separation gave them.
    names : tuple[str, ...]
        What the sources are to be called.
    keep_noise : bool
        Whether every other sound is a file; otherwise their sum is.
    quiet : TrackStore or None
        The sources without noise; what they lost goes to the residual, if there is one.
    """

    store: TrackStore
    names: tuple[str, ...]
    keep_noise: bool = False
    quiet: TrackStore | None = None

    @property
    def n(self) -> int:
        """Samples."""
        return self.store.n

    @property
    def sources(self) -> list[str]:
        """Their names in the store."""
        return [f"source{k + 1}" for k in range(len(self.names))]

    def tracks(self) -> dict[str, Callable[[int, int], np.ndarray]]:
        """Name of each file, without suffix, to a function that reads (k,) float32 of it."""
        stored = self.store.names
        found = {name: self._source(own) for name, own in zip(self.names, self.sources, strict=True)}
        noises = [name for name in stored if name.startswith(NOISE)]
        if self.keep_noise and len(noises) > 1:
            found |= {name: self._plain(name) for name in noises}
        elif noises:
            found[NOISE] = lambda a, b: np.stack([self.store.read(name, a, b) for name in noises]).sum(0)
        if RESIDUAL in stored:
            found[RESIDUAL] = self._residual
        for name, own in zip(self.names, self.sources, strict=True):
            if LINEAR + own in stored:
                found[LINEAR + name] = self._plain(LINEAR + own)
            elif self.quiet is not None:
                found[LINEAR + name] = self._plain(own)
        return found

    def _plain(self, name: str) -> Callable[[int, int], np.ndarray]:
        return lambda a, b: self.store.read(name, a, b)

    def _source(self, name: str) -> Callable[[int, int], np.ndarray]:
        quiet = self.quiet
        return self._plain(name) if quiet is None else lambda a, b: quiet.read(name, a, b)

    def _residual(self, start: int, stop: int) -> np.ndarray:
        rest = self.store.read(RESIDUAL, start, stop)
        if self.quiet is None:
            return rest
        before, after = (np.stack([store.read(s, start, stop) for s in self.sources]) for store in (self.store, self.quiet))
        return np.asarray(rest + (before - after).sum(0))


def without_noise(tracks: StoredTracks, rate: int, cleaned: DenoisedRecord, folder: Path) -> StoredTracks:
    """The same with noise removed from the sources, as `Unmixed.denoised` does; `folder` gets the quiet sources."""
    from bss.networks.denoiser.denoise import block_length, denoised
    from bss.pipeline.dereverb import dereverberated

    quiet = TrackStore(folder)
    folder.mkdir(exist_ok=True)
    quiet.open(tracks.sources)
    quiet.cut(0)
    step = block_length(rate)
    blocks = (
        np.stack([tracks.store.read(name, start, min(start + step, tracks.n)) for name in tracks.sources])
        for start in range(0, tracks.n, step)
    )
    ready = dereverberated(blocks, rate) if cleaned.dereverb else blocks
    for block in denoised(ready, rate, strength=cleaned.strength):
        quiet.write(dict(zip(tracks.sources, block, strict=True)))
    return StoredTracks(tracks.store, tracks.names, tracks.keep_noise, quiet)


@dataclass(frozen=True)
class Written:
    """The files of the tracks, the common gain that was applied to them, and their sample format."""

    files: tuple[str, ...]
    gain: float
    subtype: str


Read = Callable[[int, int], np.ndarray]


def level(reads: Sequence[Read], n: int, subtype: str, clip: str) -> tuple[float, str]:
    """The common gain against clipping, and the sample format that can represent all of these signals."""
    loudest = max(encode.peak(block) for read in reads for block in _blocks(read, n))
    if clip == "keep":
        return 1.0, "FLOAT" if loudest > 1.0 and subtype != "DOUBLE" else subtype
    return gain_for(loudest, subtype), subtype


def write_tracks(out: OutputFolder, tracks: StoredTracks, rate: int, subtype: str, clip: str) -> Written:
    """Write all tracks as WAV, RF64 where they are longer than WAV can be: the bytes that tracks in memory would give."""
    reads, n = tracks.tracks(), tracks.n
    gain, subtype = level(list(reads.values()), n, subtype, clip)
    for name, read in reads.items():
        out.blocks(f"{name}.wav", (_times(block, gain)[None] for block in _blocks(read, n)), rate, n, subtype=subtype)
    return Written(tuple(f"{name}.wav" for name in reads), gain, subtype)


def write_stacked(path: Path, tracks: StoredTracks, rate: int, subtype: str, clip: str) -> Written:
    """Write the sources as the channels of one WAV."""
    reads, n = [tracks.tracks()[name] for name in tracks.names], tracks.n
    gain, subtype = level(reads, n, subtype, clip)
    together = _blocks(lambda a, b: np.stack([read(a, b) for read in reads]), n)
    blocks = (_times(block, gain) for block in together)
    encode.encode_blocks(path, blocks, rate, channels=len(reads), frames=n, kind="WAV", subtype=subtype, name="stdout")
    return Written((), gain, subtype)


def _blocks(read: Read, n: int) -> Iterator[np.ndarray]:
    return (read(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK))


def _times(block: np.ndarray, gain: float) -> np.ndarray:
    return block if gain == 1.0 else block * np.float32(gain)
