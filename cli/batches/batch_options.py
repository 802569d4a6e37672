"""What the commands of `bss batch` share: the options of other commands, where the work is done, and what is said of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..support.common import Output
from ..support.ending import printable

if TYPE_CHECKING:
    from bss.batch.workers.failures import Failure

F = TypeVar("F", bound=Callable[..., Any])


def spread(function: F) -> F:
    """The options for where the work is done."""
    for option in (
        click.option("--scheduler", default=None, metavar="ADDRESS",
                     help="Work on the Dask cluster of this scheduler, such as tcp://10.0.0.1:8786, instead of this machine."),
        click.option("-j", "--jobs", type=click.IntRange(1), default=None,
                     help="Processes, each with its share of the processors [as many as there are, if the memory allows]."),
    ):  # fmt: skip
        function = option(function)
    return function


def options_of(command: click.Command, without: tuple[str, ...]) -> list[click.Option]:
    """The options of another command but these, and but those that all commands have."""
    shared = ("as_json", "quiet", "verbose", "debug", *without)
    return [p for p in command.params if isinstance(p, click.Option) and p.name not in shared]


def take_options(command: click.Command, options: list[click.Option]) -> None:
    """Put the options of another command before those that all commands have."""
    common = [p for p in command.params if p.name in ("as_json", "quiet", "verbose", "debug")]
    own = [p for p in command.params if p not in common]
    command.params = [*own, *options, *common]


@contextlib.contextmanager
def cluster_at(out: Output, address: str | None, jobs: int | None) -> Iterator[Any]:
    """The `distributed.Client` of a cluster; None where the work is done here."""
    if address is None:
        yield None
        return
    from bss.batch.workers import cluster
    from bss.errors import UsageError

    if jobs is not None:
        raise UsageError("--jobs and --scheduler cannot be combined", "a cluster has workers of its own", "one of them")
    with cluster.connected(address) as client:
        workers = cluster.n_workers(client)
        out.say(f"{workers} workers at {address}" if workers else f"there are no workers at {address} yet: waiting for them")
        yield client


def worked(
    out: Output, function: Callable[[Any], Any], tasks: Sequence[Any], scheduler: str | None, jobs: int | None
) -> Generator[tuple[int, Any], None, None]:
    """The position of each task and what the function made of it, or a Failure, as they end; here or on a cluster."""
    from bss.batch.workers import cluster, processes
    from bss.batch.workers.shares import divided

    with cluster_at(out, scheduler, jobs) as client:
        if client is None:
            shares = divided(len(tasks), jobs=jobs)
            ended = processes.each(function, tasks, jobs=shares.jobs, threads=shares.threads)
        else:
            ended = cluster.each(client, function, tasks)
        with contextlib.closing(ended):
            yield from ended


class Lines:
    """A line on stderr for each item as it ends."""

    def __init__(self, out: Output, total: int) -> None:
        self.out, self.total, self.ended = out, total, 0

    def done(self, name: str, text: str) -> None:
        """An item that went well."""
        self.ended += 1
        self.out.say(f"{self._place} {name}: {text}")

    def failed(self, name: str, failure: Failure) -> None:
        """An item that failed, which is said even with -q."""
        self.ended += 1
        click.echo(f"{self._place} {name}: failed: {failure.sentence}", err=True)
        if self.out.debug and failure.traceback:
            click.echo(printable(failure.traceback), err=True)

    @property
    def _place(self) -> str:
        return f"[{self.ended:{len(str(self.total))}}/{self.total}]"
