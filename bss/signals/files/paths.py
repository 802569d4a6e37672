"""File arguments: folders and globs expanded in natural order, without duplicates."""

from __future__ import annotations

import difflib
import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path

from bss.errors import InputError

STDIN = Path("-")

# suffixes of the files taken from a folder; a file named explicitly may have any suffix
AUDIO_SUFFIXES = frozenset(
    {".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2", ".aif", ".aiff"}
    | {".aifc", ".au", ".snd", ".caf", ".m4a", ".m4b", ".aac", ".wma", ".wv", ".ape", ".tta", ".amr", ".ac3", ".mka", ".weba"}
)


def expand(patterns: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The files that `patterns` name, in the order of the patterns.

    A folder stands for the audio files directly in it, a glob for the files it matches, both in natural order (mic2 before
    mic10) and without hidden files. ``"-"`` stands for stdin and is passed through.

    Parameters
    ----------
    patterns : str, path or sequence of them
        Files, folders and globs (``*``, ``?``, ``[...]``, ``**``).

    Returns
    -------
    list of Path

    Raises
    ------
    InputError
        A file does not exist, a glob matches nothing, a folder contains no audio, a file is named twice, or there is no name.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("mic10.wav", "mic2.wav", "notes.txt"):
    ...         Path(folder, name).touch()
    ...     [path.name for path in expand([folder])]
    ['mic2.wav', 'mic10.wav']
    """
    if isinstance(patterns, str | os.PathLike):
        patterns = [patterns]
    files = [file for pattern in patterns for file in _expand_one(os.fspath(pattern))]
    if not files:
        raise InputError("there are no audio files", hint="name files or a folder of them")
    _refuse_twice(files)
    return files


def natural_key(path: str | os.PathLike[str]) -> tuple[tuple[tuple[int, int | str], ...], str]:
    """Sorting key under which mic2 comes before mic10."""
    # the leading 0 or 1 keeps numbers from being compared with words
    words = re.split(r"(\d+)", os.fspath(path))
    key = tuple((0, int(w)) if w.isdecimal() else (1, w.casefold()) for w in words if w)
    return key, os.fspath(path)


def label(path: Path) -> str:
    """The name of a file in messages."""
    return "stdin" if path == STDIN else str(path)


def is_audio_name(path: Path) -> bool:
    """Whether this is the name of an audio file that is not hidden."""
    return path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".")


def _expand_one(pattern: str) -> list[Path]:
    if pattern == "-":
        return [STDIN]
    path = Path(pattern)
    if path == STDIN:  # "./-" is a file of that name, not stdin
        path = Path.cwd() / path
    if os.path.isdir(path) and pattern:
        return _in_folder(path)
    if os.path.lexists(path) and pattern:  # before globbing: names may contain brackets
        return [_regular(path)]
    if glob.has_magic(pattern):
        return _matching(pattern)
    raise _missing(pattern)


def _regular(path: Path) -> Path:
    if os.path.isfile(path):
        return path
    if not os.path.exists(path):
        raise InputError(f"{path} links to a file that does not exist: {os.path.realpath(path)}")
    raise InputError(f"{path} is not a regular file", "bss needs to read it more than once", f"stdin instead: bss ... - < {path}")


def _in_folder(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir(), key=natural_key)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be read", str(error)) from error
    files = [entry for entry in entries if is_audio_name(entry) and os.path.isfile(entry)]
    if files:
        return files
    inside = [entry for entry in entries if os.path.isdir(entry) and _contains_audio(entry)]
    hint = "one of its subfolders: " + ", ".join(map(str, inside[:5])) if inside else "other files, or another folder"
    raise InputError(f"the folder {folder} contains no audio files", "subfolders are not searched" if inside else "", hint)


def _contains_audio(folder: Path) -> bool:
    try:
        return not folder.name.startswith(".") and any(is_audio_name(entry) for entry in folder.iterdir())
    except OSError:  # this affects a hint only
        return False


def _matching(pattern: str) -> list[Path]:
    matches = sorted((Path(match) for match in glob.glob(pattern, recursive=True)), key=natural_key)
    files = [path for path in matches if os.path.isfile(path)]
    # "mics/*" means the audio files in that folder; "*.dat" is taken literally
    audio = [path for path in files if is_audio_name(path)] or files
    for folder in matches if not files else ():
        if os.path.isdir(folder):
            audio += _in_folder(folder)
    if not audio:
        raise InputError(f"no file matches {pattern}", hint=f"check the pattern against the contents of {Path(pattern).parent}")
    return audio


def _missing(pattern: str) -> InputError:
    path = Path(pattern)
    if not pattern:
        return InputError("a file name is empty", hint="check the shell variable or quotes it comes from")
    parent = path.parent
    if not os.path.isdir(parent):
        return InputError(f"{path} does not exist", f"there is no folder {parent}", "check the spelling of the folder")
    try:
        siblings = {entry.name.casefold(): entry.name for entry in sorted(parent.iterdir()) if entry.name[0] != "."}
    except OSError as error:
        return InputError(f"{path} cannot be reached", str(error))
    close = [siblings[name] for name in difflib.get_close_matches(path.name.casefold(), siblings, n=3, cutoff=0.6)]
    hint = f"did you mean {' or '.join(str(parent / name) for name in close)}?" if close else "check its name and folder"
    return InputError(f"{path} does not exist", hint=hint)


def _refuse_twice(files: list[Path]) -> None:
    seen: dict[str, Path] = {}
    for file in files:
        key = "-" if file == STDIN else os.path.realpath(file)
        if key in seen:
            also = "" if str(seen[key]) == str(file) else f" (also as {seen[key]})"
            why = "stdin can be read only once" if file == STDIN else "a second copy of a microphone adds nothing to separate by"
            raise InputError(f"{label(file)} is named twice{also}", why, "name it once")
        seen[key] = file
