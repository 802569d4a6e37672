"""How many talkers a recording holds: of as many outputs as microphones those count that begin things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.pipeline import calibration
from bss.pipeline.analysis.subset_ica import SubsetSeparation

NEIGHBOURS = 3  # bins whose powers are added: noise rises in single bins, talkers in several
RISE = calibration.COUNTING_RISE.value
ABOVE_FLOOR = calibration.COUNTING_ABOVE_FLOOR.value
FLOOR_QUANTILE = 0.2  # of the powers of a bin: its quiet frames
OWNED = calibration.COUNTING_OWNED.value
# Bands of as many beginnings each. Shares in them are averaged by their square roots: a talker begins things in all bands, and
# an output that holds much in a few only is often somebody else, whose bins were put in two outputs.
BANDS = 12
FEWEST = calibration.COUNTING_FEWEST.value
NEEDED = calibration.COUNTING_NEEDED.value
DOUBT = calibration.COUNTING_DOUBT.value  # twice that for each halving of the window


@dataclass(frozen=True)
class Count:
    """The number of talkers, and what it was read from.

    Attributes
    ----------
    n_sources : int
        From 1 to the number of microphones.
    fewest, most : int
        The numbers that the same evidence gives with a stricter and with a laxer rule; equal where it is clear.
    shares : tuple[float, ...]
        For each output of the trial, in falling order, the share that it has in what begins in the recording.
    reason : str
        One line for people.
    """

    n_sources: int
    fewest: int
    most: int
    shares: tuple[float, ...]
    reason: str

    @property
    def sure(self) -> bool:
        """Whether a stricter and a laxer rule find the same number."""
        return self.fewest == self.most

    @property
    def warning(self) -> str | None:
        """What to tell people where the number is unsure."""
        if self.sure:
            return None
        possible = f"{self.fewest} to {self.most} are possible"
        return f"the number of talkers is unsure: {self.n_sources} was taken, {possible}; give it if you know it"

    def evidence(self) -> dict[str, Any]:
        """The numbers, as JSON takes them."""
        return {
            "n_sources": self.n_sources,
            "sure": self.sure,
            "fewest": self.fewest,
            "most": self.most,
            "onset_shares": [round(share, 4) for share in self.shares],
            "onset_share_needed": NEEDED,
            "reason": self.reason,
        }


def count(subset: SubsetSeparation | None, n_mics: int, seconds: float) -> Count:
    """Count the talkers of a recording of n_mics microphones, from 1 to n_mics, by what ICA makes of some of its bins.

    Echo never begins anything: where the sound of a bin rises, a talker has just spoken, and of the outputs of ICA in
    every bin one that is a talker holds nearly all of it there. An output of echo or noise may be loud, but not there.
    """
    if subset is None:
        return Count(n_mics, 1, n_mics, (), f"{seconds:.2f} s are too short to count talkers; one per microphone is assumed")
    shares = np.sort(onset_shares(subset.powers))[::-1]
    if not shares.any():
        return Count(n_mics, 1, n_mics, (), "too few onsets to count talkers by; one per microphone is assumed")
    doubt = DOUBT * 2**subset.halved
    n, fewest, most = (max(1, int(np.sum(shares > NEEDED * factor))) for factor in (1.0, doubt, 1 / doubt))
    return Count(n, fewest, most, tuple(float(share) for share in shares), _reason(shares))


def _reason(shares: np.ndarray) -> str:
    listed = ", ".join(f"{100 * share:.2g}" for share in shares)
    return f"share of the onsets that each output of ICA has to itself: {listed} %; a talker has {100 * NEEDED:.3g} % or more"


def onset_shares(powers: np.ndarray) -> np.ndarray:
    """(N,) share of the beginnings in powers (F, N, T) that each output is nearly alone in; zeros if there are too few."""
    return over_bands(beginnings(powers))


def beginnings(powers: np.ndarray, *, rise: float = RISE, above_floor: float = ABOVE_FLOOR, owned: float = OWNED) -> np.ndarray:
    """(F, N) how many beginnings in the bins of powers (F, N, T) each output is nearly alone in."""
    P = np.asarray(powers, np.float64)
    if len(P) > NEIGHBOURS:
        P = np.lib.stride_tricks.sliding_window_view(P, NEIGHBOURS, axis=0).sum(-1)
    total = P.sum(1)
    loud = total > np.median(total, axis=1, keepdims=True)
    loud &= total > above_floor * np.quantile(total, FLOOR_QUANTILE, axis=1, keepdims=True)
    rising = np.zeros_like(loud)
    rising[:, 1:] = loud[:, 1:] & (total[:, 1:] > rise * total[:, :-1])
    return np.asarray(((owned * total[:, None] < P) & rising[:, None]).sum(2))


def over_bands(held: np.ndarray, *, fewest: float = FEWEST) -> np.ndarray:
    """(N,) shares, from the number of beginnings held (F, N) in every bin; zeros of fewer than `fewest`."""
    begun = held.sum(1)
    until = np.cumsum(begun)
    if until[-1] < fewest:
        return np.zeros(held.shape[1])
    band = np.minimum(((until - begun / 2) * BANDS / until[-1]).astype(int), BANDS - 1)
    counts = np.zeros((BANDS, held.shape[1]))
    np.add.at(counts, band, held)
    shares = np.mean(np.sqrt(counts / np.maximum(counts.sum(1, keepdims=True), 1)), axis=0) ** 2
    return np.asarray(shares / shares.sum())
