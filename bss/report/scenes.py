"""The material of a report from a scene of `bss mix`, and scores by the truth of a scene."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bss.errors import InputError
from bss.report.material import MICROPHONE, TALKER, TRUTH, FileSignal, Material, Track, blocks_of
from bss.scenes import manifest
from bss.signals.files.blocks import FileBlocks, open_blocks
from bss.signals.files.paths import natural_key

if TYPE_CHECKING:
    from bss.metrics.scores import Scores


def of_folder(folder: Path, stack: contextlib.ExitStack) -> Material:
    """A scene: its microphones, and the image of every talker at the first of them; `stack` closes the files.

    Raises
    ------
    InputError
        There is no scene in the folder, or a file of it is missing or has another length.
    """
    document = manifest.read(folder / manifest.NAME)
    files = document["files"]
    tracks: list[Track] = []
    lengths: dict[Path, tuple[int, int]] = {}
    for role, names in ((MICROPHONE, files.get("mics", ())), (TRUTH, files.get("truth", ()))):
        for number, name in enumerate(names):
            path = folder / str(name)
            blocks = stack.enter_context(open_blocks([path]))
            lengths[path] = (blocks.n, blocks.rate)
            tracks.append(Track(path.stem, role, FileSignal(blocks, 0), path if blocks.n_mics == 1 else None, number))
    if not tracks:
        raise InputError(f"{folder / manifest.NAME} names no files", hint="the scene.json as bss mix wrote it")
    if len(set(lengths.values())) > 1:
        raise InputError(f"the files of {folder} have different lengths or rates", hint="the files as bss mix wrote them")
    n, rate = next(iter(lengths.values()))
    return Material(folder.resolve().name, rate, n, tuple(tracks), scene=document)


def score(material: Material, truth: Path) -> dict[str, Any]:
    """The talkers' tracks against the files of `truth`, as `bss score` does: the whole length in memory.

    Raises
    ------
    InputError
        The truth cannot be read, or is of another length or rate.
    """
    from bss.metrics.score import score as score_tracks

    place = truth / "truth" if (truth / manifest.NAME).is_file() else truth
    with open_blocks([place]) as blocks:
        if (blocks.n, blocks.rate) != (material.n, material.rate):
            why = f"{blocks.n} samples at {blocks.rate} Hz, the tracks {material.n} at {material.rate} Hz"
            raise InputError(
                f"{place} is not the truth of these tracks", why, "the truth/ folder of the scene that was separated"
            )
        record = material.record
        mic = record.channels.index(record.reference) if record is not None and record.reference in record.channels else 0
        names, references = _references(blocks, mic)
    talkers = [track for track in material.tracks if track.role == TALKER]
    tracks = np.concatenate(list(blocks_of([material.tracks[0], *talkers], material.n)), axis=1)
    scores = score_tracks(references, tracks[1:], tracks[:1])
    return _document(scores, names, [track.name for track in talkers])


def _references(blocks: FileBlocks, mic: int) -> tuple[list[str], np.ndarray]:
    """Names and signals (N, n) of the talkers at a microphone, from 0; a file of one channel is taken for it."""
    firsts = [k for k, channel in enumerate(blocks.channels) if channel.index == 0]
    firsts.sort(key=lambda k: natural_key(Path(blocks.channels[k].file)))
    short = [blocks.channels[k].file for k in firsts if 1 < blocks.channels[k].of <= mic]
    if short:
        raise InputError(f"{short[0]} does not hold the truth at microphone {mic + 1}, which the tracks are of")
    names = [Path(blocks.channels[k].file).name for k in firsts]
    return names, np.stack([blocks.read_one(k + (mic if blocks.channels[k].of > 1 else 0), 0, blocks.n) for k in firsts])


def _document(scores: Scores, references: list[str], estimates: list[str]) -> dict[str, Any]:
    """As `bss score --json` has it."""
    document = scores.to_dict()
    rows = []
    for j, name in enumerate(references):
        matched = document["permutation"][j]
        values = {measure: document[measure][j] for measure in scores.columns}
        estimate = None if matched is None else estimates[matched]
        rows.append({"reference": name, "estimate": estimate, **values, "reason": document["reasons"][j]})
    return {"scores": rows, "mean": document["mean"]}
