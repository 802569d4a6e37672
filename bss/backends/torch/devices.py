"""The devices that torch sees, and what they are called."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def present() -> tuple[str, ...]:
    """The GPUs that torch can use: "cuda:0", "cuda:1", ..., "mps"."""
    found = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        found.append("mps")
    return tuple(found)


def called(device: str) -> str:
    """The device with the name of its maker, such as "cuda:0 NVIDIA H200"."""
    kind = torch.device(device)
    return f"{device} {torch.cuda.get_device_name(kind)}" if kind.type == "cuda" else device


def versions() -> dict[str, str]:
    """Of torch, and of CUDA where it was built for it."""
    cuda = torch.version.cuda
    return {"torch": str(torch.__version__), **({} if cuda is None else {"cuda": cuda})}


def tensor(x: np.ndarray, device: str) -> Tensor:
    """The array on a device."""
    return torch.as_tensor(np.ascontiguousarray(x)).to(device)


def is_full(error: BaseException) -> bool:
    """Whether an error says that the memory of the device did not suffice."""
    said = str(error).lower()
    in_words = "out of memory" in said or "alloc_failed" in said  # of MPS, and of CUDA's libraries
    return isinstance(error, torch.OutOfMemoryError) or (isinstance(error, RuntimeError) and in_words)


def release() -> None:
    """Give memory that torch keeps for later back to the device."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
