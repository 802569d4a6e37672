"""Results to a folder, all of them or none: checked before the work, written beside their places, renamed at the end."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

import numpy as np

from bss.errors import InputError, SolverError
from bss.signals import encode

# subtypes of inputs -> what holds their samples in the outputs, where it is not the same
SAME_OR_BETTER = {
    "PCM_S8": "PCM_16",  # a source is quieter than the mixture, and would drown in the noise of 8 bits
    "PCM_U8": "PCM_16",
    "ALAC_20": "PCM_24",
    "ALAC_24": "PCM_24",
    "ALAC_32": "PCM_32",
    "DWVW_24": "PCM_24",
}
KEPT = ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")


def writable_subtype(format: str, subtype: str, *, container: str = "WAV") -> tuple[str, str]:  # noqa: A002
    """Format and subtype for outputs, in `container`, that follow an input of this format and subtype.

    PCM of 16, 24 and 32 bits and floats stay what they are. 8 bits, lossy codecs (MP3, Vorbis, Opus, ADPCM, mu-law, AAC)
    and unknown ones become PCM_16. What `container` lacks becomes the widest PCM that it has.

    Examples
    --------
    >>> writable_subtype("FLAC", "PCM_24")
    ('WAV', 'PCM_24')
    >>> writable_subtype("MP3", "MPEG_LAYER_III")
    ('WAV', 'PCM_16')
    >>> writable_subtype("WAV", "FLOAT", container="FLAC")
    ('FLAC', 'PCM_24')
    """
    import soundfile

    container = container.upper()
    wanted = subtype if subtype in KEPT else SAME_OR_BETTER.get(subtype, "PCM_16")
    for candidate in (wanted, "PCM_24", "PCM_16"):
        if soundfile.check_format(container, candidate):
            return container, candidate
    return container, soundfile.default_subtype(container)


def common_gain(tracks: Iterable[np.ndarray], subtype: str) -> float:
    """The one gain that keeps all tracks within full scale: 1 if they are, or if the subtype is floating point.

    Parameters
    ----------
    tracks : iterable of (n,) or (M, n) arrays
    subtype : str
        What will be written, such as ``"PCM_16"``.

    Returns
    -------
    float
        Otherwise the gain that brings the loudest peak of all just below full scale.

    Raises
    ------
    SolverError
        A track with NaN or infinite samples: nothing of it is written.

    Examples
    --------
    >>> common_gain([np.array([0.5, -2.0]), np.array([0.1, 0.2])], "FLOAT")
    1.0
    >>> 0.49 < common_gain([np.array([0.5, -2.0]), np.array([0.1, 0.2])], "PCM_16") < 0.5
    True
    """
    loudest = 0.0
    for number, track in enumerate(tracks, 1):
        level = encode.peak(track)
        if not np.isfinite(level):
            why = "no file was written from it"
            raise SolverError(f"track {number} of the result holds NaN or infinite samples", why, "another --method")
        loudest = max(loudest, level)
    if subtype in encode.FLOATS or loudest <= 1:
        return 1.0
    # float32 samples have 24 bits; one step of 23 bits below full scale survives the rounding of the product
    step = 2.0 ** (1 - min(encode.BITS.get(subtype, 16), 23))
    return (1 - step) / loudest


class OutputFolder:
    """Takes the files announced to `output_folder`; they appear in the folder together, when it is left."""

    def __init__(self, directory: Path, names: Sequence[str]) -> None:
        self.directory = directory
        self._places = {name: directory.joinpath(*PurePosixPath(name).parts) for name in names}
        self._written: dict[str, Path] = {}

    def audio(
        self,
        name: str,
        x: np.ndarray,
        rate: int,
        *,
        format: str | None = None,  # noqa: A002 - the word that users know
        subtype: str | None = None,
    ) -> None:
        """Write `x` (M, n) or (n,) as `name`; what is None follows from the suffix, as `bss.write` says."""
        kind, subtype = encode.format_of(name, format, subtype)
        with self._new(name) as temporary:
            encode.encode(temporary, x, rate, kind=kind, subtype=subtype, name=str(self._places[name]))

    def text(self, name: str, text: str) -> None:
        """Write `text` as `name`, in UTF-8."""
        with self._new(name) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def _new(self, name: str) -> Iterator[Path]:
        """A new file beside the place of `name`. KeyError for a name that was not announced: a fault of the caller."""
        place = self._places[name]
        temporary = place.with_name(f".bss-{secrets.token_hex(8)}.part")
        try:
            with _naming(place):
                temporary.touch(exist_ok=False)
                yield temporary
        except BaseException:
            _remove(temporary)
            raise
        _remove(self._written.get(name))
        self._written[name] = temporary

    def _commit(self, overwrite: bool) -> None:
        """Rename all into place; undo what can be undone if that stops half way."""
        new = {name: place for name, place in self._places.items() if not os.path.lexists(place)}
        _refuse_existing([self._places[name] for name in self._written if name not in new], overwrite)
        placed: list[str] = []
        try:
            for name, temporary in list(self._written.items()):
                with _naming(self._places[name]):
                    os.replace(temporary, self._places[name])
                placed.append(name)
        except BaseException:
            for name in placed:
                _remove(new.get(name))
            raise

    def _discard(self) -> None:
        for temporary in self._written.values():
            _remove(temporary)


@contextmanager
def output_folder(
    directory: str | os.PathLike[str],
    names: Sequence[str],
    *,
    overwrite: bool = False,
    needed_bytes: int = 0,
    inputs: Sequence[str | os.PathLike[str]] = (),
) -> Iterator[OutputFolder]:
    """A place for results, to be entered before the computing: what would fail at the end fails at the start.

    The files get their names when the context is left; an exception or Ctrl-C inside it leaves nothing behind, neither
    files nor folders. Files to be overwritten stay as they are until then; each is at all times wholly old or wholly new.

    Parameters
    ----------
    directory : path
        Made if needed, with its parents.
    names : sequence of str
        What will be written, with ``/`` before names in subfolders. Not all of them must be.
    overwrite : bool
        Whether files of these names may be replaced.
    needed_bytes : int
        What the files will take on the disk, about.
    inputs : sequence of paths
        Files that are never replaced.

    Yields
    ------
    OutputFolder
        Its methods `audio` and `text` take the files.

    Raises
    ------
    InputError
        A file exists and `overwrite` is false, or it is one of `inputs`; the folder cannot be made or written to; the
        disk has too little room.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     with output_folder(place + "/new", ["a.wav", "log/a.txt"]) as out:
    ...         out.audio("a.wav", np.zeros(16000, np.float32), 16000, subtype="PCM_16")
    ...         out.text("log/a.txt", "silence")
    ...     sorted(path.name for path in Path(place).rglob("a.*"))
    ['a.txt', 'a.wav']
    """
    if len(set(names)) < len(names) or any(PurePosixPath(n).is_absolute() or ".." in n.split("/") for n in names):
        raise ValueError(f"names must differ and lie below the folder: {names}")
    folder = OutputFolder(Path(directory), names)
    _refuse_existing(list(folder._places.values()), overwrite)
    _refuse_inputs(folder._places.values(), inputs)
    made: list[Path] = []
    try:
        for place in (folder.directory, *sorted({p.parent for p in folder._places.values()})):
            _make_folder(place, made)
        _refuse_full(folder.directory, needed_bytes)
        yield folder
        folder._commit(overwrite)
    finally:
        folder._discard()
        for place in reversed(made):
            with suppress(OSError):  # not empty: it holds the results
                place.rmdir()


def _refuse_existing(places: Sequence[Path], overwrite: bool) -> None:
    there = [place for place in places if os.path.lexists(place)]
    blocked = [place for place in there if os.path.isdir(place)] if overwrite else there
    if blocked:
        more = f" and {len(blocked) - 1} more" if len(blocked) > 1 else ""
        if overwrite:
            raise InputError(f"{blocked[0]} is a folder", "a file of that name is to be written", "another -o DIR")
        raise InputError(
            f"{blocked[0]} exists{more}",
            "nothing is replaced unasked",
            "--overwrite (in Python overwrite=True), or another -o DIR",
        )


def _refuse_inputs(places: Iterable[Path], inputs: Sequence[str | os.PathLike[str]]) -> None:
    sources = {os.path.realpath(path) for path in inputs}
    for place in places:
        if os.path.realpath(place) in sources:
            raise InputError(f"{place} is one of the inputs", "inputs are never written to", "another -o DIR")


def _make_folder(place: Path, made: list[Path]) -> None:
    """Make `place` and its parents, note which were new, and see that files can be made in it."""
    for folder in (*reversed(place.parents), place):
        try:
            folder.mkdir()
            made.append(folder)
        except FileExistsError:
            if not os.path.isdir(folder):
                raise InputError(f"{folder} is not a folder", "results are to be written into it", "another -o DIR") from None
        except OSError as error:
            if not os.path.isdir(folder):
                raise InputError(f"the folder {folder} cannot be made", error.strerror or "", "another -o DIR") from error
    probe = place / f".bss-{secrets.token_hex(8)}.part"
    try:
        probe.touch(exist_ok=False)
    except OSError as error:
        raise InputError(f"nothing can be written into {place}", error.strerror or "", "another -o DIR") from error
    finally:
        _remove(probe)


def _refuse_full(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        why = f"about {needed / 1e6:.1f} MB are needed, {free / 1e6:.1f} MB are free"
        raise InputError(f"the disk of {folder} has too little room", why, "make room, or another -o DIR")


@contextmanager
def _naming(place: Path) -> Iterator[None]:
    """Errors name the file that was to be made, not the temporary one."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{place} cannot be written", error.strerror or str(error), "another -o DIR, or make room") from error


def _remove(path: Path | None) -> None:
    if path is not None:
        with suppress(OSError):
            path.unlink()
