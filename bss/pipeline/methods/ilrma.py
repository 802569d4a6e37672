"""ILRMA initialised by FD-ICA: a low-rank model of each talker refines a demixing that is nearly right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bss.backends.operations import Array
from bss.pipeline.methods.fdica import separate_bins
from bss.pipeline.methods.shared.base import Needs, Size, Task, signal_bytes, spectra_bytes
from bss.pipeline.methods.shared.effort import EFFORTS
from bss.pipeline.methods.shared.estimate import LinearEstimate, linear
from bss.pipeline.planning.windows import long_window
from bss.pipeline.resources import devices
from bss.signals.stft import Stft
from bss.solvers import scaling
from bss.solvers.demixing import updates
from bss.solvers.demixing.contrasts import Nmf
from bss.solvers.mm import majorise_minimise
from bss.solvers.models.nmf import fit_nmf
from bss.solvers.result import Separation

COMPONENTS = 20  # of each talker's NMF: 5 or 10 lose what ICA has achieved, 30 gain nothing more (docs/methods.md)


@dataclass(frozen=True)
class Ilrma:
    """FD-ICA and ILRMA; only FD-ICA with an effort that has no iterations for ILRMA."""

    name: str = "ilrma"
    needs: Needs = Needs(success="room", tensors=True)

    def window(self, n: int, rate: int) -> Stft:
        """About half a second."""
        return long_window(n, rate)

    def learn(self, task: Task) -> LinearEstimate:
        """FD-ICA, then ILRMA."""
        effort = EFFORTS[task.effort]
        first = separate_bins(task, later=effort.ilrma)
        if not effort.ilrma:
            return linear(self.name, task, {"fdica": first})
        callback = task.iterations(effort.ica + effort.ilrma, effort.ica)
        return linear(self.name, task, {"fdica": first, "ilrma": refined(task, first, callback)})

    def leaves_residual(self, n_sources: int, n_mics: int) -> bool:
        """With fewer talkers than microphones."""
        return n_sources < n_mics

    def memory(self, size: Size) -> int:
        """Signals, spectra and variances."""
        return signal_bytes(size) + spectra_bytes(size, variances=True)


def refined(task: Task, first: Separation, callback: Callable[[int, float], Any] | None = None) -> Separation:
    """ILRMA, initialised by a separation that is nearly right."""

    def solver(X: Array) -> Separation:
        # scaled to a microphone, so that the NMF starts from the levels of the recording
        scaled = scaling.projection_back(devices.beside(first, X), X)
        basis, activation = fit_nmf(scaled.sources, COMPONENTS, rng=task.rng)
        return majorise_minimise(
            X, Nmf(COMPONENTS, basis, activation), updates.ISS, n_sources=scaled.demixing.shape[1],
            n_iter=EFFORTS[task.effort].ilrma, tol=0.0, start=scaled.demixing, callback=callback,
        )  # fmt: skip

    return devices.solve(task.device, task.X, solver)


ILRMA = Ilrma()
