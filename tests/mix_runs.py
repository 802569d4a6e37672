"""Running `bss mix` in a folder with voices: what the tests of the command share."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import bss
from bss_cli.main import cli

RATE = 8000
VOICES = ("voices/anna.wav", "voices/ben.wav")


@dataclass
class Done:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def run(*words: object) -> Done:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
        cli.main(["mix", *map(str, words)], prog_name="bss")
    code = end.value.code
    assert isinstance(code, int)
    return Done(code, out.getvalue(), err.getvalue())


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with three voices and broken files."""
    rng = np.random.default_rng(0)
    for name, seconds in (("anna", 0.6), ("ben", 0.5), ("carla", 0.4)):
        bss.write(
            tmp_path / f"voices/{name}.wav", 0.1 * rng.laplace(size=int(RATE * seconds)).clip(-9, 9), RATE, subtype="PCM_16"
        )
    bad = tmp_path / "bad"
    (bad / "empty").mkdir(parents=True)
    bss.write(bad / "silent.wav", np.zeros(RATE), RATE, subtype="PCM_16")
    bss.write(bad / "stereo.flac", 0.1 * rng.normal(size=(2, 4800)).clip(-5, 5), 16_000, subtype="PCM_16")
    (bad / "text.wav").write_text("this is no sound")
    (bad / "zero.wav").touch()
    (bad / "short.wav").write_bytes((tmp_path / "voices/anna.wav").read_bytes()[:2000])
    (bad / "other.json").write_text('{"kind": "something else"}')
    (bad / "notes.txt").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path
