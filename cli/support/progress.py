"""How far a long command is: a bar on a terminal, a line now and then elsewhere, or JSON for programs."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

STYLES = ("auto", "json")
LINE_SECONDS = 10.0  # between two lines
JSON_SECONDS = 0.5  # between two objects
Update = Callable[[float], None]


@contextlib.contextmanager
def bar(label: str, console: Console) -> Iterator[Update]:
    """A bar with the remaining time, which vanishes when the work is done."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task(label, total=1.0)
        yield lambda fraction: shown.update(task, completed=fraction)


class Reports:
    """Says how far the work is, at most once in so many seconds.

    Parameters
    ----------
    report : callable
        Takes the fraction, the seconds since the beginning, and those that are left, or None if that is not known yet.
    every : float
        Seconds.
    """

    def __init__(self, report: Callable[[float, float, float | None], None], every: float) -> None:
        self.report, self.every = report, every
        self.began = self.last = time.monotonic()

    def __call__(self, fraction: float) -> None:
        now = time.monotonic()
        if now - self.last < self.every:
            return
        self.last = now
        elapsed = now - self.began
        self.report(fraction, elapsed, elapsed * (1 - fraction) / fraction if fraction > 0 else None)


def lines(label: str) -> Reports:
    """A line on stderr every ten seconds, none if the work takes less."""
    from bss.pipeline.resources.costs import duration

    def say(fraction: float, elapsed: float, left: float | None) -> None:
        rest = "" if left is None else f", about {duration(left)} left"
        click.echo(f"{label}: {100 * fraction:.0f} % after {duration(elapsed)}{rest}", err=True)

    return Reports(say, LINE_SECONDS)


@contextlib.contextmanager
def objects(label: str) -> Iterator[Update]:
    """One JSON object per line on stderr; the last one has a fraction of 1 if the work was done."""

    def say(fraction: float, elapsed: float, left: float | None) -> None:
        rest = None if left is None else round(left, 1)
        line = {"step": label, "fraction": round(fraction, 4), "elapsed": round(elapsed, 1), "left": rest}
        click.echo(json.dumps(line), err=True)

    reports = Reports(say, JSON_SECONDS)
    say(0.0, 0.0, None)
    yield reports
    say(1.0, time.monotonic() - reports.began, 0.0)
