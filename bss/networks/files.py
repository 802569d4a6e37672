"""The files that hold networks, read without torch: those that ship with bss, and those that `bss train` wrote."""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from bss.errors import InputError

Weights = str | os.PathLike[str] | None  # a file, or the one that ships
Stamp = tuple[int, int]  # another one when the file has changed


def located(weights: Weights, kind: str) -> tuple[Path, Stamp]:
    """The file of a network of this kind, and its stamp; InputError where there is none."""
    if weights is None:
        with resources.as_file(resources.files("bss.networks") / "weights" / f"{kind}.safetensors") as path:
            return path, _stamp(path, kind)
    return Path(weights), _stamp(Path(weights), kind)


def _stamp(path: Path, kind: str) -> Stamp:
    if not path.is_file():
        raise InputError(f"{path} does not exist", f"it should hold a {kind}", f"look at the spelling, or bss train {kind}")
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


def read(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Configuration and tensors.

    Raises
    ------
    InputError
        It is no model, or one of another kind.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "np") as file:
            words = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a model", f"safetensors says: {error}", "copy it again, or train it again") from None
    if words.get("bss") != kind:
        what = f"it holds a {words['bss']}" if "bss" in words else "no model of bss is in it"
        raise InputError(f"{path} is not a {kind}", what, f"a file that `bss train {kind}` wrote")
    return json.loads(words["config"]), tensors


def unfit(path: Path, error: KeyError | TypeError) -> InputError:
    """What to raise where something that the network needs is missing."""
    return InputError(f"{path} does not fit this version of bss", f"{error} is missing in it", "train it again")
