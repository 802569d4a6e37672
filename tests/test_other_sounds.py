"""Sounds that are no talkers: which they are, that they are separated, and where they go."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from recordings import RATE, hiss, improvement, room, save, unmix, voices

import bss
from bss.pipeline.analysis import roles
from bss.pipeline.analysis.counting import joined
from bss.pipeline.analysis.recording import Analysis
from bss.pipeline.methods.neural import enhanced_talkers
from bss.scenes.scene import Scene
from bss.solvers import grouping

SPEECH, FAN = (3.0, 0.6), (-4.0, 1.6)  # score, distance


def evidence(*sounds: tuple[float, float], speech: bool = True) -> dict[str, object]:
    score, distance = zip(*sounds, strict=True)
    near = [speech and d < 1.2 for d in distance]
    return {"speech": near, "speech_distance": list(distance), "speech_score": list(score)}


def test_what_is_like_speech_is_a_talker() -> None:
    found = roles.assign(evidence(SPEECH, FAN, SPEECH), None)
    assert found.talker.tolist() == [True, False, True]
    assert (found.n_talkers, found.fewest, found.most) == (2, 2, 2)


def test_a_sound_that_may_be_a_talker_is_doubted() -> None:
    found = roles.assign(evidence(SPEECH, (0.2, 1.2)), None)
    assert (found.fewest, found.most) == (1, 2)


def test_of_the_wanted_number_those_most_like_speech() -> None:
    assert roles.assign(evidence(FAN, SPEECH, (1.0, 0.9)), 1).talker.tolist() == [False, True, False]


def test_music_is_kept() -> None:
    assert roles.assign(evidence(FAN, FAN, speech=False), None).talker.all()


def test_roles_and_evidence_follow_the_order() -> None:
    order = np.array([1, 0])
    found = roles.assign(evidence(SPEECH, FAN), None)
    assert found.ordered(order).talker.tolist() == [False, True]
    assert found.ordered(order).scores == found.scores[::-1]
    assert roles.in_order({"voiced": [1, 2], "looks": 3}, order) == {"voiced": [2, 1], "looks": 3}


def test_outputs_that_divide_the_bands_are_one_talker() -> None:
    vowels, hisses, other = (np.array(bands, float) for bands in ([4, 4, 4, 0, 0, 0], [0, 0, 0, 4, 4, 4], [2, 2, 2, 2, 2, 2]))
    in_bands = np.stack([vowels, other, hisses], axis=1) / 6
    np.testing.assert_allclose(np.sort(joined(in_bands).sum(0)), [0, 2, 4])
    np.testing.assert_array_equal(joined(in_bands[:, :2]), in_bands[:, :2])


def test_noise_of_a_few_bands_is_not_part_of_a_talker() -> None:
    talkers = np.full((6, 2), 0.5)
    noise = np.array([[0], [0], [0], [0], [0], [3.0]])
    in_bands = np.concatenate([talkers * [[1], [1], [1], [1], [1], [0.1]], noise], axis=1)
    np.testing.assert_array_equal(joined(in_bands), in_bands)


def test_steady_noise_is_like_no_talker() -> None:
    rng = np.random.default_rng(0)
    speaks = np.repeat(rng.random((2, 1, 1, 80)) < 0.3, 5, axis=3) + 1e-3
    first, other = (who[0] * rng.exponential(size=(200, 1, 400)) for who in speaks)
    echo = 0.1 * np.roll(first, 1, axis=2)
    noise = 0.3 * rng.exponential(size=(200, 1, 400))
    source = np.broadcast_to([0, 1, 0], (200, 3))
    with_echo, with_noise = (np.concatenate([first, other, third], axis=1) for third in (echo, noise))
    assert grouping.strange_share(with_echo, source, 2) < 0.01
    share = noise.sum() / with_noise.sum()
    assert grouping.strange_share(with_noise, source, 2) == pytest.approx(share, rel=0.1)


def noisy_room(n_mics: int = 4, seconds: float = 9.0) -> Scene:
    """Two talkers, and hammering: a sound with onsets, but no voice."""
    rng = np.random.default_rng(1)
    n = round(seconds * RATE)
    blows = np.repeat((rng.random(n // 1600) < 0.3).astype(np.float32), 1600)[:n]
    decay = np.tile(np.exp(-np.arange(1600) / 300).astype(np.float32), n // 1600 + 1)[:n]
    sound = blows * decay[: blows.size] * hiss((blows.size,), 0.3)
    talkers = [voice[: blows.size] for voice in voices(2, seconds)]
    return bss.mix([*talkers, sound], RATE, n_mics=n_mics, rt60=0.2, rng=3)


@pytest.fixture(scope="module")
def noisy() -> Scene:
    return noisy_room()


@pytest.fixture(scope="module")
def counted(noisy: Scene) -> bss.Unmixed:
    return bss.unmix(noisy.mixture, RATE)


def test_a_noise_is_no_talker(noisy: Scene, counted: bss.Unmixed) -> None:
    assert counted.sources.shape[0] == 2
    assert counted.noise is not None
    truth = noisy.images[:, 0]
    assert improvement(truth[:2], counted.sources, noisy.mixture[0]).min() > 6
    assert float(bss.si_sdr(truth[2], counted.noise.sum(0))) > 2
    total = counted.sources.sum(0) + counted.noise.sum(0) + (0 if counted.residual is None else counted.residual)
    np.testing.assert_allclose(total, noisy.mixture[0], atol=1e-5)


def test_the_record_tells_talkers_from_others(counted: bss.Unmixed) -> None:
    record = counted.record
    assert record.others is not None
    assert record.others.talker[:2] == [True, True]
    assert not any(record.others.talker[2:])
    assert record.n_sources == len(record.sources) == 2
    assert record.counting is not None
    assert record.counting.n_sources == 2
    assert record.counting.fewest <= 2 <= record.counting.most
    assert any("not like speech" in warning for warning in record.warnings)


def test_told_is_as_good_as_counted(noisy: Scene, counted: bss.Unmixed) -> None:
    told = bss.unmix(noisy.mixture, RATE, n_sources=2)
    np.testing.assert_array_equal(told.sources, counted.sources)


def test_filters_make_the_talkers_only(noisy: Scene, counted: bss.Unmixed, tmp_path: Path) -> None:
    counted.filters.save(tmp_path / "f")
    again = bss.load_filters(tmp_path / "f").apply(noisy.mixture)
    assert again.shape == counted.sources.shape
    np.testing.assert_allclose(again, counted.sources, atol=1e-3)


def test_the_model_leaves_other_sounds_as_they_are(noisy: Scene) -> None:
    from bss.networks.source_model import apply

    tracks = np.ascontiguousarray(noisy.images[:, 0, : 3 * RATE], np.float32)
    model = apply.load()
    out = enhanced_talkers(model, apply.prepare(model, tracks, RATE), np.array([True, True, False]))
    everything = apply.enhance(model, apply.prepare(model, tracks, RATE))
    np.testing.assert_array_equal(out[2], tracks[2])
    np.testing.assert_allclose(out[:2], everything[:2], atol=1e-5)


def test_noise_is_a_file(noisy: Scene, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = unmix(save(tmp_path / "x.wav", noisy.mixture), "-o", out, "--effort", "fast", "--sources", "2")
    written = json.loads((out / "result.json").read_text())["outputs"]
    assert written[:3] == ["source1.wav", "source2.wav", "noise.wav"]
    assert "noise.wav" in done.stderr


def test_every_other_sound_by_itself(counted: bss.Unmixed) -> None:
    from dataclasses import replace

    several = replace(counted, noise=np.concatenate([counted.noise, counted.noise]), keep_noise=True)
    assert list(several.tracks())[2:4] == ["noise1", "noise2"]
    assert "noise" in replace(several, keep_noise=False).tracks()


@pytest.mark.parametrize("seed", [0, 1])
def test_more_talkers_than_microphones_are_noticed(seed: int) -> None:
    x = np.ascontiguousarray(room(3, 9.7, n_mics=2, seed=seed, rt60=0.25).mixture, np.float32)
    found = Analysis(x, RATE).count()
    assert found.n_sources == 3
    assert found.most > 3
    assert not found.sure
    two = np.ascontiguousarray(room(2, 9.7, n_mics=2, seed=seed, rt60=0.4).mixture, np.float32)
    assert Analysis(two, RATE).count().n_sources == 2


def test_a_soft_talker_is_counted() -> None:
    images = room(2, 9.7, n_mics=2, seed=1, rt60=0.25).images
    x = images[0] + 10 ** (-15 / 20) * images[1] + hiss(images[0].shape, 1e-4)
    assert Analysis(np.ascontiguousarray(x, np.float32), RATE).count().most == 2


def test_a_method_that_cannot_separate_all_says_so() -> None:
    x = room(3, 9.7, n_mics=2, seed=0, rt60=0.25).mixture
    result = bss.unmix(x, RATE, method="fdica")
    assert len(result.sources) == 2
    assert any("more talkers than the 2 microphones" in warning for warning in result.warnings)
