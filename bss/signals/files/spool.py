"""Samples on disk that can be read at any place: for recordings that can be decoded only from their beginning."""

from __future__ import annotations

import shutil
import tempfile

import numpy as np

from bss.errors import InputError

BLOCK = 1 << 16  # frames read at a time


class Spool:
    """A temporary file of float32 samples, removed by the system when it is closed or the program ends, however it ends.

    Parameters
    ----------
    channels : int
        M.
    n : int
        Samples of each channel that will be written.
    name : str
        What the samples are of, for messages.

    Raises
    ------
    InputError
        There is not enough space for temporary files.
    """

    def __init__(self, channels: int, n: int, name: str) -> None:
        self.channels, self.n, self.name = channels, n, name
        self.written = 0  # samples of each channel so far
        folder = tempfile.gettempdir()
        needed, free = 4 * channels * n, shutil.disk_usage(folder).free
        if free < needed:
            raise self._full(f"about {needed / 1e6:.1f} MB are needed in {folder}, {free / 1e6:.1f} MB are free")
        try:
            self._file = tempfile.TemporaryFile(prefix="bss-", dir=folder)  # noqa: SIM115 - `close` closes it
        except OSError as error:
            raise self._full(f"{folder}: {error.strerror}") from error

    def write(self, block: np.ndarray) -> None:
        """Append a block (M, k)."""
        try:
            self._file.seek(4 * self.channels * self.written)
            self._file.write(np.ascontiguousarray(block.T, np.float32).data)
            self._file.flush()
        except OSError as error:
            raise self._full(f"{tempfile.gettempdir()}: {error.strerror}") from error
        self.written += block.shape[1]

    def read(self, out: np.ndarray, start: int) -> None:
        """Read samples from `start` on into `out` (M, k)."""
        for first in range(0, out.shape[1], BLOCK):
            count = min(BLOCK, out.shape[1] - first)
            self._file.seek(4 * self.channels * (start + first))
            data = self._file.read(4 * self.channels * count)
            out[:, first : first + count] = np.frombuffer(data, np.float32).reshape(count, self.channels).T

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def _full(self, why: str) -> InputError:
        hint = "free some space, set TMPDIR to a folder on a larger disk, or convert the file to WAV at the rate of the others"
        return InputError(f"{self.name} cannot be converted", why, hint)
