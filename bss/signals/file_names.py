"""Names that a file cannot have where it is to be written, found out before the work rather than after it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from bss.errors import InputError
from bss.signals.files.leftovers import temporary_name

# Windows opens the device instead, whatever the suffix
DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{k}" for port in ("COM", "LPT") for k in "123456789\u00b9\u00b2\u00b3")}
FORBIDDEN = '<>:"|?*'


def refuse_impossible(places: Iterable[Path], *, system: str = os.name) -> None:
    """InputError where the file system takes no file of such a name; `system` is "nt" on Windows.

    Examples
    --------
    >>> refuse_impossible([Path("out/con.wav")], system="nt")
    Traceback (most recent call last):
    bss.errors.InputError: out/con.wav cannot be written
    Windows keeps the name con for a device
    Try: another name
    """
    for place in places:
        why = _windows_says(place.name) if system == "nt" else ""
        try:
            os.lstat(place)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:  # all else is said by who writes it
                why = "its name is too long"
        except ValueError:
            why = "its name holds a zero byte"
        if why:
            raise InputError(f"{place} cannot be written", why, "another name")


def _windows_says(name: str) -> str:
    stem = name.split(".")[0].rstrip(" ")
    if stem.upper() in DEVICES:
        return f"Windows keeps the name {stem} for a device"
    strange = [c for c in name if c in FORBIDDEN or ord(c) < 0x20]
    if strange:
        return f"Windows takes no {strange[0]!r} in the name of a file"
    return "Windows removes dots and spaces at the end of a name" if name.endswith((".", " ")) else ""


def refuse_inputs(places: Iterable[Path], inputs: Sequence[str | os.PathLike[str]]) -> None:
    """InputError where one of these files is an input, by whatever name."""
    sources = {os.path.realpath(path) for path in inputs}
    for place in places:
        if os.path.realpath(place) in sources:
            raise InputError(f"{place} is one of the inputs", "inputs are never overwritten", "another -o DIR")


def refuse_clashes(places: Iterable[Path]) -> None:
    """InputError where two of these files would be one, as their folder does not tell capital letters from small ones."""
    seen: dict[tuple[Path, str], Path] = {}
    for place in places:
        key = place.parent, place.name.casefold()
        if key in seen and _ignores_case(place.parent):
            raise InputError(
                f"{seen[key]} and {place.name} are one file here", "the folder does not tell capital letters from small ones",
                "other names of the microphones' files, or a folder on another disk",
            )  # fmt: skip
        seen[key] = place


def _ignores_case(folder: Path) -> bool:
    """Whether a file that is made in this folder is found by its name in capital letters."""
    probe = folder / temporary_name()
    try:
        probe.touch(exist_ok=False)
        return os.path.lexists(folder / probe.name.upper())
    finally:
        probe.unlink(missing_ok=True)
