"""Samples as numbers: from bytes, and within what can be computed with."""

from __future__ import annotations

import numpy as np

from bss.checks import LARGEST


def bounded(values: np.ndarray) -> np.ndarray:
    """Samples beyond all that can be computed with become infinite: that is how a damaged channel is noticed, and left out."""
    if values.size and max(values.max(), -values.min()) > LARGEST[4]:
        values = np.where(np.abs(values) > LARGEST[4], np.copysign(np.float32(np.inf), values), values)
    return values


def plain_values(raw: np.ndarray, subtype: str, byte_order: str) -> np.ndarray:
    """Samples scaled to full scale 1."""
    values: np.ndarray = raw
    if subtype == "PCM_24":
        order = (0, 1, 2) if byte_order == "<" else (2, 1, 0)
        low, mid, high = (raw[k::3].astype(np.int32) for k in order)
        # the most significant byte goes to the top of the 32 bits, and with it the sign
        values = (high << 24 | mid << 16 | low << 8) / np.float64(1 << 31)
    elif subtype == "PCM_U8":
        values = (raw.astype(np.float32) - 128) / 128
    elif subtype.startswith("PCM"):
        values = raw / np.float64(1 << 8 * raw.itemsize - 1)
    return values
