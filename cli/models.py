"""`bss models`: which networks there are."""

from __future__ import annotations

from dataclasses import asdict

from .support.common import Output, command


@command("models")
def models(out: Output) -> None:
    """List the networks that bss can use: name, what it is for, sample rate, size, where it comes from.

    Those of others need an extra, which the list names. Models of your own are files: `bss train` writes them.

    \b
    Examples:
      bss models
      bss models --json
      bss models --json | python -m json.tool
    """
    from rich.table import Table

    from bss.networks.shipped import listed

    entries = listed()
    table = Table(box=None, pad_edge=False)
    for title in ("name", "for", "rate", "size", "from"):
        table.add_column(title, justify="right" if title in ("rate", "size") else "left")
    for entry in entries:
        size = entry.install if entry.bytes is None else f"{entry.bytes / 1e6:.1f} MB"
        table.add_row(entry.name, entry.purpose, f"{entry.rate / 1000:g} kHz", size, entry.origin)
    if not out.as_json:
        out.console().print(table)
    out.emit({"models": [asdict(entry) for entry in entries]})
