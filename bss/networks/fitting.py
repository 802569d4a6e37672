"""Whether a file of weights can be what it says: sizes within reason, and tensors that are finite and of the shapes that follow.

Compiled layers do not look at shapes: what does not fit has to be found before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bss.checks import HIGHEST_RATE, LOWEST_RATE

Shapes = dict[str, tuple[int, ...]]
# smallest and largest sizes that a network may have
SOURCE_MODEL = {
    "rate": (LOWEST_RATE, HIGHEST_RATE), "n_fft": (16, 1 << 16), "hop": (1, 1 << 15), "patch_bins": (1, 1 << 12),
    "patch_frames": (1, 1 << 8), "channels": (1, 1 << 12), "blocks": (1, 256), "groups": (1, 1 << 12), "cycle": (1, 16),
}  # fmt: skip
DENOISER = {
    "rate": (LOWEST_RATE, HIGHEST_RATE), "n_fft": (16, 1 << 16), "hop": (1, 1 << 15), "hidden": (1, 1 << 14), "layers": (1, 64),
    "ahead": (0, 1 << 10), "bottleneck": (0, 1 << 14),
}  # fmt: skip
FEATURES, OUTPUTS, TAPS = 4, 4, 3  # of the source model
LARGEST = 1e6  # of weights in use: gains and spectra of level one come out of them


def sizes(config: Any, limits: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    """The sizes in a configuration, each a whole number within its limits; else ValueError, or KeyError where one is missing."""
    if not isinstance(config, dict):
        raise ValueError("its configuration is not a table of names and values")
    for name, (low, high) in limits.items():
        value = config[name]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{name} is {str(value)[:40]}, expected a whole number from {low} to {high}")
    if config["n_fft"] % 2 or config["hop"] > config["n_fft"] // 2:
        raise ValueError(f"n_fft is {config['n_fft']} with a hop of {config['hop']}, expected an even one and at most half of it")
    return {name: config[name] for name in limits}


def source_model(config: Any, D: int) -> Shapes:
    """What a source model holds, with a distribution of D statistics of speech."""
    c = sizes(config, SOURCE_MODEL)
    C, patch = c["channels"], c["patch_bins"] * c["patch_frames"]
    if c["n_fft"] // 2 % c["patch_bins"] or C % c["groups"]:
        raise ValueError("patches do not divide the bins, or groups the channels")
    K = c["n_fft"] // 2 // c["patch_bins"]
    shapes: Shapes = {"embed.weight": (C, FEATURES * patch, 1, 1), "embed.bias": (C,), **_norm("norm.", C)}
    shapes |= {"head.weight": (OUTPUTS * patch, C, 1, 1), "head.bias": (OUTPUTS * patch,)}
    for k in range(c["blocks"]):
        name = f"blocks.{k}."
        shapes |= {**_norm(f"{name}norm_bands.", C), **_norm(f"{name}norm.", C), f"{name}bands": (c["groups"], K, K)}
        shapes |= {f"{name}times.weight": (C, C, 1, TAPS), f"{name}times.bias": (C,)}
        shapes |= {f"{name}context.weight": (C, C, 1, 1), f"{name}narrow.weight": (C, C, 1, 1), f"{name}narrow.bias": (C,)}
    return shapes | {"likeness.mean": (D,), "likeness.scale": (D,), "likeness.precision": (D, D)}


def denoiser(config: Any) -> Shapes:
    """What a denoiser holds."""
    c = sizes(config, DENOISER)
    H, F, code = c["hidden"], c["n_fft"] // 2 + 1, c["bottleneck"]
    shapes: Shapes = {"encode.weight": (H, F), "encode.bias": (H,)}
    shapes |= {"decode.weight": (2 * F, (code or H) + H), "decode.bias": (2 * F,)}
    if code:
        shapes |= {"code.weight": (2 * code, H), "code.bias": (2 * code,)}
    for k in range(c["layers"]):
        for way in ("ih", "hh"):
            shapes |= {f"remember.weight_{way}_l{k}": (3 * H, H), f"remember.bias_{way}_l{k}": (3 * H,)}
    return shapes


def _norm(name: str, C: int) -> Shapes:
    return {f"{name}{part}": (C,) for part in ("weight", "bias", "running_mean", "running_var")}


def refuse_unlike(tensors: Mapping[str, np.ndarray], shapes: Shapes) -> None:
    """ValueError unless the tensors have these shapes, KeyError where one is missing."""
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            raise ValueError(f"{name} has shape {tensors[name].shape}, expected {shape}")
        if name.endswith("running_var") and (tensors[name] < 0).any():
            raise ValueError(f"{name} holds negative variances")


def refuse_strange(tensors: Mapping[str, np.ndarray]) -> None:
    """ValueError where numbers are not finite, far from all that weights are, or no numbers at all."""
    for name, tensor in tensors.items():
        if tensor.dtype.kind not in "fiu":
            raise ValueError(f"{name} holds {tensor.dtype} values")
        if not np.isfinite(tensor).all() or (tensor.size and np.abs(tensor.astype(np.float64)).max() > LARGEST):
            raise ValueError(f"{name} holds values that are infinite, no numbers, or beyond all reason")
