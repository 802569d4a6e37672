"""FastMNMF2: an NMF of each talker, jointly diagonalised spatial covariances, and a multichannel Wiener filter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bss.backends import dispatch
from bss.backends.operations import Array
from bss.pipeline.methods.cacgmm import WienerEstimate
from bss.pipeline.methods.shared.base import Needs, Size, Task, signal_bytes, spectra_bytes
from bss.pipeline.planning.windows import medium_window
from bss.pipeline.resources import devices
from bss.signals.stft import Stft
from bss.solvers.models import mnmf

ITERATIONS = {"fast": 30, "normal": 60, "best": 120}


@dataclass(frozen=True)
class FastMnmf:
    """Fast multichannel non-negative matrix factorisation."""

    name: str = "fastmnmf"
    needs: Needs = Needs(more_talkers=True, tensors=True)

    def window(self, n: int, rate: int) -> Stft:
        """About a quarter of a second."""
        return medium_window(n, rate)

    def learn(self, task: Task) -> WienerEstimate:
        """One solve, and the images at every microphone."""
        with devices.memory(task.device):
            return self._learn(task, devices.on(task.device, task.X))

    def _learn(self, task: Task, X: Array) -> WienerEstimate:
        """The same of X where it is to be computed; what comes of it is NumPy's, made when it is asked for."""
        assert task.stft is not None
        n_iter, host = ITERATIONS[task.effort], dispatch.of(X).host
        solved, model = mnmf.fit(
            X, n_sources=task.n_sources, n_iter=n_iter, tol=0.0, rng=task.rng, callback=task.iterations(n_iter)
        )
        powers = [np.sum(np.abs(host(model.wiener(m))) ** 2, axis=(0, 2), dtype=np.float64) for m in range(len(task.x))]
        return WienerEstimate(
            self.name, {self.name: devices.at_home(solved, task.X)}, task.stft, task.x.shape[1], task.rate,
            lambda mic: host(model.wiener(mic)), np.stack(powers, axis=1), lambda: host(model.covariances()),
        )  # fmt: skip

    def leaves_residual(self, n_sources: int, n_mics: int) -> bool:
        """Never: the talkers add up to the microphone."""
        return False

    def memory(self, size: Size) -> int:
        """Signals, spectra and variances."""
        return signal_bytes(size) + spectra_bytes(size, variances=True)


FASTMNMF = FastMnmf()
