"""The filters of a separation that follows talkers who move: one `Filters` for every second, made when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, overload

import numpy as np

from bss.pipeline.filters.filters import Filters
from bss.pipeline.filters.models import Demixing

SECONDS = 1.0  # from one to the next


class Learned(Protocol):
    """What is learned of every moment of a recording."""

    def at(self, seconds: float) -> Demixing:
        """The demixing around one moment."""


@dataclass(frozen=True)
class FiltersOverTime(Sequence[Filters]):
    """One `Filters` for every second of a recording; they hold the recording, and are not held themselves.

    Attributes
    ----------
    last : Filters
        Those at the end of the recording.
    learned : Learned
        What they are made from.
    order : np.ndarray
        (N,) track k is talker order[k] of what was learned.
    """

    last: Filters = field(repr=False)
    learned: Learned = field(repr=False)
    order: np.ndarray

    def __len__(self) -> int:
        """The number of seconds, the last one perhaps shorter."""
        return max(1, int(np.ceil(self.last.span[1] / SECONDS)))

    @overload
    def __getitem__(self, k: int) -> Filters: ...

    @overload
    def __getitem__(self, k: slice) -> tuple[Filters, ...]: ...

    def __getitem__(self, k: int | slice) -> Filters | tuple[Filters, ...]:
        """The filters of second k, whose `span` says for when they are; learned from a little more."""
        if isinstance(k, slice):
            return tuple(self[j] for j in range(*k.indices(len(self))))
        k = range(len(self))[k]
        span = (k * SECONDS, min((k + 1) * SECONDS, self.last.span[1]))
        return replace(self.last, model=self.learned.at(sum(span) / 2).ordered(self.order), span=span)

    def __iter__(self) -> Iterator[Filters]:
        """Second by second."""
        return (self[k] for k in range(len(self)))
