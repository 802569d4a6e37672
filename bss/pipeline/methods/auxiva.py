"""AuxIVA, or OverIVA with fewer talkers than microphones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from bss.pipeline.methods.shared.base import Needs, Size, Task, signal_bytes, spectra_bytes
from bss.pipeline.methods.shared.estimate import LinearEstimate, linear
from bss.pipeline.planning.windows import medium_window
from bss.pipeline.resources import devices
from bss.signals.stft import Stft
from bss.solvers.demixing import iva

ITERATIONS = 50


@dataclass(frozen=True)
class AuxIva:
    """Independent vector analysis by auxiliary functions."""

    name: str = "auxiva"
    needs: Needs = Needs(success="room", tensors=True)

    def window(self, n: int, rate: int) -> Stft:
        """About a quarter of a second."""
        return medium_window(n, rate)

    def learn(self, task: Task) -> LinearEstimate:
        """One solve."""
        step = task.iterations(ITERATIONS)
        solver = partial(iva.auxiva, n_sources=task.n_sources, n_iter=ITERATIONS, rng=task.rng, callback=step)
        solved = devices.solve(task.device, task.X, solver)
        name = "overiva" if task.n_sources < len(task.x) else self.name
        return linear(name, task, {self.name: solved})

    def leaves_residual(self, n_sources: int, n_mics: int) -> bool:
        """With fewer talkers than microphones."""
        return n_sources < n_mics

    def memory(self, size: Size) -> int:
        """Signals and spectra."""
        return signal_bytes(size) + spectra_bytes(size)


AUXIVA = AuxIva()
