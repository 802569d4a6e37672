"""The licences of what bss depends on, of the packages that are installed, as a table.

python tools/licences.py > docs/licences.md
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution

EXTRAS = ("", "simulate", "autoencoder", "voices", "metrics", "sklearn", "report", "batch", "torch")
HEAD = """# Licences

bss is under the [MIT licence](https://opensource.org/license/mit). What it is installed with, itself and by way of others:

| package | licence | comes with |
|---|---|---|"""


def needed(name: str, extra: str) -> set[str]:
    """Names of what a package requires here, with one of its extras or none."""
    names = set()
    for line in distribution(name).requires or ():
        requirement, _, marker = line.partition(";")
        wanted = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", marker)
        if (wanted[1] if wanted else "") == extra and applies(marker):
            names.add(re.split(r"[^A-Za-z0-9._-]", requirement.strip())[0].lower().replace("_", "-"))
    return names


def applies(marker: str) -> bool:
    """Whether a marker holds here, its extra left aside."""
    rest = re.sub(r"(\s*and\s*)?\(?extra\s*==\s*['\"][\w-]+['\"]\)?", "", marker).strip()
    if not rest:
        return True
    from packaging.markers import Marker

    return bool(Marker(re.sub(r"^and\s+", "", rest)).evaluate({"extra": ""}))


def closure(names: set[str]) -> set[str]:
    """These packages and all that they require; those that are not installed are named, too."""
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        found.add(name)
        try:
            waiting |= needed(name, "") - found
        except PackageNotFoundError:
            continue
    return found


def licence(name: str) -> str:
    """What a package says of its licence."""
    try:
        about: Distribution = distribution(name)
    except PackageNotFoundError:
        return "not installed here"
    expression = about.metadata.get("License-Expression")
    if expression:
        return str(expression)
    kinds = [line.split(" :: ")[-1] for line in about.metadata.get_all("Classifier") or () if line.startswith("License ::")]
    said = (about.metadata.get("License") or "").strip().splitlines()
    return ", ".join(kinds) or (said[0] if said else "not said")


def table() -> str:
    """The page."""
    rows: dict[str, str] = {}
    for extra in EXTRAS:
        for name in sorted(closure(needed("bss-toolkit", extra))):
            rows.setdefault(name, extra or "bss itself")
    return "\n".join([HEAD, *(f"| {name} | {licence(name)} | {of} |" for name, of in sorted(rows.items()))]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
