"""The number of talkers in a recording, from the share of the onsets that each output of ICA has to itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.pipeline import calibration
from bss.pipeline.analysis.subset_ica import SubsetSeparation

NEIGHBOURS = 3  # bins whose powers are added: noise rises in single bins, speech in several
RISE = calibration.COUNTING_RISE.value
ABOVE_FLOOR = calibration.COUNTING_ABOVE_FLOOR.value
FLOOR_QUANTILE = 0.2  # of the powers of a bin: its quiet frames
OWNED = calibration.COUNTING_OWNED.value
# Bands with equal numbers of onsets. The square roots of the shares are averaged over them: a talker has onsets in all bands; an
# output with many in a few bands only is often part of another talker, whose bins the alignment has put into two outputs.
BANDS = 12
FEWEST = calibration.COUNTING_FEWEST.value
# Overlap of two outputs over the bands, below which they are one talker: 0.11 to 0.4 where they were, in rooms with 1 or 2
# talkers; 0.65 or more for two. By how much they must share more with others, and the share of the onsets that tells.
DIVIDED, SHARED, LEAST_PART = 0.42, 0.3, 0.05
NEEDED = calibration.COUNTING_NEEDED.value
DOUBT = calibration.COUNTING_DOUBT.value  # twice that for each halving of the window


@dataclass(frozen=True)
class Count:
    """The number of talkers, and the evidence for it.

    Attributes
    ----------
    n_sources : int
        From 1 to the number of microphones, or one more.
    fewest, most : int
        The numbers that a stricter and a laxer threshold give; equal if the evidence is clear.
    shares : tuple[float, ...]
        For each output of the ICA the share of the onsets that it has to itself, in descending order.
    reason : str
        What the number is based on, in one line.
    unowned : float
        Share of the onsets that no output has to itself.
    """

    n_sources: int
    fewest: int
    most: int
    shares: tuple[float, ...]
    reason: str
    unowned: float = 0.0

    @property
    def sure(self) -> bool:
        """Whether a stricter and a laxer threshold give the same number."""
        return self.fewest == self.most

    @property
    def warning(self) -> str | None:
        """The warning if the number is unsure."""
        if self.sure:
            return None
        counted = "1 talker" if self.n_sources == 1 else f"{self.n_sources} talkers"
        return f"counted {counted}, but there may be {self.fewest} to {self.most}; if you know the number, set it"

    def evidence(self) -> dict[str, Any]:
        """The evidence as a dict for result.json."""
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
    """Count the talkers of a recording of `seconds`, from 1 to n_mics, by ICA in a subset of its bins.

    Echo has no onsets of its own: where the power in a bin rises, a talker has just begun a sound, and among the outputs of ICA
    the one of this talker has nearly all of the power there. An output of echo or noise may be loud, but not at onsets.
    """
    if subset is None:
        return Count(n_mics, 1, n_mics, (), f"{seconds:.2f} s are too short to count talkers, so one per microphone is assumed")
    counts, unowned = onsets_and_unowned(subset.powers)
    shares = np.sort(averaged_over_bands(joined(shares_in_bands(counts))))[::-1]
    if not shares.any():
        return Count(n_mics, 1, n_mics, (), "there are too few onsets to count talkers, so one per microphone is assumed")
    doubt = DOUBT * 2**subset.halvings
    needed = NEEDED * shares[0]
    n, fewest, most = (max(1, int(np.sum(shares > needed * factor))) for factor in (1.0, doubt, 1 / doubt))
    return Count(n, fewest, most, tuple(float(share) for share in shares), _reason(shares), unowned)


def _reason(shares: np.ndarray) -> str:
    listed = ", ".join(f"{100 * share:.2g}" for share in shares)
    return f"shares of the onsets: {listed} %; a talker has {100 * NEEDED:.3g} % of the largest or more"


def onset_shares(powers: np.ndarray) -> np.ndarray:
    """(N,) share of the onsets in powers (F, N, T) that each output has to itself; zeros if there are too few onsets."""
    return averaged_over_bands(joined(shares_in_bands(onsets(powers))))


def onsets(powers: np.ndarray, *, rise: float = RISE, above_floor: float = ABOVE_FLOOR, owned: float = OWNED) -> np.ndarray:
    """(F, N) number of onsets in each bin of powers (F, N, T) at which an output has at least the share `owned` of the power."""
    return onsets_and_unowned(powers, rise=rise, above_floor=above_floor, owned=owned)[0]


def onsets_and_unowned(
    powers: np.ndarray, *, rise: float = RISE, above_floor: float = ABOVE_FLOOR, owned: float = OWNED
) -> tuple[np.ndarray, float]:
    """`onsets`, and the share of all onsets that no output has to itself."""
    P = np.asarray(powers, np.float64)
    if len(P) > NEIGHBOURS:
        P = np.lib.stride_tricks.sliding_window_view(P, NEIGHBOURS, axis=0).sum(-1)
    total = P.sum(1)
    loud = total > np.median(total, axis=1, keepdims=True)
    loud &= total > above_floor * np.quantile(total, FLOOR_QUANTILE, axis=1, keepdims=True)
    rising = np.zeros_like(loud)
    rising[:, 1:] = loud[:, 1:] & (total[:, 1:] > rise * total[:, :-1])
    counts = np.asarray(((owned * total[:, None] < P) & rising[:, None]).sum(2))
    return counts, 1 - float(counts.sum()) / max(int(rising.sum()), 1)


def band_averaged_shares(counts: np.ndarray, *, fewest: float = FEWEST) -> np.ndarray:
    """(N,) shares of the onsets, from their number in each bin (F, N); zeros if there are fewer than `fewest` in all."""
    return averaged_over_bands(joined(shares_in_bands(counts, fewest=fewest)))


def shares_in_bands(counts: np.ndarray, *, fewest: float = FEWEST) -> np.ndarray:
    """(B, N) shares of onsets in bands with equally many, from their numbers in the bins (F, N); zeros if too few."""
    in_bin = counts.sum(1)
    cumulative = np.cumsum(in_bin)
    in_band = np.zeros((BANDS, counts.shape[1]))
    if cumulative[-1] < fewest:
        return in_band
    band = np.minimum(((cumulative - in_bin / 2) * BANDS / cumulative[-1]).astype(int), BANDS - 1)
    np.add.at(in_band, band, counts)
    return np.asarray(in_band / np.maximum(in_band.sum(1, keepdims=True), 1))


def joined(in_bands: np.ndarray) -> np.ndarray:
    """Shares in bands (B, N) in which of two outputs that divide the bands between them one has all, and the other none.

    Two talkers have onsets in the same bands, if not equally many. Outputs of which each has those of its own bands are vowels
    and hisses of one talker, whose low and high bins the alignment has put into two places. Noise of a few bands meets every
    talker there.
    """
    in_bands = in_bands.copy()
    while True:
        total = in_bands.sum(0)
        heard = [int(k) for k in np.flatnonzero(total > LEAST_PART * max(total.sum(), 1e-9))]
        pairs = [(i, j) for i in heard for j in heard if i < j]
        apart = [(_overlap(in_bands, i, j), i, j) for i, j in pairs if _only_these_are_apart(in_bands, i, j, heard)]
        if not apart or min(apart)[0] > DIVIDED:
            return in_bands
        _, i, j = min(apart)
        in_bands[:, i] += in_bands[:, j]
        in_bands[:, j] = 0


def _overlap(in_bands: np.ndarray, i: int, j: int) -> float:
    """1 if two outputs have their onsets in the same bands, 0 if none has onsets where the other has (Bhattacharyya)."""
    a, b = in_bands[:, i], in_bands[:, j]
    return float(np.sum(np.sqrt(a * b)) / max(float(np.sqrt(a.sum() * b.sum())), 1e-9))


def _only_these_are_apart(in_bands: np.ndarray, i: int, j: int, heard: list[int]) -> bool:
    """Whether two outputs share their bands with every third one more than with each other."""
    least = _overlap(in_bands, i, j) + SHARED
    return all(_overlap(in_bands, n, k) > least for n in (i, j) for k in heard if k not in (i, j))


def averaged_over_bands(in_bands: np.ndarray) -> np.ndarray:
    """(N,) from shares in bands (B, N)."""
    shares = np.mean(np.sqrt(in_bands), axis=0) ** 2
    return np.asarray(shares / max(float(shares.sum()), 1e-9))
