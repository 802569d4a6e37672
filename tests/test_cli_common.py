"""What all commands share: options, messages and data, errors, the JSON document, names that are not valid text."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from recordings import BSS, desk, listing, run, save, spawn

from bss.errors import BssError, InputError, QualityError, SolverError, UsageError
from bss_cli.batch import SUBCOMMANDS
from bss_cli.main import COMMANDS, LazyGroup, cli
from bss_cli.support.common import SCHEMA, Output, command

try:  # click 8.2 always separates stdout and stderr, and dropped the option
    RUNNER = CliRunner(mix_stderr=False)  # type: ignore[call-arg, unused-ignore]
except TypeError:
    RUNNER = CliRunner()


def tried(work: Callable[[Output], Any], *words: str) -> Any:
    """A command that runs `work`."""

    @command("try")
    def attempt(out: Output) -> None:
        work(out)

    return RUNNER.invoke(attempt, words)


def raising(error: BaseException) -> Callable[[Output], None]:
    def work(out: Output) -> None:
        raise error

    return work


ENDS: list[tuple[BaseException, int, str]] = [
    (InputError("a is bad", "b", "c"), 3, "error: a is bad\n  why: b\n  try: c\n"),
    (InputError("a is bad"), 3, "error: a is bad\n"),
    (UsageError("a", hint="c"), 2, "error: a\n  try: c\n"),
    (QualityError("a"), 5, "error: a\n"),
    (SolverError("a"), 1, "error: a\n"),
    (BssError("a", "b"), 3, "error: a\n  why: b\n"),
    (KeyboardInterrupt(), 130, "error: interrupted\n"),
    (MemoryError("12 GB"), 1, "error: not enough memory\n  why: 12 GB\n  try: a shorter part with --start and --end\n"),
    (OSError(28, "No space left on device", "a.wav"), 3,
     "error: a.wav: No space left on device\n  why: the operating system refused it\n"),
    (ValueError("x"), 1,
     "error: internal error: ValueError: x\n  why: this is a fault of bss, not of your recording or your command\n"
     "  try: bss unmix a.wav --debug  and report what it prints to the developers of bss\n"),
    (BrokenPipeError(), 1, ""),
]  # fmt: skip


@pytest.mark.parametrize(("error", "code", "said"), ENDS, ids=[type(end[0]).__name__ + str(k) for k, end in enumerate(ENDS)])
def test_every_way_to_end(error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["bss", "unmix", "a.wav"])
    done = tried(raising(error))
    assert (done.exit_code, done.stdout, done.stderr) == (code, "", said)
    if not said:
        return
    done = tried(raising(error), "--json", "-q")
    assert (done.exit_code, done.stderr) == (code, said), "an error is said in spite of -q"
    document = json.loads(done.stdout)
    assert document["schema"] == SCHEMA
    assert document["error"]["exit_code"] == code
    lines = dict(line.strip().split(": ", 1) for line in said.splitlines())
    assert document["error"]["what"] == lines["error"]
    assert document["error"]["why"] == lines.get("why", "")
    assert document["error"]["try"] == lines.get("try", "")


def test_a_good_end() -> None:
    done = tried(lambda out: out.emit({"a": 1}))
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


def test_debug_shows_the_traceback() -> None:
    done = tried(raising(InputError("a is bad")), "--debug")
    assert done.exit_code == 3
    assert "Traceback (most recent call last)" in done.stderr
    assert done.stderr.endswith("error: a is bad\n")


def words_of_all_kinds(out: Output) -> None:
    out.say("said")
    out.detail("more")
    out.warn("careful")
    out.data("data")
    out.emit({"a": 1})


@pytest.mark.parametrize(
    ("words", "stdout", "stderr"),
    [
        ((), "data\n", "said\nwarning: careful\n"),
        (("-q",), "data\n", "warning: careful\n"),
        (("-v",), "data\n", "said\nmore\nwarning: careful\n"),
        (("-q", "-v"), "data\n", "warning: careful\n"),
        (("--json",), '{\n  "schema": 1,\n  "a": 1\n}\n', "said\nwarning: careful\n"),
    ],
)
def test_where_words_and_data_go(words: tuple[str, ...], stdout: str, stderr: str) -> None:
    done = tried(words_of_all_kinds, *words)
    assert (done.exit_code, done.stdout, done.stderr) == (0, stdout, stderr)


def test_an_error_after_the_document_adds_no_second_one() -> None:
    def work(out: Output) -> None:
        out.emit({"scores": []})
        raise QualityError("too low")

    done = tried(work, "--json")
    assert done.exit_code == 5
    assert json.loads(done.stdout) == {"schema": 1, "scores": []}


def test_the_document_takes_numpy_and_paths_and_no_nan() -> None:
    values = {"x": np.float32(0.5), "n": np.int64(3), "a": np.arange(2), "p": Path("a/b"), "t": (1, 2), "b": np.bool_(True)}
    done = tried(lambda out: out.emit(values), "--json")
    assert json.loads(done.stdout) == {"schema": 1, "x": 0.5, "n": 3, "a": [0, 1], "p": str(Path("a/b")), "t": [1, 2], "b": True}
    for bad in (float("nan"), object()):
        done = tried(lambda out, bad=bad: out.emit({"x": bad}), "--json")
        assert done.exit_code == 1, "a fault of ours, and not a document that nobody can read"


def test_progress_is_silent_where_nobody_watches() -> None:
    def work(out: Output) -> None:
        with out.progress("working") as update:
            update(0.5)

    assert tried(work).stderr == ""


# the command line


@pytest.mark.parametrize("name", [*COMMANDS, *(f"batch {name}" for name in SUBCOMMANDS)])
def test_every_command_has_the_four_options_and_three_examples(name: str) -> None:
    done = run(*name.split(), "--help")
    assert done.exit_code == 0
    for option in ("--json", "-q, --quiet", "-v, --verbose", "--debug"):
        assert option in done.stdout or name == "batch"  # a group, whose commands have them
    assert len(re.findall(rf"\bbss {name.removesuffix(' unmix')}\b", done.stdout.split("Examples:")[1])) >= 3


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_names_every_command(words: list[str]) -> None:
    done = run(*words)
    assert done.exit_code == 0
    for name, text in COMMANDS.items():
        assert name in done.stdout
        assert text.split(":")[0] in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "what", "hint"),
    [
        (["chekc"], "no such command 'chekc'. Did you mean 'check'?", "bss --help"),
        (["--verison"], "there is no option --verison", "did you mean --version? bss --help"),
        (["check", "--jsno", "x"], "there is no option --jsno", "did you mean --json? bss check --help"),
        (["check"], "missing argument 'FILES...'", "bss check --help"),
        (["score", "--mixture"], "option '--mixture' requires an argument", "bss score --help"),
        (["mix", "x", "--mics", "many"], "^--mics: 'many' is not a valid integer.*", "bss mix --help"),
        (["unmix", "x", "--clip", "kep"], "--clip kep is not known", "did you mean keep? one of common, keep"),
    ],
)
def test_wrong_words_are_said_like_every_error(words: list[str], what: str, hint: str) -> None:
    done = run(*words)
    assert done.exit_code == 2
    assert done.stdout == ""
    first, last = done.stderr.splitlines()
    said = first.removeprefix("error: ")
    assert re.fullmatch(what[1:], said) if what.startswith("^") else said == what
    assert last == f"  try: {hint}"
    done = run(words[0], "--json", *words[1:])
    error = json.loads(done.stdout)["error"]
    assert (error["what"], error["try"], error["exit_code"]) == (said, hint, 2)


def test_the_group_can_be_called_from_other_programs() -> None:
    """With standalone_mode=False the exceptions of click propagate, as its users expect."""
    assert isinstance(cli, LazyGroup)
    with pytest.raises(click.UsageError):
        cli.main(["chekc"], standalone_mode=False)


# streams and names


@pytest.fixture
def place(tmp_path: Path) -> Path:
    save(tmp_path / "x.wav", desk(2, 1.0).mixture)
    return tmp_path


ASCII = {"PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "0"}


@pytest.mark.parametrize("words", [["check"], ["check", "--json"], ["unmix", "-v"], ["unmix", "--json"]])
def test_a_name_that_stdout_cannot_encode(words: list[str], place: Path) -> None:
    (place / "x.wav").rename(place / "東京.wav")
    done = spawn(*words, "東京.wav", cwd=place, env=ASCII)
    assert done.returncode == 0, done.stderr
    said = (done.stdout + done.stderr).decode("utf-8")
    assert "internal error" not in said
    assert "東京" in said or "\\u6771\\u4eac" in said  # click writes UTF-8 where it thinks that ASCII is a mistake
    if "--json" in words:
        assert json.loads(done.stdout)["inputs"] == ["東京.wav"]
    if words[0] == "unmix":
        assert listing(place / "separated") == ["東京"]


@pytest.mark.parametrize("words", [["check", "東京.wav"], ["nonsense", "東京.wav"], ["unmix", "x.wav", "--method", "東京"]])
def test_an_error_that_stderr_cannot_encode(words: list[str], place: Path) -> None:
    done = spawn(*words, cwd=place, env=ASCII)
    assert done.returncode in (2, 3)
    assert done.stderr.startswith(b"error: ")
    assert b"internal error" not in done.stderr
    assert b"Traceback" not in done.stderr


def undecodable(place: Path) -> bool:
    """Give the recording a name that is not valid text, if the file system allows it."""
    try:
        os.rename(place / "x.wav", os.path.join(os.fsencode(place), b"\xff.wav"))
    except (OSError, UnicodeError):
        return False
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes any bytes for a name")
def test_a_name_that_is_no_text(place: Path) -> None:
    if not undecodable(place):
        pytest.skip("this file system does not take a name of any bytes")
    checked = spawn("check", b"\xff.wav", cwd=place)
    assert checked.returncode == 0, checked.stderr
    assert b"mic 1 = ?.wav[1]" in checked.stdout
    done = spawn("unmix", b"\xff.wav", "--json", "--per-mic", "--method", "fastica", cwd=place)
    assert done.returncode == 0, done.stderr
    assert os.fsencode(json.loads(done.stdout)["inputs"][0]) == b"\xff.wav"
    names = [b"result.json", b"\xff-1.wav", b"\xff-2.wav"]
    assert sorted(os.listdir(os.path.join(os.fsencode(place), b"separated", b"\xff"))) == sorted(names)
    missing = spawn("check", b"\xfe.wav", cwd=place)
    assert missing.returncode == 3
    assert missing.stderr.startswith(b"error: \\udcfe.wav does not exist")


@pytest.mark.parametrize("words", [["check"], ["check", "--json"], ["unmix", "-o", "out", "--json"]])
def test_a_reader_that_goes_away(words: list[str], place: Path) -> None:
    with subprocess.Popen([*BSS, *words, "x.wav"], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 1
    assert b"internal error" not in said
    assert b"Traceback" not in said
    assert b"Exception" not in said


def test_a_stream_that_is_no_file_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in notebooks, which replace stdout."""
    from bss_cli.main import main

    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert sys.stdout.getvalue().startswith("bss, version ")  # type: ignore[attr-defined]


@pytest.mark.parametrize("code", [129, 130, 143])
def test_after_an_interruption_no_thread_is_waited_for(code: int) -> None:
    """It may wait for a lock that the interrupted one held; what is to be done at exit is done all the same."""
    script = f"""
import atexit, sys, threading
from concurrent.futures import ThreadPoolExecutor
from bss_cli import main
ThreadPoolExecutor(1).submit(threading.Event().wait)
atexit.register(print, "cleaned")
main.cli.main = lambda **options: sys.exit({code})
main.main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code
    assert done.stdout == "cleaned\n"
