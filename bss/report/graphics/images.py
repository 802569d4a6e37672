"""Spectrograms and maps as PNG images for a page."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt

from bss.report.graphics.measure import decibels
from bss.report.graphics.shared import Shared

Array = npt.NDArray[np.floating]

RANGE_DB = 65.0  # that a spectrogram shows, below the loudest of all
SHADES = 48  # more make the files larger, and look the same
SHOWN_DB = -12.0  # sound that is shared by chance, as by recordings of two rooms, is below it
DEEPEST_DB = 0.0
FINEST = 4000  # pixels


def spectrograms(power: Array) -> list[str]:
    """Mean powers (N, R, C), the lowest frequency first, as N images in one scale of colours."""
    loudest = float(np.quantile(power, 0.9999)) if power.size else 1.0
    shades = np.clip(1 + decibels(power, loudest) / RANGE_DB, 0, 1)
    return [_png(np.flipud(_coarse(one)), "magma") for one in shades]


def shared_map(shared: Shared, n_columns: int = 1200) -> str | None:
    """How much tracks share, by time and band, the lowest band at the bottom; None where nothing is to be shown."""
    level = np.flipud(shared.worst())
    shown = np.clip((level - SHOWN_DB) / (DEEPEST_DB - SHOWN_DB), 0, 1)
    if not shown.any():
        return None
    wide = np.repeat(np.repeat(shown, 8, axis=0), max(1, min(8, n_columns // shown.shape[1])), axis=1)
    from matplotlib import colormaps

    colours = colormaps["YlOrRd"](0.25 + 0.75 * _coarse(wide))
    colours[..., 3] = np.where(wide > 0, 1.0, 0.0)  # the page shows through where there is nothing
    return _uri(colours)


def _coarse(shades: Array) -> Array:
    return np.asarray(np.round(shades * SHADES) / SHADES)


def _png(shades: Array, colours: str) -> str:
    from matplotlib import colormaps

    return _uri(colormaps[colours](shades)[..., :3])


def _uri(pixels: Array) -> str:
    """Colours (height, width, 3 or 4) as a data URI."""
    from matplotlib.image import imsave

    file = io.BytesIO()
    imsave(file, np.ascontiguousarray(np.round(255 * pixels[:, :FINEST]).astype(np.uint8)), format="png")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
