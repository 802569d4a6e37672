"""The one result type of every solver."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from bss.kernels import seam


@dataclass(frozen=True)
class Separation:
    """What a solver found. `sources == demixing @ X` holds, X being the array it was given.

    Attributes
    ----------
    demixing : np.ndarray
        (F, N, M), or (N, M) of the instantaneous family.
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
    """

    demixing: np.ndarray
    observed: np.ndarray = field(repr=False)
    loss: np.ndarray = field(repr=False)
    n_iter: int
    converged: bool
    message: str

    @cached_property
    def sources(self) -> np.ndarray:
        """(F, N, T) spectra, or (N, n) signals; made when first asked for, as they are as large as the recording."""
        sources: np.ndarray = seam.of(self.observed).demix(self.demixing, self.observed)
        return sources
