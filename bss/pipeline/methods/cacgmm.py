"""More talkers than microphones: masks by cACGMM, then the multichannel Wiener filter of a full-rank model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bss.backends import dispatch
from bss.backends.operations import Array
from bss.pipeline.filters.models import SpatialCovariances
from bss.pipeline.methods.shared.base import Needs, Size, Task, signal_bytes, spectra_bytes
from bss.pipeline.methods.shared.estimate import cross_spectra_of_tracks
from bss.pipeline.planning.windows import medium_window
from bss.pipeline.resources import devices
from bss.signals.stft import Stft
from bss.solvers.models import fullrank, masks
from bss.solvers.result import Separation, without_demixing

MASK_ITERATIONS = 40
# Of the full-rank model: in rooms with 3 talkers and 2 microphones it then gains about 2 dB over masks, but more iterations lose
# part of that if there is much echo (docs/methods.md).
FILTER_ITERATIONS = 15


@dataclass(frozen=True)
class WienerEstimate:
    """Outputs of a multichannel Wiener filter at any microphone.

    Attributes
    ----------
    method : str
        The name of the method in reports.
    stages : mapping
        Name to result of each solver; the last has the images at the first microphone.
    stft, n_samples, rate
        Of the recording.
    images : callable
        Microphone to images (F, N, T) there.
    powers : np.ndarray
        (N, M) power of each talker at each microphone.
    covariances : callable
        Returns the spatial covariances R (F, N, M, M), for filtering other blocks.
    """

    method: str
    stages: Mapping[str, Separation]
    stft: Stft
    n_samples: int
    rate: int
    images: Callable[[int], np.ndarray] = field(repr=False)
    powers: np.ndarray
    covariances: Callable[[], np.ndarray] = field(repr=False)
    source_model: Mapping[str, Any] | None = None

    def image_powers(self) -> np.ndarray:
        """(N, M) power of each talker at each microphone."""
        return self.powers

    def cross_spectra(self, mics: np.ndarray) -> np.ndarray:
        """(F, N, M) of the images."""
        return cross_spectra_of_tracks(self.tracks, mics, self.powers.shape[1], self.rate)

    def tracks(self, mics: np.ndarray) -> np.ndarray:
        """(N, n) float32: the image of talker n at microphone mics[n]."""
        y = np.empty((len(mics), self.n_samples), np.float32)
        for mic in np.unique(mics):
            Y = list(self.stages.values())[-1].sources if mic == 0 else self.images(int(mic))
            y[mics == mic] = self.stft.inverse(np.ascontiguousarray(Y[:, mics == mic]), self.n_samples)
        return y

    def linear_tracks(self, mics: np.ndarray) -> np.ndarray | None:
        """None: nothing is applied after the filter."""
        return None

    def separated(self, mics: np.ndarray) -> np.ndarray:
        """The tracks."""
        return self.tracks(mics)

    def model(self, order: np.ndarray, mics: np.ndarray) -> SpatialCovariances:
        """The spatial covariances, with talker order[k] as track k."""
        return SpatialCovariances(self.covariances()[:, order])


@dataclass(frozen=True)
class Cacgmm:
    """Masks by a complex angular central Gaussian mixture model, then a full-rank spatial model of each talker."""

    name: str = "cacgmm"
    needs: Needs = Needs(more_talkers=True, tensors=True)

    def window(self, n: int, rate: int) -> Stft:
        """About a quarter of a second."""
        return medium_window(n, rate)

    def learn(self, task: Task) -> WienerEstimate:
        """Masks, then filters."""
        with devices.memory(task.device):
            return self._learn(task, devices.on(task.device, task.X))

    def _learn(self, task: Task, X: Array) -> WienerEstimate:
        """The same of X where it is to be computed; what comes of it is NumPy's, made when it is asked for."""
        assert task.stft is not None
        total, host = MASK_ITERATIONS + FILTER_ITERATIONS, dispatch.of(X).host
        mixture, converged = masks.fit(X, task.n_sources, n_iter=MASK_ITERATIONS, rng=task.rng, callback=task.iterations(total))
        shares = mixture.masks()
        first = masks.separation(X, mixture, shares, 0, converged)
        model = fullrank.from_masks(X, shares)
        model.learn(FILTER_ITERATIONS, task.iterations(total, MASK_ITERATIONS))
        images, powers = model.images(0)
        message = f"{first.message}, followed by {FILTER_ITERATIONS} iterations of the full-rank model"
        loss = np.asarray(model.losses)
        last = without_demixing(Separation(None, X, loss, len(loss), converged, message), images)
        stages = {"cacgmm": devices.at_home(first, task.X), "full-rank": devices.at_home(last, task.X)}
        return WienerEstimate(
            self.name, stages, task.stft, task.x.shape[1], task.rate, lambda mic: host(model.images(mic)[0]), host(powers),
            lambda: host(model.covariances()),
        )  # fmt: skip

    def leaves_residual(self, n_sources: int, n_mics: int) -> bool:
        """Always: the filtered talkers do not add up to the microphone."""
        return True

    def memory(self, size: Size) -> int:
        """Signals, spectra and variances."""
        return signal_bytes(size) + spectra_bytes(size, variances=True)


CACGMM = Cacgmm()
