"""Workarounds for soundfile: file names that are not valid text, and errors without a message."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def sound_file(path: Path, *arguments: Any, **options: Any) -> Any:
    """`soundfile.SoundFile` for any file name."""
    import soundfile

    # as bytes, because names need not be valid UTF-8; but on Windows names are wide characters
    return soundfile.SoundFile(str(path) if os.name == "nt" else os.fsencode(path), *arguments, **options)


_one_at_a_time = threading.Lock()


@contextlib.contextmanager
def without_notes() -> Iterator[None]:
    """Within it, what C libraries print on stderr goes nowhere: the decoder of MP3 has notes that nobody can act on."""
    with _one_at_a_time, contextlib.ExitStack() as stack:
        try:
            kept = os.dup(2)
        except OSError:  # there is no stderr
            yield
            return
        stack.callback(os.close, kept)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        stack.callback(os.close, nowhere)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)


def error_text(error: Any) -> str:
    """The message of libsndfile."""
    text = str(getattr(error, "error_string", "")).strip().removeprefix("Error : ").rstrip(".")
    return f"libsndfile says: {text or 'the file is malformed'}"
