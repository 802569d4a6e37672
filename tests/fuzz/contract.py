"""What has to hold whatever comes in: the promises of docs/design.md, checked after every case."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bss.errors import BssError

SECONDS = 120.0  # of one case, on a busy machine; what never ends takes longer
CODES = (0, 1, 2, 3, 4, 5)


class Broken(AssertionError):
    """A promise that was not kept."""


@contextlib.contextmanager
def time_limit(seconds: float = SECONDS) -> Iterator[None]:
    """Broken if what is within takes longer; only where there are alarms."""

    def late(number: int, frame: object) -> None:
        raise Broken(f"still at work after {seconds:g} s")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def digest(folder: Path) -> dict[str, str]:
    """Every file below a folder, and what it holds."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def command(words: list[str], inputs: Path, out: Path) -> str:
    """`bss WORDS` in this process, with its files in `inputs` and its results below `out`; what it did, in a few words."""
    from recordings import run

    before = digest(inputs)
    with time_limit():
        done = run(*words)
    said = done.stderr
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise Broken(f"{type(done.exception).__name__} came through: {done.exception}") from done.exception
    if done.exit_code not in CODES:
        raise Broken(f"exit code {done.exit_code}")
    for sign in ("internal error: ", *(() if "--debug" in words else ("Traceback", "site-packages")), "Warning: ", "numba."):
        if sign in said:
            raise Broken(f"stderr has {sign!r}: {said[-600:]}")
    _no_control_characters(done.stdout_bytes if "-o -" not in " ".join(words) else b"")
    _no_control_characters(done.stderr_bytes)
    if done.exit_code and "error: " not in said:
        raise Broken(f"exit code {done.exit_code} and no error said: {said[-300:]}")
    if "--json" in words:
        _one_document(done.stdout)
    if digest(inputs) != before:
        raise Broken("an input was changed")
    _clean(out, failed=done.exit_code not in (0, 4, 5))
    return f"exit code {done.exit_code}"


def _no_control_characters(data: bytes) -> None:
    strange = [byte for byte in data if (byte < 0x20 and byte not in b"\n\t") or byte == 0x7F]
    if strange:
        raise Broken(f"control characters on the terminal: {sorted(set(strange))}")


def _one_document(text: str) -> None:
    def refuse(constant: str) -> None:
        raise Broken(f"{constant} in the JSON document")

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError as error:
        raise Broken(f"stdout is not one JSON document ({error}): {text[:200]!r}") from error


def _clean(out: Path, *, failed: bool) -> None:
    """Nothing half-done is left, nothing at all after a failure, and audio is finite."""
    import soundfile

    if not out.exists():
        return
    files = [path for path in out.rglob("*") if path.is_file()]
    if failed and files:
        raise Broken(f"after a failure there is {files[0].relative_to(out.parent)}")
    for path in files:
        if path.name.startswith(".bss-"):
            raise Broken(f"{path.name} is left")
        if path.suffix == ".wav" and not np.isfinite(soundfile.read(path)[0]).all():
            raise Broken(f"{path.name} is not finite")


def call(function: Callable[..., Any], arguments: list[Any], options: dict[str, Any]) -> str:
    """A public function: its result is finite, or it raises an error of bss; its arguments stay what they are."""
    before = [_bytes(a) for a in arguments]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            with time_limit():
                result = function(*arguments, **options)
                _finite(result)
            outcome = "done"
        except BssError as error:
            outcome = type(error).__name__
        except Broken:
            raise
        except Exception as error:
            raise Broken(f"{type(error).__name__}: {error}") from error
    if [_bytes(a) for a in arguments] != before:
        raise Broken("an argument was written to")
    return outcome


def _bytes(value: Any) -> Any:
    return np.asarray(value).tobytes() if isinstance(value, np.ndarray) and not value.dtype.hasobject else None


def _finite(result: Any, name: str = "the result") -> None:
    """Broken where an array in the result is not finite; NaN is what scores without meaning are."""
    if isinstance(result, np.ndarray):
        if result.dtype.kind in "fc" and not np.isfinite(result).all():
            raise Broken(f"{name} is not finite")
    elif isinstance(result, float):
        if not np.isfinite(result):
            raise Broken(f"{name} is {result}")
    elif isinstance(result, tuple | list):
        for k, part in enumerate(result):
            _finite(part, f"{name}[{k}]")
    elif dataclasses.is_dataclass(result) and not isinstance(result, type):
        for field in dataclasses.fields(result):
            _finite(getattr(result, field.name), field.name)
        if hasattr(type(result), "sources"):
            _finite(result.sources, "sources")


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """The current folder is `folder`."""
    here = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
