"""`bss apply`: apply learned filters to another recording of the same microphones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bss.pipeline.files.track_names import channel_map, input_files, subtype_of

from .support.common import Output, announce_compiling, command
from .unmixing.tracks import check_output, default_folder, reading_and_writing, warn_of_gain, warn_of_leftovers

if TYPE_CHECKING:
    from bss.pipeline.filters.filters import Filters
    from bss.signals.files.audio import Recording


@command("apply")
@click.argument("filters")
@click.argument("files", nargs=-1, required=True)
@click.option("-o", "--output", default=None, help="Folder for the tracks, or - for one WAV on stdout [separated/NAME].")
@reading_and_writing
def apply(out: Output, filters: str, files: tuple[str, ...], output: str | None, **options: Any) -> None:
    """Separate a recording with FILTERS that `bss unmix --save-filters` has learned in the same room.

    FILES are recordings of the same microphones, in the same order, with microphones and talkers in the same places.
    Nothing is learned, which takes a fraction of the time and keeps the order of the tracks from session to session.
    Writes source1.wav ... and apply.json.

    \b
    Examples:
      bss unmix monday/*.wav -o monday/sources --save-filters room.filters
      bss apply room.filters tuesday/*.wav -o tuesday/sources
      bss apply room.filters meeting.wav --start 60 --end 90 --subtype float
      bss apply room.filters - -o - < live.wav > sources.wav
    """
    from bss.backends.cpu import threads
    from bss.pipeline.filters.files import load_filters
    from bss.signals.files.audio import load
    from bss.signals.files.paths import expand

    check_output(out, output)
    learned = load_filters(filters)
    paths = expand(files)
    recording = load(paths, start=options["start"], end=options["end"])
    learned.check(len(recording.channels), recording.rate)
    for repair in recording.repairs:
        out.say(f"repaired: {repair}")
    announce_compiling(out)
    with threads.limited(options["threads"]):
        if output == "-":
            _to_stdout(out, recording, learned, options)
        else:
            _to_folder(out, output or default_folder(paths), recording, learned, filters, options)


def _tracks(recording: Recording, filters: Filters) -> dict[str, Any]:
    sources = filters.apply(recording.x, rate=recording.rate)
    return {f"source{k + 1}": y for k, y in enumerate(sources)}


def _to_folder(out: Output, folder: str, recording: Recording, filters: Filters, path: str, options: dict[str, Any]) -> None:
    import json

    from bss.pipeline.result import leveled
    from bss.signals.files.writing import output_folder

    names = [f"source{k + 1}.wav" for k in range(filters.n_tracks)]
    files, inputs = [*names, "apply.json"], input_files(recording)
    needed = 4 * recording.x.shape[1] * len(names)
    with output_folder(folder, files, overwrite=options["overwrite"], needed_bytes=needed, inputs=inputs) as place:
        tracks, gain, subtype = leveled(_tracks(recording, filters), subtype_of(recording, options["subtype"]), options["clip"])
        for name, y in tracks.items():
            place.audio(f"{name}.wav", y[None], recording.rate, format="WAV", subtype=subtype)
        document = {
            "schema": 1, "filters": path, "method": filters.method, "rate": recording.rate, "samples": recording.x.shape[1],
            "inputs": inputs, "channel_map": channel_map(recording), "repairs": list(recording.repairs), "gain": gain,
            "subtype": subtype, "outputs": names,
        }  # fmt: skip
        place.text("apply.json", json.dumps(document, indent=2) + "\n")
    warn_of_gain(out, gain)
    out.say(f"wrote {', '.join(names)} and apply.json to {folder}")
    warn_of_leftovers(out, Path(folder), set(files))
    out.emit({**document, "folder": folder})


def _to_stdout(out: Output, recording: Recording, filters: Filters, options: dict[str, Any]) -> None:
    import numpy as np

    from bss.pipeline.result import leveled
    from bss.signals.streams import refuse_terminal, write_stdout

    refuse_terminal()
    tracks, gain, subtype = leveled(_tracks(recording, filters), subtype_of(recording, options["subtype"]), options["clip"])
    warn_of_gain(out, gain)
    write_stdout(np.stack(list(tracks.values())), recording.rate, subtype)
