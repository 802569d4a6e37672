"""`bss report`: a page to listen to a result."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bss.errors import UsageError

from .support.common import Output, command

if TYPE_CHECKING:
    from bss.report.page import Report

COMPARISON = "comparison.html"


@command("report")
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER")
@click.option("-o", "--output", default=None, metavar="FILE", help="The page [report.html in FOLDER].")
@click.option("--compare", is_flag=True, help=f"Set two results of one recording side by side [{COMPARISON}].")
@click.option("--mixture", default=None, help="The recording, if it is not where it was: file, folder or glob.")
@click.option("--truth", default=None, metavar="FOLDER", help="A scene of bss mix, or a folder of true sources, to score by.")
@click.option("--scores", default=None, metavar="FILE", help="Scores to show, from bss score --json.")
@click.option("--overwrite", "-y", is_flag=True, help="Replace an existing page.")
def report(out: Output, folders: tuple[str, ...], output: str | None, **options: Any) -> None:
    """Write one HTML page to listen to a result: all tracks in step, their pictures, who speaks when, how well it worked.

    FOLDER is what bss unmix or bss mix wrote. The page needs no network and no other program than a browser. It holds the sound
    of recordings of up to ten minutes or so; for longer ones it plays the files, which are to be kept where they are.

    \b
    Examples:
      bss report sources/
      bss report sources/ --truth scene/ -o for_anna.html
      bss report scene/
      bss report --compare first/ second/ -o which.html
    """
    from bss.report import page

    place = _place(folders, output, compare=options["compare"])
    if options["truth"] is not None and options["scores"] is not None:
        raise UsageError("--truth and --scores cannot be combined", "both say how good the tracks are", "one of the two")
    if options["compare"] and options["scores"] is not None:
        raise UsageError("--scores is of one result, and --compare of two", hint="--truth, by which both are scored")
    clock = time.perf_counter()
    made = page.report(
        folders[0],
        place,
        other=folders[1] if options["compare"] else None,
        mixture=options["mixture"],
        truth=options["truth"],
        scores=options["scores"],
        overwrite=options["overwrite"],
    )
    say(out, made)
    size, seconds = made.path.stat().st_size, round(time.perf_counter() - clock, 3)
    out.emit({"report": made.path, "bytes": size, "seconds": seconds, "tracks": made.tracks, "files": made.files,
              "notes": made.notes})  # fmt: skip


def say(out: Output, made: Report) -> None:
    """Say what was written, and what to know about it."""
    for note in made.notes:
        out.warn(note)
    if made.files:
        out.say(f"the recording is long, so the page plays files that are to be kept where they are: {', '.join(made.files)}")
    size = made.path.stat().st_size / 1e6
    out.say(f"wrote {made.path} ({size:.1f} MB): open it in a browser")


def refuse_early(folder: str, *, overwrite: bool) -> None:
    """Before a separation: errors that its report would end with."""
    from bss.errors import InputError
    from bss.report.page import NAME, check_installed

    if folder == "-":
        raise UsageError("--report and -o - cannot be combined", "the report is beside the tracks", "a folder for the tracks")
    check_installed()
    if (Path(folder) / NAME).exists() and not overwrite:
        raise InputError(f"{Path(folder) / NAME} already exists", "bss replaces files only on request", "--overwrite")


def beside_tracks(out: Output, folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Write the report of what `bss unmix` has just written, if it was asked for; what is to be said of it in JSON."""
    from bss.report import page

    if options["report"]:
        made = page.report(folder, overwrite=options["overwrite"])
        say(out, made)
        return {"report": made.path}
    if (folder / page.NAME).exists():
        out.warn(f"{folder / page.NAME} is of an earlier run: bss report {folder} --overwrite makes a new one")
    return {}


def _place(folders: tuple[str, ...], output: str | None, *, compare: bool) -> Path:
    """The page to write."""
    from bss.report.page import NAME

    if len(folders) != 1 + compare:
        what = f"expected {'two folders' if compare else 'one FOLDER'}, but there are {len(folders)}"
        why = "" if compare or len(folders) < 2 else "a report is of one result"
        raise UsageError(what, why, "bss report --compare A B" if len(folders) != 1 else "bss report --compare A B -o FILE")
    if output == "-":
        raise UsageError("-o - means stdout, and the report is a page", hint="-o report.html")
    if output == "":
        raise UsageError("-o has an empty name", hint="check the shell variable or quotes it came from")
    if output is not None:
        return Path(output) / (COMPARISON if compare else NAME) if Path(output).is_dir() else Path(output)
    return Path(COMPARISON) if compare else Path(folders[0]) / NAME
