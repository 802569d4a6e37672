"""`bss batch`: separating, simulating and scoring many recordings from the command line."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result
from recordings import BSS, ROOT, desk, listing, run, save, save_each, spawn

from bss.report.summary import summary_page
from bss_cli.batch import batch
from bss_cli.batches.batch_mix import batch_mix
from bss_cli.batches.batch_score import batch_score
from bss_cli.batches.batch_unmix import SINGLE, batch_unmix
from bss_cli.unmix import unmix

COMMON = {"as_json", "quiet", "verbose", "debug"}
FAST = ["--method", "fastica", "--sources", "2", "--jobs", "1"]


def document(result: Result) -> Any:
    """The JSON document on stdout."""
    return json.loads(result.stdout)


def table(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of two scenes with their truth, and one folder with a text that is called audio."""
    place = tmp_path_factory.mktemp("command")
    for k in range(2):
        desk(2, 1.0, seed=k).save(place / f"corpus/scene {k} & <b>")
    (place / "corpus/broken").mkdir()
    (place / "corpus/broken/x.wav").write_text("no audio")
    done = run("batch", place / "corpus", "-o", place / "out", *FAST)
    assert done.exit_code == 4, done.stderr
    (place / "said").write_text(done.stderr + done.stdout)
    return place


def test_a_line_for_each_and_a_summary(place: Path) -> None:
    said = (place / "said").read_text()
    assert "3 recordings, 1 at a time" in said
    assert "scene 0 & <b>: 2 talkers, well separated (" in said
    assert "broken: failed: " in said
    assert "Try: check whether it plays" in said or "Try: install ffmpeg" in said
    assert "2 done, 1 failed; wrote" in said
    rows = table(place / "out/summary.csv")
    assert [row["state"] for row in rows] == ["failed", "done", "done"]
    assert rows[0]["error"].endswith("x.wav cannot be read as audio")
    assert (rows[1]["talkers"], rows[1]["method"], rows[1]["folder"]) == ("2", "fastica", "scene 0 & <b>")


def test_reports_are_written_and_linked(place: Path, tmp_path: Path) -> None:
    done = run("batch", place / "corpus/scene 0 & <b>", "-o", tmp_path, *FAST, "--report")
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "scene 0 & <b>/report.html").stat().st_size > 10_000
    assert "/report.html" in (tmp_path / "summary.html").read_text(encoding="utf-8")


