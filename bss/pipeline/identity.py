"""Which track is which: the order of the sources, the microphone each belongs to, and how late the others hear it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.pipeline import activity
from bss.pipeline.separate import Solved
from bss.signals.stft import Stft

TINY = np.finfo(np.float64).tiny
DELAY_FRAME_SECONDS, LONGEST_DELAY, UPSAMPLING = 0.256, 0.05, 8
# A bin counts for a delay where the source is loud; below 60 dB under its loudest bin there is rounding.
HEARD = 1e-6


@dataclass(frozen=True)
class Ordered:
    """Sources (N, n) in their order; for each the microphone that hears it loudest, (N,), and delays behind that, (N, M) s."""

    sources: np.ndarray
    dominant: np.ndarray
    delays: np.ndarray

    def describe(self, mics: list[str], rate: int) -> list[dict[str, Any]]:
        """For each source its levels, activity, dominant microphone, and delay at every microphone."""
        rows = []
        for y, mic, delays in zip(self.sources, self.dominant, self.delays, strict=True):
            place = {"dominant_mic": mics[int(mic)], "delays_ms": [round(1e3 * float(d), 3) + 0.0 for d in delays]}
            rows.append({**place, **activity.measure(y, rate).to_dict()})
        return rows


def ordered(solved: Solved, x: np.ndarray, reference: int | None, rate: int) -> Ordered:
    """In a stable order, heard at the reference microphone; without one each at the microphone of their own."""
    return per_mic(solved, x, rate) if reference is None else in_order(solved, x, reference, rate)


def in_order(solved: Solved, x: np.ndarray, reference: int, rate: int) -> Ordered:
    """By the microphone that hears the source loudest, the loudest source first; heard at the reference microphone."""
    powers = solved.image_powers()
    dominant = _dominant(powers, x)
    order = np.lexsort((-powers[:, reference], dominant))
    sources = solved.at(np.full(len(powers), reference))
    return Ordered(sources[order], dominant[order], delays(solved, dominant, rate)[order])


def per_mic(solved: Solved, x: np.ndarray, rate: int) -> Ordered:
    """Source k is the talker of microphone k: the assignment of the largest product of powers, whatever the gains are."""
    from scipy.optimize import linear_sum_assignment

    powers = solved.image_powers()
    rows, mics = linear_sum_assignment(-np.log(powers + TINY))
    mic_of = np.empty(len(rows), int)
    mic_of[rows] = mics
    order = np.argsort(mic_of)
    return Ordered(solved.at(mic_of)[order], _dominant(powers, x)[order], delays(solved, mic_of, rate)[order])


def _dominant(powers: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(N,) microphone that hears each source loudest, relative to what it hears of all: faders do not decide."""
    heard = np.sum(np.square(x, dtype=np.float64), axis=1)
    return np.asarray(np.argmax(powers / (heard + TINY), axis=1))


def delays(solved: Solved, mics: np.ndarray, rate: int) -> np.ndarray:
    """(N, M) seconds by which source n is later at microphone m than at microphone mics[n], by GCC-PHAT of its images.

    References
    ----------
    C. Knapp and G. Carter, "The generalized correlation method for estimation of time delay", IEEE TASSP 24(4), 1976.
    """
    cross = _from_filters(solved, mics) if solved.separation.demixing is not None else _from_tracks(solved, mics, rate)
    if cross is None:  # mixed without delays
        return np.zeros((len(mics), len(solved.observed)))
    magnitude = np.abs(cross)
    heard = magnitude > HEARD * magnitude.max(0, keepdims=True)
    size = 2 * (len(cross) - 1)
    phases = np.where(heard, cross / np.where(heard, magnitude, 1), 0)
    correlation = np.fft.irfft(phases, n=size * UPSAMPLING, axis=0)
    reach = min(size // 4, round(LONGEST_DELAY * rate)) * UPSAMPLING
    near = np.abs(np.concatenate([correlation[-reach:], correlation[: reach + 1]]))  # a microphone may be wired in reverse
    return np.asarray((near.argmax(0) - reach) * (near.max(0) > 0) / (UPSAMPLING * rate))


def _from_filters(solved: Solved, mics: np.ndarray) -> np.ndarray | None:
    """(F, N, M) cross-spectra of the images of each source; None where the mixing has no delays."""
    if solved.stft is None:
        return None
    A = solved.mixing().swapaxes(1, 2)  # (F, N, M)
    own = np.take_along_axis(A, np.broadcast_to(mics[:, None], (len(A), len(mics), 1)), axis=2)
    power = np.mean(np.abs(solved.separation.sources) ** 2, axis=2)[:, :, None]
    return np.asarray(power * A * own.conj())


def _from_tracks(solved: Solved, mics: np.ndarray, rate: int) -> np.ndarray:
    """The same of sources that no matrix makes: their images are made at one microphone after another."""
    stft = Stft(1 << max(5, round(np.log2(DELAY_FRAME_SECONDS * rate))))
    own = stft.forward(solved.at(mics))
    n_mics = solved.image_powers().shape[1]
    images = (stft.forward(solved.at(np.full(len(mics), m))) for m in range(n_mics))
    return np.stack([np.einsum("fnt,fnt->fn", image, own.conj()) for image in images], axis=2)
