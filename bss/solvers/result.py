"""The one result type of every solver."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from bss.backends import dispatch


@dataclass(frozen=True)
class Separation:
    """What a solver found. `sources == demixing @ X` holds where there is a demixing, X being the array it was given.

    Attributes
    ----------
    demixing : np.ndarray or None
        (F, N, M), or (N, M) of the instantaneous family. None of methods that treat every frame by itself, as masks do.
    observed : np.ndarray
        X, (F, M, T) spectra or (M, n) samples; not copied.
    loss : np.ndarray
        (n_iter,) float64, the objective as each iteration began, per bin or sample; lower is better.
    n_iter : int
        Iterations done.
    converged : bool
        Whether the solver met its tolerance.
    message : str
        How it ended, and what to try if it did not converge.
    given : np.ndarray or None
        The sources, of a method without a demixing.
    """

    demixing: Any  # as described; checkers could not tell which solvers give None
    observed: np.ndarray = field(repr=False)
    loss: np.ndarray = field(repr=False)
    n_iter: int
    converged: bool
    message: str
    given: np.ndarray | None = field(default=None, repr=False, kw_only=True)

    @cached_property
    def sources(self) -> np.ndarray:
        """(F, N, T) spectra, or (N, n) signals; made when first asked for, as they are as large as the recording."""
        if self.given is not None:
            return self.given
        sources: np.ndarray = dispatch.of(self.observed).demix(self.demixing, self.observed)
        return sources


def without_demixing(separation: Separation, sources: np.ndarray) -> Separation:
    """The same solve, with sources that no matrix makes of what was observed."""
    return replace(separation, demixing=None, given=sources)
