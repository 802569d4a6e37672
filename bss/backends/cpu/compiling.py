"""What somebody waits for the first time: the compiler. Its work is kept on disk afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event


class _First(event.Listener):
    """Calls `say` when the first compilation begins."""

    def __init__(self, say: Callable[[], Any]) -> None:
        self.say: Callable[[], Any] | None = say

    def on_start(self, event: Any) -> None:
        say, self.say = self.say, None
        if say is not None:
            say()

    def on_end(self, event: Any) -> None:
        """Nothing: what was said holds for all that is compiled."""


@contextmanager
def announced(say: Callable[[], Any]) -> Iterator[None]:
    """Within it, `say` is called once, before the first kernel compiles that is not on disk."""
    with event.install_listener("numba:compile", _First(say)):
        yield
