"""What all commands share: the output options, where text and data go, and how errors are reported.

Data go to stdout, messages to stderr. With `--json` stdout receives exactly one JSON document, even after an error.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import json
import os
import shlex
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bss.errors import BssError, UsageError

from .ending import Terminated, printable, reports_to
from .numbers import SECONDS as SECONDS, SEED as SEED, THREADS as THREADS, Number as Number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

SCHEMA = 1
F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Output:
    """The output of a command. Commands receive it as their first argument."""

    as_json: bool = False
    quiet: bool = False
    verbose: int = 0
    debug: bool = False
    progress_style: str = "auto"
    emitted: bool = field(default=False, init=False)

    def say(self, text: str) -> None:
        """Print a message on stderr, unless -q."""
        if not self.quiet:
            click.echo(printable(text), err=True)

    def detail(self, text: str) -> None:
        """Print a detail on stderr, only with -v."""
        if self.verbose and not self.quiet:
            click.echo(printable(text), err=True)

    def warn(self, text: str) -> None:
        """Print a warning on stderr, even with -q."""
        click.echo(printable(f"warning: {text}"), err=True)

    def emit(self, document: dict[str, Any]) -> None:
        """Print the JSON document on stdout, only with --json."""
        if self.as_json:
            self.emitted = True
            click.echo(json.dumps({"schema": SCHEMA, **document}, indent=2, default=_plain, allow_nan=False))

    def data(self, text: str) -> None:
        """Print the result on stdout, unless --json, where `emit` prints it."""
        if not self.as_json:
            click.echo(printable(text))

    def console(self, *, stderr: bool = False) -> Console:
        """A rich console for tables, on stdout by default; plain text unless a terminal."""
        from .terminal import SafeConsole

        # piped output must not be wrapped at 80 columns
        width = None if (sys.stderr if stderr else sys.stdout).isatty() else 200
        return SafeConsole(stderr=stderr, width=width, highlight=False, soft_wrap=False)

    @contextlib.contextmanager
    def progress(self, label: str) -> Iterator[Callable[[float], None]]:
        """How far the work is, on stderr: a bar on a terminal, else a line every ten seconds; JSON if asked for, even with -q.

        Yields `update(fraction)`.
        """
        from . import progress

        if self.progress_style == "json":
            with progress.objects(label) as update:
                yield update
        elif self.quiet:
            yield lambda fraction: None
        elif not sys.stderr.isatty():
            yield progress.lines(label)
        else:
            with progress.bar(label, self.console(stderr=True)) as update:
                yield update


def _plain(value: Any) -> Any:
    """JSON for numpy scalars, arrays and paths."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def announce_compiling(out: Output) -> None:
    """During this command, explain the wait when kernels have to be compiled, as they are once on every machine."""
    from bss.backends.cpu import compiling

    context = click.get_current_context()

    def say() -> None:
        from bss.pipeline.resources import warming
        from bss.pipeline.resources.costs import duration

        count = context.with_resource(warming.helpers())()
        seconds = duration(warming.seconds_of_compiling(count))
        out.say(f"compiling for this machine, only once: this takes about {seconds} (bss warmup does it ahead)")
        if compiling.not_kept():
            out.say(compiling.not_kept())

    context.with_resource(compiling.announced(say))


class OneOf(click.ParamType):
    """A choice that suggests the closest name."""

    name = "choice"

    def __init__(self, choices: Sequence[str]) -> None:
        self.choices = tuple(choices)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return f"[{'|'.join(self.choices)}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value in self.choices:
            return value
        option = param.opts[0] if param else "the option"
        close = difflib.get_close_matches(str(value), self.choices, n=1)
        hint = (f"did you mean {close[0]}? " if close else "") + "one of " + ", ".join(self.choices)
        raise UsageError(f"{option} {value} is not known", hint=hint)


def run_group(group: Callable[..., Any], words: list[str], program: str) -> int:
    """Run a click group on a command line, and return the exit code; `program` is named in hints, as in "bss mix --help"."""
    out = Output(as_json="--json" in words, debug="--debug" in words)
    try:
        code = group(args=list(words), standalone_mode=False)
    except BssError as error:  # from the conversion of an option
        return _failed(out, error, error.what, error.why, error.hint, error.exit_code)
    except click.ClickException as error:
        return _failed(out, error, *_explain(error, program), error.exit_code)
    except click.Abort as error:
        return _failed(out, error, "interrupted", "", "", 130)
    return code if isinstance(code, int) else 0


