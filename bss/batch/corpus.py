"""A corpus of simulated scenes: every combination of some options, with several seeds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bss.errors import InputError
from bss.scenes import behaviour, faults, manifest
from bss.scenes.recipe import file_digest, from_voices

TABLE = "scenes.csv"


@dataclass(frozen=True)
class SceneTask:
    """A scene, and where it goes.

    Attributes
    ----------
    name : str
        Of its folder in the corpus.
    folder : str
    ingredients : mapping
        The arguments of `bss.scenes.recipe.from_voices`.
    overwrite, skip_done : bool
        What to do where there is a scene: replace it, or leave the same one.
    """

    name: str
    folder: str
    ingredients: Mapping[str, Any]
    overwrite: bool = False
    skip_done: bool = False


@dataclass(frozen=True)
class Made:
    """What a scene is: its row in the table, warnings, and whether it was there before."""

    row: dict[str, Any]
    notes: tuple[str, ...] = ()
    before: bool = False


def combinations(choices: Mapping[str, Sequence[Any]]) -> list[tuple[str, dict[str, Any]]]:
    """The name and the values of each combination; what has one value only is not in the names.

    Examples
    --------
    >>> [name for name, _ in combinations({"mics": (2, 4), "rt60": (0.3,), "seed": (0, 1)})]
    ['mics_2-seed_0', 'mics_2-seed_1', 'mics_4-seed_0', 'mics_4-seed_1']
    """
    varied = [name for name, values in choices.items() if len(values) > 1]
    found = []
    for values in itertools.product(*choices.values()):
        one = dict(zip(choices, values, strict=True))
        found.append(("-".join(f"{name}_{one[name]:g}" for name in varied) or "scene", one))
    return found


def make_scene(task: SceneTask) -> Made:
    """Make and write a scene: all of its files, or none.

    Raises
    ------
    InputError, UsageError
        As of `bss mix`.
    """
    folder = Path(task.folder)
    if task.skip_done and (folder / manifest.NAME).exists():
        document = manifest.read(folder / manifest.NAME)
        other = _different(document, task.ingredients)
        if not other:
            return Made(_row(task.name, document, document["rate"]), before=True)
        if not task.overwrite:
            why = f"it has other {', '.join(other)}"
            raise InputError(f"{folder} holds another scene", why, "--overwrite, with --skip-done, makes it anew")
    recipe = from_voices(**task.ingredients)
    scene, notes, _ = recipe.write(folder, overwrite=task.overwrite)
    return Made(_row(task.name, scene.info, scene.rate), tuple(notes))


def _row(name: str, info: Mapping[str, Any], rate: int) -> dict[str, Any]:
    options = info["options"]
    measured = info.get("rt60_measured")
    return {
        "scene": name, "talkers": len(info["voices"]), "microphones": options["n_mics"], "rt60_s": options["rt60"],
        "rt60_measured_s": round(sum(measured) / len(measured), 3) if measured else None, "snr_db": options["snr_db"],
        "seed": options["seed"], "audio_seconds": round(info["samples"] / rate, 3), "rate_hz": rate,
        "voices": " ".join(voice["name"] for voice in info["voices"]),
    }  # fmt: skip


def _different(document: Mapping[str, Any], ingredients: Mapping[str, Any]) -> list[str]:
    """What of a scene is not as these ingredients would make it."""
    wanted = dict(ingredients)
    files = {"voices": wanted.pop("files"), **{key: wanted.pop(key, ()) for key in manifest.FILES}}
    rate, levels = wanted.pop("rate", None), wanted.pop("levels_db", None)
    wanted["seed"], options = wanted.pop("rng"), dict(document["options"])
    wanted["snr_db"] = None if wanted["snr_db"] == math.inf else wanted["snr_db"]
    wanted["behaviour"] = behaviour.to_json(wanted.pop("behaviour", ()))
    wanted["faults"] = faults.to_json(wanted.pop("faults", ()))
    if not files["noises"]:
        wanted.pop("noise_snr_db", None)
    other = [key for key, value in wanted.items() if options.get(key, []) != value]
    if levels is not None and list(levels) != options["levels_db"]:
        other.append("levels_db")
    if rate is not None and rate != document["rate"]:
        other.append("rate")
    for key, paths in files.items():
        if [file_digest(path) for path in paths] != [entry.get("sha256") for entry in document.get(key, [])]:
            other.append(key)
    return other
