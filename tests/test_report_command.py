"""`bss report`, and `bss unmix --report`: where the page goes, what is said, and what is refused before the work."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from recordings import RATE, document, listing, room, run, save_each, tracks, voices
from report_pages import page, result

import bss
from bss.report.command import command
from bss_cli.main import cli


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return result(tmp_path_factory.mktemp("report"))


def test_page_is_beside_the_tracks_and_replaced_on_request_only(sources: Path) -> None:
    done = run("report", sources)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == ""
    assert f"wrote {sources / 'report.html'} (" in done.stderr
    again = run("report", sources)
    assert again.exit_code == 3
    assert "already exists" in again.stderr
    assert run("report", sources, "-y").exit_code == 0
    assert listing(sources) == ["report.html", "result.json", "source1.wav", "source2.wav"]


def test_document_and_places(sources: Path, tmp_path: Path) -> None:
    said = json.loads(run("report", sources, "-o", tmp_path / "new" / "a.html", "--json").stdout)
    assert said["report"] == str(tmp_path / "new" / "a.html")
    assert said["bytes"] == (tmp_path / "new" / "a.html").stat().st_size
    assert said["tracks"][1:] == ["source1", "source2"]
    assert (said["files"], said["notes"]) == ([], [])
    assert json.loads(run("report", sources, "-o", tmp_path, "--json").stdout)["report"] == str(tmp_path / "report.html")


REFUSED = [
    ((), 2, "missing argument 'FOLDER"),
    (("sources", "sources"), 2, "expected one FOLDER, but there are 2"),
    (("sources", "--compare"), 2, "expected two folders, but there are 1"),
    (("sources", "-o", "-"), 2, "-o - means stdout"),
    (("sources", "-o", ""), 2, "-o has an empty name"),
    (("sources", "--truth", "x", "--scores", "y"), 2, "--truth and --scores cannot be combined"),
    (("sources", "sources", "--compare", "--scores", "y"), 2, "--scores is of one result"),
    (("nowhere",), 3, "there is no folder nowhere"),
    (("mics",), 3, "there is neither result.json nor scene.json in mics"),
    (("sources", "--scores", "nowhere.json"), 3, "nowhere.json cannot be read"),
    (("sources", "--mixture", "nowhere"), 3, "nowhere does not exist"),
    (("sources", "--truth", "mics/mic1.wav", "-o", "/dev/null/a.html"), 3, "/dev/null"),
]


@pytest.mark.parametrize(("words", "code", "said"), REFUSED)
def test_refusals(words: tuple[str, ...], code: int, said: str, sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sources.parent)
    done = run("report", *words)
    assert done.exit_code == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_scene_and_scores_by_its_truth(tmp_path: Path) -> None:
    bss.mix(voices(2, 3.0), RATE, n_mics=2, instantaneous=True, rng=0).save(tmp_path / "scene")
    done = run("report", tmp_path / "scene")
    assert done.exit_code == 0, done.stderr
    seen = page(tmp_path / "scene" / "report.html")
    assert "A simulated recording of 2 talkers with 2 microphones, 3.0 seconds." in seen.text
    assert "Mixing desk, condition number" in seen.text
    assert [lane["label"] for lane in seen.data["lanes"]] == ["Microphone 1", "Microphone 2", "True talker 1", "True talker 2"]
    assert [lane["quiet"] for lane in seen.data["lanes"]] == [False, True, True, True]
    assert run("unmix", tmp_path / "scene/mics", "-n", 2, "-o", tmp_path / "out").exit_code == 0
    assert run("report", tmp_path / "out", "--truth", tmp_path / "scene").exit_code == 0
    scored = run("score", tmp_path / "scene/truth", tmp_path / "out", "--mixture", tmp_path / "scene/mics", "--json")
    mean = json.loads(scored.stdout)["mean"]
    text = page(tmp_path / "out" / "report.html").text
    assert f"mean {mean['si_sdr']:.1f} dB {mean['si_sdr_improvement']:.1f} dB" in text


def test_unmix_writes_a_report(tmp_path: Path) -> None:
    files = save_each(tmp_path / "mics", room(2, 3.0, rt60=0.2).mixture)
    done = run("unmix", *files, "-n", 2, "--effort", "fast", "-o", tmp_path / "out", "--report", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["report"] == str(tmp_path / "out" / "report.html")
    assert "report.html" in listing(tmp_path / "out")
    before = tracks(tmp_path / "out")
    again = run("unmix", *files, "-n", 2, "--effort", "fast", "-o", tmp_path / "out", "--overwrite")
    assert "report.html is of an earlier run" in again.stderr
    assert (tracks(tmp_path / "out") == before).all()
    assert document(tmp_path / "out")["outputs"][:2] == ["source1.wav", "source2.wav"]


def test_unmix_refuses_a_report_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = save_each(tmp_path / "mics", room(2, 1.0).mixture)
    piped = run("unmix", *files, "-o", "-", "--report")
    assert piped.exit_code == 2
    assert "--report and -o - cannot be combined" in piped.stderr
    (tmp_path / "out").mkdir()
    (tmp_path / "out/report.html").write_text("mine")
    taken = run("unmix", *files, "-o", tmp_path / "out", "--report")
    assert taken.exit_code == 3
    assert listing(tmp_path / "out") == ["report.html"]
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    bare = run("unmix", *files, "-o", tmp_path / "new", "--report")
    assert bare.exit_code == 3
    assert "pip install 'bss-toolkit[report]'" in bare.stderr
    assert not (tmp_path / "new").exists()


ASKED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"sources": "3", "start": 1.5, "end": 20.0, "linear": True}, {"sources": "3", "start": 1.5, "end": 20.0, "linear": True}),
    ({"denoise": True, "strength": 0.5, "seed": 7, "reference_mic": 2}, {"denoise": True, "strength": 0.5, "seed": 7,
                                                                         "reference_mic": 2}),
    ({"n_sources": 2, "rng": 3, "reference_mic": 1, "channels": [0, 2], "denoise": 0.25},
     {"sources": "2", "seed": 3, "reference_mic": 2, "channels": "1,3", "denoise": True, "strength": 0.25}),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "expected"), ASKED)
def test_the_command_asks_for_the_same(asked: dict[str, Any], expected: dict[str, Any]) -> None:
    record = SimpleNamespace(inputs=["a b.wav", "-c.wav"], options=asked)
    words = shlex.split(command(record, "out") or "")  # type: ignore[arg-type]
    unmix = cli.get_command(None, "unmix")  # type: ignore[arg-type]
    assert unmix is not None
    read = unmix.make_context("unmix", ["a b.wav", "c.wav", *words[4:]]).params
    plain = unmix.make_context("unmix", ["a.wav", "-o", "out"]).params
    assert words[:4] == ["bss", "unmix", "a b.wav", "./-c.wav"]
    assert {name: value for name, value in read.items() if value != plain[name] and name != "files"} == expected
