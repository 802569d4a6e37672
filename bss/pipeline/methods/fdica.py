"""FD-ICA: ICA in each frequency bin, with windows that are long compared with the echo, and permutation alignment."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from bss.pipeline.methods.shared.base import Needs, Size, Task, signal_bytes, spectra_bytes
from bss.pipeline.methods.shared.effort import EFFORTS
from bss.pipeline.methods.shared.estimate import LinearEstimate, linear
from bss.pipeline.planning.windows import long_window
from bss.pipeline.resources import devices
from bss.signals.stft import Stft
from bss.solvers.demixing import fdica
from bss.solvers.result import Separation


@dataclass(frozen=True)
class FdIca:
    """Frequency-domain ICA."""

    name: str = "fdica"
    needs: Needs = Needs(success="room", tensors=True)

    def window(self, n: int, rate: int) -> Stft:
        """About half a second."""
        return long_window(n, rate)

    def learn(self, task: Task) -> LinearEstimate:
        """One solve."""
        return linear(self.name, task, {self.name: separate_bins(task)})

    def leaves_residual(self, n_sources: int, n_mics: int) -> bool:
        """With fewer talkers than microphones."""
        return n_sources < n_mics

    def memory(self, size: Size) -> int:
        """Signals and spectra."""
        return signal_bytes(size) + spectra_bytes(size)


def separate_bins(task: Task, *, later: int = 0) -> Separation:
    """FD-ICA, for whose progress `later` iterations of another solver follow.

    With more microphones than sounds and `task.others` it may find one more sound.
    """
    effort = EFFORTS[task.effort]
    solver = partial(
        fdica.fdica, n_sources=task.n_sources, n_iter=effort.ica, tol=0.0, rng=task.rng, candidates=effort.candidates,
        activity="log", principal=task.effort == "fast", others=task.others, callback=task.iterations(effort.ica + later),
    )  # fmt: skip
    return devices.solve(task.device, task.X, solver)


FDICA = FdIca()
