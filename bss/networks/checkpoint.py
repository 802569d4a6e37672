"""Weights and configuration in one safetensors file: never pickle, so that a model from a stranger is data and not a program."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from bss.errors import InputError

HALF_PRECISION = 1e-3  # largest relative change of a weight that is stored as float16


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds: the kind of model, its configuration, its tensors, and anything else as JSON."""

    kind: str
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    extra: dict[str, Any]


def save(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], config: Any, *, kind: str, extra: dict[str, Any] | None = None
) -> None:
    """Write a model, all of it or nothing.

    Parameters
    ----------
    path : path
        The file.
    tensors : dict of Tensor
        As `module.state_dict()` gives them.
    config : dataclass
        Of the model: what is needed to build it again.
    kind : str
        Such as "denoiser"; `load` checks it.
    extra : dict, optional
        Anything else, as JSON.
    """
    place = Path(path)
    words = {"bss": kind, "config": json.dumps(asdict(config)), "extra": json.dumps(extra or {})}
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    unfinished = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        save_file(held, unfinished, metadata=words)
        unfinished.chmod(0o666 & ~_umask())  # safetensors makes files that nobody else may read
        unfinished.replace(place)
    except OSError as error:
        raise InputError(f"{place} cannot be written", error.strerror or str(error), "another folder") from None
    finally:
        unfinished.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def load(path: str | os.PathLike[str], kind: str | Sequence[str]) -> Checkpoint:
    """Read a file that `save` wrote, of this kind or one of these.

    Raises
    ------
    InputError
        There is no such file, it is not a model of bss or one of another kind, or it is truncated.
    """
    if not Path(path).is_file():
        raise InputError(
            f"{path} does not exist", "a model was to be read from it", "check the spelling, or train one: bss train"
        )
    try:
        with safe_open(os.fspath(path), "pt") as file:
            words = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path} is not a model", f"safetensors says: {error}", "copy it again, or train the model again"
        ) from None
    kinds = (kind,) if isinstance(kind, str) else tuple(kind)
    if words.get("bss") not in kinds:
        what = f"it holds a {words['bss']}" if "bss" in words else "it holds no model of bss"
        raise InputError(f"{path} is not a {' or '.join(kinds)}", what, f"a file written by `bss train {kinds[0]}`")
    try:
        config, extra = json.loads(words["config"]), json.loads(words.get("extra", "{}"))
    except (KeyError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged", f"its configuration cannot be read: {error}", "train the model again") from None
    if not isinstance(config, dict) or not isinstance(extra, dict):
        raise InputError(f"{path} is damaged", "its configuration is not a table of names and values", "train the model again")
    return Checkpoint(words["bss"], config, tensors, extra)


def tensor(values: np.ndarray) -> Tensor:
    """An array as a tensor, for `save`."""
    return torch.from_numpy(np.ascontiguousarray(values))


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Floating tensors as float16: half of the bytes, for weights that ship."""
    return {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}


def restore(model: torch.nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load tensors into a model, in the precision of the model; InputError if they do not fit."""
    try:
        model.load_state_dict({name: t.float() if t.dtype == torch.float16 else t for name, t in tensors.items()})
    except RuntimeError as error:
        raise InputError("the weights do not fit the model", str(error).splitlines()[0], "a file of this version") from None
