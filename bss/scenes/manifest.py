"""Scenes from files and to files: voices in, microphones and truth out, and `scene.json`, which makes the same bytes again."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from bss.errors import InputError, UsageError
from bss.scenes.mixing import Scene, mix
from bss.signals import audio, paths, writing
from bss.signals.resample import resample

KIND, SCHEMA = "bss scene", 1
NAME = "scene.json"
SUBTYPE = "PCM_24"
PACKAGES = ("bss-toolkit", "numpy", "scipy", "pyroomacoustics")


@dataclass(frozen=True, eq=False)
class Voice:
    """A voice read from a file: `x` (n,) at the file's own `rate`."""

    name: str
    file: Path
    sha256: str
    x: np.ndarray
    rate: int


def read_voices(files: Sequence[Path]) -> tuple[list[Voice], list[str]]:
    """The voices in `files`, named after them, and what had to be done to them, in words.

    Raises
    ------
    InputError
        A file that cannot be read, is silent, or holds NaN or infinite samples.
    """
    voices: list[Voice] = []
    repairs: list[str] = []
    for file in files:
        if file == paths.STDIN:
            raise UsageError("voices are not read from stdin", "the scene must be able to find them again", "a file")
        recording = audio.load(file)
        x, rate = recording.x, recording.rate
        repairs += recording.repairs
        if len(x) > 1:
            repairs.append(f"{file} has {len(x)} channels: the first is used")
        if not np.isfinite(x[0]).all():
            raise InputError(f"{file} holds NaN or infinite samples", "they would spread over the whole recording")
        if not x[0].any():
            raise InputError(f"{file} is silent", "every talker is brought to a level, and silence has none", "another voice")
        voices.append(Voice(_unique(file.stem, [voice.name for voice in voices]), file, _digest(file), x[0], rate))
    return voices, repairs


@dataclass(frozen=True, eq=False)
class Recipe:
    """All that a scene is made of: voices, rate, the options of `mix`; `notes` on what was not as it should be, in words.

    `sha256` and `versions` are those of the scene that was made before, when the recipe came from its scene.json.
    """

    voices: tuple[Voice, ...]
    rate: int
    options: dict[str, Any]
    notes: tuple[str, ...] = ()
    sha256: str = ""
    versions: str = ""

    def make(self) -> tuple[Scene, list[str]]:
        """The scene, and what was not as it should be, in words."""
        notes = list(self.notes)
        signals = []
        for voice in self.voices:
            if voice.rate != self.rate:
                notes.append(f"{voice.file} is resampled from {voice.rate} to {self.rate} Hz")
            signals.append(resample(voice.x[None], voice.rate, self.rate)[0])
        scene = mix(signals, self.rate, **self.options)
        listed = [{"name": v.name, "file": str(v.file), "sha256": v.sha256} for v in self.voices]
        scene = replace(scene, info={**scene.info, "voices": listed})
        if self.sha256 and _digest_of(scene) != self.sha256:
            notes.append(f"the samples are not quite those of the scene.json, which was written by {self.versions}")
        return scene, notes


def recipe(files: Sequence[Path], rate: int | None = None, **options: Any) -> Recipe:
    """The recipe for the voices in `files`, at `rate` or that of the first."""
    voices, notes = read_voices(files)
    return Recipe(tuple(voices), rate or voices[0].rate, options, tuple(notes))


def load(manifest: Path, look_in: Sequence[Path] = ()) -> Recipe:
    """The recipe that is written in a `scene.json`.

    Voices are looked for where the scene says, and by their content among the files `look_in`.

    Raises
    ------
    InputError
        Not a scene; a voice is missing, or has changed since.
    """
    document = _read(manifest)
    options = dict(document["options"])
    if options.get("seed") is None or not all({"file", "sha256"} <= voice.keys() for voice in document["voices"]):
        raise InputError(
            f"{manifest} cannot be made again", "it was made in Python, from arrays or a random generator of the caller's"
        )
    by_content = {_digest(file): file for file in look_in}
    voices, notes = read_voices([_find(voice, manifest, by_content) for voice in document["voices"]])
    named = tuple(replace(voice, name=entry["name"]) for voice, entry in zip(voices, document["voices"], strict=True))
    options["snr_db"] = math.inf if options["snr_db"] is None else options["snr_db"]
    options["rng"] = options.pop("seed")
    versions = ", ".join(f"{name} {number}" for name, number in document["versions"].items())
    return Recipe(named, document["rate"], options, tuple(notes), document["sha256"], versions)


def draw(files: Sequence[Path], n_talkers: int, seed: int) -> list[Path]:
    """`n_talkers` of the files, at random, in the order in which they came."""
    if not 1 <= n_talkers <= len(files):
        raise UsageError(f"talkers={n_talkers}, but {len(files)} voices were given", hint=f"1 to {len(files)}, or more voices")
    chosen = np.random.default_rng((seed, len(files))).permutation(len(files))[:n_talkers]
    return [files[k] for k in sorted(chosen)]


