"""More talkers than microphones: masks by cACGMM, then the multichannel Wiener filter that they lead to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bss.pipeline.filters import SpatialCovariances
from bss.pipeline.methods.base import Needs, Size, Task, signal_bytes, spectra_bytes
from bss.pipeline.methods.estimate import cross_spectra_of_tracks
from bss.pipeline.windows import medium_window
from bss.signals.stft import Stft
from bss.solvers import fullrank, masks
from bss.solvers.result import Separation, without_demixing

MASK_ITERATIONS = 40
# Of the full-rank model: on rooms with 3 talkers and 2 microphones it gains about 2 dB over masks by then, and loses some of it
# later where there is much echo (docs/methods.md).
FILTER_ITERATIONS = 15


@dataclass(frozen=True)
class WienerEstimate:
    """Talkers that a filter of every bin and frame gives, at any microphone.

    Attributes
    ----------
    method : str
        The name under which it is reported.
    stages : mapping
        The solves that led here; the last holds the talkers at the first microphone.
    stft, n_samples, rate
        Of the recording.
    images : callable
        (F, N, T) the talkers at a microphone.
    powers : np.ndarray
        (N, M) of each talker at each microphone.
    covariances : callable
        R (F, N, M, M) of the talkers in every bin, for new blocks.
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
        """Of the talkers' images."""
        return cross_spectra_of_tracks(self.tracks, mics, self.powers.shape[1], self.rate)

    def tracks(self, mics: np.ndarray) -> np.ndarray:
        """(N, n) float32: talker n as microphone mics[n] hears them."""
        y = np.empty((len(mics), self.n_samples), np.float32)
        for mic in np.unique(mics):
            Y = list(self.stages.values())[-1].sources if mic == 0 else self.images(int(mic))
            y[mics == mic] = self.stft.inverse(np.ascontiguousarray(Y[:, mics == mic]), self.n_samples)
        return y

    def linear_tracks(self, mics: np.ndarray) -> np.ndarray | None:
        """None: there are no others."""
        return None

    def separated(self, mics: np.ndarray) -> np.ndarray:
        """The tracks."""
        return self.tracks(mics)

    def model(self, order: np.ndarray, mics: np.ndarray) -> SpatialCovariances:
        """The talkers' covariances, in that order."""
        return SpatialCovariances(self.covariances()[:, order])


@dataclass(frozen=True)
class Cacgmm:
    """Masks from a mixture of complex angular central Gaussians, then a full-rank model of every talker."""

    name: str = "cacgmm"
    needs: Needs = Needs(more_talkers=True)

    def window(self, n: int, rate: int) -> Stft:
        """About a quarter of a second."""
        return medium_window(n, rate)

    def learn(self, task: Task) -> WienerEstimate:
        """Masks, then filters."""
        assert task.stft is not None
        X, total = task.X, MASK_ITERATIONS + FILTER_ITERATIONS
        mixture, converged = masks.fit(X, task.n_sources, n_iter=MASK_ITERATIONS, rng=task.rng, callback=task.iterations(total))
        shares = mixture.masks()
        first = masks.separation(X, mixture, shares, 0, converged)
        model = fullrank.from_masks(X, shares)
        model.learn(FILTER_ITERATIONS, task.iterations(total, MASK_ITERATIONS))
        images, powers = model.images(0)
        message = f"{first.message}, and after {FILTER_ITERATIONS} of the full-rank model, where more do not help"
        loss = np.asarray(model.losses)
        last = without_demixing(Separation(None, X, loss, len(loss), converged, message), images)
        stages = {"cacgmm": first, "full-rank": last}
        n = task.x.shape[1]
        return WienerEstimate(
            self.name, stages, task.stft, n, task.rate, lambda mic: model.images(mic)[0], powers, model.covariances
        )

    def leaves_residual(self, n_sources: int, n_mics: int) -> bool:
        """Always: masks leave some of every bin to nobody."""
        return True

    def memory(self, size: Size) -> int:
        """Signals, spectra and variances."""
        return signal_bytes(size) + spectra_bytes(size, variances=True)


CACGMM = Cacgmm()
