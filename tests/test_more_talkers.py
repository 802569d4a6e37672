"""More talkers than microphones through the main job, as a library and as a command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recordings import RATE, desk, hiss, improvement, room, run, save

import bss
from bss.errors import UsageError


@pytest.mark.parametrize(("mics", "talkers", "least"), [(2, 3, 6.0), (3, 4, 4.0)])
def test_three_talkers_come_out_of_two_microphones(mics: int, talkers: int, least: float) -> None:
    scene = room(talkers, 6.0, n_mics=mics, seed=1, rt60=0.2)
    kept = scene.mixture.copy()
    result = bss.unmix(scene.mixture, RATE, n_sources=talkers)
    np.testing.assert_array_equal(scene.mixture, kept)
    assert result.method == "cacgmm"
    assert f"more talkers ({talkers}) than microphones ({mics})" in result.reason
    gains = improvement(scene.images[:, 0], result.sources, scene.mixture[0])
    assert gains.mean() > least, gains


def test_three_talkers_come_out_of_a_stereo_mix_without_delays() -> None:
    scene = desk(3, 6.0, n_mics=2, seed=1)
    result = bss.unmix(scene.mixture, RATE, n_sources=3)
    assert improvement(scene.images[:, 0], result.sources, scene.mixture[0]).mean() > 6


@pytest.mark.parametrize("reference", [0, 1])
def test_levels_are_true_at_every_microphone(reference: int) -> None:
    scene = room(3, 4.0, n_mics=2, seed=2)
    result = bss.unmix(scene.mixture, RATE, n_sources=3, reference_mic=reference)
    assert result.sources.shape == (3, scene.mixture.shape[1])
    assert result.residual is not None
    np.testing.assert_allclose(result.sources.sum(0) + result.residual, scene.mixture[reference], atol=1e-6)
    assert np.std(result.residual) < 0.05 * np.std(scene.mixture[reference])
    assert {d["dominant_mic"] for d in result.info["sources"]} <= set(result.info["channels"])
    assert result.info["n_iter"] == sum(len(loss) for loss in result.info["loss"].values())
    for loss in result.info["loss"].values():
        assert np.diff(loss).max() <= 1e-4


def test_the_same_seed_gives_the_same_bytes() -> None:
    x = room(3, 3.0, n_mics=2, seed=3).mixture
    first, again = (bss.unmix(x, RATE, n_sources=3, rng=7).sources.tobytes() for _ in range(2))
    assert first == again


@pytest.mark.parametrize("talkers", [1, 2])
def test_masks_can_be_asked_for_where_a_demixing_would_do(talkers: int) -> None:
    scene = room(2, 4.0, n_mics=2, seed=2, rt60=0.2)
    result = bss.unmix(scene.mixture, RATE, n_sources=talkers, method="cacgmm")
    assert (result.method, len(result.sources)) == ("cacgmm", talkers)
    if talkers == 2:
        assert improvement(scene.images[:, 0], result.sources, scene.mixture[0]).mean() > 8


def test_a_microphone_each_and_masks() -> None:
    scene = room(2, 4.0, n_mics=2, seed=1)
    result = bss.unmix(scene.mixture, RATE, method="cacgmm", per_mic=True)
    assert result.residual is None
    assert len(result.sources) == 2
    assert np.isfinite(result.sources).all()


@pytest.mark.parametrize("method", ["fastica", "infomax", "auxiva", "ilrma"])
def test_methods_with_a_demixing_refuse_and_name_the_one_that_works(method: str) -> None:
    with pytest.raises(UsageError, match="3 talkers requested, but there are only 2 usable") as caught:
        bss.unmix(hiss((2, RATE), 0.1), RATE, n_sources=3, method=method)
    assert method in caught.value.why
    assert "cacgmm" in caught.value.hint


@pytest.mark.parametrize("options", [[], ["--method", "cacgmm"]])
def test_the_command_writes_a_track_for_everyone(tmp_path: Path, options: list[str]) -> None:
    file = save(tmp_path / "meeting.wav", room(3, 3.0, n_mics=2, seed=1).mixture)
    folder = tmp_path / "out"
    done = run("unmix", file, "--sources", "3", "-o", folder, *options)
    assert done.exit_code == 0, done.stderr
    assert {p.name for p in folder.iterdir()} == {"source1.wav", "source2.wav", "source3.wav", "residual.wav", "result.json"}
    document = json.loads((folder / "result.json").read_text())
    assert document["method"] == "cacgmm"
    assert list(document["loss"]) == ["cacgmm", "full-rank"]
    tracks = [soundfile.read(folder / name)[0] for name in document["outputs"]]
    mixture, _ = soundfile.read(file)
    np.testing.assert_allclose(sum(tracks) / document["gain"], mixture[:, 0], atol=4 / 32768)