def save(scene: Scene, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write a scene; see `Scene.save`."""
    voices = scene.info["voices"]
    inputs = [voice["file"] for voice in voices if "file" in voice]
    with place(folder, [v["name"] for v in voices], len(scene.mixture), inputs=inputs, overwrite=overwrite) as write:
        return write(scene)


@contextmanager
def place(
    folder: Path, names: Sequence[str], n_mics: int, *, inputs: Sequence[str | Path] = (), overwrite: bool = False
) -> Iterator[Callable[[Scene], list[Path]]]:
    """A place for a scene, refused before the scene is made if it is taken. Yields the function that writes the scene there."""
    mics = [f"mics/mic{m + 1}.wav" for m in range(n_mics)]
    unique: list[str] = []
    for name in names:
        unique.append(_unique(name, unique))
    truth = [f"truth/{name}.wav" for name in unique]
    leftover = _leftover(folder, {*mics, *truth}, overwrite)
    with writing.output_folder(folder, [*mics, *truth, NAME], overwrite=overwrite, inputs=inputs) as out:

        def write(scene: Scene) -> list[Path]:
            for name, signal in zip(mics, scene.mixture, strict=True):
                out.audio(name, signal[None], scene.rate, subtype=SUBTYPE)
            for name, image in zip(truth, scene.images, strict=True):
                out.audio(name, image, scene.rate, subtype=SUBTYPE)
            out.text(NAME, json.dumps(_document(scene, folder, mics, truth), indent=1, ensure_ascii=False) + "\n")
            return [folder / name for name in (*mics, *truth, NAME)]

        yield write
    for file in leftover:
        file.unlink()


def _find(voice: dict[str, str], manifest: Path, by_content: dict[str, Path]) -> Path:
    if voice["sha256"] in by_content:
        return by_content[voice["sha256"]]
    file = Path(os.path.normpath(manifest.parent / voice["file"]))
    if not file.is_file():
        hint = f"bss mix --scene {manifest} FOLDER, where FOLDER holds the voices"
        raise InputError(f"the voice {file} is missing", f"{manifest} was made with it", hint)
    if _digest(file) != voice["sha256"]:
        hint = "the file as it was, or a new scene"
        raise InputError(f"the voice {file} has changed since {manifest} was made", "its checksum differs", hint)
    return file


def _read(manifest: Path) -> dict[str, Any]:
    try:
        document = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{manifest} cannot be read as a scene", str(error), "the scene.json that bss mix wrote") from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise InputError(f"{manifest} is not a scene", hint="the scene.json that bss mix wrote")
    if document.get("schema") != SCHEMA:
        raise InputError(f"{manifest} is of schema {document.get('schema')}, not {SCHEMA}", hint="another version of bss-toolkit")
    if damage := _damage(document):
        raise InputError(f"{manifest} is damaged", damage, "the scene.json as bss mix wrote it")
    return document


def _damage(document: dict[str, Any]) -> str:
    """What is wrong with a scene.json; it may come from anywhere, and names in it become names of files."""
    needed = {"rate": int, "sha256": str, "options": dict, "voices": list, "versions": dict, "files": dict}
    if wrong := [key for key, kind in needed.items() if not isinstance(document.get(key), kind)]:
        return f"{', '.join(wrong)} is missing"
    known = set(inspect.signature(mix).parameters) - {"voices", "rate", "rng"} | {"seed"}
    if odd := known ^ set(document["options"]):
        return f"the options {', '.join(sorted(odd))} are missing or unknown"
    if odd := {key for key, value in document["options"].items() if isinstance(value, str | dict)}:
        return f"the options {', '.join(sorted(odd))} are not numbers"
    for voice in document["voices"]:
        if not isinstance(voice, dict) or not all(isinstance(voice.get(key, ""), str) for key in ("name", "file", "sha256")):
            return "a voice is not described as it should be"
        name = voice.get("name", "")
        if not name or Path(name).name != name:
            return f"{name!r} is no name of a voice"
    return "" if document["voices"] else "it has no voices"


def _document(scene: Scene, folder: Path, mics: list[str], truth: list[str]) -> dict[str, Any]:
    voices = [{**v, "file": _relative(Path(v["file"]), folder)} if "file" in v else v for v in scene.info["voices"]]
    return {
        "kind": KIND,
        "schema": SCHEMA,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "rate": scene.rate,
        **scene.info,
        "voices": voices,
        "files": {"mics": mics, "truth": truth},
        "sha256": _digest_of(scene),
    }


def _relative(file: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:  # another drive
        return file.absolute().as_posix()


def _leftover(folder: Path, names: set[str], overwrite: bool) -> list[Path]:
    """Audio of an earlier scene in the folder, to remove; of anything else: InputError, as it would pass for this scene's."""
    there = [
        f"{part}/{file.name}"
        for part in ("mics", "truth")
        if (folder / part).is_dir()
        for file in sorted((folder / part).iterdir(), key=paths.natural_key)
        if paths.is_audio_name(file)
    ]
    others = [name for name in there if name not in names]
    if not others:
        return []
    earlier: set[str] = set()
    if overwrite and (folder / NAME).is_file():
        files = _read(folder / NAME).get("files", {})
        earlier = {*files.get("mics", ()), *files.get("truth", ())}
    foreign = [name for name in others if name not in earlier]
    if foreign:
        why = "it would be taken for a part of the new scene"
        hint = "another folder" if overwrite else "another folder, or --overwrite to replace a scene that is there"
        raise InputError(f"{folder / foreign[0]} is in the way", why, hint)
    return [folder / name for name in others]


def _unique(name: str, taken: Sequence[str]) -> str:
    """`name`, or name-2, name-3 ...: one that is not taken, on disks that ignore case either."""
    lower = {other.lower() for other in taken}
    candidate, k = name, 2
    while candidate.lower() in lower:
        candidate, k = f"{name}-{k}", k + 1
    return candidate


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _digest_of(scene: Scene) -> str:
    samples = hashlib.sha256(scene.mixture.astype("<f4").tobytes())
    samples.update(scene.images.astype("<f4").tobytes())
    return samples.hexdigest()
