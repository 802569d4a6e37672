"""Weights read without torch: of the networks that ship with bss, and of those that `bss train` wrote."""

from __future__ import annotations

import hashlib
import json
import os
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from bss.errors import InputError, UsageError
from bss.networks import fitting
from bss.tensor_files import contents

Weights = str | os.PathLike[str] | None  # a file; None is the one that ships
Stamp = tuple[int, int]  # time of change and size of a file
# SHA-256 of the files that ship
SHIPPED = {
    "source-model.safetensors": "ab9eefaca6f5775ea7f16586de519f793808133f92d261fd1d6f405101425fe1",
    "denoiser.safetensors": "d0c636d6c0a3aae039a9bdefe898a39446860a2abc604c19788c91f31829831a",
    "speech-score.safetensors": "27edcabb6e1baa6267e4bf938e945630f3e9cfaf3c2c057275298325f59e77e5",
}


def located(weights: Weights, kind: str) -> tuple[Path, Stamp]:
    """The file of a network of this kind, and its stamp; InputError if there is none."""
    if weights is None:
        with resources.as_file(resources.files("bss.networks") / "weights" / f"{kind}.safetensors") as path:
            return path, _stamp(path, kind)
    if not isinstance(weights, str | os.PathLike):
        raise UsageError(f"weights={weights!r} is not a file", hint="the name of a file, or None for the network that ships")
    return Path(weights), _stamp(Path(weights), kind)


def _stamp(path: Path, kind: str) -> Stamp:
    if "\0" in str(path) or not os.path.isfile(path):
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
    _refuse_damaged(path)
    try:
        words, tensors = contents(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a model", str(error), "copy it again, or train the model again") from None
    if words.get("bss") != kind:
        what = f"it holds a {words['bss']}" if "bss" in words else "it holds no model of bss"
        raise InputError(f"{path} is not a {kind}", what, f"a file written by `bss train {kind}`")
    try:
        config = json.loads(words["config"])
        fitting.refuse_strange(tensors)
    except (KeyError, ValueError, RecursionError) as error:
        raise unfit(path, error) from None
    return config, tensors


def _refuse_damaged(path: Path) -> None:
    """InputError where a file that ships is not what shipped."""
    if path.parent != Path(__file__).parent / "weights" or path.name not in SHIPPED:
        return
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHIPPED[path.name]:
        raise InputError(
            f"{path} is damaged", "its checksum is not that of the file that ships with bss", "install bss-toolkit again"
        )


def unfit(path: Path, error: Exception) -> InputError:
    """The error for a file that lacks something the network needs, or holds something else."""
    why = f"it lacks {error}" if isinstance(error, KeyError | TypeError) else str(error)
    return InputError(f"{path} does not fit this version of bss", why, "copy it again, or train the model again")
