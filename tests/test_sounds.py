"""What is said about sounds that are no talkers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bss.pipeline import sounds
from bss.pipeline.analysis.roles import Roles, everybody

NOT_SPEECH = "not like speech and went to noise.wav, not to a track of a talker"


def plan(asked: int | None, n_talkers: int) -> Any:
    return SimpleNamespace(options=SimpleNamespace(n_sources=asked), n_talkers=n_talkers)


def found(*scores: float, talkers: int) -> Roles:
    return Roles(np.arange(len(scores)) < talkers, scores, talkers, talkers)


@pytest.mark.parametrize(
    ("asked", "roles", "said"),
    [
        (None, everybody(2), None),
        (None, found(3.0, -4.0, talkers=1), f"one sound is {NOT_SPEECH}"),
        (2, found(3.0, 2.0, -4.0, -1.0, talkers=2), f"2 sounds are {NOT_SPEECH}"),
        (
            2, found(3.0, 2.0, 1.0, talkers=2),
            "one sound beside the 2 talkers asked for went to noise.wav, though it may be a talker, too",
        ),
        (
            1, found(3.0, -2.0, 1.0, talkers=1),
            "2 sounds beside the 1 talker asked for went to noise.wav, though some may be talkers, too",
        ),
    ],
)  # fmt: skip
def test_what_is_said_of_other_sounds(asked: int | None, roles: Roles, said: str | None) -> None:
    assert sounds.warnings(plan(asked, asked or 2), roles) == ([] if said is None else [said])
