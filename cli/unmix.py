"""`bss unmix`: the main job."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import OneOf, Output, command, say_if_cold

if TYPE_CHECKING:
    from bss.pipeline.plan import Plan
    from bss.pipeline.result import Unmixed
    from bss.signals.audio import Recording

METHODS = ("auto", "fastica", "infomax", "auxiva", "fdica", "ilrma", "neural", "cacgmm")
EFFORTS = ("fast", "normal", "best")
SUBTYPES = {"pcm16": "PCM_16", "pcm24": "PCM_24", "pcm32": "PCM_32", "float": "FLOAT"}


@command("unmix")
@click.argument("files", nargs=-1, required=True)
@click.option("-o", "--output", default=None, help="Folder for the tracks, or - for one WAV on stdout [separated/NAME].")
@click.option("-n", "--sources", default="auto", show_default=True, help="Number of talkers; auto: counted.")
@click.option("--method", type=OneOf(METHODS), default="auto", show_default=True, help="How to separate.")
@click.option("--effort", type=OneOf(EFFORTS), default="normal", show_default=True, help="How long to try, in a room.")
@click.option(
    "--reference-mic", type=click.IntRange(1), default=1, show_default=True, help="Levels are those at this microphone."
)
@click.option("--per-mic", is_flag=True, help="Everyone has a microphone: one track per microphone, named after it.")
@click.option("--start", type=click.FloatRange(0), default=0.0, help="Begin here, in seconds.")
@click.option("--end", type=click.FloatRange(0, min_open=True), default=None, help="End here, in seconds.")
@click.option("--subtype", type=OneOf(("same", *SUBTYPES)), default="same", show_default=True, help="Of the tracks.")
@click.option("--clip", type=OneOf(("common", "keep")), default="common", show_default=True,
              help="Against clipping: one gain for all tracks, or keep the levels and write float.")  # fmt: skip
@click.option("--weights", default=None, help="Another source model than the one that comes with bss.")
@click.option("--denoise", is_flag=True, help="Take noise out of the tracks, as bss denoise does; keeps the linear tracks too.")
@click.option("--strength", type=float, default=1.0, show_default=True, help="Of --denoise: share of the noise that goes.")
@click.option("--linear", is_flag=True, help="Also write the tracks as linear filters make them, into linear/.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Same input and seed, same tracks.")
@click.option("--threads", type=click.IntRange(1), default=None, envvar="BSS_THREADS", help="Processor threads [all].")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--overwrite", "-y", is_flag=True, help="Replace tracks that are there.")
def unmix(out: Output, files: tuple[str, ...], output: str | None, **options: Any) -> None:
    """Separate ONE recording, made by several microphones, into one track per talker.

    FILES are the microphones of one recording: a file each, one file of many channels, or a mixture; folders and
    wildcards are expanded; - reads a WAV from stdin. Writes source1.wav ..., residual.wav where there is one, result.json.

    \b
    Examples:
      bss unmix mics/*.wav -o sources/
      bss unmix meeting.wav --sources 3 --start 60 --end 180 -o sources/
      bss unmix anna.wav ben.wav carla.wav --per-mic -o clean/
    """
    from bss.errors import UsageError
    from bss.signals.audio import load
    from bss.signals.paths import expand

    if output == "-" and out.as_json:
        raise UsageError("-o - and --json both want stdout", hint="a folder for the tracks, or no --json")
    if output == "":
        raise UsageError("-o was given an empty name", hint="look at the variable or quotes it came from")
    n_sources = _sources(options["sources"])
    _check_models(options)
    clock = time.perf_counter()
    paths = expand(files)
    recording = load(paths, start=options["start"], end=options["end"])
    names = tuple(channel.name for channel in recording.channels)
    for k, name in enumerate(names):
        out.detail(f"mic {k + 1} = {name}")
    with _threads(out, options["threads"]):
        found = _plan(recording, n_sources, names, options)
        seconds = {"read": time.perf_counter() - clock - sum(found.seconds.values())}
        _say(out, recording, found, options)
        if options["dry_run"]:
            out.emit({"dry_run": True, **_plan_document(recording, found, names)})
            return
        tracks = _track_names(recording, found, options["per_mic"])
        if output == "-":
            _to_stdout(out, recording, found, tracks, options)
        else:
            _to_folder(out, output or _default_folder(paths), recording, found, tracks, seconds, options)


def _sources(text: str) -> int | None:
    from bss.errors import UsageError

    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--sources {text} is not a number of talkers", hint="--sources 2, or --sources auto")
    return int(text)


def _check_models(options: dict[str, Any]) -> None:
    """What is wrong with weights, or a strength, is said before anything is read."""
    from bss.errors import UsageError
    from bss.networks.denoiser.denoise import check_strength

    check_strength(options["strength"])
    if options["weights"] is not None:
        from bss.pipeline.neural import model

        model(options["weights"])
    if options["strength"] != 1 and not options["denoise"]:
        raise UsageError("--strength is for --denoise", hint=f"--denoise --strength {options['strength']:g}")


def _threads(out: Output, count: int | None) -> Any:
    from bss.backends.cpu import threads

    say_if_cold(out)
    return threads.limited(count)


def _plan(recording: Recording, n_sources: int | None, names: tuple[str, ...], options: dict[str, Any]) -> Plan:
    from bss.errors import UsageError
    from bss.pipeline.plan import plan

    reference = options["reference_mic"]
    if reference > len(names):
        raise UsageError(f"--reference-mic {reference}: the recording has {len(names)} channels", hint=f"1 to {len(names)}")
    return plan(
        recording.x, recording.rate, n_sources=n_sources, method=options["method"], effort=options["effort"],
        reference_mic=reference - 1, per_mic=options["per_mic"], names=names,
    )  # fmt: skip


def _say(out: Output, recording: Recording, found: Plan, options: dict[str, Any]) -> None:
    for repair in recording.repairs:
        out.say(f"repaired: {repair}")
    for warning in found.warnings:
        out.warn(warning)
    seconds = recording.x.shape[1] / recording.rate
    mics = f"{len(found.used)} microphones, {seconds:.1f} s at {recording.rate} Hz"
    talkers = "1 talker" if found.n_sources == 1 else f"{found.n_sources} talkers"
    out.say(f"{mics}: {talkers}{'' if found.counted is None else f' ({found.counted.reason})'}")
    out.say(f"method: {found.choice.reason}")


def _plan_document(recording: Recording, found: Plan, names: tuple[str, ...]) -> dict[str, Any]:
    from bss.pipeline.plan import memory_estimate

    return {
        "method": found.choice.method,
        "reason": found.choice.reason,
        "evidence": found.choice.evidence,
        "n_sources": found.n_sources,
        "counting": found.counted and found.counted.evidence(),
        "channels": list(names),
        "used": [names[k] for k in found.used],
        "repairs": list(recording.repairs),
        "warnings": list(found.warnings),
        "memory_bytes": memory_estimate(found, recording.x.shape[1]),
    }


def _track_names(recording: Recording, found: Plan, per_mic: bool) -> tuple[str, ...]:
    """source1 ..., or with --per-mic the microphones' own names; two files of one name are told apart by a number."""
    if not per_mic:
        return tuple(f"source{k + 1}" for k in range(found.n_sources))
    names: list[str] = []
    used = [recording.channels[k] for k in found.used]
    for channel in used:
        stem = Path(channel.file).stem if channel.file != "-" else "stdin"
        alone = sum(c.file == channel.file for c in recording.channels) == 1
        name = base = stem if alone else f"{stem}-{channel.index + 1}"
        count = 1
        while name in names or name == "residual":
            count += 1
            name = f"{base}-{count}"
        names.append(name)
    return tuple(names)


def _default_folder(paths: list[Path]) -> str:
    """separated/NAME: the file's name, or that of the folder that the files are in."""
    first = paths[0]
    if str(first) == "-":
        return str(Path("separated") / "stdin")
    name = first.stem if len(paths) == 1 else first.resolve().parent.name
    return str(Path("separated") / (name or "recording"))


def _separate(out: Output, recording: Recording, found: Plan, names: tuple[str, ...], options: dict[str, Any]) -> Unmixed:
    from bss.pipeline.unmix import carry_out

    with out.progress("separating") as progress:
        result = carry_out(
            found,
            recording.x,
            recording.rate,
            per_mic=options["per_mic"],
            rng=options["seed"],
            progress=progress,
            weights=options["weights"],
        )
    for warning in result.warnings[len(found.warnings) :]:
        out.warn(warning)
    if options["denoise"]:
        result = result.denoised(options["strength"])
    _say_success(out, result.info["success"])
    return replace(result, names=names)


def _say_success(out: Output, success: dict[str, Any] | None) -> None:
    """What to expect of the tracks, where something can tell."""
    if success is not None:
        gain = success["predicted_si_sdr_gain_db"]
        about = "" if gain is None else f" (SI-SDR about {gain:.0f} dB better than the microphone, from the tracks alone)"
        out.say(f"success: {success['sentence']}{about}")


def _subtype(recording: Recording, wanted: str) -> str:
    from bss.signals.writing import writable_subtype

    return SUBTYPES[wanted] if wanted != "same" else writable_subtype("WAV", recording.subtype)[1]


def _to_folder(
    out: Output, folder: str, recording: Recording, found: Plan, names: tuple[str, ...], seconds: dict[str, float],
    options: dict[str, Any],
) -> None:  # fmt: skip
    from bss.pipeline.result import LINEAR
    from bss.signals.writing import output_folder

    linear = options["linear"] or options["denoise"]
    residual = found.leaves_residual(options["per_mic"])
    files = [*(f"{name}.wav" for name in names), *(["residual.wav"] if residual else []), "result.json"]
    files += [f"{LINEAR}{name}.wav" for name in names if linear]
    needed = 4 * recording.x.shape[1] * len(files)
    with output_folder(folder, files, overwrite=options["overwrite"], needed_bytes=needed, inputs=_files(recording)) as place:
        result = _separate(out, recording, found, names, options)
        inputs = {
            "inputs": _files(recording),
            "channel_map": [{"mic": k + 1, "file": c.file, "channel": c.index + 1} for k, c in enumerate(recording.channels)],
            "repairs": list(recording.repairs),
            "options": options,
        }
        timed = {"seconds": {**{k: round(v, 3) for k, v in seconds.items()}, **result.info["seconds"]}}
        result = replace(result, info={**inputs, **result.info, **timed})
        document = result.write_into(place, subtype=_subtype(recording, options["subtype"]), clip=options["clip"], linear=linear)
    if options["linear"] and result.linear is None:
        out.say("the tracks are made by linear filters alone: there are no others to write")
    if document["gain"] != 1.0:
        out.warn(f"all tracks were lowered by {-_db(document['gain']):.1f} dB so that none clips (--clip keep writes float)")
    out.say(f"wrote {', '.join(document['outputs'])} and result.json to {folder}")
    _mention_leftovers(out, Path(folder), set(files))
    out.emit({**document, "folder": folder})


def _files(recording: Recording) -> list[str]:
    return list(dict.fromkeys(channel.file for channel in recording.channels))


def _mention_leftovers(out: Output, folder: Path, written: set[str]) -> None:
    """Tracks of an earlier run with more talkers are not ours to delete, and must not be taken for this run's."""
    old = [p.name for p in sorted(folder.glob("source*.wav")) + sorted(folder.glob("residual.wav")) if p.name not in written]
    if old:
        out.warn(f"{', '.join(old)} in {folder} are from an earlier run")


def _to_stdout(out: Output, recording: Recording, found: Plan, names: tuple[str, ...], options: dict[str, Any]) -> None:
    import numpy as np

    from bss.pipeline.result import leveled
    from bss.signals.streams import refuse_terminal, write_stdout

    refuse_terminal()
    result = _separate(out, recording, found, names, options)
    tracks, gain, subtype = leveled(
        dict(zip(names, result.sources, strict=True)), _subtype(recording, options["subtype"]), options["clip"]
    )
    if gain != 1.0:
        out.warn(f"all tracks were lowered by {-_db(gain):.1f} dB so that none clips (--clip keep writes float)")
    write_stdout(np.stack(list(tracks.values())), recording.rate, subtype)


def _db(gain: float) -> float:
    from math import log10

    return 20 * log10(gain)
