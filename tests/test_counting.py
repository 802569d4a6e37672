"""How many talkers there are: the count, its evidence, and what `unmix` does with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from recordings import RATE, desk, hiss, improvement, room, save, unmix

import bss
from bss.pipeline.analysis.counting import NEEDED, Count, onset_shares
from bss.pipeline.analysis.recording import Analysis

SECONDS = 9.7


def count(x: np.ndarray, rate: int) -> Count:
    """The talkers of x (M, n)."""
    return Analysis(np.ascontiguousarray(x, np.float32), rate).count()


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("rt60", [0.15, 0.3])
def test_talkers_in_a_room(n: int, rt60: float) -> None:
    found = count(room(n, SECONDS, n_mics=4, seed=4, rt60=rt60).mixture, RATE)
    assert found.n_sources == n
    assert found.fewest <= n <= found.most


@pytest.mark.slow
def test_most_rooms_are_counted_right() -> None:
    rooms = [(1 + seed % 4, seed, rt60) for seed, rt60 in enumerate(4 * [0.15] + 4 * [0.25] + 4 * [0.4] + 4 * [0.6])]
    found = [count(room(n, SECONDS, n_mics=4, seed=seed, rt60=rt60).mixture, RATE) for n, seed, rt60 in rooms]
    right = [c.n_sources == n for c, (n, _, _) in zip(found, rooms, strict=True)]
    assert np.mean(right) >= 0.8
    assert np.mean([ok for ok, c in zip(right, found, strict=True) if c.sure]) >= 0.9


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("snr_db", [60.0, 30.0])
def test_talkers_at_a_desk(n: int, snr_db: float) -> None:
    assert count(desk(n, SECONDS, n_mics=4, seed=4, snr_db=snr_db).mixture, RATE).n_sources == n


@pytest.mark.parametrize(
    "change", [lambda x: 100 * x, lambda x: 1e-3 * x, lambda x: x[::-1], lambda x: x * np.array([[1], [0.1], [-2], [1]])]
)
def test_levels_and_order_of_the_microphones_do_not_matter(change: object) -> None:
    x = room(2, SECONDS, n_mics=4, seed=4).mixture
    y = np.ascontiguousarray(change(x), np.float32)  # type: ignore[operator]
    first, other = count(x, RATE), count(y, RATE)
    assert first.n_sources == other.n_sources == 2
    np.testing.assert_allclose(other.shares, first.shares, atol=0.01)


def test_people_who_speak_at_the_far_ends_of_a_long_recording() -> None:
    scene = room(2, SECONDS, n_mics=3, rt60=0.15)
    first, last = scene.images
    x = np.concatenate([first, np.zeros((3, 130 * RATE), np.float32), last], axis=1)
    assert count(x + hiss(x.shape, 1e-5), RATE).n_sources == 2


@pytest.mark.parametrize("rate", [8000, 48000])
def test_other_rates(rate: int) -> None:
    from bss.signals.resample import resample

    x = resample(room(2, SECONDS, n_mics=3, rt60=0.15).mixture, RATE, rate)
    assert count(np.asarray(x, np.float32), rate).n_sources == 2


def test_too_short_to_count() -> None:
    found = count(room(2, 3.0, n_mics=3).mixture[:, :4000], RATE)
    assert (found.n_sources, found.fewest, found.most, found.sure) == (3, 1, 3, False)
    assert found.reason == "0.25 s are too short to count talkers, so one per microphone is assumed"
    assert found.warning is not None
    assert found.warning.startswith("counted 3 talkers, but there may be 1 to 3; ")


def test_steady_noise_has_too_few_onsets_to_count() -> None:
    found = count(hiss((3, 5 * RATE), 0.1) + 0.5 * hiss((1, 5 * RATE), 0.1, seed=1), RATE)
    assert (found.n_sources, found.sure, found.shares) == (3, False, ())
    assert found.reason == "there are too few onsets to count talkers, so one per microphone is assumed"


def test_a_short_recording_is_doubted_more_than_a_long_one() -> None:
    scene = room(3, SECONDS, n_mics=4, rt60=0.25, seed=3)
    long, short = count(scene.mixture, RATE), count(np.ascontiguousarray(scene.mixture[:, : 2 * RATE]), RATE)
    assert short.most - short.fewest > long.most - long.fewest


def test_an_output_that_only_goes_on_does_not_count() -> None:
    rng = np.random.default_rng(0)
    speaks = np.repeat(rng.random((2, 1, 60)) < 0.2, 5, axis=2)  # begins and ends at once, in all bins
    talker, other = (np.repeat(1.0 * who[None], 40, axis=0) for who in speaks)
    echo = 0.4 * np.roll(talker, 1, axis=2) + 0.4 * np.roll(talker, 2, axis=2)
    noise = np.full_like(talker, 1e-4)
    shares = onset_shares(np.concatenate([talker, echo, other, noise], axis=1))
    assert shares.sum() == pytest.approx(1.0)
    assert min(shares[0], shares[2]) > 0.3
    assert max(shares[1], shares[3]) < NEEDED


def test_bins_of_one_talker_in_two_outputs_count_less_than_a_talker() -> None:
    """A fourth of all beginnings, in one band only or in all."""
    rng = np.random.default_rng(0)
    talker = np.repeat(rng.random((120, 1, 60)) < 0.3, 5, axis=2) + 1e-6
    there = np.zeros((120, 1, 1))
    there[:30] = 1
    in_one_band = onset_shares(np.concatenate([talker * (1 - there), talker * there], axis=1))
    now = np.repeat(rng.random((1, 1, 60)) < 0.25, 5, axis=2)
    in_all = onset_shares(np.concatenate([talker * ~now, talker * now], axis=1))
    assert in_one_band[1] < 0.6 * in_all[1]


@pytest.mark.parametrize("powers", [np.zeros((5, 2, 40)), np.ones((5, 2, 40)), np.ones((2, 2, 2))])
def test_nothing_begins(powers: np.ndarray) -> None:
    np.testing.assert_array_equal(onset_shares(powers), 0)


# in the main job


def test_unmix_takes_the_count_and_says_it(tmp_path: Path) -> None:
    scene = room(2, SECONDS, n_mics=4, seed=4)
    result = bss.unmix(scene.mixture, RATE)
    assert result.sources.shape[0] == result.info["n_sources"] == 2
    assert result.residual is not None
    counting = result.info["counting"]
    assert (counting["n_sources"], counting["sure"], len(counting["onset_shares"])) == (2, True, 4)
    assert improvement(scene.images[:, 0], result.sources, scene.mixture[0]).mean() > 0
    done = unmix(save(tmp_path / "x.wav", scene.mixture), "--dry-run", "--json")
    assert json.loads(done.stdout)["counting"]["n_sources"] == 2
    assert "2 talkers (counted), 4 microphones, " in done.stderr


def test_a_number_that_is_given_is_not_counted() -> None:
    result = bss.unmix(room(2, 2.0, n_mics=3).mixture, RATE, n_sources=2)
    assert result.info["counting"] is None
    assert not any("counted" in warning for warning in result.warnings)


def test_doubt_is_said(tmp_path: Path) -> None:
    done = unmix(save(tmp_path / "x.wav", room(2, 2.0).mixture), "--dry-run", "-q")
    assert "warning: counted " in done.stderr


def test_one_talker_in_a_room_is_left_as_recorded(tmp_path: Path) -> None:
    x = room(1, SECONDS, n_mics=3, seed=1).mixture
    result = bss.unmix(x, RATE, reference_mic=1)
    assert (result.method, result.residual, result.sources.shape) == ("none", None, (1, x.shape[1]))
    np.testing.assert_array_equal(result.sources[0], x[1])
    assert "there is only one talker" in result.reason
    assert result.save(tmp_path / "out")["outputs"] == ["source1.wav"]
