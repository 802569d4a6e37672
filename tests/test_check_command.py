"""`bss check`: what it prints, its JSON document, and its exit codes, on realistic files."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from scipy.signal import lfilter

from bss_cli.main import cli

RATE = 16000


def recording(m: int = 3, seconds: float = 2.0, rate: int = RATE) -> np.ndarray:
    """Coloured noises, mixed and delayed: (m, n) with a peak of 0.5 and nothing wrong."""
    rng = np.random.default_rng(0)
    sources = lfilter([1.0], [1.0, -1.77, 0.81], rng.laplace(size=(m, round(seconds * rate))))
    x = np.stack([sum(rng.uniform(0.3, 1.0) * np.roll(s, rng.integers(30)) for s in sources) for _ in range(m)])
    x += 1e-3 * x.std() * rng.standard_normal(x.shape)
    return np.asarray(0.5 * x / np.abs(x).max())


def write(path: Path, x: np.ndarray, rate: int = RATE, subtype: str = "PCM_24") -> str:
    soundfile.write(path, x.T, rate, subtype=subtype)
    return str(path)


# click 8.2 always separates stdout and stderr, and dropped the option
APART: dict[str, Any] = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}


def run(*arguments: str) -> Result:
    return CliRunner(**APART).invoke(cli, ["check", *arguments])


def document(*arguments: str) -> tuple[dict[str, Any], Result]:
    result = run(*arguments, "--json")
    return json.loads(result.stdout), result


def test_good_recording(tmp_path: Path) -> None:
    x = recording()
    files = [write(tmp_path / "anna.wav", x[0]), write(tmp_path / "desk.wav", x[1:])]
    result = run(*files)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["channel", "peak", "dBFS", "RMS", "dBFS", "used"]
    expected = [("anna.wav", x[0]), ("desk.wav[1]", x[1]), ("desk.wav[2]", x[2])]
    for k, (line, (name, channel)) in enumerate(zip(lines[1:], expected, strict=False)):
        assert line[:3] == ["mic", str(k + 1), "="]
        assert line[3].endswith(name)
        assert float(line[4]) == pytest.approx(20 * np.log10(np.abs(channel).max()), abs=0.06)
        assert float(line[5]) == pytest.approx(20 * np.log10(channel.std()), abs=0.06)
        assert line[6:] == ["yes"]
    assert lines[4:8] == [
        ["rate", "16000", "Hz"],
        ["length", "2.000", "s", "(32000", "samples)"],
        ["format", "WAV", "PCM_24"],
        ["usable", "3", "of", "3", "channels"],
    ]
    assert [line[0] for line in lines[8:]] == ["delays", "method"]
    assert lines[8][1:3] == ["up", "to"]  # the channels of this recording are delayed by up to 30 samples
    assert 0 < float(lines[8][3]) <= 1e3 * 30 / RATE
    assert lines[9][1] == "FD-ICA"


def test_good_recording_as_json(tmp_path: Path) -> None:
    x = recording()
    files = [write(tmp_path / "anna.wav", x[0]), write(tmp_path / "desk.wav", x[1:])]
    report, result = document(*files)
    assert result.exit_code == 0
    assert report["schema"] == 1
    assert report["inputs"] == files
    assert (report["rate"], report["samples"], report["seconds"]) == (RATE, 2 * RATE, 2.0)
    assert (report["format"], report["subtype"]) == ("WAV", "PCM_24")
    assert [(c["mic"], Path(c["file"]).name, c["channel"]) for c in report["channels"]] == [
        (1, "anna.wav", 1), (2, "desk.wav", 1), (3, "desk.wav", 2),
    ]  # fmt: skip
    assert [c["peak_dbfs"] for c in report["channels"]] == pytest.approx(20 * np.log10(np.abs(x).max(axis=1)), abs=0.01)
    assert [c["rms_dbfs"] for c in report["channels"]] == pytest.approx(20 * np.log10(x.std(axis=1)), abs=0.01)
    assert all(c["usable"] for c in report["channels"])
    assert (report["usable"], report["findings"], report["repairs"], report["separable"]) == ([1, 2, 3], [], [], True)
    assert "error" not in report
    assert report["method"] == "neural"
    assert report["reason"].startswith("FD-ICA and the learned source model, for a room: ")
    assert report["evidence"]["largest_delay_ms"] > 0
    assert report["evidence"]["delayed_coherence_over_chance"] > report["evidence"]["delay_free_below"]


def test_recorders_out_of_step_are_told(tmp_path: Path) -> None:
    x = recording(2, seconds=6.0)
    late = round(0.75 * RATE)
    files = [write(tmp_path / "anna.wav", x[0]), write(tmp_path / "ben.wav", x[1, late:])]
    lines = run(*files).stdout.splitlines()
    (told,) = [line for line in lines if line.startswith("clock")]
    assert told.split(None, 1)[1].startswith("mic 2 (")
    start = re.search(r"ben\.wav\): starts (\d\.\d{3}) s later$", told)
    assert start is not None, told
    assert float(start[1]) == pytest.approx(0.75, abs=30 / RATE)  # the sound itself is up to 30 samples later
    first, second = document(*files)[0]["sync"]
    assert (first["changed"], second["changed"]) == (False, True)
    assert second["offset"] == pytest.approx(0.75, abs=0.002)


def test_a_mixing_desk_has_no_delays(tmp_path: Path) -> None:
    sources = np.random.default_rng(0).laplace(0, 0.03, (2, 3 * RATE))
    path = write(tmp_path / "desk.wav", np.array([[1.0, 0.5], [0.4, 1.0]]) @ sources)
    result = run(path)
    assert "delays    none" in result.stdout.splitlines()
    assert "method    FastICA: all microphones receive each talker at the same time" in result.stdout
    assert document(path)[0]["method"] == "fastica"


def test_too_short_to_separate_is_said_as_unmix_says_it(tmp_path: Path) -> None:
    path = write(tmp_path / "short.wav", recording()[:, :800])
    report, result = document(path)
    assert result.exit_code == 3
    assert report["usable"] == [1, 2, 3]
    assert (report["separable"], report["method"], report["reason"]) == (False, None, None)
    assert "the recording is only 0.05 s long (800 samples)" in report["error"]["what"]


def test_faults_are_listed_and_the_rest_is_separable(tmp_path: Path) -> None:
    x = recording(5)
    x[1] = 0.0
    x[3] = -0.5 * x[0]
    x[4] = np.clip(x[4], -0.1, 0.1)
    path = write(tmp_path / "five.wav", x)
    result = run(path)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[2].split()[-4:] == ["-inf", "-inf", "left", "out"]
    assert [line.split()[-1] for line in lines[1:6]] == ["yes", "out", "yes", "out", "yes"]
    assert "usable    3 of 5 channels" in lines
    findings = [line for line in lines if line.startswith(("left out", "warning"))]
    assert [line.split(" (")[0] for line in findings] == ["left out  mic 2", "left out  mic 4", "warning   mic 5"]
    assert "is digital silence" in findings[0]
    assert "copy of mic 1" in findings[1]
    assert "-6.0 dB, inverted" in findings[1]
    assert "is clipped" in findings[2]

    report, result = document(path)
    assert result.exit_code == 0
    assert report["separable"] is True
    assert report["usable"] == [1, 3, 5]
    assert report["channels"][1]["peak_dbfs"] is None
    assert [(f["mic"], f["kind"], f["severity"], f["other_mic"]) for f in report["findings"]] == [
        (2, "silent", "left out", None), (4, "duplicate", "left out", 1), (5, "clipped", "warning", None),
    ]  # fmt: skip


def test_repairs_are_shown(tmp_path: Path) -> None:
    x = recording()
    files = [write(tmp_path / "a.wav", x[0]), write(tmp_path / "b.wav", x[1, :-500])]
    report, result = document(*files)
    assert result.exit_code == 0
    assert len(report["repairs"]) == 1
    assert f"repaired  {report['repairs'][0]}" in run(*files).stdout.splitlines()


def test_part_of_a_recording(tmp_path: Path) -> None:
    x = recording()
    x[0, : RATE // 2] = 0.0
    path = write(tmp_path / "x.wav", x)
    report, result = document(path, "--start", "0.1", "--end", "0.4")
    assert result.exit_code == 0
    assert (report["samples"], report["usable"]) == (4800, [2, 3])
    assert document(path, "--start", "0.5")[0]["usable"] == [1, 2, 3]


NOTHING = np.zeros(2 * RATE)
FAILS: list[tuple[str, Callable[[np.ndarray], np.ndarray], str, str, list[int]]] = [
    ("one channel", lambda x: x[:1], "the recording has only one channel", "two or more microphones", [1]),
    ("all silent", lambda x: 0 * x, "all 3 channels are silent", "cables", []),
    ("all the same", lambda x: np.stack([x[0]] * 3), "all 3 channels contain the same signal", "own track", [1]),
    ("stereo of mono", lambda x: np.stack([x[0]] * 2), "both channels contain the same signal", "own track", [1]),
    ("one left", lambda x: np.stack([x[0], NOTHING, x[0]]), "only one of the 3 channels", "cables", [1]),
]


@pytest.mark.parametrize(("make", "what", "hint", "usable"), [f[1:] for f in FAILS], ids=[f[0] for f in FAILS])
def test_recording_that_cannot_be_separated(
    tmp_path: Path, make: Callable[[np.ndarray], np.ndarray], what: str, hint: str, usable: list[int]
) -> None:
    path = write(tmp_path / "x.wav", make(recording()))
    result = run(path)
    assert result.exit_code == 3
    assert "error: " in result.stderr
    assert what in result.stderr
    assert hint in result.stderr
    assert "Traceback" not in result.output
    assert f"usable    {len(usable)} of " in result.stdout  # the table is printed nevertheless

    report, result = document(path)
    assert result.exit_code == 3
    assert report["separable"] is False
    assert report["usable"] == usable
    assert what in report["error"]["what"]
    assert hint in report["error"]["try"]
    assert report["error"]["exit_code"] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["x.wav"]


def test_nan_in_a_file(tmp_path: Path) -> None:
    x = recording()
    x[1, RATE] = np.nan
    path = write(tmp_path / "x.wav", x, subtype="FLOAT")
    report, result = document(path)
    assert result.exit_code == 0
    assert [(f["mic"], f["kind"]) for f in report["findings"]] == [(2, "nonfinite")]
    assert "the first at 1.000 s" in report["findings"][0]["message"]
    x[0, 0] = x[2, 5] = np.inf
    report, result = document(write(tmp_path / "x.wav", x, subtype="FLOAT"))
    assert result.exit_code == 3
    assert "none of the 3 channels is usable" in report["error"]["what"]


def test_files_that_are_not_there_or_not_audio(tmp_path: Path) -> None:
    (tmp_path / "notes.wav").write_text("no audio")
    for name, said in (("missing.wav", "does not exist"), ("notes.wav", "notes.wav")):
        report, result = document(str(tmp_path / name))
        assert result.exit_code == 3
        assert said in report["error"]["what"]
        assert "Traceback" not in result.output


@pytest.mark.parametrize("arguments", [[], ["x.wav", "--start", "-1"], ["x.wav", "--end", "soon"], ["x.wav", "--no-such-option"]])
def test_wrong_usage(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_stdin(tmp_path: Path) -> None:
    write(tmp_path / "x.wav", recording())
    command = [sys.executable, "-c", "from bss_cli.main import main; main()", "check", "-", "--json"]
    with open(tmp_path / "x.wav", "rb") as stdin:
        done = subprocess.run(command, stdin=stdin, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    report = json.loads(done.stdout)
    assert report["inputs"] == ["-"]
    assert report["usable"] == [1, 2, 3]


@pytest.mark.parametrize("name", ["[red]x.wav", "[bold]", "Grüße aus 東京.wav", "a  b.wav", "x" * 240 + ".wav"])
def test_names_are_shown_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "x.wav", recording(2))
    (tmp_path / "x.wav").rename(tmp_path / name)
    result = run(name)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[1].startswith(f"mic 1 = {name}[1]  ")
    assert len(result.stdout.splitlines()) == 9


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be there")
def test_name_with_a_line_break_stays_on_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    x = recording()
    x[2] = 0.0
    write(tmp_path / "a\nb\tc\x1b[31m.wav", x)
    lines = run("a\nb\tc\x1b[31m.wav").stdout.splitlines()
    assert lines[1].startswith("mic 1 = a?b?c?[31m.wav[1]  ")
    assert lines[-1].startswith("left out  mic 3 (a?b?c?[31m.wav[3]) is digital silence")
    assert len(lines) == 11


def test_quiet_still_shows_what_was_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "x.wav", recording())
    assert run(path, "-q").stdout == run(path).stdout


def test_help_has_three_examples() -> None:
    text = run("--help").stdout
    assert text.count("  bss check ") == 3
    assert "exit code is 0" in text.replace("\n", " ")
