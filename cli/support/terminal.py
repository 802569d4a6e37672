"""Tables on a terminal, in which names of files may hold anything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.segment import Segment

from .ending import printable


class SafeConsole(Console):
    """A console that obeys no control characters in what it is given to print, only its own."""

    def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
        """As rich does, with control characters shown as what they are."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)
