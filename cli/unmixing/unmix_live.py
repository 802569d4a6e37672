"""`bss unmix --live`: tracks of a recording that is going on, from pipe to pipe."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from bss.pipeline.files.track_names import SUBTYPES

from ..support.common import Output, announce_compiling

if TYPE_CHECKING:
    from bss.pipeline.live import Live
    from bss.signals.live import WavInput, WavOutput

EXAMPLE = "arecord -f S16_LE -r 16000 -c 4 -t wav | bss unmix --live - -o - | aplay"
# what a recording that is going on has use for
OPTIONS = {"sources", "effort", "reference_mic", "subtype", "seed", "threads"}
ALWAYS = {"live", "files", "output", "quiet", "verbose", "debug"}


def live(out: Output, files: tuple[str, ...], output: str | None, n_sources: int | None, options: dict[str, Any]) -> None:
    """Read a WAV from stdin as it comes, and write one of all tracks to stdout.

    Raises
    ------
    InputError
        What comes is no WAV, has one channel, or ends early; what came until then is separated and written.
    UsageError
        Other files or options are named.
    """
    from bss.backends.cpu import threads
    from bss.errors import InputError
    from bss.pipeline.live import Live
    from bss.signals.live import WavInput, WavOutput
    from bss.signals.streams import refuse_terminal, stdin_pipe

    _refuse_others(files, output)
    refuse_terminal()
    stdin = stdin_pipe(EXAMPLE)
    source = WavInput(stdin)
    if source.channels < 2:
        why = "blind separation needs at least two microphones"
        raise InputError("what comes from stdin has only one channel", why, EXAMPLE)
    with threads.limited(options["threads"]):
        work = Live(
            source.channels, source.rate, n_sources=n_sources, effort=options["effort"], rng=options["seed"],
            reference_mic=options["reference_mic"] - 1, beside=_is_pipe(stdin),
        )  # fmt: skip
        announce_compiling(out)
        tracks = "1 track" if work.n_tracks == 1 else f"{work.n_tracks} tracks"
        later = f"{work.latency_seconds:.1f} s later"
        out.say(f"live: {source.channels} microphones at {source.rate} Hz, {tracks}, {later}; silent until filters are learned")
        target = WavOutput(sys.stdout.buffer, source.rate, work.n_tracks, _subtype(source, options["subtype"]))
        try:
            _pass(out, source, work, target)
        finally:  # of a stream that ends early, too, what came is separated
            target.write(work.flush())
            if target.clipped:
                out.warn(
                    f"{target.clipped} samples were above full scale and are clipped (--subtype float writes them as they are)"
                )


def _is_pipe(stream: BinaryIO) -> bool:
    """Whether a stream does not wait; a file does, so that its tracks are the same every time."""
    try:
        return not stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # no file of the system's
        return False


def _pass(out: Output, source: WavInput, work: Live, target: WavOutput) -> None:
    """Separate block after block, and say when it begins to work, and what keeps it from that."""
    ready, problem, came = False, None, 0
    for block in source.blocks():
        came += block.shape[1]
        target.write(work.push(block))
        if work.ready and not ready:
            ready = True
            out.say(f"filters are known after {came / source.rate:.0f} s")
        if work.problem != problem:
            problem = work.problem
            if problem is not None:
                out.warn(f"nothing could be learned after {came / source.rate:.0f} s: {' '.join(problem.split())}")


def _subtype(source: WavInput, wanted: str) -> str:
    """The sample format of the tracks."""
    from bss.signals.files.writing import writable_subtype

    found = SUBTYPES[wanted] if wanted != "same" else writable_subtype("WAV", source.subtype)[1]
    return "FLOAT" if found == "DOUBLE" else found


def _refuse_others(files: Iterable[str], output: str | None) -> None:
    from bss.errors import UsageError

    if tuple(files) != ("-",) or output != "-":
        raise UsageError("--live reads a WAV from stdin and writes one to stdout", "-, and -o -, are what it needs", EXAMPLE)
    context = click.get_current_context()
    given = [name for name in context.params if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE]
    for name in given:
        if name not in OPTIONS | ALWAYS:
            option = f"--{name.replace('_', '-')}".replace("--as-json", "--json")
            raise UsageError(f"--live and {option} cannot be combined", "what is still going on is not known as a whole", EXAMPLE)
