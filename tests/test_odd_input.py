"""What benchmarks/odd_input.py mixes, and the line it prints."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


def load() -> ModuleType:
    path = Path(__file__).resolve().parents[1] / "benchmarks/odd_input.py"
    spec = importlib.util.spec_from_file_location("odd_input", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


odd = load()


def test_turns_do_not_overlap_but_for_the_fade() -> None:
    first, second = odd.by_turns(np.random.default_rng(0))
    both = (np.abs(first) > 1e-5) & (np.abs(second) > 1e-5)
    assert both.mean() < 2 * odd.FADE * 5 / odd.SECONDS
    assert (np.abs(first) > 1e-5).mean() > 0.25
    assert (np.abs(second) > 1e-5).mean() > 0.25


def test_half_of_the_time_is_silent() -> None:
    for voice in odd.half_silent(np.random.default_rng(1)):
        silent = [not span.any() for span in np.array_split(np.abs(voice) > 1e-9, 10 * 20)]
        assert 0.4 < np.mean(silent) < 0.75  # voices pause by themselves, too


def test_chords_have_their_notes() -> None:
    x = odd.chords(np.random.default_rng(2))
    assert x.shape == (round(odd.SECONDS * odd.RATE),)
    assert np.abs(x).max() == pytest.approx(0.1)
    root = 110 * 2 ** (np.random.default_rng(2).integers(0, 12) / 12)
    spectrum = np.abs(np.fft.rfft(x[: 2 * odd.RATE] * np.hanning(2 * odd.RATE)))
    for semitones in (0, 4, 7):
        k = round(root * 2 ** (semitones / 12) * 2)
        assert spectrum[k - 2 : k + 3].max() > 20 * np.median(spectrum)


def test_seeds_make_the_same_talkers() -> None:
    for case in odd.CASES:
        one, again, other = (case.talkers(np.random.default_rng(seed)) for seed in (4, 4, 5))
        assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
        assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_line_of_a_case() -> None:
    rooms = [odd.Outcome(np.array([1.0, 3.0]), 2.5, 2, "ilrma"), odd.Outcome(np.array([5.0, 9.0]), None, 1, "fastica")]
    assert odd.row(odd.CASES[0], rooms) == f"| {odd.CASES[0].name} | 4.5 | 3.0, 6.0 | 2.0 | 2.5 | 1 of 2 |"


def test_a_room_of_a_case() -> None:
    found = odd.outcome(odd.Case("short", seconds=2.0), 1)
    assert found.gains.shape == (2,)
    assert np.isfinite(found.gains).all()
    assert found.method == "neural"


def test_a_voice_that_is_hardly_voiced_is_not_known_as_speech_in_two_seconds() -> None:
    found = odd.outcome(odd.Case("short", seconds=2.0), 0)
    assert np.isfinite(found.gains).all()
    assert found.method == "ilrma"
