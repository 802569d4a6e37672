"""Which of the separated sounds are talkers: how much each is like speech, in one number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

FURTHEST = 1.5  # distance: voices of espeak-ng come to 1.4; pianos, violins and drums to 1.4 at least, mostly beyond 2
# Log odds above which a sound is a talker, and by which it may be either: a talker taken for noise is worse than the reverse.
TALKER, DOUBT = -0.5, 1.5


@dataclass(frozen=True)
class Roles:
    """Which sounds are talkers.

    Attributes
    ----------
    talker : np.ndarray
        (K,) whether each sound is a talker.
    scores : tuple[float, ...]
        Log odds of each being a talker, of which TALKER is taken off; empty if that was not measured.
    fewest, most : int
        How many talkers there are at least and at most, if a score between -DOUBT and DOUBT may be either.
    """

    talker: np.ndarray
    scores: tuple[float, ...] = ()
    fewest: int = 0
    most: int = 0

    @property
    def n_talkers(self) -> int:
        """N."""
        return int(self.talker.sum())

    @property
    def beside_noise(self) -> bool:
        """Whether a sound is like speech while another surely is not: what is far from clean speech is so by its noise."""
        return not self.talker.all() and max(self.scores) > 0 and min(self.scores) < -DOUBT

    @property
    def divided(self) -> bool:
        """Whether a sound that is none of the talkers asked for is like speech: part of one of them, who moves, say."""
        return any(score > 0 for score, talker in zip(self.scores, self.talker, strict=False) if not talker)

    def ordered(self, order: np.ndarray) -> Roles:
        """The same with sound order[k] in place k."""
        scores = tuple(self.scores[k] for k in order) if self.scores else ()
        return replace(self, talker=self.talker[order], scores=scores)


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
    scores = np.asarray(evidence["speech_score"], np.float64) - TALKER
    values = tuple(round(float(score), 2) for score in scores)
    if wanted is not None:
        talker = np.zeros(len(scores), bool)
        talker[np.argsort(-scores, kind="stable")[:wanted]] = True
        return Roles(talker, values, int(talker.sum()), int(talker.sum()))
    if not any(evidence["speech"]) and not any_speech(evidence):
        return Roles(np.ones(len(scores), bool), values, 1, len(scores))
    sure = int(np.sum(scores > DOUBT))
    return Roles(scores > 0, values, max(1, sure), int(np.sum(scores > -DOUBT)))


def any_speech(evidence: Mapping[str, Any]) -> bool:
    """Whether any sound is rather speech than not, and no further from it than speech with noise, or a synthetic voice, is."""
    scores = np.asarray(evidence["speech_score"], np.float64) - TALKER
    return bool(np.any((scores > 0) & (np.asarray(evidence["speech_distance"]) < FURTHEST)))
