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
from bss.scenes import behaviour, faults, manifest as manifests
from bss.scenes.mixing import mix
from bss.scenes.scene import Scene, sample_digest, scene_folder, unique_name
from bss.signals.files import audio, paths
from bss.signals.resample import resample


@dataclass(frozen=True, eq=False)
class Voice:
    """A voice, or another sound, read from a file: `x` (n,) at the file's own `rate`."""

    name: str
    file: Path
    sha256: str
    x: np.ndarray
    rate: int


def read_voices(files: Sequence[Path], kind: str = "voice") -> tuple[list[Voice], list[str]]:
    """The voices, or sounds of another `kind`, in `files`, named after them, and a line for each repair that was needed.

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
            raise UsageError(f"a {kind} cannot be read from stdin", "the scene could not be made again from it", "a file")
        recording = audio.load(file)
        x, rate = recording.x, recording.rate
        repairs += recording.repairs
        if len(x) > 1:
            repairs.append(f"{file} has {len(x)} channels: only the first is used")
        if not np.isfinite(x[0]).all():
            raise InputError(f"{file} contains NaN or infinite samples", "they would spread through the whole recording")
        if not x[0].any():
            whose = "talker" if kind == "voice" else kind
            raise InputError(
                f"{file} is silent", f"every {whose} is scaled to a level, which silence does not have", f"another {kind}"
            )
        voices.append(Voice(unique_name(file.stem, [voice.name for voice in voices]), file, file_digest(file), x[0], rate))
    return voices, repairs


@dataclass(frozen=True, eq=False)
class Recipe:
    """Everything needed to make a scene: voices, rate and the options of `mix`; `notes` are warnings for the user.

    `noises` are mono, `responses` have a channel for each microphone, x (M, n).

    `sha256` and `versions` are those of the original scene when the recipe was read from a scene.json.
    """

    voices: tuple[Voice, ...]
    rate: int
    options: dict[str, Any]
    notes: tuple[str, ...] = ()
    noises: tuple[Voice, ...] = ()
    responses: tuple[Voice, ...] = ()
    sha256: str = ""
    versions: str = ""

    def make(self) -> tuple[Scene, list[str]]:
        """The scene, and the warnings that go with it."""
        notes = list(self.notes)
        for sound in (*self.voices, *self.noises, *self.responses):
            if sound.rate != self.rate:
                notes.append(f"{sound.file} is resampled from {sound.rate} to {self.rate} Hz")
        voices, noises, rirs = (
            [resample(np.atleast_2d(sound.x), sound.rate, self.rate) for sound in sounds]
            for sounds in (self.voices, self.noises, self.responses)
        )
        scene = mix(
            [x[0] for x in voices], self.rate, noises=[x[0] for x in noises],
            rirs=[x[: self.options["n_mics"]] for x in rirs], **self.options,
        )  # fmt: skip
        listed = {
            key: [{**named, "file": str(sound.file), "sha256": sound.sha256} for named, sound in zip(names, sounds, strict=True)]
            for key, sounds, names in (
                ("voices", self.voices, [{"name": voice.name} for voice in self.voices]),
                ("noises", self.noises, [{} for _ in self.noises]), ("responses", self.responses, [{} for _ in self.responses]),
            )
            if sounds
        }  # fmt: skip
        scene = replace(scene, info={**scene.info, **listed})
        if self.sha256 and sample_digest(scene) != self.sha256:
            notes.append(f"the samples differ slightly from those of the original scene, which was made by {self.versions}")
        return scene, notes

    def write(self, folder: Path, *, overwrite: bool = False) -> tuple[Scene, list[str], list[Path]]:
        """Make the scene and write it into a folder, which is checked before; the scene, the warnings, and the files."""
        names = [voice.name for voice in self.voices]
        inputs = [sound.file for sound in (*self.voices, *self.noises, *self.responses)]
        with scene_folder(folder, names, self.options["n_mics"], inputs=inputs, overwrite=overwrite) as write:
            scene, notes = self.make()
            return scene, notes, write(scene)


def from_voices(
    files: Sequence[Path],
    rate: int | None = None,
    *,
    noises: Sequence[Path] = (),
    responses: Sequence[Path] = (),
    **options: Any,
) -> Recipe:
    """The recipe for the voices in `files`, at `rate` or, by default, the rate of the first.

    `noises` are files of other sounds, `responses` of measured impulse responses: one for each talker, then for each noise.
    """
    voices, notes = read_voices(files)
    sounds, more = read_voices(noises, "noise")
    measured, repairs = read_responses(responses, options["n_mics"])
    notes += more + repairs
    return Recipe(tuple(voices), rate or voices[0].rate, options, tuple(notes), tuple(sounds), tuple(measured))


def read_responses(files: Sequence[Path], n_mics: int) -> tuple[list[Voice], list[str]]:
    """Measured impulse responses, a place in each file and a channel for each microphone, x (M, n), with `n_mics`
    or more; and a line for each repair that was needed.

    Raises
    ------
    InputError
        A file cannot be read, has too few channels or another number of them than the first, or is silent.
    UsageError
        They are to be read from stdin.
    """
    responses: list[Voice] = []
    repairs: list[str] = []
    for file in files:
        if file == paths.STDIN:
            raise UsageError("responses cannot be read from stdin", "the scene could not be made again from them", "a file")
        recording = audio.load(file)
        repairs += recording.repairs
        channels = len(recording.x)
        if responses and channels != len(responses[0].x):
            raise InputError(
                f"{file} has {channels} channels, but {responses[0].file} has {len(responses[0].x)}",
                "the channels of all responses must be the same microphones", "responses of one array",
            )  # fmt: skip
        if channels < n_mics:
            raise InputError(
                f"{file} has {channels} channels for {n_mics} microphones",
                "a response has a channel for each microphone", f"{channels} microphones or fewer, or other responses",
            )  # fmt: skip
        if not np.isfinite(recording.x).all() or not recording.x[0].any():
            raise InputError(f"{file} is silent, or contains NaN or infinite samples", hint="an impulse response")
        responses.append(Voice(file.stem, file, file_digest(file), recording.x, recording.rate))
    return responses, repairs


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
    entries = {key: document.get(key, []) for key in ("voices", *manifests.FILES)}
    if options.get("seed") is None or not all({"file", "sha256"} <= entry.keys() for own in entries.values() for entry in own):
        raise InputError(
            f"{manifest} cannot be made again", "the scene was made in Python, from arrays or with a random generator of your own"
        )
    by_content = {file_digest(file): file for file in candidates}
    located = {key: [_locate(key, entry, manifest, by_content) for entry in own] for key, own in entries.items()}
    voices, notes = read_voices(located["voices"])
    noises, more = read_voices(located["noises"], "noise")
    responses, repairs = read_responses(located["responses"], options["n_mics"])
    named = tuple(replace(voice, name=entry["name"]) for voice, entry in zip(voices, document["voices"], strict=True))
    options["snr_db"] = math.inf if options["snr_db"] is None else options["snr_db"]
    options["rng"] = options.pop("seed")
    options["faults"] = faults.from_json(options.get("faults", []))
    options["behaviour"] = behaviour.from_json(options.get("behaviour", []))
    versions = ", ".join(f"{name} {number}" for name, number in document["versions"].items())
    return Recipe(
        named, document["rate"], options, (*notes, *more, *repairs), tuple(noises), tuple(responses), document["sha256"], versions
    )


def draw(files: Sequence[Path], n_talkers: int, seed: int) -> list[Path]:
    """`n_talkers` of the files at random, in their original order."""
    if not 1 <= n_talkers <= len(files):
        raise UsageError(f"talkers={n_talkers}, but there are {len(files)} voices", hint=f"1 to {len(files)}, or more voices")
    chosen = np.random.default_rng((seed, len(files))).permutation(len(files))[:n_talkers]
    return [files[k] for k in sorted(chosen)]


def draw_places(files: Sequence[Path], needed: int, seed: int) -> list[Path]:
    """`needed` of the files of responses in random order: each a place of its own."""
    if len(files) < needed:
        raise UsageError(
            f"too few responses: {len(files)} for {needed} talkers and noises", "each comes from a place of its own",
            "more responses, or fewer voices and noises",
        )  # fmt: skip
    return [files[k] for k in np.random.default_rng((seed, len(files), needed)).permutation(len(files))[:needed]]


def channels_of(file: Path) -> int:
    """Channels of an audio file."""
    return audio.probe(file)[0].channels


def _locate(key: str, voice: dict[str, str], manifest: Path, by_content: dict[str, Path]) -> Path:
    if voice["sha256"] in by_content:
        return by_content[voice["sha256"]]
    file = Path(os.path.normpath(manifest.parent / voice["file"]))
    kind = key.removesuffix("s")
    if not os.path.isfile(file):
        hint = f"bss mix --scene {manifest} FOLDER, where FOLDER contains the {key}"
        raise InputError(f"the {kind} {file} is missing", f"{manifest} was made with it", hint)
    if file_digest(file) != voice["sha256"]:
        hint = "the original file, or a new scene"
        raise InputError(f"the {kind} {file} has changed since {manifest} was made", "its checksum differs", hint)
    return file


def file_digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
