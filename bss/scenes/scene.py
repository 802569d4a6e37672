"""A scene: a recording whose sources are known, and the folder it is saved to."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from bss.errors import InputError
from bss.scenes import manifest
from bss.signals.files import paths, writing

SUBTYPE = "PCM_24"
_WITH_FILES = ("voices", *manifest.FILES)
PACKAGES = ("bss-toolkit", "numpy", "scipy", "pyroomacoustics")


@dataclass(frozen=True, eq=False)
class Scene:
    """A simulated recording and its ground truth.

    Attributes
    ----------
    mixture : (M, n) float32
        What the recorders write: the sum of `images` over the talkers, plus noise, where no fault is asked for.
    images : (N, M, n) float32
        The image of each talker at each microphone, free of faults and in the time of microphone 1.
    sources : (N, n) float32
        The dry voices, each scaled to the RMS level of its image at microphone 1.
    rate : int
        Samples per second.
    info : dict
        How the scene was made, as JSON values: the `options` of `mix` (`snr_db` None: no noise); `voices`; for a room
        `rt60_measured` of each talker, `absorption` of the walls, positions of `mics` and `talkers` in metres, `delays_s`
        (N, M) of the direct sound; for a mixing desk its `matrix` (M, N) and `condition`; `gains` from voices to sources. Only in
        scenes that have them: `noises` and `responses` (files), `noise_places`, `ways` of talkers who walk ([seconds, x, y, z] by
        number from 1), `activity_s` (spans in which each talker speaks), `faults` with all that was drawn at random, and `clocks`
        (for each microphone: from `file_s` on, the file's time t is the moment time_s + (t - file_s) / (1 + ppm / 10⁶)).
    """

    mixture: np.ndarray
    images: np.ndarray
    sources: np.ndarray
    rate: int
    info: dict[str, Any]

    def save(self, folder: str | Path, *, overwrite: bool = False) -> list[Path]:
        """Write `mics/mic1.wav ...`, `truth/<voice>.wav ...` (its image at each microphone) and `scene.json`.

        Either all files are written or none. They are 24-bit PCM: finer than the noise of any microphone, readable by
        every program, and, unlike float WAV, without a time stamp that would change the bytes. Returns their paths.

        Raises
        ------
        InputError
            A file exists and `overwrite` is not set, or the folder cannot be written to.
        """
        names = [voice["name"] for voice in self.info["voices"]]
        inputs = [entry["file"] for key in _WITH_FILES for entry in self.info.get(key, ()) if "file" in entry]
        with scene_folder(Path(folder), names, len(self.mixture), inputs=inputs, overwrite=overwrite) as write:
            return write(self)


@contextmanager
def scene_folder(
    folder: Path, names: Sequence[str], n_mics: int, *, inputs: Sequence[str | Path] = (), overwrite: bool = False
) -> Iterator[Callable[[Scene], list[Path]]]:
    """A folder for a scene, checked before the scene is made. Yields the function that writes the scene into it.

    Raises
    ------
    InputError
        The folder contains other audio, or files that may not be overwritten.
    """
    mics = [f"mics/mic{m + 1}.wav" for m in range(n_mics)]
    unique: list[str] = []
    for name in names:
        unique.append(unique_name(name, unique))
    truth = [f"truth/{name}.wav" for name in unique]
    obsolete = _obsolete_files(folder, {*mics, *truth}, overwrite)
    with writing.output_folder(folder, [*mics, *truth, manifest.NAME], overwrite=overwrite, inputs=inputs) as out:

        def write(scene: Scene) -> list[Path]:
            for name, signal in zip(mics, scene.mixture, strict=True):
                out.audio(name, signal[None], scene.rate, subtype=SUBTYPE)
            for name, image in zip(truth, scene.images, strict=True):
                out.audio(name, image, scene.rate, subtype=SUBTYPE)
            out.text(manifest.NAME, json.dumps(_document(scene, folder, mics, truth), indent=1, ensure_ascii=False) + "\n")
            return [folder / name for name in (*mics, *truth, manifest.NAME)]

        yield write
    for file in obsolete:
        file.unlink()


def _document(scene: Scene, folder: Path, mics: list[str], truth: list[str]) -> dict[str, Any]:
    entries = {
        key: [{**e, "file": _relative(Path(e["file"]), folder)} if "file" in e else e for e in scene.info[key]]
        for key in _WITH_FILES
        if key in scene.info
    }
    return {
        "kind": manifest.KIND,
        "schema": manifest.SCHEMA,
        "versions": {"python": platform.python_version(), **dict(_installed())},
        "rate": scene.rate,
        **scene.info,
        **entries,
        "files": {"mics": mics, "truth": truth},
        "sha256": sample_digest(scene),
    }


def _installed() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        with suppress(PackageNotFoundError):  # rooms need pyroomacoustics, mixing desks do not
            yield name, version(name)


def _relative(file: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:  # another drive
        return file.absolute().as_posix()


def _obsolete_files(folder: Path, names: set[str], overwrite: bool) -> list[Path]:
    """Audio of an earlier scene in the folder, to be removed; InputError for other audio, which would pass for this scene's."""
    present = [
        f"{part}/{file.name}"
        for part in ("mics", "truth")
        if (folder / part).is_dir()
        for file in sorted((folder / part).iterdir(), key=paths.natural_key)
        if paths.is_audio_name(file)
    ]
    others = [name for name in present if name not in names]
    if not others:
        return []
    earlier: set[str] = set()
    if overwrite and (folder / manifest.NAME).is_file():
        files = manifest.read(folder / manifest.NAME).get("files", {})
        earlier = {*files.get("mics", ()), *files.get("truth", ())}
    foreign = [name for name in others if name not in earlier]
    if foreign:
        why = "it would be mistaken for part of the new scene"
        hint = "another folder" if overwrite else "another folder, or --overwrite to replace an existing scene"
        raise InputError(f"{folder / foreign[0]} is in the way", why, hint)
    return [folder / name for name in others]


def unique_name(name: str, taken: Sequence[str]) -> str:
    """`name`, or name-2, name-3 ...: the first that is not taken, ignoring case as some file systems do."""
    lower = {other.lower() for other in taken}
    candidate, k = name, 2
    while candidate.lower() in lower:
        candidate, k = f"{name}-{k}", k + 1
    return candidate


def sample_digest(scene: Scene) -> str:
    """SHA-256 of the mixture and the images."""
    samples = hashlib.sha256(scene.mixture.astype("<f4").tobytes())
    samples.update(scene.images.astype("<f4").tobytes())
    return samples.hexdigest()
