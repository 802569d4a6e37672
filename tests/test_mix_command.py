"""`bss mix`: reproducible scenes, and everything that can go wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from mix_runs import RATE, VOICES, prepare, run, tree

import bss


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return prepare(tmp_path, monkeypatch)


# ---------------------------------------------------------------- what it writes


def test_what_is_written_and_said(work: Path) -> None:
    done = run("voices/anna.wav", "voices/ben.wav", "--mics", 3, "--rt60", 0.2, "-o", "scene", "-v")
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    files = tree(work / "scene")
    assert set(files) == {*(f"mics/mic{k}.wav" for k in (1, 2, 3)), "truth/anna.wav", "truth/ben.wav", "scene.json"}
    for said in ("2 talkers (anna, ben)", "3 microphones", "0.2 s requested", "bss unmix scene/mics -o sources --sources 2",
                 "bss score scene/truth sources --mixture scene/mics", "mic3 at"):  # fmt: skip
        assert said in done.stderr
    x, rate = bss.read("scene/mics")
    images = np.stack([bss.read(f"scene/truth/{name}.wav")[0] for name in ("anna", "ben")])
    assert rate == RATE
    noise = x - images.sum(0)
    assert 10 * np.log10(np.var(images.sum(0)[0]) / np.var(noise[0])) == pytest.approx(30, abs=0.5)
    document = json.loads(files["scene.json"])
    assert [voice["file"] for voice in document["voices"]] == ["../voices/anna.wav", "../voices/ben.wav"]
    assert {"python", "numpy", "scipy", "pyroomacoustics", "bss-toolkit"} <= set(document["versions"])


def test_json_is_one_document(work: Path) -> None:
    done = run("voices", "--rt60", 0, "-o", "scene", "--json", "-q")
    document = json.loads(done.stdout)
    assert done.stderr == ""
    assert {Path(file) for file in document["files"]} == {Path("scene", name) for name in tree(work / "scene")}
    assert len(document["delays_s"]) == len(document["mics"]) == 2


@pytest.mark.parametrize("options", [
    ("--rt60", 0.2), ("--rt60", 0, "--snr", "inf", "--levels", "0,-5"), ("--instantaneous", "--seconds", 0.3, "--seed", 9),
    ("--rt60", 0.25, "--room", "5x4x2.5", "--spacing", 0.4, "--mics", 4, "--rate", 16000),
])  # fmt: skip
def test_the_same_bytes_again(work: Path, options: tuple) -> None:
    assert run("voices/anna.wav", "voices/ben.wav", *options, "-o", "scene").exit_code == 0
    again = run("--scene", "scene/scene.json", "-o", "again")
    assert again.exit_code == 0, again.output
    assert "differ slightly" not in again.stderr
    assert tree(work / "again") == tree(work / "scene")


def test_again_with_voices_that_moved(work: Path) -> None:
    run("voices/anna.wav", "voices/ben.wav", "--rt60", 0, "-o", "scene")
    (work / "voices").rename(work / "archive")
    (work / "archive/anna.wav").rename(work / "archive/zoe.wav")
    missing = run("--scene", "scene/scene.json", "-o", "again")
    assert missing.exit_code == 3
    assert "anna.wav is missing" in missing.stderr
    assert not (work / "again").exists()
    done = run("--scene", "scene/scene.json", "archive", "-o", "again")
    assert done.exit_code == 0, done.output
    now, then = tree(work / "again"), tree(work / "scene")
    now.pop("scene.json")
    then.pop("scene.json")
    assert now == then


def test_again_with_a_voice_that_changed(work: Path) -> None:
    run("voices/anna.wav", "voices/ben.wav", "--rt60", 0, "-o", "scene")
    data = bytearray((work / "voices/ben.wav").read_bytes())
    data[-1] ^= 1
    (work / "voices/ben.wav").write_bytes(data)
    done = run("--scene", "scene/scene.json", "-o", "again")
    assert done.exit_code == 3
    assert "ben.wav has changed" in done.stderr
    assert not (work / "again").exists()


def test_again_by_other_versions_is_said(work: Path) -> None:
    run("voices/anna.wav", "--rt60", 0, "-o", "scene")
    document = json.loads((work / "scene/scene.json").read_text())
    document |= {"sha256": "0" * 64, "versions": {"numpy": "0.1"}}
    (work / "scene/scene.json").write_text(json.dumps(document))
    done = run("--scene", "scene/scene.json", "-o", "again")
    assert done.exit_code == 0
    assert "warning: the samples differ slightly from those" in done.stderr
    assert "numpy 0.1" in done.stderr


@pytest.mark.parametrize(("change", "said"), [
    ({"voices": []}, "no voices"),
    ({"voices": [{"name": "../../evil", "file": "a", "sha256": "b"}]}, "not a valid name"),
    ({"voices": ["anna"]}, "voices[0] is"),
    ({"options": {}}, "n_mics"),
    ({"rate": "fast"}, "rate is missing"),
    ({"schema": 99}, "schema 99"),
])  # fmt: skip
def test_again_from_a_damaged_file(work: Path, change: dict, said: str) -> None:
    run("voices/anna.wav", "--rt60", 0, "-o", "scene")
    document = json.loads((work / "scene/scene.json").read_text()) | change
    (work / "scene/scene.json").write_text(json.dumps(document))
    done = run("--scene", "scene/scene.json", "-o", "again")
    assert done.exit_code == 3
    assert said in done.stderr
    assert not (work / "again").exists()


def test_a_scene_from_arrays_cannot_be_made_again(work: Path) -> None:
    bss.mix([np.random.default_rng(0).normal(size=RATE)], RATE, rt60=0).save("scene")
    done = run("--scene", "scene/scene.json", "-o", "again")
    assert done.exit_code == 3
    assert "made in Python" in done.stderr


def test_another_seed_is_another_scene(work: Path) -> None:
    for seed in (1, 2):
        run("voices/anna.wav", "--rt60", 0, "--seed", seed, "-o", f"scene{seed}")
    assert tree(work / "scene1")["mics/mic1.wav"] != tree(work / "scene2")["mics/mic1.wav"]


# ---------------------------------------------------------------- which voices


@pytest.mark.parametrize(("words", "n"), [
    (("voices", "--mics", 2), 2),  # from a folder, one per microphone
    (("voices", "--mics", 4), 3),
    (("voices/*.wav", "--mics", 2), 2),
    (("voices", "--talkers", 3, "--mics", 2), 3),
    (("voices", "--sources", 1, "--mics", 2), 1),
    (("voices/anna.wav", "voices/ben.wav", "voices/carla.wav", "--mics", 2), 3),  # named files are all used
])  # fmt: skip
def test_how_many_talkers(work: Path, words: tuple, n: int) -> None:
    done = run(*words, "--rt60", 0, "-o", "scene")
    assert done.exit_code == 0, done.output
    assert len(list((work / "scene/truth").iterdir())) == n
    assert ("more talkers" in done.stderr) == (n > 2 and 4 not in words)


def test_the_seed_draws_the_voices(work: Path) -> None:
    drawn = set()
    for seed in range(8):
        run("voices", "--talkers", 1, "--rt60", 0, "--seed", seed, "-o", f"scene{seed}")
        drawn |= {p.name for p in (work / f"scene{seed}/truth").iterdir()}
    assert len(drawn) > 1


def test_voices_of_one_name_are_told_apart(work: Path) -> None:
    (work / "more").mkdir()
    (work / "more/Anna.wav").write_bytes((work / "voices/ben.wav").read_bytes())
    assert run("voices/anna.wav", "more/Anna.wav", "--rt60", 0, "-o", "scene").exit_code == 0
    assert {p.name for p in (work / "scene/truth").iterdir()} == {"anna.wav", "Anna-2.wav"}
    assert run("--scene", "scene/scene.json", "-o", "again").exit_code == 0
    assert tree(work / "again") == tree(work / "scene")


def test_repairs_are_said(work: Path) -> None:
    done = run("voices/anna.wav", "bad/stereo.flac", "--rt60", 0, "-o", "scene", "--json")
    assert "2 channels: only the first is used" in done.stderr
    assert "resampled from 16000 to 8000 Hz" in done.stderr
    assert len(json.loads(done.stdout)["warnings"]) == 2


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(("words", "code", "said"), [
    ((), 2, "there are no voices"),
    (("nobody.wav",), 3, "nobody.wav does not exist"),
    (("voices/ana.wav",), 3, "did you mean"),
    (("bad/empty",), 3, "contains no audio"),
    (("bad/notes.txt",), 3, "notes.txt is empty"),
    pytest.param(("bad/text.wav",), 3, "text.wav cannot be read", marks=pytest.mark.programs),
    (("bad/zero.wav",), 3, "zero.wav is empty"),
    (("bad/short.wav",), 3, "short.wav is truncated"),
    (("bad/silent.wav", *VOICES), 3, "bad/silent.wav is silent"),
    (("-",), 2, "cannot be read from stdin"),
    (("voices/anna.wav", "voices/anna.wav"), 3, "named twice"),
    ((*VOICES, "--mics", "0"), 2, "--mics"),
    ((*VOICES, "--mics", "many"), 2, "--mics"),
    ((*VOICES, "--talkers", "3"), 2, "talkers=3"),
    ((*VOICES, "--rt60", "0.01"), 2, "0.12 to 1.12"),
    ((*VOICES, "--room", "6x5"), 2, "length, width and height"),
    ((*VOICES, "--room", "big"), 2, "--room big"),
    ((*VOICES, "--room", "2x2x2"), 2, "too small"),
    ((*VOICES, "--snr", "nan"), 2, "--snr nan is out of range"),
    ((*VOICES, "--spacing", "-1"), 2, "--spacing -1 is out of range"),
    ((*VOICES, "--seconds", "0"), 2, "--seconds 0 is out of range"),
    ((*VOICES, "--levels", "0"), 2, "does not fit 2 voices"),
    ((*VOICES, "--levels", "0;1"), 2, "--levels 0;1"),
    ((*VOICES, "--seed", "-1"), 2, "--seed"),
    ((*VOICES, "--rate", "10"), 2, "--rate"),
    ((*VOICES, "--overwrit"), 2, "--overwrit"),
    (("--scene", "nowhere.json"), 3, "nowhere.json cannot be read as a scene"),
    (("--scene", "bad/text.wav"), 3, "cannot be read as a scene"),
    (("--scene", "bad/other.json"), 3, "is not a scene"),
    (("--scene", "bad/other.json", "--mics", "3"), 2, "--mics cannot be combined with --scene"),
])  # fmt: skip
def test_wrong_input(work: Path, words: tuple[str, ...], code: int, said: str) -> None:
    before = tree(work)
    done = run(*words, "-o", "scene")
    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert "Traceback" not in done.output
    assert tree(work) == before
    assert not (work / "scene").exists()


def test_nan_in_a_voice(work: Path) -> None:
    import soundfile

    x = np.random.default_rng(0).normal(size=RATE).astype(np.float32) * 0.1
    x[7] = np.nan
    soundfile.write("bad/nan.wav", x, RATE, subtype="FLOAT")
    done = run("bad/nan.wav", *VOICES, "-o", "scene")
    assert done.exit_code == 3
    assert "bad/nan.wav contains NaN" in done.stderr
    assert not (work / "scene").exists()


@pytest.mark.parametrize(("output", "code", "said"), [
    ("-", 2, "stdout"),
    ("bad/notes.txt", 3, "is not a folder"),
    ("/dev/null/scene", 3, "folder"),
    ("voices/anna.wav/x", 3, "is not a folder"),
])  # fmt: skip
def test_wrong_output(work: Path, output: str, code: int, said: str) -> None:
    before = tree(work)
    done = run(*VOICES, "--rt60", 0, "-o", output)
    assert done.exit_code == code
    assert said in done.stderr
    assert tree(work) == before


def test_nothing_is_replaced_unasked(work: Path) -> None:
    run(*VOICES, "--rt60", 0, "-o", "scene")
    before = tree(work)
    for voices in (VOICES, ("voices/carla.wav",)):
        done = run(*voices, "--rt60", 0, "--seed", 1, "-o", "scene")
        assert done.exit_code == 3
        assert "--overwrite" in done.stderr
        assert tree(work) == before
    assert run("voices/carla.wav", "--rt60", 0, "-o", "scene", "--overwrite").exit_code == 0
    assert {p.name for p in (work / "scene/truth").iterdir()} == {"carla.wav"}


def test_voices_are_never_written_over(work: Path) -> None:
    (work / "scene/truth").mkdir(parents=True)
    (work / "voices/anna.wav").rename(work / "scene/truth/anna.wav")
    before = tree(work)
    done = run("scene/truth/anna.wav", "--rt60", 0, "-o", "scene", "--overwrite")
    assert done.exit_code == 3
    assert "never overwritten" in done.stderr
    assert tree(work) == before


def test_interrupted(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of writing."""
    from bss.signals.files.writing import OutputFolder

    write, written = OutputFolder.audio, []

    def stop_at_the_third(self: OutputFolder, name: str, *args: object, **options: object) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(name)
        write(self, name, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(OutputFolder, "audio", stop_at_the_third)
    before = tree(work)
    done = run(*VOICES, "--rt60", 0, "-o", "scene")
    assert done.exit_code == 130
    assert len(written) == 2
    assert tree(work) == before
    assert not (work / "scene").exists()


def test_help_has_examples() -> None:
    text = run("--help").stdout
    assert sum(line.startswith("    bss mix ") for line in text.splitlines()) == 7
