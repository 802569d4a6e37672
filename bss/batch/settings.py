"""The options of each recording: keywords of `bss.unmix_file`, or words as on the command line."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any

from bss.errors import UsageError
from bss.pipeline.files.unmix_file import file_options
from bss.pipeline.files.whole_files import FileOptions
from bss.pipeline.planning.options import UnmixOptions, channel_numbers

COMMAND_NAMES = {"n_sources": "sources", "rng": "seed"}  # where the command line has another word
TRUE, FALSE = ("yes", "true", "1"), ("no", "false", "0")


@lru_cache(maxsize=1)
def keywords() -> dict[str, Any]:
    """The keywords of `bss.unmix_file` that a recording of a batch may have, and their defaults."""
    own = {entry.name: entry.default for entry in fields(UnmixOptions)}
    of_files = inspect.signature(file_options).parameters.values()
    return own | {p.name: p.default for p in of_files if p.name not in ("wanted", "overwrite")}


def checked(given: Mapping[str, Any]) -> tuple[UnmixOptions, FileOptions]:
    """The options that keywords stand for.

    Raises
    ------
    UsageError
        A keyword is not known, or its value is invalid.

    Examples
    --------
    >>> options, files = checked({"n_sources": 3, "subtype": "float"})
    >>> options.n_sources, files.subtype, files.asked["start"]
    (3, 'float', 0.0)
    """
    for name in given:
        if name not in keywords():
            raise _unknown(f"there is no option {name}", name, keywords())
    own = {name: value for name, value in given.items() if name in UnmixOptions.__dataclass_fields__}
    rest = {name: value for name, value in given.items() if name not in own}
    if own.get("channels") is not None:
        own["channels"] = tuple(own["channels"])
    options = UnmixOptions(**own)
    return options, file_options(options, overwrite=True, **rest)


def columns() -> dict[str, str]:
    """The names of options in a manifest, which are those of the command line, and the keywords that they stand for."""
    return {COMMAND_NAMES.get(name, name).replace("_", "-"): name for name in keywords()}


def value_of(column: str, text: str) -> tuple[str, Any]:
    """The keyword and the value of an option that is written as on the command line.

    Raises
    ------
    UsageError
        There is no such option, or that is no value of it.

    Examples
    --------
    >>> value_of("sources", "3"), value_of("reference-mic", "2"), value_of("per-mic", "yes")
    (('n_sources', 3), ('reference_mic', 1), ('per_mic', True))
    """
    known = columns()
    name = known.get(column.replace("_", "-"))
    if name is None:
        raise _unknown(f"there is no option {column}", column, known)
    special: dict[str, tuple[Callable[[str], Any], str]] = {
        "n_sources": (lambda word: None if word == "auto" else int(word), "a whole number, or auto"),
        "reference_mic": (_from_one, "a microphone, counted from 1"),
        "channels": (lambda word: channel_numbers(word, column), ""),
        "end": (float, "a time in seconds"),
        "denoise": (_strength, "yes, no, or a share from 0 to 1"),
        "weights": (str, ""),
    }
    plain: dict[type, tuple[Callable[[str], Any], str]] = {
        bool: (_truth, "yes or no"), int: (int, "a whole number"), float: (float, "a number"), str: (str, ""),
    }  # fmt: skip
    read, expected = special.get(name) or plain[type(keywords()[name])]
    try:
        return name, read(text)
    except ValueError:
        raise UsageError(f"{column} is {text!r}", f"expected {expected}") from None


def _from_one(word: str) -> int:
    if int(word) < 1:
        raise ValueError
    return int(word) - 1


def _truth(word: str) -> bool:
    if word.lower() not in (*TRUE, *FALSE):
        raise ValueError
    return word.lower() in TRUE


def _strength(word: str) -> float | None:
    if word.lower() in ("yes", "true"):
        return 1.0
    if word.lower() in ("no", "false"):
        return None
    return float(word)


def _unknown(what: str, name: str, known: Iterable[str]) -> UsageError:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return UsageError(what, "", (f"did you mean {close[0]}? " if close else "") + "one of " + ", ".join(names))
