"""Common to `bss unmix` and `bss apply`: names, folder and format of the tracks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bss.pipeline.files.track_names import SUBTYPES

from ..support.common import SECONDS, THREADS, OneOf, Output

F = TypeVar("F", bound=Callable[..., Any])


def reading_and_writing(function: F) -> F:
    """The options for the part of the recording that is read, and for the format of the tracks."""
    for option in (
        click.option("--overwrite", "-y", is_flag=True, help="Replace existing tracks."),
        click.option("--threads", type=THREADS, default=None, envvar="BSS_THREADS", help="CPU threads [all]."),
        click.option("--clip", type=OneOf(("common", "keep")), default="common", show_default=True,
                     help="If tracks would clip: lower all by one common gain, or keep the levels and write float."),
        click.option("--subtype", type=OneOf(("same", *SUBTYPES)), default="same", show_default=True,
                     help="Sample format of the tracks."),
        click.option("--end", type=SECONDS, default=None, help="End at this time in seconds."),
        click.option("--start", type=SECONDS, default=0.0, help="Start at this time in seconds."),
    ):  # fmt: skip
        function = option(function)
    return function


def default_folder(paths: list[Path]) -> str:
    """separated/NAME: the name of the file, or of the folder that contains the files."""
    first = paths[0]
    if str(first) == "-":
        return str(Path("separated") / "stdin")
    name = first.stem if len(paths) == 1 else first.resolve().parent.name
    return str(Path("separated") / (name or "recording"))


def check_output(out: Output, output: str | None) -> None:
    """Raise UsageError if -o is empty or contradicts --json."""
    from bss.errors import UsageError

    if output == "-" and out.as_json:
        raise UsageError("-o - and --json cannot be combined", "both write to stdout", "a folder for the tracks, or no --json")
    if output == "":
        raise UsageError("-o has an empty name", hint="check the shell variable or quotes it came from")


def warn_of_gain(out: Output, gain: float) -> None:
    """Warn if levels were changed."""
    if gain != 1.0:
        from math import log10

        db = -20 * log10(gain)
        out.warn(f"all tracks were lowered by {db:.1f} dB to avoid clipping (--clip keep writes float instead)")


def warn_of_leftovers(out: Output, folder: Path, written: set[str]) -> None:
    """Warn of tracks of an earlier run with more talkers."""
    from bss.pipeline.files.track_names import leftovers

    old = leftovers(folder, written)
    if old:
        out.warn(old)
