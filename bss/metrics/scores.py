"""The scores of a separation as one value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bss.metrics.frames import FrameScores

MEASURES = ("si_sdr", "sdr", "sir", "sar")
IMPROVEMENTS = ("si_sdr_improvement", "sdr_improvement", "sir_improvement")

SILENT_REFERENCE = "the reference is silent, so it has no score"
SILENT_ESTIMATE = "the estimate is silent, so it has no score"
NO_ESTIMATE = "there is no estimate for it: there are fewer estimates than references"
ONE_TALKER = "the SIR is undefined, as there is only one talker"
COPY = "the SIR is undefined, as another reference is an exact or filtered copy of this one"


@dataclass(frozen=True)
class Scores:
    """The scores of N references and their estimates. NaN where there is none; `reasons` explains why.

    Attributes
    ----------
    si_sdr, sdr, sir, sar : array, shape=(N,)
        dB. Scale-invariant SDR, and SDR, SIR and SAR of BSS-eval v3. All within +-120 dB.
    permutation : array of int, shape=(N,)
        The estimate of each reference; -1 if it has none.
    reasons : tuple of str, length N
        Why a score of this reference is NaN; "" if none is.
    definitions : dict
        The definition of each score, to be quoted with it.
    si_sdr_improvement, sdr_improvement, sir_improvement : array, shape=(N,), or None
        dB. The score of the estimate minus that of the unprocessed mixture; None without a mixture.
    perceptual : dict of str to array, shape=(N,)
        "pesq_wb", "pesq_nb", "stoi", "estoi", those whose package is installed, and each of them with "_improvement" if there is
        a mixture; empty if not asked for.
    perceptual_reasons : tuple of str, length N
        Why one of those is NaN; "" if none is.
    frames : FrameScores or None
        SI-SDR frame by frame, if asked for.
    left_out : tuple of str
        Perceptual measures that were asked for and whose package is not installed, each with how to get it.
    """

    si_sdr: np.ndarray
    sdr: np.ndarray
    sir: np.ndarray
    sar: np.ndarray
    permutation: np.ndarray
    reasons: tuple[str, ...]
    definitions: dict[str, Any]
    si_sdr_improvement: np.ndarray | None = None
    sdr_improvement: np.ndarray | None = None
    sir_improvement: np.ndarray | None = None
    perceptual: dict[str, np.ndarray] = field(default_factory=dict)
    perceptual_reasons: tuple[str, ...] = ()
    frames: FrameScores | None = None
    left_out: tuple[str, ...] = ()

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """The available measures, by name."""
        columns = {name: getattr(self, name) for name in (*MEASURES, *IMPROVEMENTS)}
        return {name: column for name, column in columns.items() if column is not None} | self.perceptual

    @property
    def mean(self) -> dict[str, float]:
        """Mean of each measure over the references that have a score; NaN if none has."""
        return {k: float(v[np.isfinite(v)].mean()) if np.isfinite(v).any() else np.nan for k, v in self.columns.items()}

    def to_dict(self) -> dict[str, Any]:
        """As JSON values: lists, with None for NaN and for a missing estimate."""
        columns = dict.fromkeys((*MEASURES, *IMPROVEMENTS)) | {k: [_plain(x) for x in v] for k, v in self.columns.items()}
        return {
            **columns,
            "permutation": [int(k) if k >= 0 else None for k in self.permutation],
            "mean": {k: _plain(v) for k, v in self.mean.items()},
            "reasons": [reason or None for reason in self.reasons],
            "perceptual_reasons": [reason or None for reason in self.perceptual_reasons],
            "frames": self.frames and self.frames.to_dict(),
            "definitions": dict(self.definitions),
        }


def _plain(x: float) -> float | None:
    return float(x) if np.isfinite(x) else None
