"""What went wrong with one item of a batch, as a value that travels between processes; a batch goes on after it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bss.errors import BssError


@dataclass(frozen=True)
class Failure:
    """Why an item failed.

    Attributes
    ----------
    what, why, hint : str
        As of `bss.BssError`.
    exit_code : int
        Of the command for one item: 1 for a fault inside bss or a worker that died, 2 for an option, 3 for an input.
    traceback : str
        Where it happened, for those who report a fault.
    """

    what: str
    why: str = ""
    hint: str = ""
    exit_code: int = 3
    traceback: str = ""

    @property
    def sentence(self) -> str:
        """For a line of its own."""
        why = f": {self.why}" if self.why else ""
        return f"{self.what}{why}" + (f". Try: {self.hint}" if self.hint else "")

    def to_dict(self) -> dict[str, Any]:
        """As in the documents of commands that failed."""
        return {"what": self.what, "why": self.why, "try": self.hint, "exit_code": self.exit_code}


def failure_of(error: Exception) -> Failure:
    """An exception as a value."""
    where = "".join(traceback.format_exception(error))
    if isinstance(error, BssError):
        return Failure(error.what, error.why, error.hint, error.exit_code, where)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return Failure(f"{place}{error.strerror or error}", "the operating system refused it", "", 3, where)
    if isinstance(error, MemoryError):
        return Failure("not enough memory", str(error), "fewer --jobs (in Python jobs=)", 1, where)
    what = f"internal error: {type(error).__name__}: {error}"
    return Failure(what, "this is a bug in bss", "the recording alone with bss unmix --debug, and report the traceback", 1, where)


def attempt(function: Callable[[Any], Any], item: Any) -> Any:
    """What the function makes of the item, or the Failure."""
    try:
        return function(item)
    except Exception as error:  # noqa: BLE001 - the batch goes on; what happened is a value, and is reported
        return failure_of(error)
