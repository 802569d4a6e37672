"""Writing results to a folder, all of them or none: checked first, written under temporary names, renamed at the end."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

import numpy as np

from bss.errors import InputError, SolverError
from bss.signals import file_names
from bss.signals.files import encode, leftovers
from bss.signals.files.track_store import refuse_full

# subtypes of inputs -> subtypes of the outputs, where they differ
SAME_OR_BETTER = {
    "PCM_S8": "PCM_16",  # a source is quieter than the mixture, and would be lost in the noise of 8 bits
    "PCM_U8": "PCM_16",
    "ALAC_20": "PCM_24",
    "ALAC_24": "PCM_24",
    "ALAC_32": "PCM_32",
    "DWVW_24": "PCM_24",
}
KEPT = ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")


def writable_subtype(format: str, subtype: str, *, container: str = "WAV") -> tuple[str, str]:  # noqa: A002
    """Format and subtype of outputs in `container` for an input of this format and subtype.

    PCM of 16, 24 and 32 bits and floats are kept. 8 bits, lossy codecs (MP3, Vorbis, Opus, ADPCM, mu-law, AAC) and unknown
    ones become PCM_16. What `container` does not support becomes its widest PCM.

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
    """The common gain that keeps all tracks within full scale: 1 if they already are, or if the subtype is floating point.

    Parameters
    ----------
    tracks : iterable of (n,) or (M, n) arrays
    subtype : str
        Sample format of the output, such as ``"PCM_16"``.

    Returns
    -------
    float
        The gain that brings the highest peak of all tracks just below full scale.

    Raises
    ------
    SolverError
        A track contains NaN or infinite samples; nothing is written.

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
            why = "no files were written"
            raise SolverError(f"track {number} of the result contains NaN or infinite samples", why, "another --method")
        loudest = max(loudest, level)
    return gain_for(loudest, subtype)


def gain_for(loudest: float, subtype: str) -> float:
    """The gain that brings samples of this peak within full scale."""
    if subtype in encode.FLOATS or loudest <= 1:
        return 1.0
    # float32 samples have 24 bits; one step of 23 bits below full scale survives the rounding of the product
    step = 2.0 ** (1 - min(encode.BITS.get(subtype, 16), 23))
    return (1 - step) / loudest


class OutputFolder:
    """Collects the files announced to `output_folder`; they appear in the folder together, when the context ends."""

    def __init__(self, directory: Path, names: Sequence[str]) -> None:
        self.directory = directory
        self.scratch: Path | None = None  # where files are until they are whole, on the same disk; beside their places if None
        self._places = {name: directory.joinpath(*PurePosixPath(name).parts) for name in names}
        self._written: dict[str, Path] = {}

    def audio(
        self,
        name: str,
        x: np.ndarray,
        rate: int,
        *,
        format: str | None = None,  # noqa: A002 - the usual name
        subtype: str | None = None,
    ) -> None:
        """Write `x` (M, n) or (n,) as `name`; what is None follows from the suffix, as in `bss.write`."""
        kind, subtype = encode.format_of(name, format, subtype)
        with self.file(name) as temporary:
            encode.encode(temporary, x, rate, kind=kind, subtype=subtype, name=str(self._places[name]))

    def blocks(self, name: str, blocks: Iterable[np.ndarray], rate: int, frames: int, *, subtype: str) -> float:
        """Write one channel, `frames` samples in blocks (1, k), as a WAV `name`: the bytes of `audio`. Returns the peak."""
        with self.file(name) as temporary:
            place = str(self._places[name])
            return encode.encode_blocks(
                temporary, blocks, rate, channels=1, frames=frames, kind="WAV", subtype=subtype, name=place
            )

    def text(self, name: str, text: str) -> None:
        """Write `text` as `name`, in UTF-8."""
        self.data(name, text.encode("utf-8"))

    def data(self, name: str, data: bytes) -> None:
        """Write bytes as `name`."""
        with self.file(name) as temporary, temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def file(self, name: str) -> Iterator[Path]:
        """An empty file next to the final path of `name`, to be written; KeyError for a name that was not announced."""
        place = self._places[name]
        temporary = (self.scratch or place.parent) / leftovers.temporary_name()
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
        """Rename all files to their final names; if that fails half way, undo what can be undone."""
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
    """A folder for results, to be entered before computing them, so that writing fails early if it must fail.

    The files get their final names when the context ends; an exception or Ctrl-C inside it leaves nothing behind, neither
    files nor folders. Files to be overwritten stay intact until then: at any time each is entirely old or entirely new.

    Parameters
    ----------
    directory : path
        Created if needed, with its parents.
    names : sequence of str
        Names of the files, with ``/`` for subfolders. Not all of them need to be written.
    overwrite : bool
        Whether existing files of these names may be replaced.
    needed_bytes : int
        Approximate size of the files on disk.
    inputs : sequence of paths
        Files that must not be replaced.

    Yields
    ------
    OutputFolder
        Its methods `audio`, `blocks`, `text` and `data` take the files.

    Raises
    ------
    InputError
        A file exists and `overwrite` is false, or is one of `inputs`; the folder cannot be created or written to; the
        disk does not have enough space.

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
        raise ValueError(f"names must be different, and inside the folder: {names}")
    # "new/../out" must not make "new"
    folder = OutputFolder(Path(os.path.realpath(directory) if ".." in Path(directory).parts else directory), names)
    _refuse_existing(list(folder._places.values()), overwrite)
    file_names.refuse_impossible(folder._places.values())  # and once more where the folder is: only then names can be too long
    file_names.refuse_inputs(folder._places.values(), inputs)
    made: list[Path] = []
    try:
        for place in (folder.directory, *sorted({p.parent for p in folder._places.values()})):
            _make_folder(place, made)
        file_names.refuse_impossible(folder._places.values())
        file_names.refuse_clashes(folder._places.values())
        leftovers.remove({place.parent for place in folder._places.values()})
        refuse_full(folder.directory, needed_bytes)
        yield folder
        folder._commit(overwrite)
    finally:
        folder._discard()
        for place in reversed(made):
            with suppress(OSError):  # not empty: it contains the results
                place.rmdir()


