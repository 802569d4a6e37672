"""`bss`: the command group. Commands are imported when they are called, so that `bss --help` is fast."""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import io
import sys
from collections.abc import Sequence
from typing import Any

import click

from bss import __version__

from .support.common import run_group
from .support.ending import INTERRUPTED, end_on_signals, leave

COMMANDS = {
    "unmix": "Separate a recording of several microphones into one file per talker.",
    "apply": "Separate another recording of a room with filters that were learned before.",
    "sync": "Put the recordings of several recorders in step.",
    "mix": "Simulate a recording of several talkers in a room, with ground truth.",
    "score": "Score separated tracks against the true sources.",
    "batch": "Separate, score or simulate many recordings at once.",
    "report": "Write a page to listen to a result, with what was found and how well it worked.",
    "denoise": "Remove noise from recordings of speech, or from separated tracks.",
    "models": "List the networks that there are.",
    "train": "Train networks: autoencoders, a denoiser, a source model.",
    "check": "Check a recording for problems before separating it.",
    "voices": "Synthesise speech, as test voices.",
    "warmup": "Compile what separations need, before the first one.",
    "completion": "Print what makes a shell complete bss commands.",
}
# Imports create very many long-lived objects; collecting garbage as often as Python does by default takes a twentieth of the
# time of a short command.
GC_THRESHOLD = 200_000


class LazyGroup(click.Group):
    """A group whose commands are `bss_cli.<name>.<name>`, imported on use."""

    def main(
        self, args: Sequence[str] | None = None, prog_name: str | None = None, complete_var: str | None = None,
        standalone_mode: bool = True, **extra: Any,
    ) -> Any:  # fmt: skip
        """Run the command; errors in the command line itself are reported like all others, also with --json."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        words = list(sys.argv[1:] if args is None else args) or ["--help"]
        program = f"bss {words[0]}" if words[0] in COMMANDS else "bss"
        group = functools.partial(super().main, prog_name=prog_name, complete_var=complete_var, **extra)
        sys.exit(run_group(group, words, program))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"bss_cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            if close and not args[0].startswith("-"):
                error.message += f" Did you mean {close[0]!r}?"
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # click would import every command for its short help
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bss")
def cli() -> None:
    """Blind source separation of audio: several microphones in, one clean track per talker out.

    \b
    Examples:
      bss unmix mics/*.wav -o sources/          one file per talker
      bss mix voices/ --mics 4 -o scene/        a test recording with ground truth
      bss score scene/truth sources/            how good the separation is
    """


def main(argv: list[str] | None = None) -> Any:
    """Entry point of the console script."""
    gc.set_threshold(GC_THRESHOLD)
    end_on_signals()
    atexit.register(gc.freeze)  # skips the collection at exit, a sixth of the time of a short `bss unmix`
    for stream in (sys.stdout, sys.stderr):  # a name that the terminal cannot display must not stop the program
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return cli.main(args=argv, prog_name="bss")
    except SystemExit as ended:
        if ended.code in INTERRUPTED:
            leave(ended.code)
        raise
