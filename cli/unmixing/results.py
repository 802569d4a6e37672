"""What `bss unmix` says of a result, whether it was made in memory or in pieces, and the file of its filters."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import report
from ..support.common import Output
from .tracks import warn_of_gain, warn_of_leftovers

if TYPE_CHECKING:
    from bss.pipeline.filters.filters import Filters
    from bss.pipeline.record import SuccessRecord


def say_success(out: Output, success: SuccessRecord | None) -> None:
    """Print the estimate of success, if there is one."""
    if success is not None:
        gain = success.predicted_si_sdr_gain_db
        improvement = "" if gain is None else f" (estimated SI-SDR improvement: about {gain:.0f} dB)"
        out.say(f"success: {success.sentence}{improvement}")


def say_written(out: Output, folder: str, document: dict[str, Any], options: dict[str, Any]) -> None:
    """Say what was written, and print the JSON document."""
    warn_of_gain(out, document["gain"])
    out.say(f"wrote {', '.join(document['outputs'])} and result.json to {folder}")
    if options["save_filters"] is not None:
        out.say(f"wrote the filters to {options['save_filters']}; bss apply separates other recordings of this room with them")
    warn_of_leftovers(out, Path(folder), {*document["outputs"]})
    out.emit({**document, "folder": folder, **report.beside_tracks(out, Path(folder), options)})


@contextlib.contextmanager
def filters_file(path: str | None, overwrite: bool) -> Iterator[Any]:
    """A function that writes the filters. The file appears together with the tracks; errors are raised before the work."""
    if path is None:
        yield lambda filters: None
        return
    from bss.signals.files.writing import output_folder

    place = Path(path)
    with output_folder(place.parent, [place.name], overwrite=overwrite) as out:

        def save(filters: Filters) -> None:
            out.data(place.name, filters.to_bytes())

        yield save
