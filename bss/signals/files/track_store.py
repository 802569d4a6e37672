"""Tracks that grow block by block, in a folder: what they hold outlives the program, so that it can be continued."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bss.errors import InputError, SolverError
from bss.signals.files import encode

BLOCK = 1 << 18  # samples read at a time


class TrackStore:
    """Tracks of one length, as float32 without header, a file each.

    Parameters
    ----------
    folder : path
        Exists; the files in it are 0.f32, 1.f32 ... in the order of the names.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = TrackStore(Path(folder))
    ...     store.open(["a", "b"])
    ...     store.write({"a": np.ones(3, np.float32), "b": np.zeros(3, np.float32)})
    ...     store.cut(2)
    ...     store.n, store.read("a", 0, 2).tolist()
    (2, [1.0, 1.0])
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: tuple[str, ...] = ()
        self.n = 0  # samples so far

    def open(self, names: Sequence[str]) -> None:
        """Begin with these tracks, or go on with what the folder has of them, after the last sample that all of them have."""
        self.names = tuple(names)
        for k in range(len(self.names)):
            self._path(k).touch()
        self.cut(min((self._path(k).stat().st_size // 4 for k in range(len(self.names))), default=0))

    def write(self, tracks: dict[str, np.ndarray]) -> None:
        """Append the next samples of every track, (k,) each.

        Raises
        ------
        InputError
            The disk is full.
        SolverError
            A sample is not finite.
        """
        blocks = [np.ascontiguousarray(tracks[name], np.float32) for name in self.names]
        if len(tracks) != len(blocks) or len({len(block) for block in blocks}) > 1:
            raise ValueError("a block has samples of every track, and as many of each")
        for k, (name, block) in enumerate(zip(self.names, blocks, strict=True)):
            if not np.isfinite(block).all():
                why = "no files were written"
                raise SolverError(f"track {name} of the result contains NaN or infinite samples", why, "another --method")
            try:
                with self._path(k).open("ab") as file:
                    file.write(block.data)
            except OSError as error:
                raise disk_full(self.folder, error.strerror or str(error)) from error
        self.n += len(blocks[0]) if blocks else 0

    def flush(self) -> None:
        """Wait until what was written is on the disk."""
        for k in range(len(self.names)):
            with self._path(k).open("rb+") as file:
                os.fsync(file.fileno())

    def cut(self, n: int) -> None:
        """Forget what comes after `n` samples."""
        for k in range(len(self.names)):
            if self._path(k).stat().st_size < 4 * n:
                raise ValueError(f"{self.names[k]} has fewer than {n} samples")
            os.truncate(self._path(k), 4 * n)
        self.n = n

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        """(stop - start,) float32."""
        with self._path(self.names.index(name)).open("rb") as file:
            file.seek(4 * start)
            return np.frombuffer(file.read(4 * (stop - start)), np.float32)

    def replace(self, name: str, start: int, block: np.ndarray) -> None:
        """Other samples from `start` on; there are as many already."""
        with self._path(self.names.index(name)).open("rb+") as file:
            file.seek(4 * start)
            file.write(np.ascontiguousarray(block, np.float32).data)

    def blocks(self, name: str, gain: float = 1.0) -> Iterator[np.ndarray]:
        """All of a track in blocks (1, k), times a gain."""
        for start in range(0, self.n, BLOCK):
            block = self.read(name, start, min(start + BLOCK, self.n))[None]
            yield block if gain == 1.0 else block * np.float32(gain)

    def peak(self) -> float:
        """The largest magnitude in all tracks."""
        return max((encode.peak(block) for name in self.names for block in self.blocks(name)), default=0.0)

    def _path(self, k: int) -> Path:
        return self.folder / f"{k}.f32"


def disk_full(folder: Path, why: str) -> InputError:
    """The error where samples cannot be written to a folder."""
    return InputError(f"the tracks cannot be written to {folder}", why, "free some space, or use another -o DIR")


def refuse_full(folder: Path, needed: int) -> None:
    """InputError unless there are `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        why = f"about {needed / 1e6:.1f} MB are needed, {free / 1e6:.1f} MB are free"
        raise InputError(f"there is not enough disk space in {folder}", why, "free some space, or use another -o DIR")
