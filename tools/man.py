"""Manual pages of all commands, made from their help.

python tools/man.py -o build/man    then: man build/man/bss-unmix.1
"""

from __future__ import annotations

import argparse
import importlib
import re
from pathlib import Path

import click

import bss
from bss_cli.main import COMMANDS, cli

SECTIONS = {"Examples:": "EXAMPLES", "Options:": "OPTIONS", "Commands:": "COMMANDS"}


def escaped(text: str) -> str:
    """Text that roff takes as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text)


def page(name: str, command: click.Command) -> str:
    """The manual page of a command, in roff: what its help says."""
    context = click.Context(command, info_name=name, max_content_width=78, terminal_width=78)
    usage, _, rest = command.get_help(context).partition("\n\n")
    summary = command.get_short_help_str(200).rstrip(".")
    lines = [
        f'.TH "{name.upper().replace(" ", "-")}" 1 "" "bss {bss.__version__}" "bss"',
        ".SH NAME",
        f"{escaped(name.replace(' ', '-'))} \\- {escaped(summary)}",
        ".SH SYNOPSIS",
        *(escaped(line.strip()) for line in usage.removeprefix("Usage: ").splitlines()),
        ".SH DESCRIPTION",
        ".nf",
    ]
    for line in rest.splitlines():
        if line.strip() in SECTIONS:
            lines += [".fi", f".SH {SECTIONS[line.strip()]}", ".nf"]
        else:
            lines.append(escaped(line.removeprefix("  ")))
    return "\n".join([*lines, ".fi", ""])


def pages() -> dict[str, str]:
    """Every file and what it holds."""
    made = {"bss.1": page("bss", cli)}
    for name in COMMANDS:
        command = getattr(importlib.import_module(f"bss_cli.{name}"), name)
        made[f"bss-{name}.1"] = page(f"bss {name}", command)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("build/man"))
    out = parser.parse_args().output
    out.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (out / name).write_text(text, encoding="utf-8")
    print(f"{out}: {len(pages())} pages")


if __name__ == "__main__":
    main()
