"""Rooms: ICA in every frequency with windows as long as the echo, one order for all of them, then a finer source model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.solvers import scaling, updates
from bss.solvers.contrasts import Nmf
from bss.solvers.fdica import fdica
from bss.solvers.mm import majorise_minimise
from bss.solvers.nmf import fit_nmf
from bss.solvers.result import Separation

COMPONENTS = 20  # of a talker's NMF: 5 or 10 lose what ICA has found, 30 gain nothing more (docs/methods.md)


@dataclass(frozen=True)
class Effort:
    """How long to try: iterations of ICA, candidates for the order of the bins, iterations of ILRMA behind them, and how often
    the source model, where it applies, looks at the tracks (`neural`)."""

    ica: int
    candidates: int
    ilrma: int
    looks: int


EFFORTS = {"fast": Effort(20, 1, 0, 0), "normal": Effort(30, 3, 15, 1), "best": Effort(60, 3, 40, 2)}


def separate_room(
    X: np.ndarray, n_sources: int, *, effort: str, polish: bool, rng: int, progress: Callable[[float], Any] | None = None
) -> dict[str, Separation]:
    """The solves that take X (F, M, T) apart, by name; the last is the result. ILRMA comes in where `polish`."""
    how = EFFORTS[effort]
    total = how.ica + (how.ilrma if polish else 0)
    first = fdica(
        X, n_sources=n_sources, n_iter=how.ica, tol=0.0, rng=rng, candidates=how.candidates, activity="log",
        principal=effort == "fast", callback=progressing(progress, 0, total),
    )  # fmt: skip
    if not polish or not how.ilrma:
        return {"fdica": first}
    return {"fdica": first, "ilrma": polished(X, first, effort=effort, rng=rng, callback=progressing(progress, how.ica, total))}


def polished(
    X: np.ndarray, first: Separation, *, effort: str, rng: int, callback: Callable[[int, float], Any] | None = None
) -> Separation:
    """ILRMA from a separation of X (F, M, T) that is nearly right."""
    # at the scale of a microphone, so that bins are as loud as in the recording when the NMF begins
    first = scaling.projection_back(first, X)
    basis, activation = fit_nmf(first.sources, COMPONENTS, rng=rng)
    return majorise_minimise(
        X, Nmf(COMPONENTS, basis, activation), updates.ISS, n_sources=first.demixing.shape[1], n_iter=EFFORTS[effort].ilrma,
        tol=0.0, start=first.demixing, callback=callback,
    )  # fmt: skip


def progressing(progress: Callable[[float], Any] | None, done: int, total: int) -> Callable[[int, float], Any] | None:
    """A solver's callback that tells the share of all iterations that is done."""
    if progress is None:
        return None
    return lambda i, loss: progress(min(1.0, (done + i + 1) / total))
