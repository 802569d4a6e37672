"""How the spectra, or samples, of a block become those of the talkers at the microphones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bss.backends import dispatch
from bss.solvers.models import fullrank

EM_ITERATIONS = 20  # for the powers in new frames, with known spatial covariances


class Model(Protocol):
    """How the images of the talkers follow from the spectra, or samples, of the microphones."""

    @property
    def n_mics(self) -> int: ...

    @property
    def n_sources(self) -> int: ...

    def images(self, X: np.ndarray, mics: np.ndarray) -> np.ndarray:
        """(F, N, T) images of talker n at microphone mics[n], from spectra X (F, M, T); (N, n) from samples (M, n)."""

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that `Filters.save` writes."""


@dataclass(frozen=True)
class Demixing:
    """A demixing matrix per bin, or one in the time domain.

    Attributes
    ----------
    W : np.ndarray
        (F, N, M) or (N, M) demixing.
    A : np.ndarray
        (F, M, N) or (M, N) mixing: A[f, m, n] y_n is the image of talker n at microphone m.
    """

    W: np.ndarray
    A: np.ndarray

    @property
    def n_mics(self) -> int:
        return int(self.W.shape[-1])

    @property
    def n_sources(self) -> int:
        return int(self.W.shape[-2])

    def images(self, X: np.ndarray, mics: np.ndarray) -> np.ndarray:
        return self.scaled(dispatch.of(X).demix(self.W.astype(X.dtype), X), mics)

    def scaled(self, Y: np.ndarray, mics: np.ndarray) -> np.ndarray:
        """Outputs Y = W X, scaled to the image of talker n at microphone mics[n]."""
        at = np.broadcast_to(mics, (*self.A.shape[:-2], 1, len(mics)))
        return np.asarray(Y * np.take_along_axis(self.A, at, -2).swapaxes(-1, -2))

    def ordered(self, order: np.ndarray) -> Demixing:
        """The same with talker order[k] in place k."""
        return Demixing(np.take(self.W, order, axis=-2), np.take(self.A, order, axis=-1))

    def arrays(self) -> dict[str, np.ndarray]:
        return {"demixing": self.W, "mixing": self.A}


@dataclass(frozen=True)
class SpatialCovariances:
    """A multichannel Wiener filter in every bin and frame, from the spatial covariances R (F, N, M, M) of the talkers.

    The powers of the talkers in the frames of a new recording are estimated by EM with known R: Duong et al. (2010).
    """

    R: np.ndarray

    @property
    def n_mics(self) -> int:
        return int(self.R.shape[-1])

    @property
    def n_sources(self) -> int:
        return int(self.R.shape[1])

    def images(self, X: np.ndarray, mics: np.ndarray) -> np.ndarray:
        if not X.any():
            return np.zeros((len(X), self.n_sources, X.shape[2]), X.dtype)
        model = fullrank.with_known_covariances(X, self.R, EM_ITERATIONS)
        Y = np.empty((len(X), self.n_sources, X.shape[2]), X.dtype)
        for mic in np.unique(mics):
            Y[:, mics == mic] = model.images(int(mic))[0][:, mics == mic]
        return Y

    def arrays(self) -> dict[str, np.ndarray]:
        return {"covariances": self.R}


@dataclass(frozen=True)
class Microphone:
    """The only talker: the image is the recording of the microphone."""

    n_mics: int

    @property
    def n_sources(self) -> int:
        return 1

    def images(self, X: np.ndarray, mics: np.ndarray) -> np.ndarray:
        return np.asarray(X[mics])

    def arrays(self) -> dict[str, np.ndarray]:
        return {"microphones": np.array([self.n_mics])}
