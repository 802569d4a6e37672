"""`bss mix` with what goes wrong when people record: the same bytes again, what is said, and wrong input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from mix_runs import VOICES, prepare, run, tree

import bss
from bss.scenes import manifest
from bss.scenes.description import _time

FAULTS = (
    "--mics", 6, "--offset", 0.2, "--drift", "2:-41.3", "--drift", "2:20@0.4", "--gap", "3:0.01@0.2", "--dropout", "4@0.3-0.4",
    "--hum", "5:60", "--agc", 6,
)  # fmt: skip


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return prepare(tmp_path, monkeypatch)


@pytest.fixture
def measured(work: Path) -> Path:
    """Responses of three places at four microphones, at another rate than the voices."""
    rng = np.random.default_rng(2)
    for k in range(3):
        rir = rng.normal(size=(4, 1600)) * np.exp(-np.arange(1600) / 200)
        bss.write(work / f"rooms/place{k + 1}.wav", 0.1 * rir, 16_000, subtype="PCM_24")
    return work / "rooms"


@pytest.mark.parametrize("options", [
    FAULTS, (*FAULTS, "--instantaneous"), ("--move", "1:20@0.1-0.4", "--move", "2:-5", "--rt60", 0.2, "--conversation", 0.15),
    ("--join", "2@0.2", "--join", "1@0-0.3", "--noise", "bad/stereo.flac", "--noise-snr", 0),
    ("--rir", "rooms", "--mics", 3, "--noise", "voices/carla.wav", "--offset", "3:-0.1"),
])  # fmt: skip
def test_the_same_bytes_again_of_any_recording(measured: Path, options: tuple) -> None:
    rt60 = () if "--rt60" in options else ("--rt60", 0)
    assert run("voices/anna.wav", "voices/ben.wav", *options, *rt60, "-o", "scene").exit_code == 0
    again = run("--scene", "scene/scene.json", "-o", "again")
    assert again.exit_code == 0, again.output
    assert "differ slightly" not in again.stderr
    assert tree(measured.parent / "again") == tree(measured.parent / "scene")


def test_a_scene_of_an_earlier_version_can_be_made_again(work: Path) -> None:
    """Without anything that is new, scene.json is what it always was."""
    run(*VOICES, "--rt60", 0, "-o", "scene")
    document = json.loads((work / "scene/scene.json").read_text())
    assert set(document["options"]) == set(manifest.OPTIONS)
    assert not {"noises", "responses", "faults", "clocks", "ways", "activity_s"} & set(document)


def test_what_is_said_about_the_recording(work: Path) -> None:
    done = run(*VOICES, *FAULTS, "--move", "1:20", "--join", "2@0.2", "--noise", "voices/carla.wav", "--rt60", 0, "-o", "scene")
    assert done.exit_code == 0, done.output
    for said in ("clock -41.3 ppm, clock +20.0 ppm from 00:00.4 on", "10 ms missing at 00:00.2", "silent from 00:00.3 to 00:00.4",
                 "mic5: starts", "hears no talker, only hum of 60 Hz", "is a processed mix of the others",
                 "anna walks 20 degrees around the microphones from 00:00.0 to 00:00.6", "ben is there from 00:00.2 to 00:00.6",
                 "1 other sound (carla.wav), 5 dB below the talkers"):  # fmt: skip
        assert said in done.stderr
    assert json.loads((work / "scene/scene.json").read_text())["noises"][0]["file"] == "../voices/carla.wav"


def test_babble_is_made_of_other_voices(work: Path) -> None:
    done = run("voices", "--talkers", 1, "--babble", 5, "--rt60", 0, "--json", "-o", "scene")
    document = json.loads(done.stdout)
    talker = document["voices"][0]["file"]
    used = [noise["file"] for noise in document["noises"]]
    assert len(used) == 5
    assert set(used) == {f"voices/{name}.wav" for name in ("anna", "ben", "carla")} - {talker}


def test_measured_rooms(measured: Path) -> None:
    done = run(*VOICES, "--rir", "rooms", "-o", "scene", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["options"]["n_mics"] == 4  # as many as the responses have channels
    assert len(document["responses"]) == 2
    assert "resampled from 16000 to 8000 Hz" in done.stderr
    orders = set()
    for seed in range(4):
        document = json.loads(run(*VOICES, "--rir", "rooms", "--seed", seed, "-o", f"scene{seed}", "--json").stdout)
        orders.add(tuple(response["file"] for response in document["responses"]))
    assert len(orders) > 1


def test_a_response_that_changed(measured: Path) -> None:
    run(*VOICES, "--rir", "rooms", "-o", "scene")
    for file in measured.iterdir():
        bss.write(file, np.random.default_rng(0).normal(size=(4, 100)) * 0.1, 16_000, overwrite=True)
    done = run("--scene", "scene/scene.json", "-o", "again")
    assert done.exit_code == 3
    assert "the response" in done.stderr
    assert "has changed" in done.stderr


def test_noise_is_never_written_over(work: Path) -> None:
    (work / "scene/truth").mkdir(parents=True)
    (work / "voices/carla.wav").rename(work / "scene/truth/anna.wav")
    before = tree(work)
    done = run("voices/anna.wav", "--noise", "scene/truth/anna.wav", "--rt60", 0, "-o", "scene", "--overwrite")
    assert done.exit_code == 3
    assert "never overwritten" in done.stderr
    assert tree(work) == before


@pytest.mark.parametrize(("words", "code", "said"), [
    (("--offset", "later"), 2, "--offset later is invalid"),
    (("--offset", "0:1"), 2, "expected [MIC:]SECONDS, with microphones counted from 1"),
    (("--offset", "1:1"), 2, "microphone 1 cannot have one"),
    (("--drift", "2:fast"), 2, "[MIC:]PPM[@TIME]"),
    (("--gap", "0.01"), 2, "MIC:SECONDS[@TIME]"),
    (("--gap", "2:0.01@50"), 2, "50 s is not within the recording of 0.6 s"),
    (("--dropout", "2@0.5-0.1"), 2, "no part of the recording"),
    (("--hum", "9"), 2, "there is no microphone 9"),
    (("--agc", "x"), 2, "--agc x is invalid"),
    (("--move", "1"), 2, "TALKER:DEGREES"),
    (("--move", "3:20"), 2, "there is no talker 3"),
    (("--join", "2"), 2, "TALKER@TIME"),
    (("--conversation", "0"), 2, "--conversation 0 is out of range"),
    (("--noise", "nothing.wav"), 3, "nothing.wav does not exist"),
    (("--noise", "bad/silent.wav"), 3, "every noise is scaled to a level"),
    (("--noise", "-"), 2, "a noise cannot be read from stdin"),
    (("--noise-snr", "5"), 2, "of no use without noise"),
    (("--babble", "3"), 2, "there are no voices for --babble"),
    (("--rir", "rooms/place1.wav"), 2, "too few responses: 1 for 2 talkers"),
    (("--rir", "rooms", "--mics", "5"), 3, "has 4 channels for 5 microphones"),
    (("--rir", "rooms/place1.wav", "--rir", "bad/stereo.flac", "--mics", "2"), 3, "channels, but"),
    (("--rir", "rooms", "--move", "1:30"), 2, "nobody can walk about in measured responses"),
    (("--instantaneous", "--move", "1:30"), 2, "a mixing desk has no moving talkers"),
])  # fmt: skip
def test_wrong_faults(measured: Path, words: tuple[str, ...], code: int, said: str) -> None:
    done = run(*VOICES, "--rt60", 0, *words, "-o", "scene")
    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert not (measured.parent / "scene").exists()


@pytest.mark.parametrize(("change", "said"), [
    ({"faults": [{"kind": "fire", "mic": 1}]}, "is not a fault"),
    ({"behaviour": [{"kind": "dance"}]}, "is not a behaviour"),
    ({"faults": "many"}, "expected a list"),
    ({"surprise": 1}, "surprise are missing or unknown"),
])  # fmt: skip
def test_damaged_faults_in_scene_json(work: Path, change: dict, said: str) -> None:
    run("voices/anna.wav", "--rt60", 0, "-o", "scene")
    document = json.loads((work / "scene/scene.json").read_text())
    document["options"] |= change
    (work / "scene/scene.json").write_text(json.dumps(document))
    done = run("--scene", "scene/scene.json", "-o", "again")
    assert done.exit_code == 3
    assert said in done.stderr


@pytest.mark.parametrize("key", ["noises", "responses"])
def test_damaged_files_in_scene_json(work: Path, key: str) -> None:
    run("voices/anna.wav", "--rt60", 0, "-o", "scene")
    document = json.loads((work / "scene/scene.json").read_text()) | {key: [{"file": 3, "sha256": "x"}]}
    (work / "scene/scene.json").write_text(json.dumps(document))
    done = run("--scene", "scene/scene.json", "-o", "again")
    assert done.exit_code == 3
    assert f"{key}[0].file is 3" in done.stderr


def test_times_in_words() -> None:
    assert [_time(t) for t in (0, 59.97, 61.23, 3600.0)] == ["00:00.0", "01:00.0", "01:01.2", "60:00.0"]
