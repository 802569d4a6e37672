"""Instantaneous ICA: one matrix for the whole recording, for mixing desks and other mixtures without delays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bss.pipeline.methods.base import Needs, Size, Task, signal_bytes
from bss.pipeline.methods.estimate import LinearEstimate, linear
from bss.signals.stft import Stft
from bss.solvers.ica import fastica
from bss.solvers.infomax import infomax
from bss.solvers.jade import jade
from bss.solvers.picard import picard_o
from bss.solvers.result import Separation

ITERATIONS = 50  # typical number until convergence, for progress


@dataclass(frozen=True)
class Instantaneous:
    """A solver for x = A s in the time domain."""

    name: str
    solve: Callable[[Task], Separation]
    needs: Needs = Needs(delay_free=True, success="desk")

    def window(self, n: int, rate: int) -> Stft | None:
        """None: it works in the time domain."""
        return None

    def learn(self, task: Task) -> LinearEstimate:
        """One solve."""
        return linear(self.name, task, {self.name: self.solve(task)})

    def leaves_residual(self, n_sources: int, n_mics: int) -> bool:
        """With fewer talkers than microphones."""
        return n_sources < n_mics

    def memory(self, size: Size) -> int:
        """The recording and its tracks."""
        return signal_bytes(size)


FASTICA = Instantaneous("fastica", lambda t: fastica(t.x, n_sources=t.n_sources, rng=t.rng, callback=t.iterations(ITERATIONS)))
INFOMAX = Instantaneous("infomax", lambda t: infomax(t.x, n_sources=t.n_sources, rng=t.rng, callback=t.iterations(ITERATIONS)))
PICARD_O = Instantaneous("picard-o", lambda t: picard_o(t.x, n_sources=t.n_sources, rng=t.rng, callback=t.iterations(ITERATIONS)))
JADE = Instantaneous("jade", lambda t: jade(t.x, n_sources=t.n_sources, callback=t.iterations(ITERATIONS)))
