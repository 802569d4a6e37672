"""Microphones that share no sound: nothing has to be separated, and the tracks are the recordings of the microphones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bss.pipeline.methods.shared.base import Needs, Size, Task, signal_bytes
from bss.pipeline.methods.shared.estimate import LinearEstimate, linear
from bss.signals.stft import Stft
from bss.solvers.result import Separation


@dataclass(frozen=True)
class OwnTracks:
    """The method that returns every microphone."""

    name: str = "none"
    needs: Needs = Needs()

    def window(self, n: int, rate: int) -> Stft | None:
        """None."""
        return None

    def learn(self, task: Task) -> LinearEstimate:
        """Nothing is learned: the demixing is the identity."""
        identity = np.eye(len(task.x), dtype=task.x.dtype)
        return linear(self.name, task, {"none": Separation(identity, task.x, np.zeros(0), 0, True, "nothing to separate")})

    def leaves_residual(self, n_sources: int, n_mics: int) -> bool:
        """Never: each track is a microphone."""
        return False

    def memory(self, size: Size) -> int:
        """The recording and its tracks."""
        return signal_bytes(size)


OWN_TRACKS = OwnTracks()
