"""Weights read without torch: of the networks that ship with bss, and of those that `bss train` wrote."""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from bss.errors import InputError

Weights = str | os.PathLike[str] | None  # a file; None is the one that ships
Stamp = tuple[int, int]  # time of change and size of a file


def located(weights: Weights, kind: str) -> tuple[Path, Stamp]:
    """The file of a network of this kind, and its stamp; InputError if there is none."""
    if weights is None:
        with resources.as_file(resources.files("bss.networks") / "weights" / f"{kind}.safetensors") as path:
            return path, _stamp(path, kind)
    return Path(weights), _stamp(Path(weights), kind)


def _stamp(path: Path, kind: str) -> Stamp:
    if not path.is_file():
        raise InputError(
            f"{path} does not exist",
            f"the weights of a {kind} were to be read from it",
            f"check the spelling, or bss train {kind}",
        )
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


def read(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Configuration and tensors.

    Raises
    ------
    InputError
        It is not a model, or one of another kind.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "np") as file:
            words = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path} is not a model", f"safetensors says: {error}", "copy it again, or train the model again"
        ) from None
    if words.get("bss") != kind:
        what = f"it holds a {words['bss']}" if "bss" in words else "it holds no model of bss"
        raise InputError(f"{path} is not a {kind}", what, f"a file written by `bss train {kind}`")
    return json.loads(words["config"]), tensors


def unfit(path: Path, error: KeyError | TypeError) -> InputError:
    """The error for a file that lacks something the network needs."""
    return InputError(f"{path} does not fit this version of bss", f"it lacks {error}", "train the model again")
