"""`bss unmix`: recordings as people have them in, tracks and result.json out."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import Result
from recordings import RATE, desk, fit, own_mics, room, run, save, save_each, spawn

import bss
from bss.signals.resample import resample

ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is NOT installed: m4a goes untested")
SCENE = room(3, 2.0)
X = SCENE.mixture


def unmix(*words: str | Path, code: int = 0, **options: Any) -> Result:
    done = run("unmix", *words, **options)
    assert done.exit_code == code, done.stderr
    return done


def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return found


def tracks(folder: Path) -> np.ndarray:
    """(N, n) of the sources."""
    return np.stack([soundfile.read(p, dtype="float32")[0] for p in sorted(folder.glob("source*.wav"))])


def listing(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


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
    assert listing(tmp_path / "out") == ["result.json", "source1.wav", "source2.wav", "source3.wav"]
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
    assert listing(tmp_path / "separated" / "mics") == ["result.json", "source1.wav", "source2.wav", "source3.wav"]
    assert document(tmp_path / "separated" / "mics")["inputs"] == [f"mics/mic{k}.wav" for k in (1, 2, 3)]


def test_the_folder_is_named_after_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "talk.wav", X[:2])
    assert "to separated/talk" in unmix("talk.wav", "--method", "fastica").stderr
    assert listing(tmp_path / "separated") == ["talk"]


@ffmpeg
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
    x = resample(room(2, 2.0).mixture, RATE, rate)
    unmix(save(tmp_path / "y.wav", x, rate), "-o", tmp_path / "room")
    found = document(tmp_path / "room")
    assert found["method"] == "ilrma"
    assert 0.05 < found["n_fft"] / rate < 0.3


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


def as_wav(x: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, x.T, RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def test_from_stdin_to_stdout(tmp_path: Path, expected: np.ndarray) -> None:
    done = spawn("unmix", "-", "-o", "-", stdin=as_wav(X), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found, rate = soundfile.read(io.BytesIO(done.stdout), dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(found.T, expected, atol=2.0**-15)
    assert b"method: ILRMA" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_from_stdin_to_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    unmix("-", "--method", "fastica", stdin=as_wav(X[:2]))
    assert document(tmp_path / "separated" / "stdin")["inputs"] == ["-"]
    unmix("-", "--method", "fastica", "--per-mic", "-o", "mics", stdin=as_wav(X[:2]))
    assert listing(tmp_path / "mics") == ["result.json", "stdin-1.wav", "stdin-2.wav"]


def test_stdin_beside_a_file(tmp_path: Path, expected: np.ndarray) -> None:
    rest = save(tmp_path / "rest.wav", X[1:])
    unmix("-", rest, "-o", tmp_path / "out", stdin=as_wav(X[:1]))
    np.testing.assert_allclose(tracks(tmp_path / "out"), expected, atol=2.0**-15)


# what goes out


def test_dry_run_says_everything_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = save_each(tmp_path / "mics", X)
    done = unmix(*files, "--dry-run", "--json", "--sources", "2")
    plan = json.loads(done.stdout)
    assert listing(tmp_path) == ["mics"]
    assert (plan["dry_run"], plan["method"], plan["n_sources"]) == (True, "ilrma", 2)
    assert plan["channels"] == plan["used"] == files
    assert plan["memory_bytes"] > X.nbytes
    assert f"method: {plan['reason']}" in done.stderr
    real = json.loads(unmix(*files, "--json", "--sources", "2").stdout)
    assert {key: real[key] for key in ("method", "reason", "evidence", "n_sources", "used", "repairs", "warnings")} == {
        key: plan[key] for key in ("method", "reason", "evidence", "n_sources", "used", "repairs", "warnings")
    }


def test_json_is_what_result_json_holds(tmp_path: Path) -> None:
    files = save_each(tmp_path / "mics", X)
    done = unmix(*files, "-o", tmp_path / "out", "--json", "-n", "2", "--seed", "7")
    said = json.loads(done.stdout)
    assert said.pop("folder") == str(tmp_path / "out")
    assert said == document(tmp_path / "out")
    for promised in ("inputs", "channel_map", "repairs", "method", "reason", "n_iter", "loss", "versions", "warnings"):
        assert promised in said
    assert (said["seed"], said["n_sources"], said["outputs"]) == (7, 2, ["source1.wav", "source2.wav", "residual.wav"])
    assert {"read", "check", "choose", "separate"} == set(said["seconds"])
    assert all(value >= 0 for value in said["seconds"].values())
    assert said["options"]["sources"] == "2"


def test_overwrite_replaces_and_older_tracks_are_mentioned(tmp_path: Path) -> None:
    path, out = save(tmp_path / "x.wav", X), tmp_path / "out"
    unmix(path, "-o", out, "--sources", "2")
    before = (out / "source1.wav").read_bytes()
    refused = unmix(path, "-o", out, "--method", "fastica", code=3)
    assert "source1.wav exists and 2 more" in refused.stderr
    assert (out / "source1.wav").read_bytes() == before
    (out / "source9.wav").write_bytes(before)
    done = unmix(path, "-o", out, "--method", "fastica", "--overwrite")
    assert f"warning: source9.wav, residual.wav in {out} are from an earlier run" in done.stderr
    assert (out / "source1.wav").read_bytes() != before
    assert (out / "source9.wav").read_bytes() == before


def test_per_mic_names_tracks_after_the_files(tmp_path: Path) -> None:
    images = own_mics(3, 3.0)
    x = images.sum(0)
    anna, rest = save(tmp_path / "anna.wav", x[0]), save(tmp_path / "rest.wav", x[1:])
    done = unmix(anna, rest, "--per-mic", "-o", tmp_path / "out")
    assert listing(tmp_path / "out") == ["anna.wav", "rest-1.wav", "rest-2.wav", "result.json"]
    assert "wrote anna.wav, rest-1.wav, rest-2.wav and result.json" in done.stderr
    names = ("anna", "rest-1", "rest-2")
    found = np.stack([soundfile.read(tmp_path / "out" / f"{name}.wav", dtype="float32")[0] for name in names])
    own = np.stack([images[k, k] for k in range(3)])
    assert fit(own, found).argmax(1).tolist() == [0, 1, 2]


def test_per_mic_with_files_of_one_name(tmp_path: Path) -> None:
    files = [save(tmp_path / folder / "mic.wav", row) for folder, row in zip(("a", "b", "c"), X, strict=True)]
    unmix(*files, "--per-mic", "--method", "fastica", "-o", tmp_path / "out")
    assert listing(tmp_path / "out") == ["mic-2.wav", "mic-3.wav", "mic.wav", "result.json"]


def test_a_dead_microphone_is_said_and_left_out(tmp_path: Path) -> None:
    files = save_each(tmp_path / "mics", np.vstack([X[:2], np.zeros((1, X.shape[1]))]))
    done = unmix(*files, "-o", tmp_path / "out", "-q", "--reference-mic", "3")
    said = done.stderr.splitlines()
    assert [line.split(": ")[0] for line in said] == ["warning"] * 2, "warnings come through -q, and nothing else"
    assert "mic3.wav is digital silence" in said[0]
    assert "mic3.wav is not used, so " in said[1]
    assert listing(tmp_path / "out") == ["result.json", "source1.wav", "source2.wav"]


@pytest.mark.parametrize(
    ("given", "wanted", "expected_subtype"),
    [("PCM_16", "same", "PCM_16"), ("PCM_24", "same", "PCM_24"), ("FLOAT", "same", "FLOAT"), ("PCM_U8", "same", "PCM_16"),
     ("ULAW", "same", "PCM_16"), ("PCM_16", "pcm24", "PCM_24"), ("PCM_16", "float", "FLOAT"), ("FLOAT", "pcm16", "PCM_16")],
)  # fmt: skip
def test_subtype(given: str, wanted: str, expected_subtype: str, tmp_path: Path) -> None:
    path = save(tmp_path / "x.wav", desk(2, 1.0).mixture, subtype=given)
    unmix(path, "-o", tmp_path / "out", "--method", "fastica", "--subtype", wanted)
    info = soundfile.info(tmp_path / "out" / "source1.wav")
    assert (info.subtype, info.channels) == (expected_subtype, 1)
    assert document(tmp_path / "out")["subtype"] == expected_subtype


def test_one_gain_for_all_or_floating_point(tmp_path: Path) -> None:
    """Talkers whose loudest moments cancel at microphone 1 would clip alone: lowered together, and said; or kept so."""
    a, b = np.random.default_rng(0).laplace(size=(2, RATE))
    loudest = np.abs(a) > np.sort(np.abs(a))[-40]
    b[loudest] = 0.9 * a[loudest]
    x = np.stack([a - b, 0.2 * a + 0.1 * b])
    path = save(tmp_path / "x.wav", 0.99 * x / np.abs(x).max(), subtype="PCM_24")
    words = [path, "--method", "fastica"]
    done = unmix(*words, "-o", tmp_path / "common")
    gain = document(tmp_path / "common")["gain"]
    assert 0.3 < gain < 0.96
    assert f"warning: all tracks were lowered by {-20 * np.log10(gain):.1f} dB so that none clips" in done.stderr
    assert soundfile.info(tmp_path / "common/source1.wav").subtype == "PCM_24"
    kept = unmix(*words, "-o", tmp_path / "keep", "--clip", "keep")
    assert "lowered" not in kept.stderr
    assert document(tmp_path / "keep")["gain"] == 1.0
    assert soundfile.info(tmp_path / "keep/source1.wav").subtype == "FLOAT"
    np.testing.assert_allclose(tracks(tmp_path / "common"), gain * tracks(tmp_path / "keep"), atol=2.0**-22)
    assert np.abs(tracks(tmp_path / "common")).max() == pytest.approx(1.0, abs=1e-4)
    piped = spawn("unmix", *words, "-o", "-")
    np.testing.assert_array_equal(soundfile.read(io.BytesIO(piped.stdout), dtype="float32")[0].T, tracks(tmp_path / "common"))
    assert b"all tracks were lowered by" in piped.stderr


# words


def test_one_line_says_the_method_and_why(tmp_path: Path) -> None:
    done = unmix(save(tmp_path / "x.wav", X), "-o", tmp_path / "out")
    lines = [line for line in done.stderr.splitlines() if line.startswith("method: ")]
    assert len(lines) == 1
    assert lines[0] == f"method: {document(tmp_path / 'out')['reason']}"
    assert " ms apart " in lines[0]


def test_ica_in_a_room_warns_with_the_delay(tmp_path: Path) -> None:
    done = unmix(save(tmp_path / "x.wav", X), "-o", tmp_path / "out", "--method", "fastica")
    warned = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert len(warned) == 1
    assert "fastica cannot separate this recording well" in warned[0]
    assert " ms apart " in warned[0]
    assert document(tmp_path / "out")["warnings"] == [warned[0].removeprefix("warning: ")]


def test_help_has_three_examples_and_every_option() -> None:
    text = run("unmix", "--help").stdout
    assert text.count("  bss unmix ") == 3
    for option in ("--sources", "--method", "--reference-mic", "--per-mic", "--start", "--end", "--subtype", "--clip", "--seed",
                   "--threads", "--dry-run", "--overwrite", "--json", "--quiet", "--verbose", "--debug"):  # fmt: skip
        assert option in text
