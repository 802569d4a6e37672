"""What each field of a `scene.json` may hold. The file may come from anywhere: names in it become names of files."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any

MOST_MICS, MOST_SOUNDS = 256, 1024
DIGEST = re.compile(r"[0-9a-f]{64}")


class Damage(ValueError):
    """What is wrong, with the name of the field."""


def number(field: str, value: Any, low: float, high: float) -> None:
    """A finite number within [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high or not math.isfinite(value):
        raise Damage(f"{field} is {_shown(value)}, expected a number from {low:g} to {high:g}")


def whole(field: str, value: Any, low: int, high: int) -> None:
    """A whole number within [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Damage(f"{field} is {_shown(value)}, expected a whole number from {low} to {high}")


def text(field: str, value: Any) -> None:
    """Text that can be shown, and be a part of a path."""
    if not isinstance(value, str) or not value.isprintable():
        raise Damage(f"{field} is {_shown(value)}, expected text without control characters")


def kind(field: str, value: Any, wanted: type, name: str) -> None:
    """A value of a type, which is called `name`."""
    if not isinstance(value, wanted):
        raise Damage(f"{field} is {_shown(value)}, expected {name}")


def several(field: str, values: Any, check: Callable[[str, Any], Any], low: int, high: int) -> None:
    """A list of so many values, each checked under its own name."""
    kind(field, values, list, "a list")
    if not low <= len(values) <= high:
        raise Damage(f"{field} has {len(values)} entries, expected {low} to {high}")
    for k, value in enumerate(values):
        check(f"{field}[{k}]", value)


def options(values: dict[str, Any], n_voices: int) -> None:
    """The keyword arguments of `bss.mix`."""

    def decibels(field: str, value: Any) -> None:
        number(field, value, -100, 300)

    whole("options.n_mics", values["n_mics"], 1, MOST_MICS)
    number("options.rt60", values["rt60"], 0, 1000)
    several("options.room", values["room"], lambda field, value: number(field, value, 2, 100), 3, 3)
    number("options.spacing", values["spacing"], 0.001, 100)
    several("options.levels_db", values["levels_db"], decibels, n_voices, n_voices)
    kind("options.instantaneous", values["instantaneous"], bool, "true or false")
    if values["snr_db"] is not None:
        decibels("options.snr_db", values["snr_db"])
    if values["seconds"] is not None:
        number("options.seconds", values["seconds"], 0.01, 86_400)
    if values["seed"] is not None:
        whole("options.seed", values["seed"], 0, 1 << 128)
    if values.get("noise_snr_db") is not None:
        decibels("options.noise_snr_db", values["noise_snr_db"])


def event(field: str, value: Any) -> None:
    """A fault or a behaviour: a kind, and numbers."""
    kind(field, value, dict, "a table of names and values")
    for name, part in value.items():
        if name == "kind":
            text(f"{field}.kind", part)
        elif name in ("mic", "talker"):
            if part is not None:
                whole(f"{field}.{name}", part, 1, MOST_SOUNDS)
        elif part is not None:
            number(f"{field}.{name}", part, -1e6, 1e6)


def sound(field: str, value: Any) -> None:
    """A file with its checksum, if it comes from one."""
    kind(field, value, dict, "a table of names and values")
    if "file" in value:
        text(f"{field}.file", value["file"])
    if "sha256" in value and not (isinstance(value["sha256"], str) and DIGEST.fullmatch(value["sha256"])):
        raise Damage(f"{field}.sha256 is {_shown(value['sha256'])}, expected 64 hexadecimal digits")


def voice(field: str, value: Any) -> None:
    """A sound with a name that can be the name of a file."""
    kind(field, value, dict, "a table of names and values")
    name = value.get("name")
    text(f"{field}.name", name)
    if PurePosixPath(name).name != name or name in ("", ".", "..") or "\\" in name or len(name.encode()) > 200:
        raise Damage(f"{name!r} is not a valid name for a voice")
    sound(field, value)


def places(field: str, values: Any) -> None:
    """Names of files inside the folder of the scene."""

    def inside(name: str, value: Any) -> None:
        text(name, value)
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise Damage(f"{name} is {_shown(value)}, expected a file inside the folder of the scene")

    several(field, values, inside, 0, max(MOST_MICS, MOST_SOUNDS))


def same_names(field: str, entries: Sequence[dict[str, Any]]) -> None:
    """No two of the voices may have one name, which would be one file."""
    names = [entry["name"].casefold() for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Damage(f"{field} has two entries of the name {twice[0]!r}")


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
