"""The promises of docs/design.md to users about commands, by their numbers: exit codes, and where words and data go."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import BSS, RATE, ROOT, room, run, save, save_each, spawn, voice

# 7: exit codes, and no traceback; the table of bad input is tests/bad_inputs.py


def test_7_a_fault_inside_is_one_message_and_code_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = save_each(tmp_path / "mics", room(2, 1.0).mixture)

    def fault(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("bss.pipeline.run.learn", fault)
    done = run("unmix", *files, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 1
    assert "error: internal error: ZeroDivisionError: a fault" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["error"]["exit_code"] == 1
    assert not (tmp_path / "out").exists()
    assert "Traceback" in run("unmix", *files, "-o", tmp_path / "out", "--debug").stderr


def test_7_tracks_that_are_not_finite_are_an_error_and_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = save_each(tmp_path / "mics", room(2, 1.0).mixture)
    from bss.pipeline.methods.neural import EnhancedEstimate
    from bss.pipeline.methods.shared.estimate import LinearEstimate

    for kind in (LinearEstimate, EnhancedEstimate):
        monkeypatch.setattr(kind, "tracks", lambda self, mics: np.full((len(mics), 16_000), np.nan, np.float32))
    done = run("unmix", *files, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "error: the separation produced NaN or infinite samples" in done.stderr
    assert not (tmp_path / "out").exists()


# 8: where words, data and the bar go


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    made = room(2, 2.0)
    save_each(folder / "mics", made.mixture)
    save_each(folder / "truth", made.images[:, 0])
    for name in ("edward", "fiona"):
        save(folder / "voices" / f"{name}.wav", voice(name)[:RATE])
    return folder


COMMANDS = {
    "unmix": ["unmix", "mics", "-n", "2", "-o", "{out}"],
    "mix": ["mix", "voices", "-o", "{out}", "--rt60", "0.15"],
    "check": ["check", "mics"],
    "score": ["score", "truth", "truth", "--mixture", "mics/mic1.wav"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_8_data_on_stdout_words_on_stderr_and_one_document(name: str, scene: Path, tmp_path: Path) -> None:
    words = [word.format(out=tmp_path / "out") for word in COMMANDS[name]]
    plain = spawn(*words, cwd=scene)
    assert plain.returncode == 0, plain.stderr
    assert (plain.stdout != b"") == (name in ("check", "score"))
    assert b"\r" not in plain.stderr, "no bar where nobody watches it"
    assert b"\x1b" not in plain.stdout + plain.stderr
    again = ["--overwrite"] if name in ("unmix", "mix") else []
    as_json = spawn(*words, *again, "--json", cwd=scene)
    document = json.loads(as_json.stdout)
    assert document["schema"] == (2 if name == "unmix" else 1)
    assert "error" not in document
    quiet = spawn(*words, *again, "-q", cwd=scene)
    assert quiet.stderr == b""
    assert quiet.stdout == plain.stdout


def test_8_voices_too(tmp_path: Path) -> None:
    """Without a speaker there is an error, and that is one document as well."""
    done = spawn("voices", "Good morning.", "-o", tmp_path / "out", "--engine", "espeak", "--json", env={"PATH": ""})
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["exit_code"] == 3
    assert not (tmp_path / "out").exists()


def on_a_terminal(words: list[str], cwd: Path) -> tuple[int, bytes]:
    """Exit code and stderr of a command whose stderr is a terminal."""
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*BSS, *words], cwd=cwd, stdout=subprocess.DEVNULL, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    ) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                block = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not block:
                break
            said += block
    os.close(ours)
    return process.returncode, said


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such terminals")
def test_8_the_bar_is_there_on_a_terminal_and_goes_with_q(scene: Path, tmp_path: Path) -> None:
    code, said = on_a_terminal(["unmix", "mics", "-n", "2", "-o", str(tmp_path / "a")], scene)
    assert code == 0
    assert b"separating" in said
    assert "━".encode() in said
    code, said = on_a_terminal(["unmix", "mics", "-n", "2", "-o", str(tmp_path / "b"), "-q"], scene)
    assert (code, said) == (0, b"")


def test_the_promises_are_those_of_the_page() -> None:
    page = (ROOT / "docs/design.md").read_text(encoding="utf-8").split("## Promises to users")[1].split("\n## ")[0]
    tests = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "tests").glob("test_promises*.py"))
    promised, tested = set(re.findall(r"^(\d+)\. ", page, re.M)), set(re.findall(r"^def test_(\d+)_", tests, re.M))
    assert promised - tested == {"6"}, "6 is planned"
    assert tested <= promised
