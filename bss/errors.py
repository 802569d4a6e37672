"""Errors that a user can act on, and checks of options.

Every error says what is wrong, why that is a problem, and what to try. The command line turns errors into exit codes.
"""

from __future__ import annotations

import operator
from typing import Any


class BssError(Exception):
    """Something the user can fix.

    Parameters
    ----------
    what : str
        What is wrong, naming the file, channel or option.
    why : str
        Why that is a problem.
    hint : str
        What to try.
    """

    exit_code = 3

    def __init__(self, what: str, why: str = "", hint: str = "") -> None:
        self.what, self.why, self.hint = what, why, hint
        super().__init__("\n".join(s for s in (what, why, hint and f"Try: {hint}") if s))


class InputError(BssError):
    """The recording, a file or an array cannot be used as it is."""


class UsageError(BssError):
    """An option or argument has an invalid value."""

    exit_code = 2


class QualityError(BssError):
    """The result is below a quality threshold set by the user."""

    exit_code = 5


class SolverError(BssError):
    """A solver diverged, and so did its fallback."""

    exit_code = 1


def check_int(name: str, value: Any, low: int, high: int | None = None) -> int:
    """`value` as an int within [low, high]; otherwise UsageError."""
    try:
        number = operator.index(value)
    except TypeError:
        raise UsageError(f"{name}={value!r} is not a whole number", hint=f"a whole number of at least {low}") from None
    if number < low or (high is not None and number > high):
        span = f"at least {low}" if high is None else f"from {low} to {high}"
        raise UsageError(f"{name}={number} is out of range", hint=f"a whole number {span}")
    return number


def check_number(name: str, value: Any, low: float, high: float, *, unit: str = "") -> float:
    """`value` as a finite float within [low, high]; otherwise UsageError."""
    span = f"a number from {low:g} to {high:g}{unit and f' {unit}'}"
    if isinstance(value, str | bytes):
        raise UsageError(f"{name}={value!r} is not a number", hint=span)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"{name}={value!r} is not a number", hint=span) from None
    if not low <= number <= high:  # not a number is not within either
        raise UsageError(f"{name}={number:g} is out of range", hint=span)
    return number


def check_flag(name: str, value: Any) -> bool:
    """`value` as True or False; otherwise UsageError."""
    try:
        number = operator.index(value)
    except TypeError:
        number = int(value) if type(value).__name__ in ("bool_", "bool") else -1  # NumPy's
    if number not in (0, 1):
        raise UsageError(f"{name}={value!r} is neither True nor False", hint="True, or False")
    return bool(number)


def check_list(name: str, value: Any, *, length: int | None = None) -> list[Any]:
    """`value` as a list, of that length; otherwise UsageError."""
    if isinstance(value, str | bytes | dict) or not hasattr(value, "__iter__") or getattr(value, "shape", None) == ():
        raise UsageError(f"{name}={value!r} is not a list", hint=f"a list, such as {name}=[...]")
    values = list(value)
    if length is not None and len(values) != length:
        raise UsageError(f"{len(values)} {name} for {length} channels", hint=f"as many {name} as channels, or none")
    return values


def check_callable(name: str, value: Any) -> None:
    """UsageError unless `value` is None or can be called."""
    if value is not None and not callable(value):
        raise UsageError(f"{name}={value!r} cannot be called", hint="a function, or None")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    """`value` if it is one of `choices`; otherwise UsageError with the closest name."""
    if isinstance(value, str) and value in choices:
        return value
    import difflib

    close = difflib.get_close_matches(str(value), choices, n=1)
    hint = (f"did you mean {close[0]!r}? " if close else "") + "one of " + ", ".join(choices)
    raise UsageError(f"{name}={value!r} is not known", hint=hint)
