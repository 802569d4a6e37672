"""Options that are numbers, each with a range: infinity and what is no number are refused where they come in."""

from __future__ import annotations

import math
from typing import Any

import click

from bss.errors import UsageError


class Number(click.ParamType):
    """A number within [low, high]; `above`: more than low; `infinite`: inf, too. Never anything that is no number."""

    name = "number"

    def __init__(self, low: float, high: float, *, above: bool = False, infinite: bool = False) -> None:
        self.low, self.high, self.above, self.infinite = low, high, above, infinite

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "NUMBER"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        option = param.opts[-1] if param else "the option"
        try:
            number = float(value)
        except ValueError:
            raise UsageError(f"{option} {value} is not a number", hint=self._span()) from None
        within = self.low <= number <= self.high and not (self.above and number == self.low)
        if not within and not (self.infinite and number == math.inf):
            raise UsageError(f"{option} {value} is out of range", hint=self._span())
        return number

    def _span(self) -> str:
        low = f"more than {self.low:g}, up to" if self.above else f"{self.low:g} to"
        return f"{low} {self.high:.12g}{', or inf' if self.infinite else ''}"


THREADS = click.IntRange(1, 4096)
SECONDS = Number(0, 1e9)  # times in a recording: thirty years
SEED = click.IntRange(0, (1 << 64) - 1)
