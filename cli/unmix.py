"""`bss unmix`: separate a recording."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from bss.pipeline.files.track_names import subtype_of
from bss.pipeline.methods.registry import NAMES
from bss.pipeline.planning.options import EFFORTS, MOST_SOURCES, UnmixOptions, channel_numbers
from bss.signals.sync.modes import MODES

from . import report
from .support.common import SEED, Number, OneOf, Output, announce_compiling, command
from .support.progress import STYLES
from .unmixing import unmix_live, unmix_stream
from .unmixing.results import filters_file, say_success, say_written
from .unmixing.tracks import check_output, default_folder, reading_and_writing, warn_of_gain

if TYPE_CHECKING:
    from bss.pipeline.files.whole_files import FileOptions
    from bss.pipeline.planning.plan import Plan
    from bss.pipeline.resources.memory import Budget
    from bss.pipeline.result import Unmixed
    from bss.signals.files.audio import Recording
    from bss.signals.files.blocks import FileBlocks

DEFAULTS = UnmixOptions()
# of the evidence, where the name in result.json is not clear by itself
LABELS = {"trial_seconds": "seconds analysed for delays", "own_mics_agreement": "agreement of levels and activity"}


@command("unmix")
@click.argument("files", nargs=-1, required=True)
@click.option("-o", "--output", default=None, help="Folder for the tracks, or - for one WAV on stdout [separated/NAME].")
@click.option("-n", "--sources", default="auto", show_default=True, help="Number of talkers; auto counts them.")
@click.option("--method", type=OneOf(NAMES), default=DEFAULTS.method, show_default=True,
              help="Separation method; auto chooses one.")  # fmt: skip
@click.option("--effort", type=OneOf(EFFORTS), default=DEFAULTS.effort, show_default=True,
              help="Computing time spent on recordings in rooms.")  # fmt: skip
@click.option("--reference-mic", type=click.IntRange(1), default=DEFAULTS.reference_mic + 1, show_default=True,
              help="Microphone whose levels the tracks have.")  # fmt: skip
@click.option("--per-mic", is_flag=True, help="Every talker has a microphone: write one track per microphone, named after it.")
@click.option("--channels", default="all", show_default=True, metavar="1-4,6",
              help="Channels to use; all leaves out those that are of no use.")  # fmt: skip
@click.option("--sync", type=OneOf(MODES), default=DEFAULTS.sync, show_default=True,
              help="Recorders that are out of step: correct what is found, nothing, the start, or every clock.")  # fmt: skip
@click.option("--device", default=DEFAULTS.device, show_default=True, metavar="auto|cpu|cuda[:N]|mps",
              help="Where to compute; auto takes a CUDA GPU for recordings that are long enough to pay.")  # fmt: skip
@reading_and_writing
@click.option("--weights", default=None, help="File of your own source model, instead of the built-in one.")
@click.option("--denoise", is_flag=True, help="Remove noise from the tracks, as bss denoise does; also writes the linear tracks.")
@click.option("--strength", type=Number(0, 1), default=1.0, show_default=True,
              help="With --denoise: share of the noise to remove, 0 to 1.")  # fmt: skip
@click.option("--dereverb", is_flag=True,
              help="Take late echo out of the tracks, before noise; also writes the linear tracks.")  # fmt: skip
@click.option("--linear", is_flag=True, help="Also write the tracks before the source model and denoising, to linear/.")
@click.option("--keep-noise", is_flag=True,
              help="Write every sound that is no talker by itself, as noise1.wav ..., instead of all in noise.wav.")  # fmt: skip
@click.option("--report", is_flag=True, help="Also write report.html, a page to listen to the tracks.")
@click.option("--save-filters", default=None, metavar="FILE", help="Also write the filters to FILE, for bss apply.")
@click.option("--seed", type=SEED, default=DEFAULTS.rng, show_default=True,
              help="Random seed; the same input and seed give the same tracks.")  # fmt: skip
@click.option("--max-memory", default=None, metavar="SIZE",
              help="Memory to use, as 2G; longer recordings are separated in pieces [a quarter of all, 4G at most].")  # fmt: skip
@click.option("--resume", is_flag=True, help="Continue a run of a long recording that was ended from outside.")
@click.option("--progress", type=OneOf(STYLES), default="auto", show_default=True,
              help="How far it is, on stderr: a bar or lines, or a JSON object per line.")  # fmt: skip
@click.option("--live", is_flag=True, help="Separate a WAV from stdin to stdout while it comes, with - and -o -.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, in how much memory and time, without doing it.")
def unmix(out: Output, files: tuple[str, ...], output: str | None, **options: Any) -> None:
    """Separate ONE recording, made by several microphones, into one track per talker.

    FILES are the microphones of one recording: one file each, one multichannel file, or a combination; folders and
    wildcards are expanded; - reads a WAV from stdin. Writes source1.wav ..., residual.wav if there is one, and result.json.

    \b
    Examples:
      bss unmix mics/*.wav -o sources/
      bss unmix meeting.wav --sources 3 --start 60 --end 180 -o sources/
      bss unmix anna.wav ben.wav carla.wav --per-mic -o clean/
    """
    from bss.pipeline.resources import costs, memory
    from bss.signals.files.blocks import open_blocks
    from bss.signals.files.paths import expand

    check_output(out, output)
    if options.pop("live"):
        unmix_live.live(out, files, output, _n_sources(options["sources"]), options)
        return
    out.progress_style = options["progress"]
    requested, budget = requested_options(options), memory.budget(options["max_memory"])
    clock = time.perf_counter()
    paths = expand(files)
    place = output or default_folder(paths)
    if options["report"]:
        report.refuse_early(place, overwrite=options["overwrite"])
    if options["resume"]:
        unmix_stream.refuse_resume(paths, place)
        if not unmix_stream.begun(place):
            out.say(f"there is no unfinished run in {place}, so it begins from the start")
    with _threads(out, options["threads"]), open_blocks(paths, start=options["start"], end=options["end"]) as blocks:
        for k, name in enumerate(blocks.names):
            out.detail(f"mic {k + 1} = {name}")
        if budget.note:
            out.warn(budget.note)
        if costs.fits(blocks, requested, budget) and not (options["resume"] and unmix_stream.begun(place)):
            _in_memory(out, blocks, requested, budget, place, clock, options)
        else:
            costs.refuse(blocks, requested, budget)
            unmix_stream.in_pieces(out, blocks, requested, budget, place, _file_options(options), options)


def _in_memory(
    out: Output, blocks: FileBlocks, requested: UnmixOptions, budget: Budget, place: str, clock: float, options: Any
) -> None:
    from bss.pipeline.files.unmix_file import whole
    from bss.pipeline.resources import costs

    recording = whole(blocks)
    plan = _plan(recording, requested)
    costs.refuse_plan(plan.memory, plan.choice.method.name, budget)
    seconds = {"read": time.perf_counter() - clock - sum(plan.seconds.values())}
    _say(out, recording, plan)
    if options["dry_run"]:
        size = (len(plan.used), plan.n_sources, recording.rate, recording.x.shape[1] / recording.rate)
        cost = costs.expected(True, *size)
        out.say(f"this will take {cost.sentence}")
        out.emit({"dry_run": True, **_plan_document(recording, plan), **cost.to_dict()})
    elif place == "-":
        _to_stdout(out, recording, plan, options)
    else:
        _to_folder(out, place, recording, plan, seconds, options)


def _file_options(options: dict[str, Any]) -> FileOptions:
    from bss.pipeline.files.whole_files import FileOptions

    strength = options["strength"] if options["denoise"] else None
    return FileOptions(
        options["subtype"],
        options["clip"],
        options["linear"],
        options["keep_noise"],
        strength,
        options["dereverb"],
        options["overwrite"],
        options,
    )


def requested_options(options: dict[str, Any]) -> UnmixOptions:
    """The options of the separation; errors in them, in weights or strength are raised before any file is read."""
    from bss.errors import UsageError
    from bss.networks.denoiser.denoise import check_strength

    check_strength(options["strength"])
    if options["strength"] != 1 and not options["denoise"]:
        raise UsageError("--strength needs --denoise", hint=f"--denoise --strength {options['strength']:g}")
    if options["weights"] is not None:
        from bss.networks.source_model.apply import load

        load(options["weights"])
    return UnmixOptions(
        n_sources=_n_sources(options["sources"]),
        method=options["method"],
        effort=options["effort"],
        reference_mic=options["reference_mic"] - 1,
        per_mic=options["per_mic"],
        device=options["device"],
        rng=options["seed"],
        weights=options["weights"],
        channels=channel_numbers(options["channels"]),
        sync=options["sync"],
    )


def _n_sources(text: str) -> int | None:
    from bss.errors import UsageError

    if text == "auto":
        return None
    if not (text.isascii() and text.isdecimal()) or not text.strip("0"):
        raise UsageError(f"--sources {text} is not a number of talkers", hint="--sources 2, or --sources auto")
    if len(text) > 4 or int(text) > MOST_SOURCES:
        raise UsageError(f"--sources {text[:30]} is out of range", hint=f"1 to {MOST_SOURCES}, or --sources auto")
    return int(text)


def _threads(out: Output, count: int | None) -> Any:
    from bss.backends.cpu import threads

    announce_compiling(out)
    return threads.limited(count)


def _plan(recording: Recording, requested: UnmixOptions) -> Plan:
    from bss.errors import UsageError
    from bss.pipeline.planning.plan import plan

    names = tuple(channel.name for channel in recording.channels)
    if requested.reference_mic >= len(names):
        raise UsageError(
            f"--reference-mic {requested.reference_mic + 1}: the recording has {len(names)} channels", hint=f"1 to {len(names)}"
        )
    for k in requested.channels or ():
        if k >= len(names):
            raise UsageError(f"--channels {k + 1}: the recording has {len(names)} channels", hint=f"1 to {len(names)}")
    devices = [channel.file for channel in recording.channels]
    return plan(recording.x, recording.rate, requested, names=names, devices=devices)


def _say(out: Output, recording: Recording, plan: Plan) -> None:
    for repair in recording.repairs:
        out.say(f"repaired: {repair}")
    for warning in plan.warnings:
        out.warn(warning)
    for line in plan.repairs:
        out.say(line)
    seconds = recording.x.shape[1] / recording.rate
    talkers = "1 talker" if plan.n_talkers == 1 else f"{plan.n_talkers} talkers"
    counted = "" if plan.count is None else " (counted)"
    out.say(f"{talkers}{counted}, {len(plan.used)} microphones, {seconds:.1f} s at {recording.rate} Hz")
    out.say(f"method: {plan.choice.reason}")
    if plan.count is not None:
        out.detail(f"counting: {plan.count.reason}")
    if plan.choice.stft is not None:
        stft = plan.choice.stft
        out.detail(f"window: {1e3 * stft.n_fft / recording.rate:.0f} ms ({stft.n_fft} samples, hop {stft.hop})")
    for name, value in plan.choice.evidence.items():
        if value is not None:
            out.detail(f"{LABELS.get(name, name.replace('_', ' '))}: {value}")


def _plan_document(recording: Recording, plan: Plan) -> dict[str, Any]:
    return {
        "method": plan.choice.method.name,
        "reason": plan.choice.reason,
        "evidence": plan.choice.evidence,
        "n_sources": plan.n_talkers,
        "counting": plan.count and plan.count.evidence(),
        "channels": list(plan.channels.names),
        "used": list(plan.names),
        "repairs": list(recording.repairs),
        "warnings": list(plan.warnings),
    }


def _to_folder(
    out: Output, folder: str, recording: Recording, plan: Plan, seconds: dict[str, float], options: dict[str, Any]
) -> None:
    from bss.pipeline.files.whole_files import separate_to

    with filters_file(options["save_filters"], options["overwrite"]) as save_filters:
        with out.progress("separating") as progress:
            files = _file_options(options)
            result, document = separate_to(folder, recording, plan, files, seconds=seconds, progress=progress)
        save_filters(result.filters)
    _say_result(out, result, plan)
    if options["linear"] and result.linear is None:
        out.say("the tracks are already the linear ones, so linear/ was not written")
    say_written(out, folder, document, options)


def _say_result(out: Output, result: Unmixed, plan: Plan) -> None:
    for warning in result.warnings[len(plan.warnings) :]:
        out.warn(warning)
    say_success(out, result.record.success)


def _to_stdout(out: Output, recording: Recording, plan: Plan, options: dict[str, Any]) -> None:
    import numpy as np

    from bss.pipeline.files.whole_files import separate
    from bss.pipeline.result import leveled
    from bss.signals.streams import refuse_terminal, write_stdout

    refuse_terminal()
    with filters_file(options["save_filters"], options["overwrite"]) as save_filters, out.progress("separating") as progress:
        result = separate(recording, plan, _file_options(options), progress=progress)
        save_filters(result.filters)
    _say_result(out, result, plan)
    named = dict(zip(result.names, result.sources, strict=True))
    tracks, gain, subtype = leveled(named, subtype_of(recording, options["subtype"]), options["clip"])
    warn_of_gain(out, gain)
    write_stdout(np.stack(list(tracks.values())), recording.rate, subtype)
