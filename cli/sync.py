"""`bss sync`: put recordings of several recorders in step."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bss.pipeline.files.track_names import SUBTYPES, input_files, subtype_of

from .support.common import SECONDS, THREADS, OneOf, Output, announce_compiling, command

if TYPE_CHECKING:
    from bss.signals.files.audio import Recording
    from bss.signals.sync.alignment import MicAlignment
    from bss.signals.sync.synchronise import Synchronised


LEFT_OUT_SECONDS = 0.05


@command("sync")
@click.argument("files", nargs=-1, required=True)
@click.option("-o", "--output", default="synchronised", show_default=True, help="Folder for the files in step.")
@click.option("--mode", type=OneOf(("auto", "offset", "drift")), default="auto", show_default=True,
              help="Correct what is found; only the start; or the rate of every clock, however little it is off.")  # fmt: skip
@click.option("--start", type=SECONDS, default=0.0, help="Start at this time in seconds.")
@click.option("--end", type=SECONDS, default=None, help="End at this time in seconds.")
@click.option("--subtype", type=OneOf(("same", *SUBTYPES)), default="same", show_default=True, help="Sample format of the files.")
@click.option("--threads", type=THREADS, default=None, envvar="BSS_THREADS", help="Number of CPU threads [all].")
@click.option("--overwrite", "-y", is_flag=True, help="Replace existing files.")
@click.option("--dry-run", is_flag=True, help="Say what was found, and write nothing.")
def sync(out: Output, files: tuple[str, ...], output: str, **options: Any) -> None:
    """Put the recordings of several recorders in step with the first: start, rate of the clock, and lost samples.

    FILES are recordings of the same sound, a file for each recorder; the channels of a file stay together. Writes a WAV of the
    same name for each, in the time of the first and all of one length; what a recorder did not record is silence. bss unmix does
    the same by itself.

    \b
    Examples:
      bss sync phone.wav laptop.wav camera.wav -o together/
      bss sync anna/ ben/ --dry-run --json
      bss sync meeting/*.wav --mode offset -o together/
    """
    from bss.backends.cpu import threads
    from bss.signals.files.audio import load
    from bss.signals.files.paths import expand
    from bss.signals.sync.synchronise import sync as synchronise

    recording = load(expand(files), start=options["start"], end=options["end"])
    _require_two(recording)
    announce_compiling(out)
    clock = time.perf_counter()
    names = [channel.name for channel in recording.channels]
    with threads.limited(options["threads"]):
        devices = [channel.file for channel in recording.channels]
        done = synchronise(recording.x, recording.rate, mode=options["mode"], devices=devices, names=names)
    seconds = time.perf_counter() - clock
    _require_common(recording, done)
    for repair in recording.repairs:
        out.detail(f"repaired: {repair}")
    for line in done.messages or ("all recordings are in step",):
        out.say(line)
    for line in _left_out(recording, done):
        out.warn(line)
    document = {
        "rate": recording.rate,
        "samples": recording.x.shape[1],
        "seconds": {"sync": round(seconds, 3)},
        "reference": names[done.alignment.reference],
        "mics": [_mic(mic, recording.rate) for mic in done.alignment.mics],
    }
    if options["dry_run"]:
        out.emit({"dry_run": True, **document})
        return
    written = _write(out, recording, done, output, options)
    out.say(f"wrote {', '.join(written)} to {output}")
    out.emit({**document, "folder": output, "outputs": written})


def _require_two(recording: Recording) -> None:
    from bss.errors import InputError

    if len(input_files(recording)) < 2:
        raise InputError(
            "there is only one file, so there is nothing to put in step",
            "the channels of one file come from one recorder, whose clock they share", "the files of two or more recorders",
        )  # fmt: skip


def _require_common(recording: Recording, done: Synchronised) -> None:
    from bss.errors import InputError

    reference = recording.channels[done.alignment.reference]
    others = [m for m, c in zip(done.alignment.mics, recording.channels, strict=True) if c.file != reference.file]
    if not any(mic.found for mic in others):
        raise InputError(
            f"no other recording shares any sound with {reference.name}",
            "recordings are put in step by what they have in common",
            "check that they are of the same occasion, and that their microphones hear each other's sounds",
        )


def _left_out(recording: Recording, done: Synchronised) -> list[str]:
    """What lies before the start of the reference, and is not in the files that are written."""
    lines = []
    for mic, channel in zip(done.alignment.mics, recording.channels, strict=True):
        if mic.changed and mic.offset <= -LEFT_OUT_SECONDS and channel.index == 0:
            what = f"its first {-mic.offset:.1f} s lie before the start of {recording.channels[0].name}"
            lines.append(f"{mic.name}: {what}, and are left out")
    return lines


def _mic(mic: MicAlignment, rate: int) -> dict[str, Any]:
    lags = [[round(p.start, 3), round(p.lag, 7)] for p in mic.clock.pieces] if mic.clock else []
    return {**mic.to_dict(rate), "lags": lags}


def _write(out: Output, recording: Recording, done: Synchronised, folder: str, options: dict[str, Any]) -> list[str]:
    from bss.pipeline.result import leveled
    from bss.signals.files.writing import output_folder

    inputs = input_files(recording)
    names = _names(inputs)
    wanted = subtype_of(recording, options["subtype"])
    _, _, subtype = leveled({"all": done.x}, wanted, "keep")
    if subtype != wanted:
        out.warn("the files are in floating point, as between samples the sound is louder than the format can hold")
    needed = 4 * recording.x.size
    with output_folder(folder, names, overwrite=options["overwrite"], needed_bytes=needed, inputs=inputs) as place:
        for file, name in zip(inputs, names, strict=True):
            rows = [k for k, channel in enumerate(recording.channels) if channel.file == file]
            place.audio(name, done.x[rows], recording.rate, format="WAV", subtype=subtype)
    return names


def _names(inputs: list[str]) -> list[str]:
    """The name of each file with the suffix .wav, numbered if two have the same."""
    names: list[str] = []
    for file in inputs:
        stem = "stdin" if file == "-" else Path(file).stem
        name, count = f"{stem}.wav", 1
        while name in names:
            count += 1
            name = f"{stem}-{count}.wav"
        names.append(name)
    return names
