"""Samples of all tracks of a recording, and how blocks of them are joined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Made:
    """Some samples of all tracks.

    Attributes
    ----------
    talkers, linear : np.ndarray
        (N, k) the talkers, and the same before the source model.
    others : np.ndarray
        (K - N, k) other sounds.
    residual : np.ndarray
        (1, k) what the tracks leave of the reference microphone; (0, k) if they add up to it.
    """

    talkers: np.ndarray
    linear: np.ndarray
    others: np.ndarray
    residual: np.ndarray

    @property
    def n(self) -> int:
        """Samples."""
        return int(self.talkers.shape[1])

    @property
    def parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """All of them."""
        return self.talkers, self.linear, self.others, self.residual

    def finite(self) -> bool:
        """Whether all samples are finite."""
        return all(bool(np.isfinite(y).all()) for y in self.parts)

    def cut(self, start: int, stop: int) -> Made:
        """Samples [start, stop)."""
        return Made(*(y[:, start:stop] for y in self.parts))

    def into(self, later: Made) -> Made:
        """`later`, whose first samples are those of this one, too: cross-faded there."""
        overlap = self.n
        ramp = ((np.arange(overlap) + 0.5) / max(overlap, 1)).astype(np.float32)
        return Made(
            *(
                np.concatenate((a * (1 - ramp) + b[:, :overlap] * ramp, b[:, overlap:]), axis=1)
                for a, b in zip(self.parts, later.parts, strict=True)
            )
        )
