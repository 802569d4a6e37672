"""The messages for bad input, and that nothing is left behind: one case for each kind.

`python tests/test_bad_input.py` prints the table as Markdown.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from bad_inputs import CASES, Case
from recordings import BSS, RATE, ROOT, room, run, save, spawn, voice


@dataclass(frozen=True)
class Outcome:
    """The outcome of a command: exit code, output, and the files it created, changed or removed."""

    code: int
    stdout: str
    stderr: str
    left: list[str] = field(default_factory=list)

    @property
    def message(self) -> list[str]:
        """The lines from the error on."""
        lines = self.stderr.splitlines()
        first = next((k for k, line in enumerate(lines) if line.startswith("error: ")), len(lines))
        return lines[first:]


def in_process(words: list[str]) -> Outcome:
    done = run(*words)
    return Outcome(done.exit_code, done.stdout, done.stderr)


def ended(done: subprocess.CompletedProcess[bytes]) -> Outcome:
    return Outcome(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


def without_programs(words: list[str]) -> Outcome:
    """With neither ffmpeg nor any other program installed."""
    return ended(spawn(*words, env={"PATH": ""}))


def on_a_full_disk(words: list[str]) -> Outcome:
    with mock.patch("shutil.disk_usage", return_value=shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000)):  # type: ignore[attr-defined]
        return in_process(words)


def where_files_end_early(words: list[str]) -> Outcome:
    """The disk gets full while a track is written: the system allows no more than 20 kB per file."""

    import resource

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    return ended(subprocess.run([*BSS, *words], capture_output=True, check=False, preexec_fn=limit))


def to_a_full_device(words: list[str]) -> Outcome:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*BSS, *words], stdout=full, stderr=subprocess.PIPE, check=False)
    return Outcome(done.returncode, "", done.stderr.decode())


def on_a_terminal(words: list[str]) -> Outcome:
    import pty

    ours, theirs = pty.openpty()
    try:
        done = subprocess.run([*BSS, *words], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, check=False)
        os.set_blocking(ours, False)
        with contextlib.suppress(BlockingIOError):
            return Outcome(done.returncode, os.read(ours, 1000).decode(), done.stderr.decode())
        return Outcome(done.returncode, "", done.stderr.decode())
    finally:
        os.close(ours)
        os.close(theirs)


def interrupted(words: list[str]) -> Outcome:
    """Ctrl-C while it separates."""
    restore = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731 - a background job ignores it
    with subprocess.Popen([*BSS, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=restore) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = b""
        while b"method: " not in said:
            line = process.stderr.readline()
            assert line, said.decode()
            said += line
        time.sleep(0.3)
        assert process.poll() is None, "it ended before it could be interrupted: give it more to do"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    return Outcome(process.returncode, out.decode(), (said + err).decode())


CIRCUMSTANCES: dict[str, Callable[[list[str]], Outcome]] = {
    circumstance.__name__: circumstance
    for circumstance in (
        in_process, without_programs, on_a_full_disk, where_files_end_early, to_a_full_device, on_a_terminal, interrupted,
    )
}  # fmt: skip


def make_place(folder: Path) -> None:
    """The files that the cases use."""
    x = room(3, 2.0).mixture
    save(folder / "two.wav", x[:2])
    save(folder / "one.wav", x[0])
    save(folder / "source1.wav", x[1])
    save(folder / "silent.wav", np.zeros((2, RATE)))
    save(folder / "hush.wav", np.zeros(RATE))
    save(folder / "same.wav", np.stack([x[0]] * 3))
    save(folder / "mixdown.wav", np.stack([x[0], x[1], 0.5 * (x[0] + x[1])]), subtype="FLOAT")
    bad = x.copy()
    bad[1, 100] = bad[2, 7] = np.nan
    save(folder / "nan.wav", bad, subtype="FLOAT")
    bad[0, 5] = bad[1, 6] = np.inf
    save(folder / "inf.wav", bad[:2], subtype="FLOAT")
    save(folder / "none.wav", np.zeros((2, 0)))
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("This is not audio.\n" * 9)
    (folder / "talk.m4a").write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0" + bytes(2000))
    (folder / "cut.wav").write_bytes((folder / "two.wav").read_bytes()[:20_000])
    (folder / "notes").mkdir()
    (folder / "notes" / "readme.txt").write_text("nothing to hear here")
    save(folder / "deep" / "mics" / "mic1.wav", x[0])
    (folder / "done").mkdir()
    for name in ("source1.wav", "result.json"):
        (folder / "done" / name).write_text("of an earlier day")
    long = np.resize(voice("edward"), 60 * RATE)
    other = np.resize(voice("fiona"), 60 * RATE)
    save(folder / "long.wav", np.stack([long + other, np.roll(long, 7) + 0.5 * other, 0.5 * long + np.roll(other, 9)]) / 4)


def state(folder: Path) -> dict[str, str]:
    """Every file and folder, with its checksum."""
    entries = sorted(folder.rglob("*"))
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else "folder" for p in entries}


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """With `folder` as the working directory, and temporary files below it, where they are seen."""
    before = Path.cwd()
    (folder / "tmp").mkdir(exist_ok=True)
    with mock.patch.dict(os.environ, {"TMPDIR": str(folder / "tmp")}), mock.patch("tempfile.tempdir", str(folder / "tmp")):
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def attempt(case: Case, place: Path, *more: str) -> Outcome:
    """Run a case there."""
    words = [word.strip("'") for word in case.words.split()]
    if sys.platform != "linux" and ("/proc" in case.words or case.by == "to_a_full_device"):
        pytest.skip("only Linux has such a place")
    with working_in(place):
        before = state(place)
        outcome = CIRCUMSTANCES[case.by]([*words, *more])
        after = state(place)
    left = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    return Outcome(outcome.code, outcome.stdout, outcome.stderr, left)


def agrees(text: str, wanted: str) -> bool:
    return re.fullmatch(wanted[1:], text) is not None if wanted.startswith("^") else text == wanted


pytestmark = pytest.mark.skipif(os.name == "nt", reason="terminals, signals and full devices are those of POSIX")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    make_place(folder)
    with working_in(folder):  # kernels are compiled now, as they could not be cached where file sizes are limited
        assert in_process(["unmix", "two.wav", "-o", "warm"]).code == 0
    shutil.rmtree(folder / "warm")
    return folder


def parameters(cases: list[Case]) -> list[Any]:
    return [
        pytest.param(case, id=f"{case.words.split()[0]}: {case.name}", marks=pytest.mark.programs if case.programs else ())
        for case in cases
    ]


@pytest.mark.parametrize("case", parameters(CASES))
def test_one_message_a_code_and_nothing_left(case: Case, place: Path) -> None:
    outcome = attempt(case, place)
    assert outcome.left == []
    assert outcome.code == case.code, outcome.stderr
    said = dict(zip(("error: ", "  why: ", "  try: "), (case.what, case.why, case.hint), strict=True))
    wanted = [(start, text) for start, text in said.items() if text]
    assert len(outcome.message) == len(wanted), outcome.stderr
    for line, (start, text) in zip(outcome.message, wanted, strict=True):
        assert line.startswith(start)
        assert agrees(line.removeprefix(start), text), line
    assert "Traceback" not in outcome.stderr
    if not case.words.startswith(("check", "score")) and "--json" not in case.words:
        assert outcome.stdout == ""


@pytest.mark.parametrize("case", parameters([c for c in CASES if not c.plain]))
def test_the_same_as_one_json_document(case: Case, place: Path) -> None:
    outcome = attempt(case, place, "--json")
    assert outcome.left == []
    assert outcome.code == case.code
    document = json.loads(outcome.stdout)
    assert document["schema"] == 1
    if case.code == 5:  # a failed gate is not an error: the scores are printed
        assert document["gate"]["passed"] is False
        return
    error = document["error"]
    for key, wanted in (("what", case.what), ("why", case.why), ("try", case.hint)):
        assert agrees(error[key], wanted), error
    assert error["exit_code"] == case.code
    assert outcome.message[0] == f"error: {error['what']}"


def test_the_checks_can_fail(place: Path, tmp_path: Path) -> None:
    """The helpers notice a file that appears, changes or vanishes, and distinguish messages."""
    shutil.copytree(place / "done", tmp_path / "done")
    before = state(tmp_path)
    assert before == state(tmp_path)
    (tmp_path / "done" / "source1.wav").write_text("of today")
    assert state(tmp_path) != before
    assert agrees("a.wav is empty", "a.wav is empty")
    assert not agrees("a.wav is empty", "b.wav is empty")
    assert not agrees("a.wav is emptyish", "^.* is empty")
    good = attempt(Case("a good recording", "unmix two.wav -o new --sources 1 --method fastica", ""), place)
    assert (good.code, good.message, good.left) == (0, [], ["new", "new/noise.wav", "new/result.json", "new/source1.wav"])
    shutil.rmtree(place / "new")


def markdown() -> Iterator[str]:
    """The table, from the actual output of the commands."""
    yield "| case | message | exit code | left behind |"
    yield "|---|---|---|---|"
    with tempfile.TemporaryDirectory() as folder:
        make_place(Path(folder))
        for case in CASES:
            outcome = attempt(case, Path(folder).resolve())
            message = "<br>".join(line.strip().replace("|", "\\|") for line in outcome.message)
            yield f"| {case.name}: `bss {case.words}` | {message} | {outcome.code} | {', '.join(outcome.left) or 'nothing'} |"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    print(*markdown(), sep="\n")
