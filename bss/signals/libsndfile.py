"""The small print of soundfile: names that are not text, errors without words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def sound_file(path: Path, *arguments: Any, **options: Any) -> Any:
    """`soundfile.SoundFile` for any file name."""
    import soundfile

    # as bytes, because names need not be valid UTF-8; but Windows has names of wide characters
    return soundfile.SoundFile(str(path) if os.name == "nt" else os.fsencode(path), *arguments, **options)


def complaint(error: Any) -> str:
    """What libsndfile says is wrong."""
    said = str(getattr(error, "error_string", "")).strip().removeprefix("Error : ").rstrip(".")
    return f"libsndfile says: {said or 'the file is malformed'}"
