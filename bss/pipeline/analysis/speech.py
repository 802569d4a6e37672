"""Whether a track is speech: the measures of the learned source model against calibrated thresholds."""

from __future__ import annotations

from typing import Any

from bss.networks.source_model.apply import Model, Tracks, speech_measures
from bss.pipeline import calibration

DISTANCE = calibration.SPEECH_DISTANCE.value
VOICED = calibration.SPEECH_VOICED.value
SYLLABLES = calibration.SPEECH_SYLLABLES.value


def speech_evidence(model: Model, tracks: Tracks) -> dict[str, Any]:
    """For each track whether it is speech, and the measures: the rounded ones that are reported decide."""
    measures = speech_measures(model, tracks)
    distance, voiced, syllables = (
        [round(value, 3) for value in values] for values in (measures.distance, measures.voiced, measures.syllables)
    )
    return {
        "speech": [d < DISTANCE and v > VOICED and s > SYLLABLES for d, v, s in zip(distance, voiced, syllables, strict=True)],
        "speech_distance": distance, "speech_below": DISTANCE, "voiced": voiced, "voiced_above": VOICED,
        "syllables": syllables, "syllables_above": SYLLABLES, "speech_score": [round(value, 2) for value in measures.score],
    }  # fmt: skip
