"""The one result type of every solver."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from bss.backends import dispatch
from bss.errors import UsageError


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

    @cached_property
    def mixing(self) -> np.ndarray:
        """A (F, M, N) or (M, N): how each source reaches each microphone; made when first asked for, and kept.

        Raises
        ------
        UsageError
            There is no demixing.
        """
        return mixing_of(self, self.observed)

    def permuted(self, order: np.ndarray) -> Separation:
        """Sources in another order per bin: source n of bin f is what was order[f, n]. A mixing that is known goes along."""
        permuted = replace(self, demixing=np.take_along_axis(self.demixing, order[:, :, None], axis=1))
        if "mixing" in vars(self):  # `replace` keeps nothing that was learned from another demixing
            vars(permuted)["mixing"] = np.take_along_axis(self.mixing, order[:, None], axis=2)
        return permuted


def mixing_of(separation: Separation, X: np.ndarray) -> np.ndarray:
    """A (F, M, N) or (M, N) of a separation of X (F, M, T) or (M, n).

    The inverse of a square demixing; with more microphones than sources the least-squares fit of the sources to X.
    """
    W = separation.demixing
    if W is None:
        raise UsageError(
            "this separation has no demixing matrix", "its method treats every frame by itself (masks, Wiener filters)",
            "use its sources as they are: they have the level of the reference microphone already",
        )  # fmt: skip
    if W.shape[-1] == W.shape[-2]:
        return np.asarray(np.linalg.inv(W))
    stacked = X if X.ndim == 3 else X[None]
    C = dispatch.of(X).covariance(stacked)
    C[~C.any(axis=(1, 2))] = np.eye(C.shape[1])  # an empty bin: as if its microphones were unrelated
    V = W if W.ndim == 3 else W[None]
    CW = C @ V.conj().swapaxes(1, 2)
    A = np.linalg.solve((V @ CW).swapaxes(1, 2), CW.swapaxes(1, 2)).swapaxes(1, 2)
    return np.asarray(A if X.ndim == 3 else A[0], W.dtype)


def without_demixing(separation: Separation, sources: np.ndarray) -> Separation:
    """The same solve, with sources that no matrix makes of what was observed."""
    return replace(separation, demixing=None, given=sources)
