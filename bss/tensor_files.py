"""Arrays and their metadata, read from safetensors: never pickle, so that a file from a stranger is data and not a program."""

from __future__ import annotations

import json

import numpy as np


def contents(data: bytes) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """The metadata and the arrays by name; ValueError, with the words of safetensors, where there are none to read."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(data)
        size = int.from_bytes(data[:8], "little")  # of the header, which is JSON
        metadata: dict[str, str] = json.loads(data[8 : 8 + size]).get("__metadata__") or {}
    except (SafetensorError, ValueError, TypeError, AttributeError, KeyError) as error:  # the last of types that NumPy lacks
        raise ValueError(f"safetensors says: {error}") from None
    return metadata, arrays
