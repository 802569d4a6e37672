"""Workarounds for soundfile: file names that are not valid text, and errors without a message."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def sound_file(path: Path, *arguments: Any, **options: Any) -> Any:
    """`soundfile.SoundFile` for any file name."""
    import soundfile

    # as bytes, because names need not be valid UTF-8; but on Windows names are wide characters
    return soundfile.SoundFile(str(path) if os.name == "nt" else os.fsencode(path), *arguments, **options)


def error_text(error: Any) -> str:
    """The message of libsndfile."""
    text = str(getattr(error, "error_string", "")).strip().removeprefix("Error : ").rstrip(".")
    return f"libsndfile says: {text or 'the file is malformed'}"
