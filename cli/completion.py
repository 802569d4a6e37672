"""`bss completion`: commands, options and files by the tab key."""

from __future__ import annotations

import click

from .support.common import OneOf, Output, command

SHELLS = ("bash", "zsh", "fish")


@command("completion")
@click.argument("shell", type=OneOf(SHELLS))
def completion(out: Output, shell: str) -> None:
    """Print the lines that make a shell complete commands, options and files of bss.

    \b
    Examples:
      eval "$(bss completion bash)"                                     in ~/.bashrc
      eval "$(bss completion zsh)"                                      in ~/.zshrc
      bss completion fish > ~/.config/fish/completions/bss.fish
    """
    from click.shell_completion import get_completion_class

    from .main import cli

    kind = get_completion_class(shell)
    assert kind is not None  # all three come with click
    maker = kind(cli, {}, "bss", "_BSS_COMPLETE")
    script = maker.source_template % maker.source_vars()  # `source` asks for the version of a bash, which need not be here
    out.data(script)
    out.emit({"shell": shell, "script": script})
