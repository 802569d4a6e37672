"""Which track is which: the order of the talkers, the microphone each belongs to, and how late the others hear them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bss.signals import gcc_phat

TINY = np.finfo(np.float64).tiny
LONGEST_DELAY, UPSAMPLING = 0.05, 8
# A bin counts for a delay where the talker is loud; below 60 dB under their loudest bin there is rounding.
HEARD = 1e-6


class Located(Protocol):
    """What an estimate says of the places of its talkers; see `methods.base.Estimate`."""

    def image_powers(self) -> np.ndarray:
        """(N, M)."""

    def cross_spectra(self, mics: np.ndarray) -> np.ndarray | None:
        """(F, N, M)."""


@dataclass(frozen=True)
class Order:
    """Which of an estimate's talkers becomes which track.

    Attributes
    ----------
    talkers : np.ndarray
        (N,) track k is the estimate's talker talkers[k].
    mics : np.ndarray
        (N,) the microphone at which track k is heard.
    dominant : np.ndarray
        (N,) the microphone that hears the talker of track k loudest.
    delays : np.ndarray
        (N, M) seconds by which each microphone hears them later than that one, or than their own.
    """

    talkers: np.ndarray
    mics: np.ndarray
    dominant: np.ndarray
    delays: np.ndarray


def order(estimate: Located, x: np.ndarray, reference: int | None, rate: int) -> Order:
    """The order of the talkers of x (M, n), heard at a reference microphone; each at one of their own where it is None."""
    return order_by_mics(estimate, x, rate) if reference is None else order_at(estimate, x, reference, rate)


def order_at(estimate: Located, x: np.ndarray, reference: int, rate: int) -> Order:
    """By the microphone that hears the talker loudest, the loudest talker first; heard at the reference microphone."""
    powers = estimate.image_powers()
    dominant = _dominant(powers, x)
    talkers = np.lexsort((-powers[:, reference], dominant))
    mics = np.full(len(powers), reference)
    return Order(talkers, mics, dominant[talkers], delays(estimate, dominant, len(x), rate)[talkers])


def order_by_mics(estimate: Located, x: np.ndarray, rate: int) -> Order:
    """Track k is the talker of microphone k: the assignment of the largest product of powers, whatever the gains are."""
    from scipy.optimize import linear_sum_assignment

    powers = estimate.image_powers()
    rows, columns = linear_sum_assignment(-np.log(powers + TINY))
    mics = np.empty(len(rows), int)
    mics[rows] = columns
    talkers = np.argsort(mics)
    return Order(talkers, mics[talkers], _dominant(powers, x)[talkers], delays(estimate, mics, len(x), rate)[talkers])


def _dominant(powers: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(N,) microphone that hears each talker loudest, relative to what it hears of all: faders do not decide."""
    heard = np.sum(np.square(x, dtype=np.float64), axis=1)
    return np.asarray(np.argmax(powers / (heard + TINY), axis=1))


def delays(estimate: Located, mics: np.ndarray, n_mics: int, rate: int) -> np.ndarray:
    """(N, M) seconds by which talker n is later at microphone m than at microphone mics[n], by GCC-PHAT of their images.

    References
    ----------
    C. Knapp and G. Carter, "The generalized correlation method for estimation of time delay", IEEE TASSP 24(4), 1976.
    """
    cross = estimate.cross_spectra(mics)
    if cross is None:  # mixed without delays
        return np.zeros((len(mics), n_mics))
    max_lag = min((len(cross) - 1) // 2, round(LONGEST_DELAY * rate)) * UPSAMPLING
    correlation = gcc_phat.correlate(gcc_phat.phase_transform(cross, floor=HEARD), max_lag, upsampling=UPSAMPLING)
    return gcc_phat.peaks(correlation, upsampling=UPSAMPLING)[0] / rate
