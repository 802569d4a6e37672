"""The listening report: one page, in one file, that needs no network."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bss.errors import InputError, UsageError
from bss.pipeline.record import RunRecord
from bss.report import compare, results, scenes, sound
from bss.report.graphics.measure import measure
from bss.report.material import Material, Track, blocks_of
from bss.report.rendering import render
from bss.scenes import manifest
from bss.signals.files.blocks import Files
from bss.signals.files.writing import OutputFolder, output_folder

NAME = "report.html"


@dataclass(frozen=True)
class Report:
    """A page that was written.

    Attributes
    ----------
    path : Path
        The page.
    files : tuple[str, ...]
        What is beside it and belongs to it, as seen from the page.
    tracks : tuple[str, ...]
        The tracks in it.
    notes : tuple[str, ...]
        What the reader has to know.
    """

    path: Path
    files: tuple[str, ...]
    tracks: tuple[str, ...]
    notes: tuple[str, ...]


def report(
    folder: str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    *,
    other: str | os.PathLike[str] | None = None,
    mixture: Files | None = None,
    truth: str | os.PathLike[str] | None = None,
    scores: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> Report:
    """Write the listening report of a result of `bss unmix`, or of a scene of `bss mix`.

    Parameters
    ----------
    folder : path
        With result.json or scene.json.
    path : path, optional
        The page; by default report.html in the folder.
    other : path, optional
        Another result of the same recording, to be set beside the first.
    mixture : path or sequence of paths, optional
        The recording, if it is not where result.json says; one microphone of M, (n,) samples of it, is heard in the report.
    truth : path, optional
        A scene, or a folder with the true sources, to score the tracks by.
    scores : path, optional
        The document of `bss score --json`.
    overwrite : bool
        Replace an existing page.

    Returns
    -------
    Report
        The page, and what to know about it.

    Raises
    ------
    InputError
        There is no result, a track is missing, the page exists, or jinja2 or matplotlib is not installed.

    Examples
    --------
    >>> import bss, tempfile
    >>> s = np.random.default_rng(0).laplace(0, 0.05, size=(2, 16_000)).astype(np.float32)
    >>> with tempfile.TemporaryDirectory() as place:
    ...     bss.write(place + "/x.wav", np.array([[1.0, 0.6], [0.5, 1.0]], np.float32) @ s, 16_000)
    ...     done = bss.unmix_file(place + "/x.wav", place + "/sources")
    ...     report(place + "/sources").path.name
    'report.html'
    """
    place = Path(path) if path is not None else Path(folder) / NAME
    if truth is not None and scores is not None:
        raise UsageError("truth and scores are both given", "both say how good the tracks are", "one of the two")
    if other is not None and scores is not None:
        raise UsageError("scores are of one result", "two are compared", "the truth, by which both are scored")
    with contextlib.ExitStack() as stack:
        material = _material(Path(folder), stack, mixture)
        if other is not None:
            material = compare.together(material, _material(Path(other), stack, mixture))
        if truth is not None:
            material = compare.scored(material, lambda one: scenes.score(one, Path(truth)))
        if scores is not None:
            material = replace(material, scores=results.read_scores(scores))
        return write(material, place, overwrite=overwrite)


def report_arrays(
    tracks: Mapping[str, np.ndarray],
    rate: int,
    record: RunRecord,
    path: str | os.PathLike[str],
    *,
    mixture: np.ndarray | None = None,
    overwrite: bool = False,
) -> Report:
    """The same for a separation in memory: name to signal (n,), its record, and the recording (M, n) if it is at hand."""
    place = Path(path)
    return write(results.of_arrays(tracks, rate, record, place.stem, mixture), place, overwrite=overwrite)


def check_installed() -> None:
    """InputError where jinja2 or matplotlib, which draw the page, are not installed."""
    for package in ("jinja2", "matplotlib"):
        try:
            __import__(package)
        except ImportError:
            why = "the report is drawn with it, and it comes with an extra"
            raise InputError(f"{package} is not installed", why, "pip install 'bss-toolkit[report]'") from None


def write(material: Material, path: Path, *, overwrite: bool = False) -> Report:
    """Write the page of this material, and files beside it if the sound is too long to be inside: all or nothing."""
    check_installed()
    heard = sound.choose(material)
    names = [path.name, *([] if heard.inside else sound.file_names(path, material))]
    inputs = [track.file for track in material.tracks if track.file is not None]
    with output_folder(path.parent, names, overwrite=overwrite, inputs=inputs) as out:
        blocks = blocks_of(material.tracks, material.n)
        measured = measure(blocks, len(material.tracks), material.n, material.rate, material.talkers())
        heard = sound.choose(material, measured.peak)
        addresses = [_sound(path, heard, k, track, material, out) for k, track in enumerate(material.tracks)]
        out.text(path.name, render(material, measured, heard, addresses))
    beside = () if heard.inside else tuple(addresses)
    return Report(path, beside, tuple(track.name for track in material.tracks), material.notes)


def _sound(page: Path, heard: sound.Sound, k: int, track: Track, material: Material, out: OutputFolder) -> str:
    if heard.inside:
        return sound.inlined(heard, track, material)
    return sound.beside(page, heard, k, track, material, out)


def _material(folder: Path, stack: contextlib.ExitStack, mixture: Files | None) -> Material:
    if (folder / results.RESULT).is_file():
        return results.of_folder(folder, stack, mixture)
    if (folder / manifest.NAME).is_file():
        return scenes.of_folder(folder, stack)
    what = f"there is neither {results.RESULT} nor {manifest.NAME} in {folder}"
    if not folder.is_dir():
        what = f"there is no folder {folder}"
    raise InputError(what, "a report is of what bss unmix or bss mix wrote", "the folder given to bss unmix -o, or to bss mix -o")
