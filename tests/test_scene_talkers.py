"""Simulated talkers who walk about, come and go, and take turns; sounds that are no talkers; measured rooms."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import scipy.signal

import bss
from bss.errors import InputError, UsageError
from bss.scenes import behaviour, clocks
from bss.scenes.acoustics import mirrors, moving, rooms
from bss.scenes.behaviour import Conversation, Join, Move
from bss.scenes.faults import Offset

RATE = 16_000


def voices(n: int, seconds: float) -> np.ndarray:
    return np.random.default_rng(1).laplace(size=(n, int(RATE * seconds)))


def scene(*events: Any, n: int = 2, seconds: float = 2.0, **options: Any) -> bss.Scene:
    return bss.mix(voices(n, seconds), RATE, behaviour=events, **{"rt60": 0.0, "snr_db": np.inf, "rng": 5} | options)


def db(a: np.ndarray, b: np.ndarray) -> float:
    """Level of a relative to b."""
    return float(10 * np.log10(np.mean(np.square(a, dtype=np.float64)) / np.mean(np.square(b, dtype=np.float64))))


# ---------------------------------------------------------------- walking


def test_images_of_another_place() -> None:
    room = (6.0, 5.0, 3.0)
    first, second = (mirrors.image_sources(room, np.array(place), 4) for place in ((2.0, 2.5, 1.4), (4.4, 1.1, 1.7)))
    np.testing.assert_allclose(first.moved(np.array([4.4, 1.1, 1.7])).positions, second.positions, atol=1e-4)
    np.testing.assert_array_equal(first.reflections, second.reflections)


@pytest.mark.parametrize("rt60", [0.0, 0.2])
def test_who_hardly_moves_sounds_as_if_still(rt60: float) -> None:
    still, moved = scene(rt60=rt60, seconds=1.0), scene(Move(0, 0.01), rt60=rt60, seconds=1.0)
    audible = scipy.signal.butter(6, 80, "highpass", fs=RATE, output="sos")  # responses are cut off below
    for mic in range(2):
        x, y = (scipy.signal.sosfilt(audible, s.images[0, mic].astype(float)) for s in (moved, still))
        assert db(x - y * (x.std() / y.std()), x) < -35
    assert db(moved.images[1] / moved.images[1].std() - still.images[1] / still.images[1].std(), np.ones(1)) < -80


def test_the_direct_sound_arrives_from_where_the_talker_is() -> None:
    """Clicks, on the way of a talker with microphones 40 cm apart: their delays between the microphones."""
    clicks = np.zeros(2 * RATE)
    clicks[200::2000] = 1.0
    made = bss.mix([clicks], RATE, rt60=0, snr_db=np.inf, rng=5, spacing=0.4, behaviour=[Move(0, 80.0, 0.5, 1.5)])
    path, mics = np.array(made.info["ways"]["1"]), np.array(made.info["mics"])
    measured, expected = [], []
    for at in range(200, 2 * RATE - 1000, 2000):
        arrivals = [scipy.signal.resample(x[at : at + 600], 600 * 16).argmax() / 16 for x in made.images[0]]
        place = np.array([np.interp(at / RATE, path[:, 0], axis) for axis in path.T[1:]])
        measured.append((arrivals[1] - arrivals[0]) / RATE)
        distances = np.linalg.norm(mics - place, axis=1)
        expected.append((distances[1] - distances[0]) / rooms.SPEED_OF_SOUND)
    assert np.ptp(expected) > 5e-4  # it moves far enough to tell
    # positions are listed every half second, and places are as far apart as sound travels in half a sample
    np.testing.assert_allclose(measured, expected, atol=1.0 / RATE)
    for k in (0, -1):
        assert measured[k] == pytest.approx(expected[k], abs=0.1 / RATE)


@pytest.mark.parametrize("band", [(300, 1000), (2000, 4000), (5000, 7500)])
def test_no_frequency_is_lost_between_places(band: tuple[int, int]) -> None:
    """On a circle around one microphone the level stays the same but for the room, also between the places that are simulated."""
    made = scene(Move(0, 60.0), n=1, n_mics=1, spacing=0.05, rt60=0.15)
    still = scene(n=1, n_mics=1, spacing=0.05, rt60=0.15)
    sos = scipy.signal.butter(4, band, "bandpass", fs=RATE, output="sos")
    x, y, dry = (scipy.signal.sosfilt(sos, s.astype(float)) for s in (made.images[0, 0], still.images[0, 0], made.sources[0]))
    spans = range(RATE // 5, len(x) - 800, 800)
    moving_level = [db(x[k : k + 800], dry[k : k + 800]) for k in spans]
    still_level = [db(y[k : k + 800], dry[k : k + 800]) for k in spans]
    assert np.mean(moving_level) == pytest.approx(np.mean(still_level), abs=2.0)
    assert min(moving_level) > np.mean(still_level) - 6


def test_after_the_walk_the_talker_is_at_its_end() -> None:
    made = scene(Move(1, -50.0, 0.2, 0.6), rt60=0.2, seconds=1.5)
    layout = rooms.Layout((6.0, 5.0, 3.0), np.array(made.info["mics"]), np.array(made.info["talkers"]))
    end = np.array(made.info["ways"]["2"][-1][1:])
    walls = rooms.respond(layout, 0.2, RATE)
    rirs = rooms.respond_from(end[None], layout, walls, RATE)[0]
    expected = scipy.signal.oaconvolve(made.sources[1].astype(float), rirs[1])[: made.images.shape[2]]
    later = slice(RATE, None)  # the echo of what was said on the way has died
    x, y = made.images[1, 1, later], expected[later]
    y = y * np.sum(x * y) / np.sum(y * y)
    assert db(x - y, x) < -25
    turned = [np.arctan2(*(np.array(place)[[2, 1]] - layout.mics.mean(0)[[1, 0]])) for place in made.info["ways"]["2"]]
    assert np.degrees(turned[-1] - turned[0]) == pytest.approx(-50, abs=0.1)


def test_several_walks_and_standing_in_between() -> None:
    layout = rooms.lay_out((6, 5, 3), 1, 2, 0.05, np.random.default_rng(0))
    path = moving.way(layout, 0, [Move(0, 30.0, 1.0, 2.0), Move(0, -30.0, 3.0, 4.0)], 5.0)
    a, b, c, d = path.at(np.array([0.5, 2.2, 2.8, 4.5]))
    np.testing.assert_allclose(b, c)
    np.testing.assert_allclose(a, d, atol=1e-9)
    assert np.linalg.norm(b - a) == pytest.approx(2 * np.linalg.norm((a - layout.mics.mean(0))[:2]) * np.sin(np.radians(15)))


def test_nobody_walks_through_walls() -> None:
    sides = (4.0, 3.0, 2.5)
    layout = rooms.lay_out(sides, 1, 2, 0.05, np.random.default_rng(1))
    places = moving.way(layout, 0, [Move(0, 360.0)], 5.0).places
    assert (places >= rooms.WALL - 1e-9).all()
    assert (places <= np.array(sides) - rooms.WALL + 1e-9).all()


# ---------------------------------------------------------------- turns, joining, leaving


def test_a_conversation() -> None:
    seconds = 60.0
    spans = behaviour.activity([Conversation(4.0)], 3, seconds, np.random.default_rng(2))
    assert spans is not None
    t = np.arange(0, seconds, 0.01)
    speaking = np.array([[any(a <= x < b for a, b in own) for x in t] for own in spans])
    assert (speaking.sum(0) >= 1).all()  # somebody always
    assert (speaking.sum(0) == 1).mean() > 0.6  # mostly one
    assert (speaking.sum(0) >= 2).mean() > 0.05
    assert (speaking.mean(1) > 0.1).all()
    turns = [b - a for own in spans for a, b in own if b < seconds]
    assert min(turns) >= 1.0 - 1e-3  # half of the shortest turn


def test_a_conversation_is_heard() -> None:
    made = scene(Conversation(0.5), n=3, seconds=6.0)
    levels = []
    for image, own in zip(made.images[:, 0], made.info["activity_s"], strict=True):
        silent = np.ones(len(image), bool)
        for a, b in own:
            silent[int(a * RATE) : int((b + 0.1) * RATE)] = False
        assert not np.abs(image[silent]).max() > 1e-3 * np.abs(image).max()
        levels.append(db(np.concatenate([image[int((a + 0.05) * RATE) : int((b - 0.05) * RATE)] for a, b in own]), np.ones(1)))
    assert np.ptp(levels) < 0.5  # equally loud while they speak, however long


def test_who_joins_and_who_leaves() -> None:
    made, whole = scene(Join(0, 0.8), Join(1, 0.0, 0.5), Join(1, 1.5)), scene()
    assert made.info["activity_s"] == [[[0.8, 2.0]], [[0.0, 0.5], [1.5, 2.0]]]
    first, second = made.images[:, 0]
    assert np.abs(first[: int(0.8 * RATE)]).max() < 1e-6
    assert np.abs(second[int(0.55 * RATE) : int(1.5 * RATE)]).max() < 1e-6
    ratio = made.images[0, 0, RATE:] / whole.images[0, 0, RATE:]
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-3)  # the same voice, from the same place
    np.testing.assert_allclose(made.mixture, made.images.sum(0), atol=1e-6)


def test_joining_and_levels() -> None:
    made = scene(Join(1, 1.5), levels_db=[0, -6])
    assert db(made.images[1, 0, int(1.55 * RATE) :], made.images[0, 0, int(1.55 * RATE) :]) == pytest.approx(-6, abs=0.5)


def test_the_time_is_that_of_microphone_1() -> None:
    plain, late = scene(Join(1, 1.0)), scene(Join(1, 1.0), faults=[Offset(-0.5, 1)])
    np.testing.assert_allclose(late.images[1] / late.images[1].std(), plain.images[1] / plain.images[1].std(), atol=1e-3)
    alone = late.mixture[1, : int(1.45 * RATE)] - 0.0  # file 2 begins half a second earlier
    heard = np.abs(np.correlate(alone, late.images[1, 1, RATE : RATE + 4000], "valid")).max()
    assert heard < 0.1 * np.linalg.norm(late.images[1, 1, RATE : RATE + 4000]) * np.linalg.norm(alone)


def test_gates_before_and_after_the_recording() -> None:
    timeline = clocks.Timeline(RATE, RATE, before=100, after=100)
    gains = behaviour.gates([[[0.0, 0.5]], [[0.5, 1.0]]], timeline.times, 1.0)
    assert gains[0, 0] == gains[1, -1] == 1
    assert gains[1, 0] == gains[0, -1] == 0


def test_behaviour_as_json_and_back() -> None:
    events = (Move(0, 70.0, 1.0, 2.0), Join(1, 3.0), Conversation(4.0))
    assert behaviour.from_json(json.loads(json.dumps(behaviour.to_json(events)))) == events
    for entry in ({"kind": "dance"}, {"kind": "join", "talker": None}, {"kind": "join", "talker": 1, "x": 2}, 7):
        with pytest.raises((ValueError, TypeError)):
            behaviour.from_json([entry])


@pytest.mark.parametrize(("events", "options", "said"), [
    ([Move(2, 30)], {}, "move: there is no talker 3"),
    ([Move(0, 0)], {}, "0 degrees are out of range"),
    ([Move(0, 30, 1.5, 1.0)], {}, "1.5 to 1 s is no part of the recording of 2 s"),
    ([Join(0, 2.5)], {}, "join: 2.5 to 2 s is no part"),
    ([Join(5)], {}, "join: there is no talker 6"),
    ([Conversation()], {"n": 1}, "needs two talkers"),
    ([Conversation(0.0)], {}, "turns of 0 s"),
    ([Conversation(), Conversation(3.0)], {}, "two conversations"),
    ([Conversation(30.0)], {}, "talker . never speaks in these 2 s"),
    ([Move(0, 30)], {"instantaneous": True}, "a mixing desk has no moving talkers"),
    ([Move(0, 360.0)], {"spacing": 2.8, "room": (9, 9, 3), "rng": 9}, "leads over a microphone"),
    (["walk"], {}, "is no behaviour"),
])  # fmt: skip
def test_wrong_behaviour(events: list[Any], options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        scene(*events, **options)


# ---------------------------------------------------------------- sounds that are no talkers


@pytest.mark.parametrize("kind", [{"rt60": 0.2}, {"instantaneous": True}])
@pytest.mark.parametrize("count", [1, 4])
def test_noise(kind: dict[str, Any], count: int) -> None:
    sounds = np.random.default_rng(9).normal(size=(count, 9000))  # shorter than the recording
    plain, noisy = scene(n_mics=3, **kind), scene(n_mics=3, noises=sounds, noise_snr_db=5.0, **kind)
    speech = noisy.images.sum(0)
    noise = noisy.mixture - speech
    assert db(speech[0], noise[0]) == pytest.approx(5.0, abs=0.01)
    np.testing.assert_allclose(speech / speech[0].std(), plain.mixture / plain.mixture[0].std(), atol=1e-4)
    rank = np.linalg.svd(np.corrcoef(noise))[1]
    assert rank[0] > 1.2  # it comes from places, unlike the noise of microphones
    if "rt60" in kind:
        assert len(noisy.info["noise_places"]) == count
        np.testing.assert_array_equal(noisy.info["talkers"], plain.info["talkers"])


def test_noise_starts_anywhere() -> None:
    ramp = np.arange(1.0, 4 * RATE)
    starts = {scene(noises=[ramp], noise_snr_db=-60, rng=seed).mixture[0, 500:600].argmax() for seed in range(3)}
    levels = {round(float(scene(noises=[ramp], noise_snr_db=-90, rng=seed).mixture[0, 1000]), 3) for seed in range(3)}
    assert len(levels | starts) > 3


@pytest.mark.parametrize(("noises", "options", "error", "said"), [
    ([np.zeros(100)], {}, InputError, "noise 1 is silent"),
    ([np.ones(100), np.full(100, np.nan)], {}, InputError, "noise 2 contains NaN"),
    ([np.ones((2, 100))], {}, InputError, "noise 1 is an array"),
    ([np.ones(100)], {"noise_snr_db": np.nan}, UsageError, "noise_snr_db=nan"),
])  # fmt: skip
def test_wrong_noise(noises: list[np.ndarray], options: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        scene(noises=noises, **options)


# ---------------------------------------------------------------- measured responses


def responses(n: int, m: int, length: int = 900) -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    return [rng.normal(size=(m, length)) * np.exp(-np.arange(length) / 150) for _ in range(n)]


def test_measured_responses() -> None:
    rirs = [1e-7 * rir for rir in responses(3, 4)]  # whatever their level is
    made = scene(n_mics=4, rirs=rirs, noises=[np.random.default_rng(0).normal(size=5000)], noise_snr_db=0)
    assert made.images.shape == (2, 4, 2 * RATE)
    for image, dry, rir in zip(made.images, made.sources, rirs, strict=False):
        expected = scipy.signal.oaconvolve(dry[None].astype(float), rir, axes=1)[:, : 2 * RATE]
        np.testing.assert_allclose(image / image[0].std(), expected / expected[0].std(), atol=1e-4)
    assert len(made.info["rt60_measured"]) == 2
    assert "mics" not in made.info


@pytest.mark.parametrize(("rirs", "options", "error", "said"), [
    (responses(2, 3), {}, InputError, "response 1 has 3 channels, but there are 2 microphones"),
    ([*responses(1, 2), *responses(1, 3)], {}, InputError, "response 2 has 3 channels"),
    (responses(1, 2), {}, UsageError, "too few responses: 1 for 2 talkers and noises"),
    ([np.zeros((2, 50))] * 2, {}, InputError, "silent at microphone 1"),
    ([np.ones(50)] * 2, {}, InputError, "no impulse response"),
    (responses(2, 2), {"instantaneous": True}, UsageError, "a mixing desk has no measured responses"),
    (responses(2, 2), {"behaviour": [Move(0, 30)]}, UsageError, "nobody can walk about in measured responses"),
])  # fmt: skip
def test_wrong_responses(rirs: list[np.ndarray], options: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        bss.mix(voices(2, 1.0), RATE, rirs=rirs, **options)
