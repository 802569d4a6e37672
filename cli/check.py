"""`bss check`: whether a recording can be separated, and what is wrong with it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from bss.errors import InputError

from .support.common import SECONDS, Output, announce_compiling, command

if TYPE_CHECKING:
    from rich.table import Table

    from bss.pipeline.analysis.preflight.channels import Preflight
    from bss.pipeline.planning.choose import Choice
    from bss.pipeline.planning.plan import Inspected
    from bss.signals.files.audio import Recording


@command("check")
@click.argument("files", nargs=-1, required=True)
@click.option("--start", type=SECONDS, default=0.0, help="Start at this time in seconds.")
@click.option("--end", type=SECONDS, default=None, help="End at this time in seconds.")
def check(out: Output, files: tuple[str, ...], start: float, end: float | None) -> None:
    """Check whether ONE recording, made by several microphones, can be separated. Writes nothing.

    FILES are the microphones of one recording: one file each, one multichannel file, or a combination; folders and
    wildcards are expanded; - reads a WAV from stdin. Reports silent, duplicate, damaged, clipped and very quiet channels,
    recorders that are out of step, and the separation method that suits the recording. The exit code is 0 if bss unmix can
    separate it, and 3 if not.

    \b
    Examples:
      bss check mics/*.wav
      bss check meeting.wav --start 60 --end 180
      bss check anna.wav ben.wav carla.wav --json > check.json
    """
    from bss.pipeline.planning.options import UnmixOptions
    from bss.pipeline.planning.plan import decide, inspect
    from bss.signals.files.audio import load
    from bss.signals.files.paths import expand

    recording = load(expand(files), start=start, end=end)
    announce_compiling(out)
    names = [f"mic {k + 1} ({channel.name})" for k, channel in enumerate(recording.channels)]
    devices = [channel.file for channel in recording.channels]
    seen = inspect(recording.x, recording.rate, UnmixOptions(), names=names, devices=devices)
    try:
        choice = decide(seen.channels, seen.x, recording.rate, UnmixOptions()).choice
    except InputError as error:  # the table and the JSON document are printed nevertheless
        _print(out, recording, seen, None)
        failure = {"what": error.what, "why": error.why, "try": error.hint, "exit_code": error.exit_code}
        out.emit({**_document(recording, seen, None), "separable": False, "error": failure})
        raise
    _print(out, recording, seen, choice)
    out.emit({**_document(recording, seen, choice), "separable": True})


def _document(recording: Recording, seen: Inspected, choice: Choice | None) -> dict[str, Any]:
    from bss.pipeline.alignment import to_list

    n, checked = recording.x.shape[1], seen.channels
    channels = [
        {
            "mic": k + 1,
            "file": channel.file,
            "channel": channel.index + 1,
            "peak_dbfs": _finite(level.peak_dbfs),
            "rms_dbfs": _finite(level.rms_dbfs),
            "usable": k in checked.usable,
        }
        for k, (channel, level) in enumerate(zip(recording.channels, checked.levels, strict=True))
    ]
    return {
        "inputs": list(dict.fromkeys(channel.file for channel in recording.channels)),
        "rate": recording.rate,
        "samples": n,
        "seconds": n / recording.rate,
        "format": recording.format,
        "subtype": recording.subtype,
        "repairs": list(recording.repairs),
        "channels": channels,
        "usable": [k + 1 for k in checked.usable],
        "findings": [_finding(entry) for entry in checked.to_list()],
        "sync": seen.alignment and to_list(seen.alignment, recording.rate),
        "method": choice and choice.method.name,
        "reason": choice and choice.reason,
        "evidence": choice and choice.evidence,
    }


def _finding(entry: dict[str, Any]) -> dict[str, Any]:
    """A finding with microphones counted from 1, as in all output."""
    channel, other = entry.pop("channel"), entry.pop("other")
    return {"mic": _from_one(channel), "other_mic": _from_one(other), **entry}


def _from_one(index: int | None) -> int | None:
    return None if index is None else index + 1


def _finite(value: float) -> float | None:
    return round(value, 2) if math.isfinite(value) else None


def _printable(text: str) -> str:
    """`text` without control characters and bytes that are not text, which would break the line."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _print(out: Output, recording: Recording, seen: Inspected, choice: Choice | None) -> None:
    """Print the table of channels, the properties of the recording, and a line for each repair, clock and finding."""
    if out.as_json:
        return
    from rich.text import Text

    console = out.console()
    wrap = console.is_terminal
    if not wrap:  # piped output may be read by programs: one line each
        console.width = 10_000
    console.print(_channel_table(recording, seen.channels))
    for label, text in (*_facts(recording, seen.channels, choice), *_notes(recording, seen)):
        console.print(Text(f"{label:<10}{_printable(text)}"), soft_wrap=not wrap)


def _facts(recording: Recording, checked: Preflight, choice: Choice | None) -> list[tuple[str, str]]:
    """The properties of the recording as a whole, as labels and texts."""
    n, m = recording.x.shape[1], len(recording.channels)
    facts = [
        ("rate", f"{recording.rate} Hz"),
        ("length", f"{n / recording.rate:.3f} s ({n} samples)"),
        ("format", f"{recording.format} {recording.subtype}"),
        ("usable", f"{len(checked.usable)} of {m} {'channel' if m == 1 else 'channels'}"),
    ]
    if choice is None:
        return facts
    late = "none" if choice.delays.delay_free else f"up to {choice.evidence['largest_delay_ms']:.2f} ms between the microphones"
    return [*facts, ("delays", late), ("method", choice.reason)]


def _notes(recording: Recording, seen: Inspected) -> list[tuple[str, str]]:
    repairs = [("repaired", text) for text in recording.repairs]
    clocks = [] if seen.alignment is None else [("clock", text) for text in seen.alignment.repairs]
    return repairs + clocks + [(finding.severity, finding.message) for finding in seen.channels.findings]


def _channel_table(recording: Recording, checked: Preflight) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("channel", overflow="fold")
    for title in ("peak dBFS", "RMS dBFS"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("used", no_wrap=True)
    for k, (channel, level) in enumerate(zip(recording.channels, checked.levels, strict=True)):
        name = Text(f"mic {k + 1} = {_printable(channel.name)}")  # as Text, so that brackets in a name are not markup
        table.add_row(name, f"{level.peak_dbfs:.1f}", f"{level.rms_dbfs:.1f}", "yes" if k in checked.usable else "left out")
    return table
