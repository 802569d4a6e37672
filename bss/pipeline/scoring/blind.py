"""Tracks in files without the truth: `bss score --no-reference`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bss.metrics.blind import BlindScores, score_blind
from bss.pipeline.record import RunRecord
from bss.pipeline.scoring.files import listed, short_names
from bss.pipeline.scoring.inputs import Inputs
from bss.signals.files.blocks import Files


@dataclass(frozen=True)
class BlindFiles:
    """The scores of tracks in files; of the microphone before separation, if given; and what bss predicted when it made them.

    Attributes
    ----------
    scores : BlindScores
        Of the tracks.
    before : BlindScores or None
        Of the mixture alone: its DNSMOS, to compare.
    names : tuple[str, ...]
        Of the tracks.
    record : RunRecord or None
        The result.json beside the tracks.
    rate, samples, inputs, notes, warnings
        As of `ScoredFiles`.
    """

    scores: BlindScores
    before: BlindScores | None
    names: tuple[str, ...]
    record: RunRecord | None
    rate: int
    samples: int
    inputs: dict[str, Any]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def predicted_gain_db(self) -> float | None:
        """The improvement of the SI-SDR that bss predicted from the tracks; None without a result.json or a prediction."""
        return self.record.success.predicted_si_sdr_gain_db if self.record is not None and self.record.success else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        success = self.record.success if self.record is not None else None
        return {
            "inputs": self.inputs,
            "rate": self.rate,
            "samples": self.samples,
            "seconds": self.samples / self.rate,
            "tracks": list(self.names),
            "blind": self.scores.to_dict(),
            "mixture": self.before
            and {key: value[0] for key, value in self.before.to_dict().items() if key.startswith("dnsmos")},
            "predicted_si_sdr_gain_db": self.predicted_gain_db,
            "predicted": success and success.sentence,
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }


def score_blind_files(
    estimates: Files, *, mixture: Files | None = None, reference_mic: int = 0, perceptual: bool = False
) -> BlindFiles:
    """`score_blind` of the tracks in files, with the prediction in the result.json beside them.

    Raises
    ------
    InputError
        As of `score_files` and `score_blind`.
    UsageError
        There is no such microphone.
    """
    inputs = Inputs(reference_mic + 1)
    tracks = inputs.read_estimates(estimates)
    scores = score_blind(tracks.x, tracks.rate, perceptual=perceptual)
    before = microphone = None
    if mixture is not None:
        microphone = inputs.read_mixture(mixture, tracks.rate, of="estimates")
        before = score_blind(microphone.x, tracks.rate, perceptual=perceptual)
    return BlindFiles(
        scores, before, short_names([channel.name for channel in tracks.channels]), inputs.record, tracks.rate,
        tracks.x.shape[1], {"estimates": listed(tracks), "mixture": microphone and listed(microphone)},
        tuple(inputs.notes), tuple(inputs.warnings),
    )  # fmt: skip
