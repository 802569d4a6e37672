"""Whether the kernels can be used. Nothing here imports Triton unless it is there, and spectra are on a GPU."""

from __future__ import annotations

import importlib.util
import os
import warnings
from functools import cache

import torch
from torch import Tensor

MOST_MICROPHONES = 8  # more, and the sums of a program do not fit in its registers
MOST_COMPONENTS = 16  # as well


@cache
def installed() -> bool:
    """Whether Triton is there; it comes with torch's builds for GPUs."""
    return importlib.util.find_spec("triton") is not None


def usable(Y: Tensor, components: int = 1) -> bool:
    """Whether the kernels take spectra Y (F, M, T), and as many components of low-rank variances.

    On the processor only Triton's interpreter runs them, which is for tests: with TRITON_INTERPRET=1 in the environment.
    """
    device = Y.is_cuda or (Y.device.type == "cpu" and os.environ.get("TRITON_INTERPRET") == "1")
    suited = Y.shape[1] <= MOST_MICROPHONES and components <= MOST_COMPONENTS and Y.is_contiguous()
    return device and suited and installed() and (not Y.is_cuda or runs(Y.device))


@cache
def runs(device: torch.device) -> bool:
    """Whether a kernel runs on a GPU and is right, tried once on a few numbers. Triton needs a compiler of C, and not every
    computer with a GPU has one: a warning then says that the plain operations are used."""
    from bss.backends.torch.kernels import passes

    Y, phi = torch.ones((1, 2, 64), dtype=torch.complex64, device=device), torch.ones((2, 64), device=device)
    try:
        V = passes.weighted_covariances(Y, phi)
        why = "" if torch.allclose(V, torch.ones_like(V)) else "they are wrong here"
    except Exception as error:  # noqa: BLE001 - a compiler fails in many ways, and all are said
        why = str(error).partition("\n")[0] or type(error).__name__
    if why:
        warnings.warn(f"Triton's kernels are not used on {device}, which is slower: {why}", RuntimeWarning, stacklevel=2)
    return not why
