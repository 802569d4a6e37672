"""Audio through pipes: stdin that can be read like a file, stdout that takes a WAV."""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bss.errors import InputError, UsageError
from bss.signals import encode

# stdin can be read once, but is asked for more than once: for its header, then for its audio. One copy per stdin.
_spooled: weakref.WeakKeyDictionary[BinaryIO, Path] = weakref.WeakKeyDictionary()


def spool_stdin() -> Path:
    """A temporary file with all that stdin holds; the same file when asked again. It goes when the program ends.

    Raises
    ------
    UsageError
        stdin is a terminal or closed.
    InputError
        Nothing came in, or the disk is full.
    """
    stdin = getattr(sys.stdin, "buffer", None)
    if stdin is None or sys.stdin.closed:
        raise UsageError("there is no stdin to read audio from", hint="name files")
    if stdin in _spooled:
        return _spooled[stdin]
    if sys.stdin.isatty():
        raise UsageError(
            "stdin is a terminal",
            "'-' reads audio that is piped in",
            "ffmpeg -i recording.m4a -f wav - | bss unmix - -o sources/",
        )
    folder = tempfile.mkdtemp(prefix="bss-")
    remove = weakref.finalize(stdin, shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder, "stdin")
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(stdin, file, 1 << 20)
    except OSError as error:
        remove()
        raise InputError("stdin cannot be kept", f"{folder}: {error.strerror}", "set TMPDIR to a larger place") from error
    except BaseException:
        remove()
        raise
    if not path.stat().st_size:
        remove()
        raise InputError("stdin is empty", "the program before the pipe wrote nothing", "look at its messages")
    _spooled[stdin] = path
    return path


def refuse_terminal() -> None:
    """UsageError if stdout is a terminal, which audio would garble; to be asked before the work."""
    if getattr(sys.stdout, "buffer", None) is None or sys.stdout.isatty():
        why = "audio would garble it" if sys.stdout.isatty() else "audio needs bytes"
        raise UsageError("stdout is a terminal" if sys.stdout.isatty() else "stdout takes text only", why, "-o DIR, or a pipe")


def write_stdout(x: np.ndarray, rate: int, subtype: str) -> None:
    """Write audio to stdout, as one WAV file with all its channels and true sizes in its header.

    Parameters
    ----------
    x : (M, n) float
        Within full scale unless the subtype is floating point.
    rate : int
        Hz.
    subtype : str
        Such as ``"PCM_16"`` or ``"FLOAT"``.

    Raises
    ------
    UsageError
        stdout is a terminal.
    InputError
        The reader of the pipe went away, or the samples cannot be written as `subtype`.
    """
    refuse_terminal()
    with tempfile.TemporaryDirectory(prefix="bss-") as folder:
        path = Path(folder, "stdout.wav")
        encode.encode(path, x, rate, kind="WAV", subtype=subtype, name="stdout")
        try:
            sys.stdout.flush()
            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
            sys.stdout.buffer.flush()
        except BrokenPipeError as error:
            _forget_stdout()
            raise InputError(
                "stdout was closed before all audio was written", "the program after the pipe ended early"
            ) from error


def _forget_stdout() -> None:
    """Keep Python from flushing a closed pipe once more, with a traceback, when it ends."""
    with suppress(io.UnsupportedOperation, OSError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)