def _refuse_existing(places: Sequence[Path], overwrite: bool) -> None:
    existing = [place for place in places if os.path.lexists(place)]
    blocked = [place for place in existing if os.path.isdir(place)] if overwrite else existing
    if blocked:
        more = f" (and {len(blocked) - 1} more)" if len(blocked) > 1 else ""
        if overwrite:
            raise InputError(f"{blocked[0]} is a folder", "a file of that name is to be written", "another -o DIR")
        raise InputError(
            f"{blocked[0]} already exists{more}",
            "bss replaces files only on request",
            "--overwrite (in Python overwrite=True), or another -o DIR",
        )


def _make_folder(place: Path, made: list[Path]) -> None:
    """Create `place` and its parents, record which are new, and check that files can be created in it."""
    for folder in (*reversed(place.parents), place):
        try:
            folder.mkdir()
            made.append(folder)
        except FileExistsError:
            if not os.path.isdir(folder):
                raise InputError(f"{folder} is not a folder", "the results would be written into it", "another -o DIR") from None
        except OSError as error:
            if not os.path.isdir(folder):
                raise InputError(f"the folder {folder} cannot be created", error.strerror or "", "another -o DIR") from error
    probe = place / leftovers.temporary_name()
    try:
        probe.touch(exist_ok=False)
    except OSError as error:
        raise InputError(f"the folder {place} is not writable", error.strerror or "", "another -o DIR") from error
    finally:
        _remove(probe)


@contextmanager
def _naming(place: Path) -> Iterator[None]:
    """Make errors name the final file, not the temporary one."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{place} cannot be written", error.strerror or str(error), "free some space, or use another -o DIR"
        ) from error


def _remove(path: Path | None) -> None:
    if path is not None:
        with suppress(OSError):
            path.unlink()
