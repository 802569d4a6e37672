"""Which of the separated sounds are talkers: how much each is like speech, in one number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

# Log odds of being a talker per unit of distance from speech, voice and syllables, and a constant. Logistic regression, classes
# of equal weight, over 125 tracks of 42 separations: 2 to 4 talkers, clean, far away, one 15 dB softer, with one noise 5 or 0 dB
# below them, with six; in simulated and measured rooms. The constant is raised by 0.8, as a talker taken for noise is worse than
# the reverse: 1 of 105 talkers is below 0 (a mixture with noises), and none of 20 noises above.
WEIGHTS = (-4.1, 10.6, 6.9, -1.2)
FURTHEST = 1.5  # distance: voices of espeak-ng come to 1.4; pianos, violins and drums to 1.4 at least, mostly beyond 2
DOUBT = 1.5  # 7 of the 125 are within it, and none beyond it on the wrong side


@dataclass(frozen=True)
class Roles:
    """Which sounds are talkers.

    Attributes
    ----------
    talker : np.ndarray
        (K,) whether each sound is a talker.
    likeness : tuple[float, ...]
        Log odds of each being a talker, from how much it is like speech; empty if that was not measured.
    fewest, most : int
        How many talkers there are at least and at most, if a likeness between -DOUBT and DOUBT may be either.
    """

    talker: np.ndarray
    likeness: tuple[float, ...] = ()
    fewest: int = 0
    most: int = 0

    @property
    def n_talkers(self) -> int:
        """N."""
        return int(self.talker.sum())

    @property
    def beside_noise(self) -> bool:
        """Whether a sound is like speech while another surely is not: what is far from clean speech is so by its noise."""
        return not self.talker.all() and max(self.likeness) > 0 and min(self.likeness) < -DOUBT

    @property
    def divided(self) -> bool:
        """Whether a sound that is none of the talkers asked for is like speech: part of one of them, who moves, say."""
        return any(likeness > 0 for likeness, talker in zip(self.likeness, self.talker, strict=False) if not talker)

    def ordered(self, order: np.ndarray) -> Roles:
        """The same with sound order[k] in place k."""
        likeness = tuple(self.likeness[k] for k in order) if self.likeness else ()
        return replace(self, talker=self.talker[order], likeness=likeness)


def in_order(evidence: Mapping[str, Any], order: np.ndarray) -> dict[str, Any]:
    """The evidence of `speech.speech_evidence`, and what else is listed by sound, with sound order[k] in place k."""
    listed = {name for name, values in evidence.items() if isinstance(values, list) and len(values) == len(order)}
    return {name: [values[k] for k in order] if name in listed else values for name, values in evidence.items()}


def everybody(n_sounds: int) -> Roles:
    """All sounds are talkers."""
    return Roles(np.ones(n_sounds, bool), (), n_sounds, n_sounds)


def assign(evidence: Mapping[str, Any], wanted: int | None) -> Roles:
    """The talkers among sounds, by the evidence of `speech.speech_evidence`.

    With a number of talkers wanted, those that are most like speech. Otherwise all that are rather speech than not; if that is
    none, the recording is no conversation (music, say), and all sounds are kept. Power does not count: a fan is louder than a
    talker far away.
    """
    likeness = speech_likeness(evidence["speech_distance"], evidence["voiced"], evidence["syllables"])
    values = tuple(round(float(value), 2) for value in likeness)
    if wanted is not None:
        talker = np.zeros(len(likeness), bool)
        talker[np.argsort(-likeness, kind="stable")[:wanted]] = True
        return Roles(talker, values, int(talker.sum()), int(talker.sum()))
    if not any(evidence["speech"]):
        return Roles(np.ones(len(likeness), bool), values, 1, len(likeness))
    sure = int(np.sum(likeness > DOUBT))
    return Roles(likeness > 0, values, max(1, sure), int(np.sum(likeness > -DOUBT)))


def any_speech(evidence: Mapping[str, Any]) -> bool:
    """Whether any sound is rather speech than not, and no further from it than speech with noise, or a synthetic voice, is."""
    likeness = speech_likeness(evidence["speech_distance"], evidence["voiced"], evidence["syllables"])
    return bool(np.any((likeness > 0) & (np.asarray(evidence["speech_distance"]) < FURTHEST)))


def speech_likeness(distance: Sequence[float], voiced: Sequence[float], syllables: Sequence[float]) -> np.ndarray:
    """(K,) log odds that a sound is a talker: 0 where it may as well be another sound."""
    of_distance, of_voice, of_rhythm, constant = WEIGHTS
    values = np.stack([np.asarray(measure, np.float64) for measure in (distance, voiced, syllables)])
    return np.asarray(of_distance * values[0] + of_voice * values[1] + of_rhythm * values[2] + constant)
