"""One talker in a room: there is nothing to separate, and no filter makes the sound of a microphone better than it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bss.pipeline.separate import Solved
from bss.solvers.result import Separation, without_demixing


@dataclass(frozen=True)
class Alone(Solved):
    """The only source: at every microphone it is what the microphone recorded."""

    def image_powers(self) -> np.ndarray:
        """(1, M) power at each microphone."""
        return np.asarray(np.sum(np.square(self.observed, dtype=np.float64), axis=1)[None])

    def at(self, mics: np.ndarray) -> np.ndarray:
        """(1, n) what the microphone recorded."""
        return np.asarray(self.observed[mics], np.float32)


def alone(x: np.ndarray) -> Alone:
    """The recording x (M, n) of one talker, as if it had been separated."""
    nothing = Separation(None, x, np.zeros(0), 0, True, "nothing to separate")
    return Alone(without_demixing(nothing, x[:1]), x, None, x.shape[1], {})
