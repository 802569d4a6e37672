"""When talkers are active, and how loud: from the powers of frames, which are little to keep however long a recording is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bss.pipeline.analysis import activity
from bss.pipeline.record import TrackRecord


class Activities:
    """The powers of the frames of N tracks, as they come.

    Attributes
    ----------
    n : int
        Samples so far.
    """

    def __init__(self, n_tracks: int, rate: int) -> None:
        self.rate, self.size = rate, activity.frame_size(rate)
        self.rest = np.zeros((n_tracks, 0), np.float32)
        self.powers = [np.zeros((n_tracks, 0), np.float32)]
        self.n = 0

    def add(self, y: np.ndarray) -> None:
        """The next samples (N, k)."""
        held = np.concatenate((self.rest, y), axis=1)
        count = held.shape[1] // self.size
        self.n += y.shape[1]
        self.powers.append(_powers(held[:, : count * self.size], self.size))
        self.rest = held[:, count * self.size :]

    def arrays(self) -> dict[str, np.ndarray]:
        """To be kept."""
        return {"powers": np.concatenate(self.powers, axis=1), "rest": self.rest}

    @staticmethod
    def of(arrays: Mapping[str, np.ndarray], n: int, rate: int) -> Activities:
        """The inverse of `arrays`, after n samples."""
        made = Activities(len(arrays["rest"]), rate)
        made.powers, made.rest, made.n = [arrays["powers"]], arrays["rest"], n
        return made

    def records(self, tracks: Sequence[TrackRecord]) -> list[TrackRecord]:
        """The records of tracks, with the levels and the activity of all that was added."""
        powers = self.powers
        if self.rest.shape[1]:
            powers = [*powers, _powers(np.pad(self.rest, ((0, 0), (0, self.size - self.rest.shape[1]))), self.size)]
        rows = np.concatenate(powers, axis=1)
        found = [activity.of_powers(row.astype(np.float64), self.n, self.rate).to_dict() for row in rows]
        return [replace(track, **own) for track, own in zip(tracks, found, strict=True)]


def _powers(y: np.ndarray, size: int) -> np.ndarray:
    """(N, T) float32 mean power of frames of y (N, T size)."""
    frames = y.reshape(len(y), -1, size)
    return np.asarray(np.einsum("nts,nts->nt", frames, frames) / size, np.float32)
