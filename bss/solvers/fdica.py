"""Frequency-domain ICA: every bin by itself, then one order of the talkers for all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np

from bss.solvers import permutation, scaling, updates
from bss.solvers.mm import Callback, majorise_minimise
from bss.solvers.result import Separation
from bss.solvers.updates import Update


@dataclass(frozen=True)
class BinLaplace:
    """Laplace in every bin by itself: G(y) = 2 |y|, made smooth about zero. A contrast of the majorise-minimise loop."""

    def start(self, kernels: ModuleType, frames: Any, rng: np.random.Generator) -> Any:
        """What the kernels keep; there is nothing to learn."""
        return kernels.Binwise(frames)

    def step(self, frames: Any, state: Any, update: Update) -> float:
        """One iteration; the loss as it began."""
        log_det = float(frames.log_det)
        return float(state.move(update.name)) - log_det


def fdica(
    X: np.ndarray,
    *,
    n_sources: int | None = None,
    update: str | Update = "iss",
    n_iter: int = 50,
    tol: float = 1e-6,
    rng: int | np.random.Generator = 0,
    start: np.ndarray | None = None,
    callback: Callback | None = None,
) -> Separation:
    """Frequency-domain ICA (FD-ICA): each bin is separated alone, then the bins are put in one order by their activity.

    Parameters
    ----------
    X : np.ndarray
        (F, M, T) complex spectra of the microphones.
    n_sources : int, optional
        N, at most M; M by default.
    update : {"iss", "ip", "iss2", "ip2"} or Update
        How the demixing moves.
    n_iter, tol : int, float
        Iterations at most, and the fall of the loss per bin under which it stops (0: never).
    rng : int or np.random.Generator
        Seed of what is random (nothing here).
    start : np.ndarray, optional
        (F, N, M) first demixing.
    callback : callable, optional
        Called with (iteration, loss).

    Returns
    -------
    Separation
        Sources (F, N, T) of arbitrary scale per bin: see `projection_back`.

    Raises
    ------
    InputError, UsageError, SolverError
        X is not usable; an option is not; it diverged.

    References
    ----------
    P. Smaragdis, "Blind separation of convolved mixtures in the frequency domain", Neurocomputing 22, 1998. H. Sawada,
    S. Araki and S. Makino, IEEE TASLP 19(3), 2011, for the order of the bins.

    Examples
    --------
    >>> import numpy as np, bss
    >>> rng = np.random.default_rng(0)
    >>> S = rng.normal(size=(9, 2, 400)) + 1j * rng.normal(size=(9, 2, 400))
    >>> S *= rng.gamma(0.3, size=(1, 2, 400))
    >>> X = (rng.normal(size=(9, 2, 2)) + 1j * rng.normal(size=(9, 2, 2))) @ S
    >>> separation = bss.fdica(X)
    >>> np.allclose(separation.sources, separation.demixing @ X)
    True
    """
    found = majorise_minimise(
        X, BinLaplace(), updates.by_name(update), n_sources=n_sources, n_iter=n_iter, tol=tol, rng=rng, start=start,
        callback=callback,
    )  # fmt: skip
    spread = np.sum(np.abs(scaling.mixing(found, X)) ** 2, axis=1)[:, :, None]  # (F, N, 1) power at all microphones
    activity = permutation.shares(spread * np.abs(found.sources) ** 2)
    order = permutation.align(activity)
    return replace(found, demixing=np.take_along_axis(found.demixing, order[:, :, None], axis=1))
