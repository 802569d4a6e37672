"""Instantaneous ICA: one matrix for the whole recording, for mixing desks and other mixtures without delays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bss.pipeline.methods.shared.base import Needs, Size, Task, signal_bytes
from bss.pipeline.methods.shared.estimate import LinearEstimate, linear
from bss.pipeline.resources import devices
from bss.signals.stft import Stft
from bss.solvers.instantaneous.ica import fastica
from bss.solvers.instantaneous.infomax import infomax
from bss.solvers.instantaneous.jade import jade
from bss.solvers.instantaneous.picard import picard_o
from bss.solvers.result import Separation

ITERATIONS = 50  # typical number until convergence, for progress


@dataclass(frozen=True)
class Instantaneous:
    """A solver for x = A s in the time domain; `draws` says whether it has a random start."""

    name: str
    solver: Callable[..., Separation]
    draws: bool = True
    needs: Needs = Needs(delay_free=True, success="desk", tensors=True)

    def window(self, n: int, rate: int) -> Stft | None:
        """None: it works in the time domain."""
        return None

    def learn(self, task: Task) -> LinearEstimate:
        """One solve."""
        options = {"rng": task.rng} if self.draws else {}
        solver = partial(self.solver, n_sources=task.n_sources, callback=task.iterations(ITERATIONS), **options)
        return linear(self.name, task, {self.name: devices.solve(task.device, task.x, solver)})

    def leaves_residual(self, n_sources: int, n_mics: int) -> bool:
        """With fewer talkers than microphones."""
        return n_sources < n_mics

    def memory(self, size: Size) -> int:
        """The recording and its tracks."""
        return signal_bytes(size)


FASTICA = Instantaneous("fastica", fastica)
INFOMAX = Instantaneous("infomax", infomax)
PICARD_O = Instantaneous("picard-o", picard_o)
JADE = Instantaneous("jade", jade, draws=False)
