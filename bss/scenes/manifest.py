"""`scene.json`, the file that describes a scene: what it must contain, reading and checking it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bss.errors import InputError
from bss.scenes import behaviour, faults

KIND, SCHEMA = "bss scene", 1
NAME = "scene.json"
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
        document = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
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
    """What is wrong with a scene.json, which may come from anywhere: names in it become file names. Empty if nothing is."""
    needed = {"rate": int, "sha256": str, "options": dict, "voices": list, "versions": dict, "files": dict}
    if wrong := [key for key, kind in needed.items() if not isinstance(document.get(key), kind)]:
        return f"{', '.join(wrong)} is missing"
    options = document["options"]
    if odd := set(OPTIONS) ^ (set(options) - set(LATER)):
        return f"the options {', '.join(sorted(odd))} are missing or unknown"
    if odd := {key for key, value in options.items() if isinstance(value, str | dict)}:
        return f"the options {', '.join(sorted(odd))} are not numbers"
    try:
        faults.from_json(options.get("faults", []))
        behaviour.from_json(options.get("behaviour", []))
    except (TypeError, ValueError) as error:
        return str(error)
    for key in FILES:
        entries = document.get(key, [])
        if not isinstance(entries, list) or not all(map(_is_file_entry, entries)):
            return f"an entry of {key} is malformed"
    for voice in document["voices"]:
        if not _is_file_entry(voice) or not isinstance(voice.get("name", ""), str):
            return "the entry of a voice is malformed"
        name = voice.get("name", "")
        if not name or Path(name).name != name:
            return f"{name!r} is not a valid name for a voice"
    return "" if document["voices"] else "it lists no voices"


def _is_file_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and all(isinstance(entry.get(key, ""), str) for key in ("file", "sha256"))
