"""`scene.json`, the file that describes a scene: what it must contain, reading and checking it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bss.errors import InputError
from bss.scenes import behaviour, faults, schema

KIND, SCHEMA = "bss scene", 1
NAME = "scene.json"
LARGEST = 1 << 26  # bytes: a day of turns of many talkers has fewer
# the keyword arguments of `bss.mix`, with `rng` stored as its seed
OPTIONS = ("n_mics", "rt60", "room", "snr_db", "spacing", "seconds", "levels_db", "instantaneous", "seed")
LATER = ("noise_snr_db", "behaviour", "faults")  # which a scene without them lacks
FILES = ("noises", "responses")  # entries with a file and its checksum, which a scene without them lacks


def read(manifest: Path) -> dict[str, Any]:
    """The contents of a `scene.json`, checked.

    Raises
    ------
    InputError
        The file cannot be read, is not a scene, is of another version, or is damaged.
    """
    try:
        if manifest.stat().st_size > LARGEST:
            raise ValueError(f"it has {manifest.stat().st_size} bytes")
        document = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # of text, of JSON, and of numbers with thousands of digits
        raise InputError(f"{manifest} cannot be read as a scene", str(error), "the scene.json that bss mix wrote") from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise InputError(f"{manifest} is not a scene", hint="the scene.json that bss mix wrote")
    if document.get("schema") != SCHEMA:
        raise InputError(
            f"{manifest} has schema {document.get('schema')}, but this version of bss reads schema {SCHEMA}",
            hint="the version of bss-toolkit that wrote it",
        )
    if damage := _damage(document):
        raise InputError(f"{manifest} is damaged", damage, "the scene.json as bss mix wrote it")
    return document


def _damage(document: dict[str, Any]) -> str:
    """What is wrong with a scene.json, naming the field; empty if nothing is."""
    needed = {"rate": int, "sha256": str, "options": dict, "voices": list, "versions": dict, "files": dict}
    if wrong := [key for key, kind in needed.items() if not isinstance(document.get(key), kind)]:
        return f"{', '.join(wrong)} is missing"
    options = document["options"]
    if odd := set(OPTIONS) ^ (set(options) - set(LATER)):
        return f"the options {', '.join(sorted(odd))} are missing or unknown"
    if not document["voices"]:
        return "it lists no voices"
    try:
        _check(document)
        faults.from_json(options.get("faults", []))
        behaviour.from_json(options.get("behaviour", []))
    except (TypeError, ValueError) as error:
        return str(error)
    return ""


def _check(document: dict[str, Any]) -> None:
    """Every field of a document that has them; `schema.Damage` names the first that is wrong."""
    schema.whole("rate", document["rate"], 1000, 768_000)
    schema.text("sha256", document["sha256"])
    schema.several("voices", document["voices"], schema.voice, 1, schema.MOST_SOUNDS)
    schema.same_names("voices", document["voices"])
    for key in FILES:
        schema.several(key, document.get(key, []), schema.sound, 0, schema.MOST_SOUNDS)
    schema.options(document["options"], len(document["voices"]))
    for key in ("faults", "behaviour"):
        schema.several(f"options.{key}", document["options"].get(key, []), schema.event, 0, schema.MOST_SOUNDS)
    for key in ("mics", "truth"):
        schema.places(f"files.{key}", document["files"].get(key, []))
    for name, version in document["versions"].items():
        schema.text(f"versions.{name}", version)
