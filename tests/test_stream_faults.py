"""What is known of a long recording before it is separated: its levels, channels that fail, clocks."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from recordings import RATE

import bss
from bss.errors import InputError
from bss.pipeline.planning.options import UnmixOptions
from bss.pipeline.stream import faults, gaps, survey
from bss.pipeline.stream.gaps import Gap
from bss.pipeline.stream.survey import Survey
from bss.signals.files.blocks import ArrayBlocks
from bss.signals.sync.alignment import Alignment, MicAlignment
from bss.signals.sync.clocks.clock import Clock
from bss.signals.sync.of_blocks import sync_blocks


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_pieces_are_spread_over_what_can_be_heard() -> None:
    levels = np.full((2, 1000), 1e-6, np.float32)
    levels[:, 100:900:7] = 1e-2
    levels[:, 333:343] = 1e-2
    found = Survey(levels, np.ones(2, bool))
    pieces = survey.pieces(found, 1000 * RATE, RATE, 100, dead=[(340 * RATE, 400 * RATE)])
    assert len(pieces) == 10
    assert all(b - a == 10 * RATE for a, b in pieces)
    assert all(later[0] >= earlier[1] for earlier, later in pairwise(pieces))
    assert not any(a < 400 * RATE and b > 340 * RATE for a, b in pieces)
    assert survey.pieces(found, 60 * RATE, RATE, 100) == [(0, 60 * RATE)]


def test_survey_measures_every_second() -> None:
    x = noise(2, 65 * RATE + 100)
    x[1, 40 * RATE : 41 * RATE] = 0
    x[0, 5] = np.nan
    found = survey.survey(ArrayBlocks(x, RATE))
    assert found.levels.shape == (2, 66)
    assert found.finite.tolist() == [False, True]
    np.testing.assert_allclose(found.levels[1, [0, 40, 65]], [np.mean(x[1, :RATE] ** 2), 0, np.mean(x[1, -100:] ** 2)], rtol=1e-4)


def levels_with(dead: dict[int, tuple[int, int]], n_mics: int) -> Survey:
    levels = np.full((n_mics, 200), 1e-3, np.float32)
    for k, (a, b) in dead.items():
        levels[k, a:b] = 0
    return Survey(levels, np.ones(n_mics, bool))


def test_a_microphone_that_dies_is_left_out_if_the_others_suffice() -> None:
    names = ("a", "b", "c", "d")
    found = faults.find(levels_with({3: (100, 200)}, 4), names, UnmixOptions(n_sources=2))
    assert found.options.channels == (0, 1, 2)
    assert found.warnings == ("d has no sound from 01:40.0 to 03:20.0, and is left out: the others suffice",)
    kept = faults.find(levels_with({2: (100, 200)}, 3), names[:3], UnmixOptions(n_sources=2))
    assert kept.options.channels is None
    assert kept.dead == {2: [(100, 200)]}


def test_channels_that_are_not_finite() -> None:
    found = replace(levels_with({}, 3), finite=np.array([True, False, True]))
    assert faults.find(found, ("a", "b", "c"), UnmixOptions()).options.channels == (0, 2)
    with pytest.raises(InputError, match="b contain NaN"):
        faults.find(replace(found, finite=np.array([True, False])), ("a", "b"), UnmixOptions())


def test_gaps_of_dead_spans_and_clocks() -> None:
    clock = Clock.steady(100.0, -2.0)
    mics = (MicAlignment("a", covered=((0, 1000),)), MicAlignment("b", True, 2.0, clock=clock, covered=((200, 1000),)))
    found = gaps.find({0: [(1, 4)]}, Alignment(mics, 0, 1000, 100), 1000, 100)
    assert found == (Gap(0, 100, (1,)), Gap(100, 200, (0, 1)), Gap(200, 400, (0,)))
    rows = gaps.records(gaps.of_used(found, (1,)), 1000, 100, ("b",), 1, 5)
    assert rows is not None
    assert [(r.start, r.stop, r.mics, r.separated) for r in rows] == [(0.0, 2.0, [], False), (2.0, 10.0, ["b"], True)]


def test_clocks_are_found_as_in_memory() -> None:
    s = noise(30 * RATE)
    x = np.stack((s[8000:], s[:-8000] + 0.1 * noise(len(s) - 8000, seed=1)))
    x[1, :-160] = x[1, 160:].copy()
    alignment = sync_blocks(ArrayBlocks(x, RATE), (0, 1), np.ones(2), mode="auto", devices=None)
    assert alignment is not None
    assert alignment.mics == bss.sync(x, RATE).alignment.mics
    assert alignment.mics[1].message == "mic2: starts 0.490 s earlier"
    assert sync_blocks(ArrayBlocks(x, RATE), (0, 1), np.ones(2), mode="auto", devices=["x", "x"]) is None
