"""SI-SDR frame by frame: where in the recording a separation fails, which a mean over minutes hides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.errors import UsageError
from bss.metrics.si_sdr import CEILING_DB, si_sdr

QUIET_DB = 40.0
"""A frame that is further below the mean power of the talker has no score."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class FrameScores:
    """The SI-SDR of N talkers in T frames.

    Attributes
    ----------
    seconds : float
        Length of a frame; the last one may be up to half longer or shorter.
    starts : array, shape=(T,)
        Seconds.
    si_sdr : array, shape=(N, T)
        dB; NaN where the talker is silent, or more than 40 dB below their own mean power. -120 where the estimate is silent and
        the talker is not.
    """

    seconds: float
    starts: np.ndarray
    si_sdr: np.ndarray

    def quantiles(self) -> np.ndarray:
        """(N, 5): of each talker's frames 5, 25, 50, 75 and 95 % are below; NaN for a talker without any."""
        rows = [row[np.isfinite(row)] for row in self.si_sdr]
        return np.stack([np.quantile(row, QUANTILES) if row.size else np.full(len(QUANTILES), np.nan) for row in rows])

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, with None for NaN."""
        return {
            "seconds": self.seconds,
            "starts": [round(float(t), 6) for t in self.starts],
            "si_sdr": _plain(self.si_sdr),
            "quantiles": list(QUANTILES),
            "si_sdr_quantiles": _plain(self.quantiles()),
            "quiet_db": -QUIET_DB,
        }


def frame_scores(references: np.ndarray, estimates: np.ndarray, rate: int, seconds: float) -> FrameScores:
    """SI-SDR in frames of so many seconds, one after the other.

    Parameters
    ----------
    references, estimates : array, shape=(N, n)
        Estimate j belongs to reference j; one that is all NaN stands for a reference without any.
    rate : int
        Hz.
    seconds : float
        Length of a frame, at least 10 samples and at most the recording.

    Returns
    -------
    FrameScores

    Raises
    ------
    UsageError
        A frame is too short or too long.

    Examples
    --------
    >>> s = np.random.default_rng(0).standard_normal((1, 8000))
    >>> frame_scores(s, s + np.where(np.arange(8000) < 4000, 0, 0.1) * s[:, ::-1], 8000, 0.5).si_sdr.round().tolist()
    [[120.0, 20.0]]
    """
    n = references.shape[1]
    size = round(seconds * rate) if np.isfinite(seconds) else 0
    if not 10 <= size <= n:
        raise UsageError(
            f"frames of {seconds:g} s cannot be scored", f"the recording has {n / rate:g} s at {rate} Hz",
            f"a length of {10 / rate:g} to {n / rate:g} s",
        )  # fmt: skip
    starts = np.arange(max(1, round(n / size))) * size
    scores = np.full((len(references), len(starts)), np.nan)
    for j, (s, e) in enumerate(zip(references, estimates, strict=True)):
        if not np.isnan(e[0]):
            scores[j] = [_of_frame(s, e, first, last) for first, last in zip(starts, [*starts[1:], n], strict=True)]
    return FrameScores(size / rate, starts / rate, scores)


def _of_frame(s: np.ndarray, e: np.ndarray, first: int, last: int) -> float:
    part, mean = s[first:last], np.mean(np.square(s, dtype=np.float64))
    if not np.mean(np.square(part, dtype=np.float64)) > 10 ** (-QUIET_DB / 10) * mean:
        return float("nan")
    return float(si_sdr(part, e[first:last])) if np.any(e[first:last]) else -CEILING_DB


def _plain(rows: np.ndarray) -> list[list[float | None]]:
    return [[float(x) if np.isfinite(x) else None for x in row] for row in rows]
