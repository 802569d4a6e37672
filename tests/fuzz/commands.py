"""Command lines: every command and every option, with values that fit and that do not."""

from __future__ import annotations

import importlib
from functools import lru_cache
from pathlib import Path

import click
import contract
import numpy as np
from files import RATE, voices
from values import NUMBERS, TEXTS, Rng, pick

import bss
from bss_cli.main import COMMANDS

NEVER = {"--live", "--threads", "--device"}  # these need pipes, and machines
SLOW = {"train", "voices"}  # trainings take minutes, and voices the network or a program: only what is refused at the door
USUAL = {
    "--sources": ["2", "auto"],
    "--rt60": ["0"],
    "--seconds": ["0.5"],
    "--rate": ["8000"],
    "--mics": ["2", "3"],
    "--steps": ["1"],
    "--start": ["0", "0.1"],
    "--end": ["0.4"],
    "--method": ["fastica"],
    "--max-memory": ["2G"],
    "--talkers": ["2"],
}


@lru_cache(maxsize=16)
def parameters(name: str) -> tuple[click.Parameter, ...]:
    """Arguments and options of a command."""
    command = getattr(importlib.import_module(f"bss_cli.{name}"), name)
    assert isinstance(command, click.Command)
    return tuple(command.params)


def make_inputs(rng: Rng, folder: Path) -> list[str]:
    """A few files of which most can be read; some have names that are no good for a terminal."""
    folder.mkdir()
    x = voices() + 0.5 * voices()[::-1]
    scale = pick(rng, [1, 1, 1, 1e-9, 1e3, 0])
    named = pick(rng, ["a.wav", "a.wav", "b c.wav", "\x1b[31mred.wav", "new\nline.wav", "ä.wav", "-o.wav"])
    bss.write(folder / named, np.asarray(x * scale, np.float32), pick(rng, [RATE, RATE, 100, 16_000]), subtype="FLOAT")
    bss.write(folder / "v0.wav", voices()[0], RATE)
    bss.write(folder / "v1.wav", voices()[1], RATE)
    (folder / "text.wav").write_text("no audio")
    (folder / "empty.wav").touch()
    (folder / "folder").mkdir()
    names = [named, "v0.wav", "v1.wav", "v0.wav", "v1.wav"]
    if rng.random() < 0.3:
        names += ["text.wav", "empty.wav", "folder", "missing.wav", ""]
    count = int(rng.integers(1, 4))
    return [str(folder / pick(rng, names)) for _ in range(count)]


def value_of(rng: Rng, option: click.Parameter, files: list[str]) -> str:
    """Something to say for an option."""
    name = option.opts[-1]
    if rng.random() < 0.5 and name in USUAL:
        return str(pick(rng, USUAL[name]))
    choices = getattr(option.type, "choices", None)
    if choices and rng.random() < 0.7:
        return str(pick(rng, list(choices)))
    return str(pick(rng, NUMBERS + TEXTS + files))


def run(rng: Rng, folder: Path) -> str:
    """One case: a command with files, up to three options, and where to write to."""
    name = pick(rng, [command for command in COMMANDS if command not in SLOW])
    files = make_inputs(rng, folder / "in")
    words: list[str] = [name, *files]
    known = parameters(name)
    for option in rng.permutation(np.array(known, dtype=object))[: int(rng.integers(0, 4))]:
        if isinstance(option, click.Option) and not NEVER & set(option.opts) and "--output" not in option.opts:
            words += [pick(rng, option.opts), *([] if option.is_flag or option.count else [value_of(rng, option, files)])]
    if any("--output" in option.opts for option in known):
        words += ["-o", str(folder / pick(rng, ["out", "out", "out/deeper", "nothing/../out"]))]
    if rng.random() < 0.3:
        words.append("--json")
    if name == "unmix" and "--dry-run" not in words:
        words += pick(rng, [["--dry-run"], ["--dry-run"], ["--method", "fastica"]])
    if name == "mix" and "--instantaneous" not in words:
        words.append("--instantaneous")
    return f"{name}: {contract.command(words, folder / 'in', folder / 'out')}"
