"""Scenes from voice files, and the same scene again from its `scene.json`, byte for byte."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bss.errors import InputError, UsageError
from bss.scenes import manifest as manifests
from bss.scenes.mixing import mix
from bss.scenes.scene import Scene, sample_digest, unique_name
from bss.signals import audio, paths
from bss.signals.resample import resample


@dataclass(frozen=True, eq=False)
class Voice:
    """A voice read from a file: `x` (n,) at the file's own `rate`."""

    name: str
    file: Path
    sha256: str
    x: np.ndarray
    rate: int


def read_voices(files: Sequence[Path]) -> tuple[list[Voice], list[str]]:
    """The voices in `files`, named after their files, and a line for each repair that was needed.

    Raises
    ------
    InputError
        A file cannot be read, is silent, or contains NaN or infinite samples.
    UsageError
        A voice is to be read from stdin.
    """
    voices: list[Voice] = []
    repairs: list[str] = []
    for file in files:
        if file == paths.STDIN:
            raise UsageError("voices cannot be read from stdin", "the scene could not be made again from it", "a file")
        recording = audio.load(file)
        x, rate = recording.x, recording.rate
        repairs += recording.repairs
        if len(x) > 1:
            repairs.append(f"{file} has {len(x)} channels: only the first is used")
        if not np.isfinite(x[0]).all():
            raise InputError(f"{file} contains NaN or infinite samples", "they would spread through the whole recording")
        if not x[0].any():
            raise InputError(
                f"{file} is silent", "every talker is scaled to a level, which silence does not have", "another voice"
            )
        voices.append(Voice(unique_name(file.stem, [voice.name for voice in voices]), file, _file_digest(file), x[0], rate))
    return voices, repairs


@dataclass(frozen=True, eq=False)
class Recipe:
    """Everything needed to make a scene: voices, rate and the options of `mix`; `notes` are warnings for the user.

    `sha256` and `versions` are those of the original scene when the recipe was read from a scene.json.
    """

    voices: tuple[Voice, ...]
    rate: int
    options: dict[str, Any]
    notes: tuple[str, ...] = ()
    sha256: str = ""
    versions: str = ""

    def make(self) -> tuple[Scene, list[str]]:
        """The scene, and the warnings that go with it."""
        notes = list(self.notes)
        signals = []
        for voice in self.voices:
            if voice.rate != self.rate:
                notes.append(f"{voice.file} is resampled from {voice.rate} to {self.rate} Hz")
            signals.append(resample(voice.x[None], voice.rate, self.rate)[0])
        scene = mix(signals, self.rate, **self.options)
        listed = [{"name": v.name, "file": str(v.file), "sha256": v.sha256} for v in self.voices]
        scene = replace(scene, info={**scene.info, "voices": listed})
        if self.sha256 and sample_digest(scene) != self.sha256:
            notes.append(f"the samples differ slightly from those of the original scene, which was made by {self.versions}")
        return scene, notes


def from_voices(files: Sequence[Path], rate: int | None = None, **options: Any) -> Recipe:
    """The recipe for the voices in `files`, at `rate` or, by default, the rate of the first."""
    voices, notes = read_voices(files)
    return Recipe(tuple(voices), rate or voices[0].rate, options, tuple(notes))


def load(manifest: Path, candidates: Sequence[Path] = ()) -> Recipe:
    """The recipe stored in a `scene.json`.

    Voices are looked up where the scene.json says, and by checksum among the files `candidates`.

    Raises
    ------
    InputError
        It is not a scene; a voice is missing or has changed since.
    """
    document = manifests.read(manifest)
    options = dict(document["options"])
    if options.get("seed") is None or not all({"file", "sha256"} <= voice.keys() for voice in document["voices"]):
        raise InputError(
            f"{manifest} cannot be made again", "the scene was made in Python, from arrays or with a random generator of your own"
        )
    by_content = {_file_digest(file): file for file in candidates}
    voices, notes = read_voices([_locate(voice, manifest, by_content) for voice in document["voices"]])
    named = tuple(replace(voice, name=entry["name"]) for voice, entry in zip(voices, document["voices"], strict=True))
    options["snr_db"] = math.inf if options["snr_db"] is None else options["snr_db"]
    options["rng"] = options.pop("seed")
    versions = ", ".join(f"{name} {number}" for name, number in document["versions"].items())
    return Recipe(named, document["rate"], options, tuple(notes), document["sha256"], versions)


def draw(files: Sequence[Path], n_talkers: int, seed: int) -> list[Path]:
    """`n_talkers` of the files at random, in their original order."""
    if not 1 <= n_talkers <= len(files):
        raise UsageError(f"talkers={n_talkers}, but there are {len(files)} voices", hint=f"1 to {len(files)}, or more voices")
    chosen = np.random.default_rng((seed, len(files))).permutation(len(files))[:n_talkers]
    return [files[k] for k in sorted(chosen)]


def _locate(voice: dict[str, str], manifest: Path, by_content: dict[str, Path]) -> Path:
    if voice["sha256"] in by_content:
        return by_content[voice["sha256"]]
    file = Path(os.path.normpath(manifest.parent / voice["file"]))
    if not file.is_file():
        hint = f"bss mix --scene {manifest} FOLDER, where FOLDER contains the voices"
        raise InputError(f"the voice {file} is missing", f"{manifest} was made with it", hint)
    if _file_digest(file) != voice["sha256"]:
        hint = "the original file, or a new scene"
        raise InputError(f"the voice {file} has changed since {manifest} was made", "its checksum differs", hint)
    return file


def _file_digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
