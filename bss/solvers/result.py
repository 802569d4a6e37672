"""The one result type of every solver."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from bss.backends import dispatch
from bss.backends.operations import Array
from bss.errors import UsageError


@dataclass(frozen=True)
class Separation:
    """What a solver found. `sources == demixing @ X` holds where there is a demixing, X being the array it was given.

    Arrays are of the kind of X, NumPy's or torch's, and on its device.

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
    observed: Array = field(repr=False)
    loss: np.ndarray = field(repr=False)
    n_iter: int
    converged: bool
    message: str
    given: Array | None = field(default=None, repr=False, kw_only=True)

    @cached_property
    def sources(self) -> Array:
        """(F, N, T) spectra, or (N, n) signals; made when first asked for, as they are as large as the recording."""
        if self.given is not None:
            return self.given
        return dispatch.of(self.observed).demix(self.demixing, self.observed)

    @cached_property
    def mixing(self) -> Array:
        """A (F, M, N) or (M, N): how each source reaches each microphone; made when first asked for, and kept.

        Raises
        ------
        UsageError
            There is no demixing.
        """
        return mixing_of(self, self.observed)

    def permuted(self, order: np.ndarray) -> Separation:
        """Sources in another order per bin: source n of bin f is what was order[f, n]. A mixing that is known goes along."""
        backend = dispatch.of(self.observed)
        permuted = replace(self, demixing=backend.take_along(self.demixing, order[:, :, None], 1))
        if "mixing" in vars(self):  # `replace` keeps nothing that was learned from another demixing
            vars(permuted)["mixing"] = backend.take_along(self.mixing, order[:, None], 2)
        return permuted


def mixing_of(separation: Separation, X: Array) -> Array:
    """A (F, M, N) or (M, N) of a separation of X (F, M, T) or (M, n).

    The inverse of a square demixing; with more microphones than sources the least-squares fit of the sources to X.
    """
    W = separation.demixing
    if W is None:
        raise UsageError(
            "this separation has no demixing matrix", "its method treats every frame by itself (masks, Wiener filters)",
            "use its sources as they are: they have the level of the reference microphone already",
        )  # fmt: skip
    backend = dispatch.of(X)
    if W.shape[-1] == W.shape[-2]:
        return backend.inverse(W)
    M, stacked = W.shape[-1], X if X.ndim == 3 else X[None]
    C = backend.covariance(stacked)
    C[~C.any((1, 2))] = backend.cast(backend.identity(M, M, like=C).real, C)  # an empty bin: as if its microphones were unrelated
    V = backend.double(W if W.ndim == 3 else W[None])
    CW = C @ V.conj().swapaxes(1, 2)
    A = backend.solve((V @ CW).swapaxes(1, 2), CW.swapaxes(1, 2)).swapaxes(1, 2)
    return backend.cast(A if X.ndim == 3 else A[0], W)


def without_demixing(separation: Separation, sources: Array) -> Separation:
    """The same solve, with sources that no matrix makes of what was observed."""
    return replace(separation, demixing=None, given=sources)
