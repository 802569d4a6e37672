"""Audio through pipes: stdin as a file, and a WAV to stdout."""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bss.errors import InputError, UsageError
from bss.signals.files import encode

# stdin can be read only once, but is needed more than once: for its header, then for its audio. One copy per stdin.
_spooled: weakref.WeakKeyDictionary[BinaryIO, Path] = weakref.WeakKeyDictionary()


def stdin_pipe(example: str) -> BinaryIO:
    """stdin, as bytes; UsageError with this example if it is a terminal or closed."""
    stdin: BinaryIO | None = getattr(sys.stdin, "buffer", None)
    if stdin is None or sys.stdin.closed:
        raise UsageError("stdin is not available", hint="name files")
    if sys.stdin.isatty():
        raise UsageError("stdin is a terminal", "'-' reads audio from a pipe", example)
    return stdin


def spool_stdin() -> Path:
    """A temporary file with the contents of stdin, the same for every call; deleted when the program ends.

    Raises
    ------
    UsageError
        stdin is a terminal or closed.
    InputError
        stdin is empty, or the disk is full.
    """
    stdin = stdin_pipe("ffmpeg -i recording.m4a -f wav - | bss unmix - -o sources/")
    if stdin in _spooled:
        return _spooled[stdin]
    folder = tempfile.mkdtemp(prefix="bss-")
    remove = weakref.finalize(stdin, shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder, "stdin")
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(stdin, file, 1 << 20)
    except OSError as error:
        remove()
        raise InputError("stdin cannot be stored", f"{folder}: {error.strerror}", "TMPDIR on a larger disk") from error
    except BaseException:
        remove()
        raise
    if not path.stat().st_size:
        remove()
        raise InputError("stdin is empty", "the program before the pipe wrote nothing", "check its messages")
    _spooled[stdin] = path
    return path


def refuse_terminal() -> None:
    """UsageError if stdout is a terminal, which audio would garble; to be called before the work starts."""
    if getattr(sys.stdout, "buffer", None) is None or sys.stdout.isatty():
        why = "audio would garble it" if sys.stdout.isatty() else "audio is binary data"
        raise UsageError("stdout is a terminal" if sys.stdout.isatty() else "stdout accepts text only", why, "-o DIR, or a pipe")


def write_stdout(x: np.ndarray, rate: int, subtype: str) -> None:
    """Write audio to stdout, as one WAV file with all channels and correct sizes in its header.

    Parameters
    ----------
    x : (M, n) float
        Within full scale, unless the subtype is floating point.
    rate : int
        Hz.
    subtype : str
        Such as ``"PCM_16"`` or ``"FLOAT"``.

    Raises
    ------
    UsageError
        stdout is a terminal.
    InputError
        The reader of the pipe exited, or the samples cannot be written as `subtype`.
    """
    with stdout_file() as path:
        encode.encode(path, x, rate, kind="WAV", subtype=subtype, name="stdout")


@contextmanager
def stdout_file() -> Iterator[Path]:
    """A file to be written; what it holds goes to stdout when the context is left.

    Raises
    ------
    UsageError
        stdout is a terminal.
    InputError
        The reader of the pipe went away.
    """
    refuse_terminal()
    with tempfile.TemporaryDirectory(prefix="bss-") as folder:
        path = Path(folder, "stdout.wav")
        yield path
        try:
            sys.stdout.flush()
            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
            sys.stdout.buffer.flush()
        except BrokenPipeError as error:
            _forget_stdout()
            raise InputError(
                "stdout was closed before all audio was written", "the program after the pipe exited early"
            ) from error


def _forget_stdout() -> None:
    """Keep Python from flushing a closed pipe at exit, which would print a traceback."""
    with suppress(io.UnsupportedOperation, OSError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)
