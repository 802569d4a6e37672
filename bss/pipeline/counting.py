"""How many talkers a recording holds: of as many outputs as microphones those count that begin things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.pipeline.trial import trial

# Every number below was chosen on simulated rooms; docs/methods.md has the table.
NEIGHBOURS = 3  # bins whose powers are added: noise rises in single bins, talkers in several
RISE = 2.0  # by which the power in a frame exceeds that of the frame before, where something begins
ABOVE_FLOOR, FLOOR_QUANTILE = 8.0, 0.2  # what begins must be loud against the quiet frames of its bins
ALONE = 0.75  # share of the power that an output must have where it counts as what began
# Bands of as many beginnings each. Shares in them are averaged by their square roots: a talker begins things in all bands, and
# an output that holds much in a few only is often somebody else, whose bins were put in two outputs.
BANDS = 12
FEWEST = 100  # beginnings to count by: speech has hundreds in two seconds, steady noise a dozen
NEEDED = 0.0185  # share of the beginnings that makes a talker
DOUBT = 2.0  # a factor on NEEDED, either way, within which the number is unsure; twice that for each halving of the window


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


def count(x: np.ndarray, rate: int) -> Count:
    """Count the talkers of x (M, n), from 1 to M.

    Echo never begins anything: where the sound of a bin rises, a talker has just spoken, and of the outputs of ICA in
    every bin one that is a talker holds nearly all of it there. An output of echo or noise may be loud, but not there.

    Parameters
    ----------
    x : np.ndarray
        (M, n) usable channels, float.
    rate : int
        Hz.
    """
    M = len(x)
    found = trial(x, rate)
    if found is None:
        return Count(M, 1, M, (), f"talkers cannot be counted in {x.shape[1] / rate:.2f} s of sound, so one per microphone")
    shares = np.sort(onset_shares(found.powers))[::-1]
    if not shares.any():
        return Count(M, 1, M, (), "too little begins in this recording to count talkers by, so one per microphone")
    doubt = DOUBT * 2**found.halved
    n, fewest, most = (max(1, int(np.sum(shares > NEEDED * factor))) for factor in (1.0, doubt, 1 / doubt))
    return Count(n, fewest, most, tuple(float(share) for share in shares), _reason(shares))


def _reason(shares: np.ndarray) -> str:
    listed = ", ".join(f"{100 * share:.2g}" for share in shares)
    return f"{len(shares)} outputs hold {listed} % of what begins in the recording, and a talker {100 * NEEDED:.3g} % or more"


def onset_shares(powers: np.ndarray) -> np.ndarray:
    """(N,) share of the beginnings in powers (F, N, T) that each output is nearly alone in; zeros if there are too few."""
    P = np.asarray(powers, np.float64)
    if len(P) > NEIGHBOURS:
        P = np.lib.stride_tricks.sliding_window_view(P, NEIGHBOURS, axis=0).sum(-1)
    total = P.sum(1)
    loud = total > np.median(total, axis=1, keepdims=True)
    loud &= total > ABOVE_FLOOR * np.quantile(total, FLOOR_QUANTILE, axis=1, keepdims=True)
    rising = np.zeros_like(loud)
    rising[:, 1:] = loud[:, 1:] & (total[:, 1:] > RISE * total[:, :-1])
    return _over_bands(((ALONE * total[:, None] < P) & rising[:, None]).sum(2))


def _over_bands(held: np.ndarray) -> np.ndarray:
    """(N,) shares, from the number of beginnings held (F, N) in every bin."""
    begun = held.sum(1)
    until = np.cumsum(begun)
    if until[-1] < FEWEST:
        return np.zeros(held.shape[1])
    band = np.minimum(((until - begun / 2) * BANDS / until[-1]).astype(int), BANDS - 1)
    counts = np.zeros((BANDS, held.shape[1]))
    np.add.at(counts, band, held)
    shares = np.mean(np.sqrt(counts / np.maximum(counts.sum(1, keepdims=True), 1)), axis=0) ** 2
    return np.asarray(shares / shares.sum())
