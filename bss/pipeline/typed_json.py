"""JSON as dataclasses: each value is checked against the type of its field, as the file may come from anywhere."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from bss.errors import InputError

T = TypeVar("T")


def from_json(kind: type[T], value: Any, where: str) -> T:
    """A JSON object as a dataclass; unknown fields are ignored, since later versions may have more.

    Raises
    ------
    InputError
        A field is missing or has the wrong type; the message begins with its place, `where` being that of the object.
    """
    if not isinstance(value, Mapping):
        raise InputError(f"{where} is {type(value).__name__} in this result", "expected an object")
    hints = get_type_hints(kind)
    known = {}
    for entry in fields(kind):  # type: ignore[arg-type]
        if entry.name in value:
            known[entry.name] = _value(hints[entry.name], value[entry.name], f"{where}.{entry.name}")
    try:
        return kind(**known)
    except TypeError as error:
        raise InputError(f"{where} is incomplete in this result", str(error).split(") ")[-1]) from None


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return _value(next(arg for arg in args if arg is not type(None)), value, where)
    if hint is Any:
        return value
    if is_dataclass(hint) and isinstance(hint, type):
        return from_json(hint, value, where)
    plain: Any = origin or hint
    allowed = (int, float) if plain is float else plain
    if not isinstance(value, allowed) or (isinstance(value, bool) and plain is not bool):
        raise InputError(f"{where} is {type(value).__name__} in this result", f"expected {plain.__name__}")
    if isinstance(value, list):
        return [_value(args[0], one, f"{where}[{k}]") for k, one in enumerate(value)]
    if isinstance(value, dict):
        return {key: _value(args[1], one, f"{where}.{key}") for key, one in value.items()}
    return value
