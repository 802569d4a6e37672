"""`bss.unmix`: how well it separates, which track is which, and what is left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from recordings import RATE, desk, fit, fixture_room, hiss, improvement, own_mics, room

import bss

QUIET = 1e-4


# how well


@pytest.mark.parametrize(("m", "seconds", "bound"), [(2, 6.0, 8.0), pytest.param(3, 9.7, 8.0, marks=pytest.mark.slow)])
def test_a_room_is_separated(m: int, seconds: float, bound: float) -> None:
    """fixtures/room: 0.3 s of reverberation, microphones 5 cm apart."""
    images = fixture_room(m, m, seconds)
    x = images.sum(0) + hiss(images.shape[1:], QUIET)
    result = bss.unmix(x, RATE)
    assert result.method == "neural"
    assert improvement(images[:, 0], result.sources, x[0]).min() > bound


@pytest.mark.parametrize("method", ["fastica", "infomax", "auto"])
@pytest.mark.parametrize("n", [2, 4])
def test_a_desk_is_separated(method: str, n: int) -> None:
    scene = desk(n, 4.0, seed=n, snr_db=60.0)
    result = bss.unmix(scene.mixture, RATE, method=method)
    assert improvement(scene.images[:, 0], result.sources, scene.mixture[0]).min() > 25


@pytest.mark.parametrize(("method", "mean", "worst"), [("auxiva", 2.0, -3.0), ("fdica", 9.0, 4.0), ("ilrma", 10.0, 4.0)])
def test_methods_for_rooms(method: str, mean: float, worst: float) -> None:
    gains = []
    for seed in (1, 2, 3, 4):
        scene = room(2, 6.0, rt60=0.2, seed=seed)
        result = bss.unmix(scene.mixture, RATE, method=method)
        assert result.method == method
        gains.append(improvement(scene.images[:, 0], result.sources, scene.mixture[0]))
    assert np.mean(gains) > mean, gains
    assert np.min(gains) > worst, gains


@pytest.mark.parametrize("method", ["auxiva", "ilrma"])
def test_fewer_talkers_than_microphones(method: str) -> None:
    scene = room(2, 6.0, n_mics=3, rt60=0.2, spacing=0.2, seed=0)
    result = bss.unmix(scene.mixture, RATE, n_sources=2, method=method)
    assert result.method == {"auxiva": "overiva", "ilrma": "ilrma"}[method]
    assert result.sources.shape == (2, scene.mixture.shape[1])
    assert result.residual is not None
    assert improvement(scene.images[:, 0], result.sources, scene.mixture[0]).min() > {"auxiva": 1.0, "ilrma": 6.0}[method]
    heard = scene.images[:, 0].sum(0)
    assert np.sum(result.residual**2) < 0.25 * np.sum(heard**2), "most of what is heard belongs to a talker"


def test_one_talker_among_noise_of_two_microphones() -> None:
    scene = desk(1, 3.0, n_mics=2, snr_db=10.0)
    result = bss.unmix(scene.mixture, RATE, n_sources=1)
    assert result.sources.shape[0] == 1
    assert result.residual is not None
    assert float(bss.si_sdr(scene.images[0, 0], result.sources[0])) > 10


# which is which


@pytest.mark.parametrize("n", [2, 3])
def test_per_mic_gives_everyone_their_track(n: int) -> None:
    images = own_mics(n, 4.0)
    x = images.sum(0) + hiss(images.shape[1:], QUIET)
    own = np.stack([images[k, k] for k in range(n)])
    names = [f"{name}.wav" for name in ("anna", "ben", "carla")[:n]]
    for order in (list(range(n)), list(range(n))[::-1]):
        faders = np.array([[1.0], [0.05], [0.4]], np.float32)[:n]  # a track is quiet because its fader is low
        result = bss.unmix((faders * x)[order], RATE, per_mic=True, names=[names[k] for k in order])
        assert fit(own[order], result.sources).argmax(1).tolist() == list(range(n))
        assert (np.diag(fit(own[order], result.sources)) > bss.si_sdr(own, x)[order] + 4).all()
        assert [source["dominant_mic"] for source in result.info["sources"]] == [names[k] for k in order]
        level = np.sqrt(np.mean(result.sources**2, axis=1) / np.mean((faders * own)[order] ** 2, axis=1))
        assert (np.abs(20 * np.log10(level)) < 1).all(), "each at the level of its own microphone"
        assert result.residual is None


def test_tracks_are_ordered_by_the_microphone_that_hears_them_loudest() -> None:
    images = own_mics(3, 4.0)
    x = images.sum(0) + hiss(images.shape[1:], QUIET)
    for order in ([0, 1, 2], [2, 0, 1]):
        result = bss.unmix(x[order], RATE)
        assert fit(images[order, order[0]], result.sources).argmax(1).tolist() == [0, 1, 2]
        assert [source["dominant_mic"] for source in result.info["sources"]] == ["channel 1", "channel 2", "channel 3"]


def test_of_two_talkers_at_one_microphone_the_louder_is_first() -> None:
    quiet, loud = desk(2, 3.0, seed=4).sources
    x = np.stack([0.2 * quiet + loud, 0.15 * quiet + 0.4 * loud, hiss(quiet.shape, 1e-3)]).astype(np.float32)
    result = bss.unmix(x, RATE, n_sources=2)
    levels = [source["level_dbfs"] for source in result.info["sources"]]
    assert levels == sorted(levels, reverse=True)
    assert fit(np.stack([loud, quiet]), result.sources).argmax(1).tolist() == [0, 1]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_order_does_not_hang_on_the_seed(seed: int) -> None:
    x = desk(3, 3.0).mixture
    first, other = bss.unmix(x, RATE), bss.unmix(x, RATE, rng=seed)
    assert (np.diag(fit(first.sources, other.sources)) > 40).all()


@pytest.mark.parametrize("reference", [0, 1, 2])
def test_the_reference_microphone_sets_the_levels(reference: int) -> None:
    scene = desk(3, 3.0, seed=2, snr_db=60.0)
    result = bss.unmix(scene.mixture, RATE, reference_mic=reference)
    assert result.info["reference"] == f"channel {reference + 1}"
    truth = scene.images[:, reference]
    match = fit(truth, result.sources).argmax(1)
    level = np.sqrt(np.mean(result.sources[match] ** 2, axis=1) / np.mean(truth**2, axis=1))
    assert (np.abs(20 * np.log10(level)) < 0.5).all()


# what is left out


def test_channels_that_cannot_be_used_are_left_out_and_the_rest_is_separated() -> None:
    scene = desk(2, 3.0, snr_db=60.0)
    a, b = scene.mixture
    broken = a.copy()
    broken[7] = np.nan
    x = np.stack([np.zeros_like(a), a, -0.5 * a, broken, b])
    result = bss.unmix(x, RATE, names=["dead", "a", "copy", "broken", "b"])
    assert result.info["used"] == ["a", "b"]
    assert result.info["channels"] == ["dead", "a", "copy", "broken", "b"]
    kinds = {finding["channel"]: finding["kind"] for finding in result.info["findings"]}
    assert kinds == {0: "silent", 2: "duplicate", 3: "nonfinite"}
    for name in ("dead", "copy", "broken"):
        assert any(warning.startswith(name) for warning in result.warnings)
    assert improvement(scene.images[:, 0], result.sources, a).min() > 30


def test_a_reference_microphone_that_is_left_out_is_replaced_with_a_word() -> None:
    scene = desk(2, 3.0, snr_db=60.0)
    x = np.vstack([np.zeros((1, scene.mixture.shape[1]), np.float32), scene.mixture])
    result = bss.unmix(x, RATE, reference_mic=0)
    assert result.info["reference"] == "channel 2"
    assert "channel 1 is left out, so channel 2 is the reference microphone instead" in result.warnings
    np.testing.assert_allclose(result.sources.sum(0), x[1], atol=1e-5)


@pytest.mark.parametrize("make", [desk, room])
def test_a_mix_down_among_the_channels_does_no_harm(make: Any) -> None:
    """It adds nothing, and a solver that takes it for a microphone loses all it gains."""
    scene = make(2, 5.0)
    plain = bss.unmix(scene.mixture, RATE)
    down = np.round(32768 * (0.5 * scene.mixture[0] + 0.3 * scene.mixture[1])) / 32768
    result = bss.unmix(np.vstack([scene.mixture, down[None].astype(np.float32)]), RATE)
    assert result.info["used"] == ["channel 1", "channel 2"]
    assert any("channel 3 is an exact mixture of channel 1 and channel 2" in warning for warning in result.warnings)
    np.testing.assert_array_equal(result.sources, plain.sources)


def test_a_desk_of_more_channels_than_talkers_and_no_noise() -> None:
    scene = desk(2, 3.0, n_mics=4, snr_db=np.inf)
    result = bss.unmix(scene.mixture, RATE)
    assert result.sources.shape[0] == 2
    assert improvement(scene.images[:, 0], result.sources, scene.mixture[0]).min() > 30
