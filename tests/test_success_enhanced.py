"""What tracks behind the source model tell of their separation, and the gain that is told from it."""

from __future__ import annotations

import numpy as np
import pytest
from recordings import RATE, hiss, improvement, voices

import bss
from bss.pipeline.analysis import success
from bss.pipeline.analysis.success_enhanced import features
from bss.scenes.behaviour import Conversation

OVERLAP, INPUT, REST, FLOOR = range(4)


def speech() -> np.ndarray:
    """(2, n) fixture voices, equally loud."""
    y = np.stack(voices(2, 6.0))
    return np.asarray(y / y.std(1, keepdims=True), np.float32)


def talkers(count: int, seconds: float = 4.0) -> np.ndarray:
    """(N, n) independent sounds, all equally loud, all the time."""
    return np.random.default_rng(0).standard_normal((count, round(seconds * RATE))).astype(np.float32)


def test_people_who_take_turns_do_not_overlap() -> None:
    y = talkers(2)
    alternate = y * np.stack([np.arange(y.shape[1]) // RATE % 2 == k for k in range(2)])
    assert features(y, y.sum(0), RATE)[OVERLAP] == 1
    assert features(alternate, alternate.sum(0), RATE)[OVERLAP] < 0.1
    assert features(y * 0, y[0], RATE)[OVERLAP] == 0


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_more_talkers_the_less_of_each_is_in_the_microphone(count: int) -> None:
    y = talkers(count)
    assert features(y, y.sum(0), RATE)[INPUT] == pytest.approx(-10 * np.log10(count - 1), abs=0.3)


@pytest.mark.parametrize("noise_db", [-20.0, -10.0, 0.0])
def test_what_is_no_track_is_the_rest(noise_db: float) -> None:
    y = talkers(2)
    noise = hiss((y.shape[1],), 1.0, seed=1)
    noise *= 10 ** (noise_db / 20) * y.sum(0).std() / noise.std()
    expected = noise_db - 10 * np.log10(1 + 10 ** (noise_db / 10))
    assert features(y, y.sum(0) + noise, RATE)[REST] == pytest.approx(expected, abs=0.3)
    assert features(y, 0.3 * y[0] - 2 * y[1], RATE)[REST] == pytest.approx(-30, abs=0.1)  # whatever their levels are


def test_noise_in_a_track_fills_its_pauses() -> None:
    y = speech()
    clean, noisy = (features(tracks, y.sum(0), RATE)[FLOOR] for tracks in (y, y + hiss(y.shape, 0.3)))
    assert clean < noisy - 5


def test_scale_does_not_count() -> None:
    y = speech()
    expected = features(y, y.sum(0), RATE)
    np.testing.assert_allclose(features(y * np.float32(1e-4), y.sum(0) * np.float32(1e-4), RATE), expected, atol=1e-3)
    assert all(np.isfinite(features(y[:, :100], y[0, :100], RATE)))
    assert all(np.isfinite(features(y * 0, y[0] * 0, RATE)))


def test_noise_in_the_tracks_lowers_the_gain_and_turns_raise_it() -> None:
    usual = [15.0, 0.6, 0.0, -25.0, -25.0, 0.0]

    def told(which: int, value: float) -> float:
        return success.enhanced_gain([*usual[:which], value, *usual[which + 1 :]])

    assert told(0, 5.0) < told(0, 15.0) - 5
    assert told(1 + OVERLAP, 0.1) > told(1 + OVERLAP, 1.0)
    assert told(1 + INPUT, -5.0) > told(1 + INPUT, 0.0)
    assert told(1 + FLOOR, -12.0) < told(1 + FLOOR, -28.0)
    assert told(5, 1.0) < told(5, 0.0)
    assert told(0, -200.0) == success.LOWEST_LEARNED
    assert told(0, 200.0) == success.HIGHEST_LEARNED


def test_the_gain_of_a_conversation_is_not_cut_off() -> None:
    scene = bss.mix(voices(2, 9.0), RATE, n_mics=3, rt60=0.15, seconds=20.0, behaviour=[Conversation(2.0)], rng=3)
    result = bss.unmix(scene.mixture, RATE, n_sources=2)
    truth = float(improvement(scene.images[:, 0], result.sources, scene.mixture[0]).mean())
    assert truth > 24
    assert result.info["success"]["predicted_si_sdr_gain_db"] == pytest.approx(truth, abs=6)
