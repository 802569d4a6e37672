"""The last seconds of a recording that is going on."""

from __future__ import annotations

import numpy as np


class RecentBlocks:
    """A recording of which only the last `capacity` samples are kept; what came before them cannot be read any more.

    Attributes
    ----------
    n : int
        Samples that came so far.
    """

    def __init__(self, n_mics: int, rate: int, capacity: int) -> None:
        self.n_mics, self.rate, self.capacity = n_mics, rate, capacity
        self.names = tuple(f"mic{k + 1}" for k in range(n_mics))
        self.n = 0
        self._ring = np.zeros((n_mics, capacity), np.float32)

    @property
    def kept(self) -> int:
        """How many of the last samples can be read."""
        return min(self.n, self.capacity)

    def add(self, x: np.ndarray) -> None:
        """The next samples (M, k), at most `capacity`."""
        at = (self.n + np.arange(x.shape[1])) % self.capacity
        self._ring[:, at] = x
        self.n += x.shape[1]

    def read(self, start: int, stop: int) -> np.ndarray:
        """(M, stop - start) float32."""
        if not self.n - self.kept <= start <= stop <= self.n:
            raise ValueError(f"samples {start} to {stop} of the last {self.kept} before {self.n}")
        return np.asarray(self._ring[:, np.arange(start, stop) % self.capacity])

    def all(self) -> np.ndarray:
        """(M, kept) float32 all that is kept."""
        return self.read(self.n - self.kept, self.n)
