"""`bss check`: what is in a recording, before it is separated."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from bss.errors import InputError

from .common import Output, command, say_if_cold

if TYPE_CHECKING:
    from rich.table import Table

    from bss.pipeline.choose import Choice
    from bss.pipeline.preflight import Preflight
    from bss.signals.audio import Recording


@command("check")
@click.argument("files", nargs=-1, required=True)
@click.option("--start", type=click.FloatRange(0), default=0.0, help="Begin here, in seconds.")
@click.option("--end", type=click.FloatRange(0, min_open=True), default=None, help="End here, in seconds.")
def check(out: Output, files: tuple[str, ...], start: float, end: float | None) -> None:
    """Look at ONE recording, made by several microphones, and say whether it can be separated. Changes nothing.

    FILES are the microphones of one recording: a file each, one file of many channels, or a mixture; folders and
    wildcards are expanded; - reads a WAV from stdin. Silent, copied, broken, clipped and faint channels are named, and
    the method that suits the delays between the microphones.
    Ends with exit code 0 if `bss unmix` can separate what is usable, and with 3 if not.

    \b
    Examples:
      bss check mics/*.wav
      bss check meeting.wav --start 60 --end 180
      bss check anna.wav ben.wav carla.wav --json > check.json
    """
    from bss.pipeline.plan import decide
    from bss.pipeline.preflight import preflight
    from bss.signals.audio import load
    from bss.signals.paths import expand

    recording = load(expand(files), start=start, end=end)
    names = [f"mic {k + 1} ({channel.name})" for k, channel in enumerate(recording.channels)]
    look = preflight(recording.x, recording.rate, names)
    say_if_cold(out)
    try:
        choice = decide(look, recording.x, recording.rate).choice
    except InputError as error:  # the table and the document are complete all the same, and say so
        _print(out, recording, look, None)
        failure = {"what": error.what, "why": error.why, "try": error.hint, "exit_code": error.exit_code}
        out.emit({**_document(recording, look, None), "separable": False, "error": failure})
        raise
    _print(out, recording, look, choice)
    out.emit({**_document(recording, look, choice), "separable": True})


def _document(recording: Recording, look: Preflight, choice: Choice | None) -> dict[str, Any]:
    n = recording.x.shape[1]
    channels = [
        {
            "mic": k + 1,
            "file": channel.file,
            "channel": channel.index + 1,
            "peak_dbfs": _finite(level.peak_dbfs),
            "rms_dbfs": _finite(level.rms_dbfs),
            "usable": k in look.usable,
        }
        for k, (channel, level) in enumerate(zip(recording.channels, look.levels, strict=True))
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
        "usable": [k + 1 for k in look.usable],
        "findings": [_finding(entry) for entry in look.to_list()],
        "method": choice and choice.method,
        "reason": choice and choice.reason,
        "evidence": choice and choice.evidence,
    }


def _finding(entry: dict[str, Any]) -> dict[str, Any]:
    """A finding with microphones counted from 1, as everywhere that people read."""
    channel, other = entry.pop("channel"), entry.pop("other")
    return {"mic": _from_one(channel), "other_mic": _from_one(other), **entry}


def _from_one(index: int | None) -> int | None:
    return None if index is None else index + 1


def _finite(value: float) -> float | None:
    return round(value, 2) if math.isfinite(value) else None


def _printable(text: str) -> str:
    """Without what would break a line or could not be printed: control characters, and bytes that are no text."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _print(out: Output, recording: Recording, look: Preflight, choice: Choice | None) -> None:
    """The table of channels, the facts about the recording, then a line for each repair and finding."""
    if out.as_json:
        return
    from rich.text import Text

    console = out.console()
    fold = console.is_terminal
    if not fold:  # what is piped is read by programs too: a line stays a line
        console.width = 10_000
    console.print(_channel_table(recording, look))
    for label, text in (*_facts(recording, look, choice), *_notes(recording, look)):
        console.print(Text(f"{label:<10}{_printable(text)}"), soft_wrap=not fold)


def _facts(recording: Recording, look: Preflight, choice: Choice | None) -> list[tuple[str, str]]:
    """What is true of the recording as a whole: a label and a text each."""
    n, m = recording.x.shape[1], len(recording.channels)
    facts = [
        ("rate", f"{recording.rate} Hz"),
        ("length", f"{n / recording.rate:.3f} s ({n} samples)"),
        ("format", f"{recording.format} {recording.subtype}"),
        ("usable", f"{len(look.usable)} of {m} {'channel' if m == 1 else 'channels'}"),
    ]
    if choice is None:
        return facts
    late = "none" if choice.delay_free else f"up to {choice.evidence['largest_delay_ms']:.2f} ms between the microphones"
    return [*facts, ("delays", late), ("method", choice.reason)]


def _notes(recording: Recording, look: Preflight) -> list[tuple[str, str]]:
    repairs = [("repaired", text) for text in recording.repairs]
    return repairs + [(finding.severity, finding.message) for finding in look.findings]


def _channel_table(recording: Recording, look: Preflight) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("channel", overflow="fold")
    for title in ("peak dBFS", "RMS dBFS"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("used", no_wrap=True)
    for k, (channel, level) in enumerate(zip(recording.channels, look.levels, strict=True)):
        name = Text(f"mic {k + 1} = {_printable(channel.name)}")  # as Text, brackets in a name are no markup
        table.add_row(name, f"{level.peak_dbfs:.1f}", f"{level.rms_dbfs:.1f}", "yes" if k in look.usable else "left out")
    return table
