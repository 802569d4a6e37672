"""Where the pipeline reaches up to the report, which is drawn from what it made: the one import that goes up."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from bss.pipeline.record import RunRecord


def of_folder(folder: Path, path: str | PathLike[str] | None, *, overwrite: bool) -> Path:
    """Write the listening report of a folder with tracks and result.json."""
    from bss.report import page

    return page.report(folder, path, overwrite=overwrite).path


def of_arrays(
    tracks: Mapping[str, np.ndarray],
    rate: int,
    record: RunRecord,
    path: str | PathLike[str],
    *,
    mixture: np.ndarray | None,
    overwrite: bool,
) -> Path:
    """Write the listening report of tracks (n,) in memory."""
    from bss.report import page

    return page.report_arrays(tracks, rate, record, path, mixture=mixture, overwrite=overwrite).path
