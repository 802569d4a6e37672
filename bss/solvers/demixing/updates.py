"""Updates: how the demixing follows from the weights of the contrast. Each lowers the majorised objective.

With more microphones than sources the demixing holds, below the N sources' rows, M - N rows of background that are kept
uncorrelated with the sources: what Scheibler and Ono (2019) call OverIVA. The arithmetic is a kernel's; an update is the value
that names it.
"""

from __future__ import annotations

from dataclasses import dataclass

from bss.errors import check_choice


@dataclass(frozen=True)
class Update:
    """The name of an update that the kernels know."""

    name: str

    def __post_init__(self) -> None:
        check_choice("update", self.name, NAMES)


NAMES = ("iss", "ip", "iss2", "ip2")
ISS = Update("iss")
"""Iterative source steering: rank-one updates of all sources, no matrix inverse. Scheibler and Ono (2020)."""
IP = Update("ip")
"""Iterative projection, one row after the other: Ono (2011)."""
ISS2 = Update("iss2")
"""Iterative source steering by pairs of sources: Ikeshita and Nakatani (2022)."""
IP2 = Update("ip2")
"""Iterative projection of pairs of rows: Ono (2018), Scheibler (2021). For two sources each step is the best for both."""


def by_name(update: str | Update) -> Update:
    """The update that a name or value means."""
    return update if isinstance(update, Update) else Update(str(update))
