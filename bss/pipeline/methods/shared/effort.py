"""How much computation a method for rooms takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """Iterations of ICA, candidate alignments of the bins, iterations of ILRMA, and passes of the source model."""

    ica: int
    candidates: int
    ilrma: int
    passes: int


EFFORTS = {"fast": Effort(20, 1, 0, 0), "normal": Effort(30, 3, 15, 1), "best": Effort(60, 3, 40, 2)}
