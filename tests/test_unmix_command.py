"""`bss unmix`: recordings as people have them."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recordings import RATE, desk, document, fit, listing, room, save, save_each, spawn, tracks, unmix

import bss
from bss.signals.resample import resample

X = room(3, 2.0).mixture


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """The tracks of X, as 16 bit files hold it."""
    x, _ = soundfile.read(save(tmp_path_factory.mktemp("expected") / "x.wav", X), dtype="float32")
    return bss.unmix(x.T, RATE).sources


# what comes in


LAYOUTS = {
    "one file": [("all.wav", [0, 1, 2])],
    "a file per microphone": [("a.wav", [0]), ("b.wav", [1]), ("c.wav", [2])],
    "both": [("stereo.flac", [0, 1]), ("c.wav", [2])],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_files_of_one_recording(layout: str, tmp_path: Path, expected: np.ndarray) -> None:
    files = [save(tmp_path / name, X[rows]) for name, rows in LAYOUTS[layout]]
    done = unmix(*files, "-o", tmp_path / "out", "-v")
    assert listing(tmp_path / "out") == ["residual.wav", "result.json", "source1.wav", "source2.wav", "source3.wav"]
    np.testing.assert_allclose(tracks(tmp_path / "out"), expected, atol=2.0**-15)
    found = document(tmp_path / "out")
    assert found["inputs"] == files
    assert [(Path(c["file"]).name, c["channel"]) for c in found["channel_map"]] == [
        (name, k + 1) for name, rows in LAYOUTS[layout] for k in range(len(rows))
    ]
    assert [line for line in done.stderr.splitlines() if line.startswith("mic ")] == [
        f"mic {k + 1} = {name}" for k, name in enumerate(found["channels"])
    ]


@pytest.mark.parametrize("words", [["mics"], ["mics/*.wav"], ["mics/mic1.wav", "mics/mic[23].wav"]])
def test_folders_and_wildcards(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_each(tmp_path / "mics", X)
    unmix(*words)
    written = ["residual.wav", "result.json", "source1.wav", "source2.wav", "source3.wav"]
    assert listing(tmp_path / "separated" / "mics") == written
    assert document(tmp_path / "separated" / "mics")["inputs"] == [f"mics/mic{k}.wav" for k in (1, 2, 3)]


def test_the_folder_is_named_after_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "talk.wav", X[:2])
    assert "to separated/talk" in unmix("talk.wav", "--method", "fastica").stderr
    assert listing(tmp_path / "separated") == ["talk"]


@pytest.mark.needs("ffmpeg")
def test_m4a(tmp_path: Path) -> None:
    """A lossy codec adds silence of its own at the ends; what counts is that every channel comes through."""
    wav = save(tmp_path / "talk.wav", desk(2, 2.0).mixture)
    m4a = tmp_path / "talk.m4a"
    subprocess.run(["ffmpeg", "-v", "error", "-i", wav, "-c:a", "aac", "-b:a", "256k", str(m4a)], check=True)
    unmix(m4a, "-o", tmp_path / "out", "--method", "fastica")
    assert document(tmp_path / "out")["subtype"] == "PCM_16"
    assert tracks(tmp_path / "out").shape[0] == 2


def test_other_rates_and_lengths_are_repaired_and_said(tmp_path: Path) -> None:
    a = save(tmp_path / "a.wav", X[0])
    b = save(tmp_path / "b.wav", resample(X[1:2], RATE, 48_000), rate=48_000)
    c = save(tmp_path / "c.wav", X[2, :-1000])
    done = unmix(a, b, c, "-o", tmp_path / "out")
    repairs = document(tmp_path / "out")["repairs"]
    assert [line for line in done.stderr.splitlines() if line.startswith("repaired: ")] == [f"repaired: {r}" for r in repairs]
    assert len(repairs) == 2
    assert "b.wav: resampled from 48000 Hz to the 16000 Hz of " in repairs[0]
    assert "c.wav: padded with 1000 samples (0.062 s) at its end" in repairs[1]
    assert soundfile.info(tmp_path / "out/source1.wav").frames == X.shape[1]
    assert soundfile.info(tmp_path / "out/source1.wav").samplerate == RATE


@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_other_rates(rate: int, tmp_path: Path) -> None:
    scene = desk(2, 2.0, snr_db=60.0)
    x, truth = resample(scene.mixture, RATE, rate), resample(scene.images[:, 0].copy(), RATE, rate)
    unmix(save(tmp_path / "x.wav", x, rate), "-o", tmp_path / "out")
    assert soundfile.info(tmp_path / "out/source1.wav").samplerate == rate
    assert (fit(truth, tracks(tmp_path / "out")).max(1) > 25).all()
    x = resample(room(2, 4.0).mixture, RATE, rate)
    unmix(save(tmp_path / "y.wav", x, rate), "-o", tmp_path / "room")
    found = document(tmp_path / "room")
    assert found["method"] in ("neural", "ilrma"), "which, is a question of whether it sounds like speech at that rate"
    assert 0.05 < found["n_fft"] / rate < 0.6


def test_start_and_end(tmp_path: Path) -> None:
    path = save(tmp_path / "x.wav", X)
    done = unmix(path, "-o", tmp_path / "out", "--start", "0.25", "--end", "1.5")
    assert "1.2 s at 16000 Hz" in done.stderr
    part = save(tmp_path / "part.wav", X[:, RATE // 4 : 3 * RATE // 2])
    unmix(part, "-o", tmp_path / "same")
    np.testing.assert_array_equal(tracks(tmp_path / "out"), tracks(tmp_path / "same"))
    assert document(tmp_path / "out")["options"]["start"] == 0.25


@pytest.mark.parametrize("name", ["Grüße aus 東京.wav", "two words.wav", "[1].wav", "-n.wav", "mic:1.wav", "a'b\"c.wav"])
def test_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "x.wav", X[:2])
    (tmp_path / "x.wav").rename(tmp_path / name)
    done = unmix("--method", "fastica", "-v", "--json", "--", name)
    assert listing(tmp_path / "separated") == [Path(name).stem]
    assert json.loads(done.stdout)["inputs"] == [name]
    assert document(tmp_path / "separated" / Path(name).stem)["channels"] == [f"{name}[1]", f"{name}[2]"]
    assert f"mic 1 = {name}[1]" in done.stderr


# pipes


def as_wav(x: np.ndarray, folder: Path) -> bytes:
    return Path(save(folder / "piped.wav", x)).read_bytes()


def test_from_stdin_to_stdout(tmp_path: Path, expected: np.ndarray) -> None:
    done = spawn("unmix", "-", "-o", "-", stdin=as_wav(X, tmp_path / "before"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found, rate = soundfile.read(io.BytesIO(done.stdout), dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(found.T, expected, atol=2.0**-15)
    assert b"method: FD-ICA" in done.stderr
    assert listing(tmp_path) == ["before"]


def test_from_stdin_to_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    unmix("-", "--method", "fastica", stdin=as_wav(X[:2], tmp_path))
    assert document(tmp_path / "separated" / "stdin")["inputs"] == ["-"]
    unmix("-", "--method", "fastica", "--per-mic", "-o", "mics", stdin=as_wav(X[:2], tmp_path))
    assert listing(tmp_path / "mics") == ["result.json", "stdin-1.wav", "stdin-2.wav"]


def test_stdin_beside_a_file(tmp_path: Path, expected: np.ndarray) -> None:
    rest = save(tmp_path / "rest.wav", X[1:])
    unmix("-", rest, "-o", tmp_path / "out", stdin=as_wav(X[:1], tmp_path))
    np.testing.assert_allclose(tracks(tmp_path / "out"), expected, atol=2.0**-15)
