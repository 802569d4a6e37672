"""`bss denoise`: remove noise from recordings, each file separately."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bss.pipeline.files.track_names import SUBTYPES

from .support.common import THREADS, Number, OneOf, Output, announce_compiling, command

if TYPE_CHECKING:
    from bss.networks.denoiser.files import Denoised
    from bss.signals.files.decode import FileInfo, Reader


@command("denoise")
@click.argument("files", nargs=-1, required=True)
@click.option("-o", "--output", default="denoised", show_default=True,
              help="Folder for the results; for one file also a file name, or - for a WAV on stdout.")  # fmt: skip
@click.option("--strength", type=Number(0, 1), default=1.0, show_default=True, help="Share of the noise to remove, 0 to 1.")
@click.option("--dereverb", is_flag=True, help="Take late echo out first; all channels of a file are used for each of them.")
@click.option("--model", "--weights", "weights", default=None,
              help="A denoiser of `bss models`, or a file of your own [the built-in one].")  # fmt: skip
@click.option(
    "--subtype", type=OneOf(("same", *SUBTYPES)), default="same", show_default=True, help="Sample format of the results."
)
@click.option("--threads", type=THREADS, default=None, envvar="BSS_THREADS", help="Number of CPU threads [all].")
@click.option("--overwrite", "-y", is_flag=True, help="Replace existing results.")
def denoise(out: Output, files: tuple[str, ...], output: str, **options: Any) -> None:
    """Remove noise from speech. Each of FILES is a separate recording, and every channel is processed independently.

    Results are WAV files of the same names, rates, channels and lengths; -o NAME.flac writes one result in that format.
    Echo stays without --dereverb; so do other talkers: `bss unmix` separates them.

    \b
    Examples:
      bss denoise interview.wav -o clean.wav
      bss denoise *.flac -o clean/ --subtype float
      bss denoise sources/*.wav -o quiet/ --strength 0.9
      bss denoise hall.wav -o dry.wav --dereverb
      bss denoise interview.wav -o clean.wav --model deepfilternet3
      ffmpeg -i talk.m4a -f wav - | bss denoise - -o - > quiet.wav
    """
    from bss.backends.cpu import threads
    from bss.errors import UsageError
    from bss.networks.denoiser.denoise import check_model, check_strength
    from bss.signals.files.paths import expand

    check_strength(options["strength"])
    paths = expand(files)
    if output == "-" and out.as_json:
        raise UsageError("-o - and --json both want stdout", hint="a folder for the results, or no --json")
    if output == "-" and len(paths) > 1:
        raise UsageError("-o - takes one file", f"there are {len(paths)}", "a folder for the results")
    check_model(options["weights"])  # refused before anything is read
    with threads.limited(options["threads"]):
        if output == "-":
            _to_stdout(out, paths[0], options)
        else:
            _to_files(out, paths, output, options)


def _to_stdout(out: Output, path: Path, options: dict[str, Any]) -> None:
    from bss.signals.files.decode import opened
    from bss.signals.streams import stdout_file

    with stdout_file() as place, opened(path) as reader:
        _denoise_one(out, reader, place, "stdout.wav", options)


def _to_files(out: Output, paths: list[Path], output: str, options: dict[str, Any]) -> None:
    from bss.signals.files.audio import probe
    from bss.signals.files.decode import opened
    from bss.signals.files.writing import output_folder

    folder, names = _places(paths, output)
    needed = sum(4 * info.frames * info.channels for info in probe(paths))
    documents = []
    with output_folder(folder, names, overwrite=options["overwrite"], needed_bytes=needed, inputs=paths) as results:
        for path, name in zip(paths, names, strict=True):
            with opened(path) as reader, results.file(name) as place:
                if reader.info.note:
                    out.say(f"repaired: {reader.info.note}")
                done = _denoise_one(out, reader, place, str(folder / name), options)
            documents.append(_document(reader.info, folder / name, done))
    out.say(f"wrote {', '.join(names)} to {folder}")
    chosen = {"strength": options["strength"], "weights": options["weights"], "dereverb": options["dereverb"]}
    out.emit({**chosen, "folder": str(folder), "results": documents})


def _places(paths: list[Path], output: str) -> tuple[Path, list[str]]:
    """The folder, and the name of each result in it; inputs of the same name are numbered."""
    from bss.errors import UsageError
    from bss.signals.files.encode import FORMATS

    if output == "":
        raise UsageError("-o has an empty name", hint="check the shell variable or quotes it came from")
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


def _denoise_one(out: Output, reader: Reader, place: Path, name: str, options: dict[str, Any]) -> Denoised:
    """One open file to `place`, which will be called `name`."""
    from math import log10

    from bss.networks.denoiser.files import denoise_file
    from bss.signals.files.writing import writable_subtype

    wanted: str = options["subtype"]
    subtype = SUBTYPES[wanted] if wanted != "same" else writable_subtype("WAV", reader.info.subtype)[1]
    chosen = {"strength": options["strength"], "weights": options["weights"], "first": _first(out, options)}
    with out.progress(f"denoising {reader.info.path.name}") as progress:
        done = denoise_file(reader, place, name=name, subtype=subtype, progress=progress, **chosen)
    if done.gain != 1:
        lowered = -20 * log10(done.gain)
        out.warn(f"{reader.info.path.name} was lowered by {lowered:.1f} dB so that nothing clips (--subtype float keeps levels)")
    return done


def _first(out: Output, options: dict[str, Any]) -> Any:
    """What is done before noise is removed."""
    if not options["dereverb"]:
        return None
    from bss.pipeline.dereverb import dereverberated

    announce_compiling(out)
    return dereverberated


def _document(info: FileInfo, place: Path, done: Denoised) -> dict[str, Any]:
    """What was done to one file."""
    from math import log10

    silent = done.energy_before <= 0 or done.energy_after <= 0
    change = None if silent else round(10 * log10(done.energy_after / done.energy_before), 2)
    return {
        "input": str(info.path), "output": str(place), "rate": info.rate, "channels": info.channels, "samples": info.frames,
        "power_change_db": change, "gain": done.gain, "repairs": [info.note] if info.note else [],
    }  # fmt: skip
