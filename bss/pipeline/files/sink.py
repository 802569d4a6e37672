"""Where the tracks of a separation go that is made block by block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np


class Sink(Protocol):
    """Takes tracks as they come. Calls come in this order: `open` once, then `write`, each now and then followed by `checkpoint`.

    A run that continues an earlier one calls `open` with the same names, and writes from the checkpoint on.
    """

    def open(self, names: Sequence[str], rate: int) -> None:
        """The names of all tracks, without suffix, and their rate in Hz."""

    def write(self, tracks: dict[str, np.ndarray]) -> None:
        """The next samples of every track: name to (k,) float32, finite, the same k for all."""

    def checkpoint(self, state: Callable[[], bytes]) -> None:
        """What was written so far is final, and `state()` is all that is needed to continue with the next sample.

        May be called as often as this is so: the sink asks for the state only where it keeps it.
        """