class Links(HTMLParser):
    """The links of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "b", "a name is not markup"
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_escaped_and_links_lead_somewhere(place: Path) -> None:
    from urllib.parse import unquote

    page = Links((place / "out/summary.html").read_text(encoding="utf-8"))
    assert "scene 0 & <b>" in page.text
    assert page.links
    assert all((place / "out" / unquote(link)).exists() for link in page.links)


def test_a_report_is_linked_where_there_is_one(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(place / "out", out)
    (out / "scene 1 & <b>/report.html").touch()
    done = run("batch", place / "corpus", "-o", out, *FAST, "--skip-done", "--json")
    assert done.exit_code == 4
    found = document(done)
    assert (found["done"], found["skipped"], found["failed"], found["exit_code"]) == (0, 2, 1, 4)
    assert [row["state"] for row in found["recordings"]] == ["failed", "skipped", "skipped"]
    assert any(link.endswith("report.html") for link in Links((out / "summary.html").read_text()).links)


def test_results_are_in_the_way(place: Path) -> None:
    done = run("batch", place / "corpus", "-o", place / "out", *FAST)
    assert done.exit_code == 3
    assert "--skip-done to do what is left, --overwrite" in done.stderr


def test_dry_run_separates_nothing(place: Path, tmp_path: Path) -> None:
    found = document(run("batch", place / "corpus", "-o", place / "out", *FAST, "--skip-done", "--dry-run", "--json"))
    assert [row["state"] for row in found["recordings"]] == ["to do", "skipped", "skipped"]
    assert run("batch", place / "corpus", "-o", tmp_path / "new", *FAST, "--dry-run").exit_code == 0
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere", "-o", "out"], 3, "nowhere does not exist"),
        (["nowhere"], 2, "missing option '-o'"),
        (["mics", "-o", "-"], 2, "-o must name a folder"),
        (["mics", "-o", "out", "--sources", "many"], 2, "--sources many"),
        (["mics", "-o", "out", "--live"], 2, "no option --live"),
        (["mics", "-o", "out", "--scheduler", "tcp://127.0.0.1:9", "--jobs", "2"], 2, "--jobs and --scheduler"),
        (["table.csv", "-o", "out"], 3, "row 2: sources is 'x'"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    save_each(tmp_path / "mics", desk(2, 1.0).mixture)
    (tmp_path / "table.csv").write_text("file,sources\na.wav,x\n")
    done = run("batch", *words)
    assert done.exit_code == code
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


def test_quiet_says_only_what_failed(place: Path, tmp_path: Path) -> None:
    done = run("batch", place / "corpus/broken", "-o", tmp_path / "out", *FAST, "-q")
    assert done.exit_code == 3, "all failed, and for this reason"
    assert done.stderr.count("\n") == 1
    assert "failed" in done.stderr
    assert done.stdout == ""


def test_options_are_those_of_unmix_but_for_a_few() -> None:
    """An option that comes to `bss unmix` comes here too, and `keywords_of` has to know it, or SINGLE."""
    own = {"recordings", "output", "skip_done", "overwrite", "scheduler", "jobs", "threads", "max_memory", "dry_run"}
    shared = {p.name for p in batch_unmix.params} - own - COMMON
    assert shared == {
        "sources", "method", "effort", "reference_mic", "per_mic", "channels", "sync", "device", "start", "end", "subtype",
        "clip", "weights", "denoise", "strength", "dereverb", "linear", "keep_noise", "seed", "report",
    }  # fmt: skip
    assert shared | {*SINGLE} == {p.name for p in unmix.params if isinstance(p, click.Option)} - COMMON


def test_the_page_lists_every_option() -> None:
    page = (ROOT / "docs/batch.md").read_text(encoding="utf-8")
    for command in (batch_unmix, batch_score, batch_mix):
        section = page.split(f"## `bss batch {command.name}`")[1].split("\n## ")[0]
        if command is batch_mix:  # all but a few are those of bss mix, whose page lists them
            varied = {"`--mics`", "`--rt60`", "`--snr`", "`--spacing`", "`--talkers`", "`--seeds`"}
            assert varied <= set(section.replace(",", " ").split())
            continue
        options = [p for p in command.params if isinstance(p, click.Option)]
        for name in (o.opts[-1] for o in options if o.name not in COMMON):
            assert f"`{name}`" in section, f"{command.name} {name}"


def test_short_form_and_help() -> None:
    assert [*batch.commands, *batch.list_commands(click.Context(batch))] == ["unmix", "score", "mix"]
    for words in (
        ["batch", "--help"],
        ["batch"],
        ["batch", "unmix", "--help"],
        ["batch", "mix", "--help"],
        ["batch", "score", "-h"],
    ):
        done = run(*words)
        assert done.exit_code == 0
        assert "Examples:" in done.stdout


def test_scores_of_all_with_means_and_quantiles(place: Path, tmp_path: Path) -> None:
    done = run("batch", "score", place / "corpus", place / "out", "-o", tmp_path / "scores.csv", "--jobs", "1", "--json")
    assert done.exit_code == 0, done.stderr
    found = document(done)
    rows = table(tmp_path / "scores.csv")
    values = sorted(float(row["si_sdr"]) for row in rows)
    statistics = found["statistics"]["si_sdr"]
    assert (statistics["count"], len(rows)) == (4, 4)
    assert statistics["mean"] == pytest.approx(sum(values) / 4)
    assert values[0] <= statistics["q05"] <= statistics["q50"] == pytest.approx((values[1] + values[2]) / 2)
    assert found["statistics"]["si_sdr_improvement"]["mean"] > 10
    alone = document(run("score", place / "corpus/scene 0 & <b>/truth", place / "out/scene 0 & <b>", "--json"))
    assert found["recordings"][0]["mean"]["si_sdr"] == pytest.approx(alone["mean"]["si_sdr"])


def test_a_recording_without_a_result_fails(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "out/scene 0 & <b>", tmp_path / "scene 0 & <b>")
    done = run("batch", "score", place / "corpus", tmp_path, "--jobs", "1", "--fail-under", "5")
    assert done.exit_code == 4
    assert "scene 1 & <b>: failed: there is no result of scene 1" in done.stderr
    assert "median" in done.stdout


def test_a_gate_of_the_mean(place: Path) -> None:
    done = run("batch", "score", place / "corpus", place / "out", "--jobs", "1", "--fail-under", "99")
    assert done.exit_code == 5
    assert "is not --fail-under 99" in done.stderr


def test_a_corpus_of_every_combination(tmp_path: Path) -> None:
    voices = ROOT / "fixtures/voices"
    words = ["batch", "mix", voices, "-o", tmp_path / "corpus", "--mics", "2,3", "--seeds", "0-1", "--talkers", "2",
             "--seconds", "0.5", "--instantaneous", "--jobs", "1"]  # fmt: skip
    done = run(*words, "--json")
    assert done.exit_code == 0, done.stderr
    names = [f"mics_{m}-seed_{s}" for m in (2, 3) for s in (0, 1)]
    assert listing(tmp_path / "corpus") == [*names, "scenes.csv"]
    assert [row["scene"] for row in document(done)["scenes"]] == names
    alone = ["mix", ROOT / "fixtures/voices", "-o", tmp_path / "alone", "--mics", "3", "--seed", "1", "--talkers", "2"]
    assert run(*alone, "--seconds", "0.5", "--instantaneous").exit_code == 0
    for file in ("mics/mic3.wav", "scene.json"):
        same = (tmp_path / "alone" / file).read_text("latin-1").replace("../", "")
        assert (tmp_path / "corpus/mics_3-seed_1" / file).read_text("latin-1").replace("../", "") == same
    assert run(*words).exit_code == 3, "they are in the way"
    again = run(*words, "--skip-done")
    assert again.stderr.count("(made before)") == 4
    other = run(*words, "--skip-done", "--snr", "10")
    assert other.exit_code == 3
    assert "it has other snr_db" in other.stderr


@pytest.mark.parametrize("words", [["--mics", "0,2"], ["--mics", "2,2"], ["--rt60", "0.1,x"], ["--seeds", "3-1"]])
def test_values_that_are_none(tmp_path: Path, words: list[str]) -> None:
    assert run("batch", "mix", ROOT / "fixtures/voices", "-o", tmp_path / "corpus", *words).exit_code == 2


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_batch_that_is_ended_goes_on_where_it_was(tmp_path: Path, number: signal.Signals) -> None:
    for k in range(6):
        save_each(tmp_path / f"all/r{k}", desk(2, 1.0, seed=k % 2).mixture)
    words = ["batch", "all", "-o", "out", *FAST]
    with subprocess.Popen([*BSS, *words], cwd=tmp_path, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        while b"[2/6]" not in (line := process.stderr.readline()):
            assert line, "it ended by itself"
        os.kill(process.pid, number)
        rest = process.stderr.read()
        code = process.wait()
    assert code == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert (b"interrupted" in rest) == (number == signal.SIGINT)
    time.sleep(1 if number == signal.SIGKILL else 0)  # for its workers to end
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/*/result.json")}
    assert 2 <= len(before) < 6
    assert all(len(listing(path.parent)) == 3 for path in before), "whole results only"
    again = spawn(*words, "--skip-done", "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    found = json.loads(again.stdout)
    assert (found["skipped"], found["done"]) == (len(before), 6 - len(before))
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    assert not list(tmp_path.rglob(".bss-*"))


def test_a_page_without_rows_and_with_numbers() -> None:
    assert "<tbody>" in summary_page("t", "l", [])
    page = summary_page("t", "l", [{"a": 1.23456789, "state": '"><script>'}])
    assert "1.23457" in page
    assert "<script>" not in page


def test_a_file_by_itself_is_a_recording(tmp_path: Path) -> None:
    save(tmp_path / "x.wav", desk(2, 1.0).mixture)
    found = document(run("batch", tmp_path / "x.wav", "-o", tmp_path / "out", *FAST, "--json"))
    assert [row["recording"] for row in found["recordings"]] == ["x"]
