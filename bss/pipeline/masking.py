"""More talkers than microphones: masks first, then the multichannel Wiener filter that they lead to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.pipeline.rooms import progressing
from bss.pipeline.separate import Solved
from bss.signals.stft import Stft
from bss.solvers import fullrank, masks
from bss.solvers.result import Separation, without_demixing

MASK_ITERATIONS = 40
# Of the full-rank model: on rooms with 3 talkers and 2 microphones it gains about 2 dB over masks by then, and loses some of it
# later where there is much echo (docs/methods.md).
FILTER_ITERATIONS = 15


@dataclass(frozen=True)
class Filtered(Solved):
    """Sources that filters of every bin and frame give, at any microphone.

    Attributes
    ----------
    model : FullRank
        What makes the filters.
    powers : np.ndarray
        (N, M) of each source at each microphone.
    """

    model: fullrank.FullRank
    powers: np.ndarray

    def image_powers(self) -> np.ndarray:
        """(N, M) power of each source at each microphone."""
        return self.powers

    def at(self, mics: np.ndarray) -> np.ndarray:
        """(N, n) float32: source n as microphone mics[n] hears it."""
        y = np.empty((len(mics), self.n_samples), np.float32)
        for mic in np.unique(mics):
            images = self.separation.sources if mic == 0 else self.model.images(int(mic))[0]
            y[mics == mic] = self.to_samples(np.ascontiguousarray(images[:, mics == mic]))
        return y


def masked(
    X: np.ndarray, stft: Stft, n_samples: int, n_sources: int, *, rng: int, progress: Callable[[float], Any] | None
) -> Filtered:
    """Separate X (F, M, T) into n_sources, which may be more than M."""
    total = MASK_ITERATIONS + FILTER_ITERATIONS
    step = progressing(progress, 0, total)
    found, converged = masks.fit(X, n_sources, n_iter=MASK_ITERATIONS, rng=rng, callback=step)
    shares = found.masks()
    first = masks.separation(X, found, shares, 0, converged)
    model = fullrank.from_masks(X, shares)
    model.learn(FILTER_ITERATIONS, progressing(progress, MASK_ITERATIONS, total))
    images, powers = model.images(0)
    message = f"{first.message}, and after {FILTER_ITERATIONS} of the full-rank model, where more do not help"
    loss = np.asarray(model.losses)
    last = without_demixing(Separation(None, X, loss, len(loss), converged, message), images)
    return Filtered(last, X, stft, n_samples, {"cacgmm": first, "full-rank": last}, model, powers)
