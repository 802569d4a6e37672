"""One talker in a room: nothing has to be separated, and the best track is the recording of the microphone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from bss.pipeline.filters.models import Microphone
from bss.pipeline.methods.shared.base import Needs, Size, Task, signal_bytes
from bss.pipeline.methods.shared.estimate import cross_spectra_of_tracks
from bss.signals.stft import Stft
from bss.solvers.result import Separation


@dataclass(frozen=True)
class OneTalkerEstimate:
    """The images of the only talker are the recordings of the microphones."""

    x: np.ndarray = field(repr=False)
    rate: int
    method: str = "none"
    stages: Mapping[str, Separation] = field(default_factory=dict)
    source_model: None = None
    stft: None = None

    def image_powers(self) -> np.ndarray:
        """(1, M) power at each microphone."""
        return np.asarray(np.sum(np.square(self.x, dtype=np.float64), axis=1)[None])

    def cross_spectra(self, mics: np.ndarray) -> np.ndarray:
        """(F, N, M) of the microphones."""
        return cross_spectra_of_tracks(self.tracks, mics, len(self.x), self.rate)

    def tracks(self, mics: np.ndarray) -> np.ndarray:
        """(1, n) the recording of the microphone."""
        return np.asarray(self.x[mics], np.float32)

    def linear_tracks(self, mics: np.ndarray) -> np.ndarray | None:
        """None: the track is linear."""
        return None

    def separated(self, mics: np.ndarray) -> np.ndarray:
        """The tracks."""
        return self.tracks(mics)

    def model(self, order: np.ndarray, mics: np.ndarray) -> Microphone:
        """The microphone."""
        return Microphone(len(self.x))


@dataclass(frozen=True)
class OneTalker:
    """The method that returns the reference microphone."""

    name: str = "none"
    needs: Needs = Needs()

    def window(self, n: int, rate: int) -> Stft | None:
        """None."""
        return None

    def learn(self, task: Task) -> OneTalkerEstimate:
        """Nothing is learned."""
        return OneTalkerEstimate(task.x, task.rate)

    def leaves_residual(self, n_sources: int, n_mics: int) -> bool:
        """Never: the track is the microphone."""
        return False

    def memory(self, size: Size) -> int:
        """The recording and its track."""
        return signal_bytes(size)


ONE_TALKER = OneTalker()
