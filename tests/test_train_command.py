"""`bss train`: models from folders of speech, the same after an interruption, refused where something would be lost."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import NAMES, RATE, hiss, listing, room, run, save, save_each, voice

import bss

pytest.importorskip("torch", reason="torch is not installed: nothing is trained")
from bss.errors import InputError
from bss.networks import checkpoint
from bss.networks.autoencoder import training as autoencoder_training


def speech(place: Path, count: int = 4, seconds: float = 4.0) -> Path:
    for name in NAMES[:count]:
        (place / "speech" / name).mkdir(parents=True)
        save(place / "speech" / name / "a.wav", voice(name)[None, : round(seconds * RATE)])
    return place / "speech"


@pytest.fixture
def talkers(tmp_path: Path) -> Path:
    return speech(tmp_path)


def curve(path: Path) -> list[dict[str, float]]:
    with open(path, newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def trained(kind: str, talkers: Path, out: Path, *words: Any, code: int = 0) -> dict[str, Any]:
    found = run("train", kind, "--speech", talkers, "-o", out, "--json", "--threads", "1", *words)
    assert found.exit_code == code, found.stderr
    return dict(json.loads(found.stdout))


@pytest.mark.parametrize(
    ("kind", "words"),
    [("linear", ["--codes", "4"]), ("deep", ["--codes", "4", "--sizes", "16"]), ("vae", ["--codes", "4", "--sizes", "16,8"])],
)
def test_autoencoders(kind: str, words: list[str], talkers: Path, tmp_path: Path) -> None:
    report = trained(kind, talkers, tmp_path / "m", *words, "--steps", "210", "--batch", "32")
    assert {"m.csv", "m.png", "m.safetensors"} <= set(listing(tmp_path))
    assert "m.training" not in listing(tmp_path)
    assert (tmp_path / "m.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert [row["step"] for row in curve(tmp_path / "m.csv")] == [200, 210]
    assert (report["kind"], report["codes"], report["steps"]) == (kind, 4, 210)
    held = autoencoder_training.load(tmp_path / "m.safetensors")
    assert held.model.config.codes == 4
    if kind != "linear":
        assert held.model.config.sizes == ((16,) if kind == "deep" else (16, 8))


def test_a_denoiser_that_denoise_takes(talkers: Path, tmp_path: Path) -> None:
    (tmp_path / "noise").mkdir()
    for name in ("fan", "street"):
        save(tmp_path / "noise" / f"{name}1.wav", hiss((1, 2 * RATE), 0.1))
    words = ["--noise", tmp_path / "noise", "--hold-out", "street", "--steps", "2", "--batch", "2", "--bottleneck", "8"]
    words += ["--licence", "fan: CC0"]
    report = trained("denoiser", talkers, tmp_path / "models/own.safetensors", *words)
    assert report["noises"] == ["fan"]
    words_of = Path(report["card"]).read_text(encoding="utf-8")
    assert all(part in words_of for part in ("Noise: fan;", "Left out of training: street", "CC0", "| 15 dB | 1"))
    assert 12 < report["scores"]["15"][0] < 18
    own = tmp_path / "models/own.safetensors"
    other = ["--steps", "1", "--batch", "1", "--start", own]
    found = run("train", "denoiser", "--speech", talkers, "-o", tmp_path / "next", *other)
    assert (found.exit_code, "bottleneck 8, not 0" in found.stderr) == (3, True)
    trained("denoiser", talkers, tmp_path / "next", *other, "--bottleneck", "8", "--learning-rate", "1e-9", "--waveform", "0.1")
    first, second = (checkpoint.load(place, "denoiser").tensors for place in (own, tmp_path / "next.safetensors"))
    for name, tensor in first.items():  # it began there, and went on by next to nothing
        np.testing.assert_allclose(second[name].numpy(), tensor.numpy(), atol=1e-6, err_msg=name)
    noisy = save(tmp_path / "talk.wav", hiss((1, RATE), 0.1))
    found = run("denoise", noisy, "-o", tmp_path / "quiet.wav", "--weights", tmp_path / "models/own.safetensors")
    assert found.exit_code == 0, found.stderr
    x, _ = bss.read(noisy)
    y, _ = bss.read(tmp_path / "quiet.wav")
    assert y.shape == x.shape
    assert 0 < np.abs(y - x).max() < 1


@pytest.mark.slow
def test_a_source_model_with_its_distribution_of_speech(tmp_path: Path) -> None:
    from bss.networks.source_model.apply import SPEECH_PREFIX, enhance, load, prepare

    talkers = speech(tmp_path, 8, 6.0)
    report = trained("source-model", talkers, tmp_path / "m", "--scenes", "10", "--steps", "2", "--batch", "2")
    assert report["scenes"] == 10
    assert report["talkers"] + report["validation_talkers"] == 8
    held = checkpoint.load(tmp_path / "m.safetensors", "source-model")
    known = {name for name in held.tensors if name.startswith(SPEECH_PREFIX)}
    assert known == {f"{SPEECH_PREFIX}{name}" for name in ("mean", "scale", "precision")}
    assert "m.scenes" not in listing(tmp_path)
    x = room(seconds=2.0).mixture
    own, shipped = load(tmp_path / "m.safetensors"), load()
    assert own is not shipped
    enhanced = enhance(own, prepare(own, x, RATE))
    assert enhanced.shape == x.shape
    assert not np.allclose(enhanced, enhance(shipped, prepare(shipped, x, RATE)), atol=1e-3)


# ---- interrupted


def started(talkers: Path, out: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-c",
        "from bss_cli.main import main; main()",
        "train",
        "deep",
        "--speech",
        talkers,
        "-o",
        out,
        *words,
    ]
    return subprocess.Popen(list(map(os.fspath, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def killed_after_a_row(process: subprocess.Popen[bytes], table: Path) -> None:
    """Kill it as soon as its curve has a row, while it still trains."""
    end = time.monotonic() + 120
    while not (table.is_file() and curve(table)):
        assert process.poll() is None, f"it ended by itself, {process.returncode}"
        assert time.monotonic() < end, "no row in two minutes"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.slow
def test_killed_and_resumed_it_ends_as_if_never_killed(talkers: Path, tmp_path: Path) -> None:
    words = ["--codes", "4", "--sizes", "64", "--steps", "2000", "--batch", "128", "--seed", "3", "--threads", "1"]
    killed_after_a_row(started(talkers, tmp_path / "killed", *words), tmp_path / "killed.csv")
    assert "killed.safetensors" not in listing(tmp_path)
    again = run("train", "deep", "--speech", talkers, "-o", tmp_path / "killed", *words)
    assert (again.exit_code, "was interrupted" in again.stderr) == (3, True)
    for name, more in (("killed", ["--resume"]), ("whole", [])):
        found = run("train", "deep", "--speech", talkers, "-o", tmp_path / name, *words, *more)
        assert found.exit_code == 0, found.stderr
    killed, whole = (checkpoint.load(tmp_path / f"{name}.safetensors", "deep").tensors for name in ("killed", "whole"))
    for name, tensor in whole.items():
        np.testing.assert_array_equal(tensor.numpy(), killed[name].numpy(), err_msg=name)
    rows = [[(row["step"], row["train"], row["validation"]) for row in curve(tmp_path / f"{n}.csv")] for n in ("killed", "whole")]
    assert rows[0] == rows[1]


def test_resumed_with_another_seed_is_refused(talkers: Path, tmp_path: Path) -> None:
    config = autoencoder_training.TrainSettings(seed=5)
    checkpoint.save(tmp_path / "m.training", {}, config, kind="training", extra={})
    found = run("train", "linear", "--speech", talkers, "-o", tmp_path / "m", "--resume", "--seed", "6")
    assert found.exit_code == 2
    assert "--seed 5" in found.stderr


# ---- refused


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["lineal"], 2, "did you mean linear?"),
        (["linear", "--beta", "2"], 2, "--beta is not for linear"),
        (["denoiser", "--codes", "2"], 2, "--codes is not for denoiser"),
        (["vae", "--noise", "x"], 2, "--noise is not for vae"),
        (["deep", "--sizes", "12,x"], 2, "--sizes 12,x"),
        (["linear", "--steps", "2", "--minutes", "1"], 2, "both say when to end"),
        (["linear", "--hold-out", "nobody"], 2, "no talker or noise has that in its name"),
        (["linear", "--resume"], 3, "no interrupted training"),
        (["source-model"], 3, "there are 4 talkers"),
        (["linear", "--codes", "1000"], 2, "codes=1000"),
    ],
)
def test_what_is_refused(words: list[str], code: int, said: str, talkers: Path, tmp_path: Path) -> None:
    before = listing(tmp_path)
    found = run("train", *words, "--speech", talkers, "-o", tmp_path / "m")
    assert found.exit_code == code, found.stderr
    assert said in found.stderr
    assert listing(tmp_path) == before


def test_a_model_is_not_replaced_unasked(talkers: Path, tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(b"mine")
    found = run("train", "linear", "--speech", talkers, "-o", tmp_path / "m")
    assert found.exit_code == 3
    assert "m.safetensors exists" in found.stderr
    assert (tmp_path / "m.safetensors").read_bytes() == b"mine"


def test_unmix_refuses_weights_that_are_no_source_model(tmp_path: Path) -> None:
    mics = save_each(tmp_path / "mics", hiss((2, 2, RATE), 0.1))
    checkpoint.save(tmp_path / "d.safetensors", {}, autoencoder_training.TrainSettings(), kind="denoiser")
    for name, said in (("d.safetensors", "it holds a denoiser"), ("none", "none does not exist")):
        found = run("unmix", *mics, "-o", tmp_path / "out", "--weights", tmp_path / name)
        assert (found.exit_code, said in found.stderr) == (3, True), found.stderr
        with pytest.raises(InputError, match=said):
            bss.unmix(bss.read(mics)[0], RATE, weights=tmp_path / name)
    assert not (tmp_path / "out").exists()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    found = run("train", "linear", "--speech", tmp_path / "nowhere", "-o", tmp_path / "m")
    assert found.exit_code == 3
    assert "nowhere does not exist" in found.stderr


def test_a_curve_that_is_none(tmp_path: Path) -> None:
    from bss.report import curves

    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="holds no learning curve"):
        curves.draw(tmp_path / "a.csv", tmp_path / "a.png")
    assert listing(tmp_path) == ["a.csv"]
