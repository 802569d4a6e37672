"""The recordings of a batch: which files each has, and what they are called."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from bss.errors import InputError, UsageError
from bss.signals.files.paths import AUDIO_SUFFIXES, is_audio_name, natural_key

MANIFESTS = (".csv", ".tsv", ".json")
MICS = "mics"  # the subfolder that `bss mix` writes the microphones to
RESERVED = ("summary.csv", "summary.html")


@dataclass(frozen=True)
class Input:
    """A file of a recording.

    Attributes
    ----------
    file : str
        A file, or a folder or glob of files.
    channels : tuple of int or None
        Its channels that are used, from 0; None for all.
    gain_db : float
        By how much it is amplified when it is read.
    """

    file: str
    channels: tuple[int, ...] | None = None
    gain_db: float = 0.0


@dataclass(frozen=True)
class Recording:
    """One recording of a batch.

    Attributes
    ----------
    name : str
        Names it in messages, and its folder; with slashes, folders in folders.
    inputs : tuple of Input
        Its microphones.
    options : mapping
        Its own keywords of `bss.unmix_file`, which go before those of the batch.
    origin : str
        Where it is listed, for messages: "meetings.csv, row 3".

    Raises
    ------
    UsageError
        The name cannot be that of a folder, or there are no files.

    Examples
    --------
    >>> Recording.of("monday", ["a.wav", "b.wav"], n_sources=2).name
    'monday'
    """

    name: str
    inputs: tuple[Input, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""

    def __post_init__(self) -> None:
        _check_name(self.name)
        if not self.inputs:
            raise UsageError(f"the recording {self.name} has no files", hint="its microphones")
        object.__setattr__(self, "options", MappingProxyType(dict(self.options)))

    def __reduce__(self) -> Any:  # a proxy cannot be pickled
        return type(self), (self.name, self.inputs, dict(self.options), self.origin)

    @classmethod
    def of(cls, name: str, files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], **options: Any) -> Recording:
        """A recording of files, folders or globs; `options` are keywords of `bss.unmix_file`."""
        several = [files] if isinstance(files, str | os.PathLike) else files
        return cls(name, tuple(Input(os.path.abspath(file)) for file in several), options)


def _check_name(name: str) -> None:
    parts = PurePosixPath(name).parts
    wrong = not parts or name.startswith("/") or ".." in parts or "\\" in name or any(ord(c) < 32 for c in name)
    if wrong or any(part.startswith(".") or part != part.strip() for part in name.split("/")) or "" in name.split("/"):
        raise UsageError(
            f"{name!r} cannot name a recording", "its tracks are written to a folder of that name inside the output",
            "letters, digits, - and _; slashes for folders in folders",
        )  # fmt: skip
    if name.lower() in RESERVED:
        raise UsageError(f"a recording cannot be called {name}", "the batch writes a file of that name", "another name")


def found_in(places: Sequence[str | os.PathLike[str]]) -> list[Recording]:
    """The recordings in folders and files: a folder with audio is one; so is every audio file by itself.

    A folder without audio stands for the folders in it; a folder with a subfolder mics/, as `bss mix` writes it, is the recording
    in there.

    Raises
    ------
    InputError
        A place does not exist or holds no audio; two recordings would get the same name.
    """
    found: list[Path] = []
    for place in places:
        for path in _expanded(os.fspath(place)):
            found += _recordings_at(path)
    return [Recording.of(name, _microphones(path)) for name, path in zip(_names(found), found, strict=True)]


def _expanded(place: str) -> list[Path]:
    path = Path(place)
    if place and os.path.lexists(path):
        return [path]
    matches = sorted((Path(match) for match in glob.glob(place)), key=natural_key) if glob.has_magic(place) else []
    if not matches:
        why = f"there is no folder {path.parent}" if not path.parent.is_dir() else ""
        raise InputError(f"{place or 'an empty name'} does not exist", why, "folders of recordings, or a manifest (.csv, .json)")
    return matches


def _recordings_at(path: Path) -> list[Path]:
    if path.is_file():
        if path.suffix.lower() not in AUDIO_SUFFIXES:
            hint = "a manifest by itself" if path.suffix.lower() in MANIFESTS else "folders, audio files, or one manifest"
            raise InputError(f"{path} is no recording", "", hint)
        return [path]
    if _is_recording(path):
        return [path]
    inside = [entry for entry in sorted(path.iterdir(), key=natural_key) if entry.is_dir() and _is_recording(entry)]
    if not inside:
        raise InputError(f"{path} contains no recordings", "neither audio files nor folders of them", "another folder")
    return inside


def _is_recording(folder: Path) -> bool:
    return not folder.name.startswith(".") and (_has_audio(folder) or _has_audio(folder / MICS))


def _has_audio(folder: Path) -> bool:
    return folder.is_dir() and any(is_audio_name(entry) and entry.is_file() for entry in folder.iterdir())


def _microphones(path: Path) -> Path:
    return path / MICS if path.is_dir() and not _has_audio(path) else path


def _names(paths: Sequence[Path]) -> list[str]:
    """Names of folders and files; with the folders above them where these alone are not different."""
    whole = [path.resolve() for path in paths]
    short = [path.name if path.is_dir() else path.stem for path in whole]
    if len({name.lower() for name in short}) == len(short):
        return short
    above = Path(os.path.commonpath([path.parent for path in whole]))
    return [(p if p.is_dir() else p.with_suffix("")).relative_to(above).as_posix() for p in whole]


def refuse_same_names(recordings: Sequence[Recording]) -> None:
    """InputError where two recordings would be written to the same folder, or one into another's."""
    names = Counter(recording.name.lower() for recording in recordings)
    for recording in recordings:
        same = names[recording.name.lower()] > 1
        inside = any(str(above).lower() in names for above in list(PurePosixPath(recording.name).parents)[:-1])
        if same or inside:
            why = "the tracks of one would be taken for the other's"
            what = (
                f"two recordings are called {recording.name}"
                if same
                else f"{recording.name} is inside another recording's folder"
            )
            raise InputError(what + (f" ({recording.origin})" if recording.origin else ""), why, "another name for one of them")
