"""`bss batch`: many recordings at once."""

from __future__ import annotations

import importlib

import click

SUBCOMMANDS = {
    "unmix": "Separate many recordings.",
    "score": "Score many separations against their truths.",
    "mix": "Simulate a corpus of recordings.",
}


class BatchGroup(click.Group):
    """A group whose commands are `bss_cli.batch_<name>.batch_<name>`; what names none of them is recordings to separate."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`bss batch RECORDINGS` is `bss batch unmix RECORDINGS`."""
        if args and args[0] not in SUBCOMMANDS and args[0] not in ctx.help_option_names:
            args = ["unmix", *args]
        return super().parse_args(ctx, args or ["--help"])

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUBCOMMANDS:
            return None
        command = getattr(importlib.import_module(f"bss_cli.batches.batch_{cmd_name}"), f"batch_{cmd_name}")
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # click would import every command for its short help
        with formatter.section("Commands"):
            formatter.write_dl(list(SUBCOMMANDS.items()))


@click.group(cls=BatchGroup, context_settings={"help_option_names": ["-h", "--help"]}, subcommand_metavar="[COMMAND] ...")
def batch() -> None:
    """Separate, score or simulate many recordings at once, on the processors of this machine or a Dask cluster.

    `bss batch RECORDINGS` is short for `bss batch unmix RECORDINGS`; its options are those of `bss batch unmix --help`.

    \b
    Examples:
      bss batch meetings/*/ -o out/                       each folder is a recording
      bss batch recordings.csv -o out/ --jobs 4           a row for each file
      bss batch recordings.csv -o out/ --skip-done        only what is not done yet
      bss batch mix voices/ -o corpus/ --mics 2,4 --seeds 0-9
      bss batch score corpus/ out/
    """