def _explain(error: click.ClickException, program: str) -> tuple[str, str, str]:
    """An error of click as what, why, and what to try."""
    hint = f"{program} --help"
    if isinstance(error, click.NoSuchOption):
        close = f"did you mean {' or '.join(sorted(error.possibilities))}? " if error.possibilities else ""
        return f"there is no option {error.option_name}", "", close + hint
    text = error.format_message().removesuffix(".")
    if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter) and error.param is not None:
        text = f"{error.param.opts[0]}: {error.message.removesuffix('.')}"
    return text[0].lower() + text[1:], "", hint


def command(name: str) -> Callable[[F], click.Command]:
    """A click command with --json, -q, -v and --debug, whose function receives an `Output` first and may raise BssError."""

    def wrap(function: F) -> click.Command:
        @functools.wraps(function)
        def run(as_json: bool, quiet: bool, verbose: int, debug: bool, **options: Any) -> None:
            out = Output(as_json, quiet, verbose, debug)
            if isinstance(options.get("output"), str):
                options["output"] = _resolved(options["output"])
            sys.exit(_guarded(out, functools.partial(function, out, **options)))

        decorated: Any = run
        for option in (
            click.option("--debug", is_flag=True, help="Show the traceback of errors."),
            click.option("-v", "--verbose", count=True, help="Print more details."),
            click.option("-q", "--quiet", is_flag=True, help="Print only warnings and errors."),
            click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout."),
        ):
            decorated = option(decorated)
        return click.command(name)(decorated)

    return wrap


def _resolved(output: str) -> str:
    """A folder for results without "..": where it leads is what is written to, and what is said."""
    if ".." not in Path(output).parts:
        return output
    place = os.path.realpath(output)
    return place if os.path.isabs(output) or ".." in Path(os.path.relpath(place)).parts else os.path.relpath(place)


def _interrupted(out: Output, error: KeyboardInterrupt) -> int:
    if isinstance(error, Terminated):
        return _failed(out, error, "ended from outside", "the program was told to end by a signal", "", 128 + error.args[0])
    return _failed(out, error, "interrupted", "", "", 130)


def _internal(out: Output, error: Exception) -> int:
    """What nobody has foreseen: said as a fault of bss, with the command that shows it again."""
    what = f"internal error: {type(error).__name__}: {error}"
    again = shlex.join(["bss", *sys.argv[1:], *([] if out.debug else ["--debug"])])
    hint = f"{again}  and report what it prints to {reports_to()}"
    return _failed(out, error, what, "this is a fault of bss, not of your recording or your command", hint, 1)


def _guarded(out: Output, work: Callable[[], Any]) -> int:
    """Run the work; whatever it raises becomes an exit code and a message."""
    try:
        with _without_warnings(out):
            work()
    except BssError as error:
        return _failed(out, error, error.what, error.why, error.hint, error.exit_code)
    except KeyboardInterrupt as error:
        return _interrupted(out, error)
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except BrokenPipeError:  # as with `| head`; the flush at exit must not fail either
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _failed(out, error, f"{place}{error.strerror or error}", "the operating system refused it", "", 3)
    except MemoryError as error:
        return _failed(out, error, "not enough memory", str(error), "a shorter part with --start and --end", 1)
    except Exception as error:  # noqa: BLE001 - the last line of defence: reported, with exit code 1
        return _internal(out, error)
    return 0


@contextlib.contextmanager
def _without_warnings(out: Output) -> Iterator[None]:
    """Warnings of libraries are for programmers: shown with --debug, or where Python was told what to do with them."""
    with warnings.catch_warnings():
        if not out.debug and not sys.warnoptions:
            warnings.simplefilter("ignore")
        yield


def _failed(out: Output, error: BaseException, what: str, why: str, hint: str, code: int) -> int:
    if out.debug:
        click.echo(printable("".join(traceback.format_exception(error))), err=True, nl=False)
    click.echo(printable(f"error: {what}"), err=True)
    if why:
        click.echo(printable(f"  why: {why}"), err=True)
    if hint:
        click.echo(printable(f"  try: {hint}"), err=True)
    if not out.emitted:
        out.emit({"error": {"what": what, "why": why, "try": hint, "exit_code": code}})
    return code
