"""Lines over time, as values that the template draws as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720.0, 200.0  # of the plane that lines are drawn in
MOST_LINES = 8  # whose dashes can be told apart


@dataclass(frozen=True)
class Line:
    """A line of a chart; `pieces` are the points of unbroken parts, as SVG has them."""

    name: str
    pieces: tuple[str, ...]
    number: int  # of its colour and dashes


@dataclass(frozen=True)
class Tick:
    """A mark on an axis, and where it is on the plane."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """Lines over time.

    Attributes
    ----------
    title : str
        What it shows; `summary` says it in words, for those who do not see it.
    unit : str
        Of the vertical axis.
    """

    title: str
    summary: str
    unit: str
    lines: tuple[Line, ...]
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]


def chart(
    title: str,
    summary: str,
    unit: str,
    series: Sequence[tuple[str, Sequence[float], Sequence[float | None]]],
    *,
    seconds: float,
    least_span: float,
    lowest: float = -math.inf,
) -> Chart | None:
    """A chart of series (name, times in seconds, values); None where they have no value.

    Values below `lowest` are drawn at it, and the axis spans `least_span` at least, so that small changes look small.
    """
    values = [max(v, lowest) for _, _, vs in series for v in vs if v is not None]
    if not values or seconds <= 0:
        return None
    low, high = min(values), max(values)
    missing = max(0.0, least_span - (high - low)) / 2
    step = nice((high - low + 2 * missing) / 4)
    low, high = math.floor((low - missing) / step) * step, math.ceil((high + missing) / step) * step

    def y(value: float) -> float:
        return round(HEIGHT * (high - value) / (high - low), 1)

    def points(times: Sequence[float], vs: Sequence[float | None]) -> list[tuple[float, float | None]]:
        return [(WIDTH * t / seconds, None if v is None else y(max(v, lowest))) for t, v in zip(times, vs, strict=True)]

    lines = tuple(Line(name, _pieces(points(times, vs)), k) for k, (name, times, vs) in enumerate(series[:MOST_LINES]))
    rows = tuple(Tick(y(low + k * step), f"{low + k * step:g}") for k in range(round((high - low) / step) + 1))
    every = nice(seconds / 6, clock=True)
    columns = tuple(Tick(round(WIDTH * k * every / seconds, 1), clock(k * every)) for k in range(int(seconds / every) + 1))
    return Chart(title, summary, unit, lines, rows, columns)


def _pieces(points: list[tuple[float, float | None]]) -> tuple[str, ...]:
    """Runs of points with a value; a single point becomes a short line."""
    runs: list[list[str]] = [[]]
    for x, y in points:
        if y is None:
            runs.append([])
        else:
            runs[-1].append(f"{x:.1f},{y:.1f}")
    return tuple(" ".join(run if len(run) > 1 else run * 2) for run in runs if run)


def nice(step: float, *, clock: bool = False) -> float:
    """A round number that is about `step`, of seconds if `clock`.

    Examples
    --------
    >>> nice(0.037), nice(3.7), nice(14.0, clock=True), nice(700.0, clock=True)
    (0.05, 5.0, 15.0, 900.0)
    """
    if clock and step > 1:
        rounds = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0)
        return next((r for r in rounds if r >= step), 3600.0 * math.ceil(step / 3600))
    size = 10.0 ** math.floor(math.log10(max(step, 1e-9)))
    return next(m for m in (1 * size, 2 * size, 5 * size, 10 * size) if m >= step * 0.999)


def clock(seconds: float) -> str:
    """A time of a recording, as players show it.

    Examples
    --------
    >>> clock(7.0), clock(75.5), clock(3675.0)
    ('0:07', '1:15.5', '1:01:15')
    """
    tenths = round(10 * seconds)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest // 10:02d}" + (f".{rest % 10}" if rest % 10 else "")
    return f"{hours}:{minutes:02d}:{text}" if hours else f"{minutes}:{text}"
