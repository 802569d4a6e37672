"""The one result type of every solver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Separation:
    """What a solver found. `sources == demixing @ X` holds, X being the array it was given.

    Attributes
    ----------
    sources : np.ndarray
        (F, N, T) spectra, or (N, n) signals of the instantaneous family.
    demixing : np.ndarray
        (F, N, M), or (N, M).
    loss : np.ndarray
        (n_iter,) float64, the objective as each iteration began, per frame or sample; lower is better.
    n_iter : int
        Iterations done.
    converged : bool
        Whether the solver met its tolerance.
    message : str
        How it ended, and what to try if it did not converge.
    """

    sources: np.ndarray
    demixing: np.ndarray
    loss: np.ndarray
    n_iter: int
    converged: bool
    message: str
