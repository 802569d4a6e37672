"""The order of the tracks, the dominant microphone of each talker, and the delays at the other microphones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bss.signals import gcc_phat

TINY = np.finfo(np.float64).tiny
LONGEST_DELAY, UPSAMPLING = 0.05, 8
FLOOR = 1e-6  # of a talker's loudest bin: 60 dB below it there is only rounding, which must not count for a delay


class Located(Protocol):
    """What ordering needs to know of an estimate; see `methods.shared.base.Estimate`."""

    def image_powers(self) -> np.ndarray:
        """(N, M)."""

    def cross_spectra(self, mics: np.ndarray) -> np.ndarray | None:
        """(F, N, M)."""


@dataclass(frozen=True)
class Order:
    """Which talker of an estimate becomes which track.

    Attributes
    ----------
    talkers : np.ndarray
        (N,) track k is talker talkers[k] of the estimate.
    mics : np.ndarray
        (N,) the microphone of track k, whose image of the talker it is.
    dominant : np.ndarray
        (N,) the dominant microphone of track k, at which its talker is strongest.
    delays : np.ndarray
        (N, M) seconds by which track k arrives later at microphone m than at its dominant microphone, or its own one if given.
    """

    talkers: np.ndarray
    mics: np.ndarray
    dominant: np.ndarray
    delays: np.ndarray

    def first(self, talker: np.ndarray) -> Order:
        """The tracks that are talkers (N,) first, then the others, otherwise in the same order."""
        if talker.all():
            return self
        k = np.argsort(~talker, kind="stable")
        return Order(self.talkers[k], self.mics[k], self.dominant[k], self.delays[k])


def order(estimate: Located, x: np.ndarray, reference: int | None, rate: int) -> Order:
    """The order of the talkers of x (M, n), all at a reference microphone; each at a microphone of its own if that is None."""
    return order_by_mics(estimate, x, rate) if reference is None else order_at(estimate, x, reference, rate)


def order_at(estimate: Located, x: np.ndarray, reference: int, rate: int) -> Order:
    """By dominant microphone, then by descending level at the reference microphone, where all tracks are."""
    powers = estimate.image_powers()
    dominant = _dominant(powers, x)
    talkers = np.lexsort((-powers[:, reference], dominant))
    mics = np.full(len(powers), reference)
    return Order(talkers, mics, dominant[talkers], delays(estimate, dominant, len(x), rate)[talkers])


def order_by_mics(estimate: Located, x: np.ndarray, rate: int) -> Order:
    """Track k is the talker of microphone k: the assignment with the largest product of powers, whatever the gains are."""
    from scipy.optimize import linear_sum_assignment

    powers = estimate.image_powers()
    rows, columns = linear_sum_assignment(-np.log(powers + TINY))
    mics = np.empty(len(rows), int)
    mics[rows] = columns
    talkers = np.argsort(mics)
    return Order(talkers, mics[talkers], _dominant(powers, x)[talkers], delays(estimate, mics, len(x), rate)[talkers])


def _dominant(powers: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(N,) microphone at which each talker is strongest, relative to its total power, so that its gain does not matter."""
    total = np.sum(np.square(x, dtype=np.float64), axis=1)
    return np.asarray(np.argmax(powers / (total + TINY), axis=1))


def delays(estimate: Located, mics: np.ndarray, n_mics: int, rate: int) -> np.ndarray:
    """(N, M) seconds by which talker n arrives later at microphone m than at microphone mics[n], by GCC-PHAT of the images.

    References
    ----------
    C. Knapp and G. Carter, "The generalized correlation method for estimation of time delay", IEEE TASSP 24(4), 1976.
    """
    cross = estimate.cross_spectra(mics)
    if cross is None:  # an instantaneous mixture
        return np.zeros((len(mics), n_mics))
    max_lag = min((len(cross) - 1) // 2, round(LONGEST_DELAY * rate)) * UPSAMPLING
    correlation = gcc_phat.correlate(gcc_phat.phase_transform(cross, floor=FLOOR), max_lag, upsampling=UPSAMPLING)
    return gcc_phat.peaks(correlation, upsampling=UPSAMPLING)[0] / rate
