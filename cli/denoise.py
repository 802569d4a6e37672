"""`bss denoise`: noise out of recordings, each file by itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import OneOf, Output, command
from .tracks import SUBTYPES

if TYPE_CHECKING:
    from bss.signals.audio import Recording


@command("denoise")
@click.argument("files", nargs=-1, required=True)
@click.option("-o", "--output", default="denoised", show_default=True,
              help="Folder for the results; for one file also a file name, or - for a WAV on stdout.")  # fmt: skip
@click.option("--strength", type=float, default=1.0, show_default=True, help="Share of the noise that goes, 0 to 1.")
@click.option("--weights", default=None, help="Another denoiser than the one that comes with bss.")
@click.option("--subtype", type=OneOf(("same", *SUBTYPES)), default="same", show_default=True, help="Of the results.")
@click.option("--threads", type=click.IntRange(1), default=None, envvar="BSS_THREADS", help="Processor threads [all].")
@click.option("--overwrite", "-y", is_flag=True, help="Replace results that are there.")
def denoise(out: Output, files: tuple[str, ...], output: str, **options: Any) -> None:
    """Take noise out of speech. Each of FILES is a recording of its own; every channel is treated by itself.

    Results are WAV files of the same names, rates, channels and lengths; with -o NAME.flac the one result is of that kind.
    Echo stays, and so do other talkers: `bss unmix` separates them.

    \b
    Examples:
      bss denoise interview.wav -o clean.wav
      bss denoise *.flac -o clean/ --subtype float
      bss denoise sources/*.wav -o quiet/ --strength 0.9
      ffmpeg -i talk.m4a -f wav - | bss denoise - -o - > quiet.wav
    """
    from bss.backends.cpu import threads
    from bss.errors import UsageError
    from bss.networks.denoiser.denoise import check_strength, model
    from bss.signals.paths import expand

    check_strength(options["strength"])
    paths = expand(files)
    if output == "-" and out.as_json:
        raise UsageError("-o - and --json both want stdout", hint="a folder for the results, or no --json")
    if output == "-" and len(paths) > 1:
        raise UsageError("-o - takes one file", f"there are {len(paths)}", "a folder for the results")
    model(options["weights"])  # what is wrong with it is said before anything is read
    with threads.limited(options["threads"]):
        if output == "-":
            _to_stdout(out, paths[0], options)
        else:
            _to_files(out, paths, output, options)


def _to_stdout(out: Output, path: Path, options: dict[str, Any]) -> None:
    from bss.pipeline.result import leveled
    from bss.signals.audio import load
    from bss.signals.streams import refuse_terminal, write_stdout

    refuse_terminal()
    recording = load([path])
    tracks, gain, subtype = leveled({"quiet": _quiet(out, recording, path.name, options)}, _subtype(recording, options), "common")
    _say_lowered(out, path.name, gain)
    write_stdout(tracks["quiet"], recording.rate, subtype)


def _to_files(out: Output, paths: list[Path], output: str, options: dict[str, Any]) -> None:
    from bss.pipeline.result import leveled
    from bss.signals.audio import load, probe
    from bss.signals.writing import output_folder

    folder, names = _places(paths, output)
    needed = sum(4 * info.frames * info.channels for info in probe(paths))
    documents = []
    with output_folder(folder, names, overwrite=options["overwrite"], needed_bytes=needed, inputs=paths) as place:
        for path, name in zip(paths, names, strict=True):
            recording = load([path])
            for repair in recording.repairs:
                out.say(f"repaired: {repair}")
            quiet = _quiet(out, recording, path.name, options)
            tracks, gain, subtype = leveled({"quiet": quiet}, _subtype(recording, options), "common")
            _say_lowered(out, path.name, gain)
            wav = Path(name).suffix.lower() == ".wav"
            place.audio(name, tracks["quiet"], recording.rate, subtype=subtype if wav else None)
            documents.append(_document(path, folder / name, recording, quiet, gain))
    out.say(f"wrote {', '.join(names)} to {folder}")
    chosen = {"strength": options["strength"], "weights": options["weights"]}
    out.emit({**chosen, "folder": str(folder), "results": documents})


def _places(paths: list[Path], output: str) -> tuple[Path, list[str]]:
    """The folder, and the name of each result in it; inputs of one name are told apart by numbers."""
    from bss.errors import UsageError
    from bss.signals.encode import FORMATS

    if output == "":
        raise UsageError("-o was given an empty name", hint="look at the variable or quotes it came from")
    if Path(output).suffix.lower() in FORMATS and not Path(output).is_dir():
        if len(paths) > 1:
            raise UsageError(f"-o {output} is one file", f"there are {len(paths)} recordings", "a folder")
        return Path(output).parent, [Path(output).name]
    names: list[str] = []
    for path in paths:
        stem = "stdin" if str(path) == "-" else path.stem
        name, count = f"{stem}.wav", 1
        while name in names:
            count += 1
            name = f"{stem}-{count}.wav"
        names.append(name)
    return Path(output), names


def _quiet(out: Output, recording: Recording, name: str, options: dict[str, Any]) -> Any:
    from bss.networks.denoiser.denoise import denoise as denoised

    with out.progress(f"denoising {name}") as progress:
        return denoised(recording.x, recording.rate, strength=options["strength"], weights=options["weights"], progress=progress)


def _subtype(recording: Recording, options: dict[str, Any]) -> str:
    from bss.signals.writing import writable_subtype

    wanted: str = options["subtype"]
    return SUBTYPES[wanted] if wanted != "same" else writable_subtype("WAV", recording.subtype)[1]


def _say_lowered(out: Output, name: str, gain: float) -> None:
    if gain != 1.0:
        from math import log10

        out.warn(f"{name} was lowered by {-20 * log10(gain):.1f} dB so that nothing clips (--subtype float keeps levels)")


def _document(path: Path, place: Path, recording: Recording, quiet: Any, gain: float) -> dict[str, Any]:
    """What was done to one file."""
    import numpy as np

    before, after = (float(np.vdot(x, x)) for x in (recording.x, quiet))
    change = None if before <= 0 or after <= 0 else round(10 * float(np.log10(after / before)), 2)
    return {
        "input": str(path), "output": str(place), "rate": recording.rate, "channels": len(recording.x),
        "samples": int(recording.x.shape[1]), "power_change_db": change, "gain": gain, "repairs": list(recording.repairs),
    }  # fmt: skip
