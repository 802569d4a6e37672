"""The score that tells talkers from other sounds, and the tool that fits it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from recordings import RATE, ROOT, voice

from bss.errors import InputError
from bss.networks.source_model import apply, speech_score

sys.path.insert(0, str(ROOT / "tools"))

import fit_speech_score
from speech_score import fitting, sounds, tracks

VOICES = sorted(path.stem for path in (ROOT / "fixtures/voices").glob("*.flac"))


def score_of(y: np.ndarray) -> float:
    return speech_score.load()(tracks.measured(y))


@pytest.mark.parametrize("name", VOICES)
def test_a_voice_is_a_talker_though_nobody_learned_from_synthetic_ones(name: str) -> None:
    assert score_of(tracks.in_room(np.random.default_rng(0), voice(name))) > 1


@pytest.mark.parametrize("made", sounds.MADE)
@pytest.mark.parametrize("seed", [100, 101, 102])
def test_a_sound_that_is_made_is_none(made: sounds.Maker, seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert score_of(tracks.in_room(rng, made(rng, 8 * RATE))) < -0.5


def test_the_level_does_not_matter() -> None:
    y = voice(VOICES[0])
    assert score_of(y) == pytest.approx(score_of(1e-3 * y), abs=0.02)


def test_speech_with_noise_is_a_talker_and_noise_with_speech_is_none() -> None:
    y, noise = sounds.unit(voice(VOICES[0])), np.random.default_rng(0).normal(size=len(voice(VOICES[0])))
    clean, noisy, noise_mostly = (score_of(y + level * noise) for level in (0, 0.3, 10))
    assert min(clean, noisy) > 1
    assert noise_mostly < -1


def test_it_is_measured_with_the_rest() -> None:
    model = apply.load()
    y = np.stack([voice(VOICES[0])[: 6 * RATE], sounds.unit(sounds.humming(np.random.default_rng(1), 6 * RATE))])
    found = apply.speech_measures(model, apply.prepare(model, y, RATE))
    assert found.score[0] > 1 > -1 > found.score[1]
    assert found.score[0] == pytest.approx(score_of(y[0]), abs=0.3)  # windows of other lengths at the edges


def test_a_fit_tells_two_kinds_apart() -> None:
    rng = np.random.default_rng(0)
    talker = rng.uniform(size=400) < 0.5
    rows = rng.normal(size=(400, 5)) + np.outer(talker, [2.0, 0, 0, 0, 1.0])
    score = fitting.fit(rows, talker)
    fresh = rng.uniform(size=400) < 0.5
    right = [
        (score(row) > 0) == k
        for row, k in zip(rng.normal(size=(400, 5)) + np.outer(fresh, [2.0, 0, 0, 0, 1.0]), fresh, strict=True)
    ]
    assert np.mean(right) > 0.8
    far = np.full(5, 1e9)
    assert score(far) == score(2 * far)  # what is beyond all that was learned from decides nothing alone


def test_one_kind_is_not_enough_to_fit() -> None:
    with pytest.raises(ValueError, match="needed to tell them apart"):
        fitting.fit(np.zeros((3, 2)), np.ones(3, bool))


def test_the_tool_fits_what_can_be_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "score.safetensors"
    noise = tmp_path / "noise"
    noise.mkdir()
    import soundfile

    for k in range(5):
        soundfile.write(noise / f"00{k}_Fan__{k}.wav", sounds.unit(sounds.humming(np.random.default_rng(k), RATE)) / 10, RATE)
    fit_speech_score.main(["--speech", str(ROOT / "fixtures/voices"), "--noise", str(noise), "--tracks", "12", "-o", str(place)])
    assert "of talkers below 0" in capsys.readouterr().out
    _, tensors = speech_score.read(place, speech_score.KIND)
    assert tensors["hidden"].shape == (72, 74)
    assert tensors["mean"].shape == (74,)
    with pytest.raises(InputError, match="is not a source-model"):
        speech_score.read(place, "source-model")


def test_sounds_are_grouped_by_speaker_and_by_kind(tmp_path: Path) -> None:
    for name in (
        "anna/1.wav",
        "anna/2.wav",
        "ben/1.wav",
        "001_Dog__1-2.wav",
        "001_Dog__3-4.wav",
        "places__cafe.wav",
        "notes.txt",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = sounds.groups([tmp_path])
    assert {name: len(files) for name, files in found.items()} == {"001_Dog": 2, "anna": 2, "ben": 1, "places__cafe": 1}
