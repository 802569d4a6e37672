"""`per_mic`: everyone has a microphone of their own."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from recordings import RATE, desk, fit, hiss, own_mics, room

import bss
from bss.pipeline.analysis.recording import Analysis
from bss.pipeline.methods import close_mics
from bss.pipeline.methods.close_mics import AGREEING

SECONDS = 9.7


def agreement(x: np.ndarray, rate: int) -> float | None:
    """How far everyone has a microphone of their own, in x (M, n)."""
    return close_mics.agreement(Analysis(x, rate).subset)


@cache
def table(n: int, rt60: float) -> tuple[np.ndarray, np.ndarray]:
    """The recording (n, samples) and what each microphone hears of its own talker."""
    images = own_mics(n, SECONDS, rt60=rt60)
    return images.sum(0) + hiss(images.shape[1:], 1e-4), np.stack([images[k, k] for k in range(n)])


@pytest.mark.parametrize(("n", "rt60", "gain"), [(2, 0.15, 8.0), (3, 0.3, 8.0), (3, 0.6, 5.0)])
def test_bleed_is_reduced_and_everyone_keeps_their_track(n: int, rt60: float, gain: float) -> None:
    x, own = table(n, rt60)
    result = bss.unmix(x, RATE, per_mic=True)
    assert result.method == "fdica-per-mic"
    assert result.info["evidence"]["own_mics_agreement"] > AGREEING
    assert "every talker has a microphone" in result.reason
    scores = fit(own, result.sources)
    assert scores.argmax(1).tolist() == list(range(n))
    assert np.mean(np.diag(scores) - bss.si_sdr(own, x)) > gain
    level = 10 * np.log10(np.mean(result.sources**2, axis=1) / np.mean(own**2, axis=1))
    assert (np.abs(level) < 1).all()


def test_the_tracks_follow_the_microphones() -> None:
    x, own = table(3, 0.3)
    order = [2, 0, 1]
    result = bss.unmix(x[order], RATE, per_mic=True, names=["carla", "anna", "ben"])
    assert fit(own[order], result.sources).argmax(1).tolist() == [0, 1, 2]
    assert [source["dominant_mic"] for source in result.info["sources"]] == ["carla", "anna", "ben"]


@pytest.mark.parametrize("n", [2, 3])
def test_microphones_that_are_nobodys_are_noticed(n: int) -> None:
    x = room(n, SECONDS, spacing=0.05, seed=1).mixture
    agreeing = agreement(x, RATE)
    assert agreeing is not None
    assert agreeing < AGREEING
    result = bss.unmix(x, RATE, per_mic=True)
    assert result.method != "fdica-per-mic"
    assert any("do not seem to have a microphone each" in warning for warning in result.warnings)


def test_close_microphones_are_noticed_without_the_option() -> None:
    x, _ = table(3, 0.3)
    assert any("--per-mic (per_mic=True) makes a track of each microphone" in warning for warning in bss.unmix(x, RATE).warnings)


def test_a_mixing_desk_stays_with_ica() -> None:
    x = desk(2, 3.0).mixture
    assert not any("--per-mic" in warning for warning in bss.unmix(x, RATE).warnings)
    assert bss.unmix(x, RATE, per_mic=True).method == "fastica"


def test_a_method_that_is_named_is_taken() -> None:
    x, _ = table(2, 0.15)
    assert bss.unmix(x[:, : 3 * RATE], RATE, per_mic=True, method="ilrma").method == "ilrma"


def test_too_short_to_tell() -> None:
    x, _ = table(3, 0.3)
    assert agreement(np.ascontiguousarray(x[:, :3000]), RATE) is None
