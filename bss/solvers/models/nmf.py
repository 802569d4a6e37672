"""Low-rank variances of sources that are known already: where ILRMA begins, after another method has separated them."""

from __future__ import annotations

import numpy as np

from bss.backends import dispatch
from bss.backends.operations import Array
from bss.checks import check_rng
from bss.errors import check_int
from bss.solvers import mm

ENOUGH = 512  # bins from which activations can be estimated
SPARSEST = 8
LAST = 5  # steps with all bins: spectra follow their activations quickly


def fit_nmf(Y: Array, n_components: int, *, n_iter: int = 20, rng: int | np.random.Generator = 0) -> tuple[Array, Array]:
    """Spectra and activations whose product is close to the powers of the sources, under the Itakura-Saito divergence.

    Activations are the same for all bins, so all but the last steps learn them from some of the bins only.

    Parameters
    ----------
    Y : np.ndarray
        (F, N, T) complex spectra of the sources.
    n_components : int
        K, of each source.
    n_iter : int
        Multiplicative steps, the last LAST of them with all bins.
    rng : int or np.random.Generator
        Where the random start comes from.

    Returns
    -------
    basis, activation : np.ndarray
        (N, F, K) and (N, K, T) of Y at a mean power of one, as `contrasts.Nmf` takes them.

    References
    ----------
    C. Fevotte, N. Bertin and J.-L. Durrieu, "Nonnegative matrix factorization with the Itakura-Saito divergence", Neural
    Computation 21(3), 2009.
    """
    check_int("n_components", n_components, 1)
    check_int("n_iter", n_iter, 1)
    level = mm.level(Y)
    state = dispatch.of(Y).nmf(Y, n_components, check_rng(rng))
    stride = min(max(1, len(Y) // ENOUGH), SPARSEST)
    for i in range(n_iter):
        state.step(1 if i >= n_iter - LAST else stride)
    basis, activation = state.factors()
    return basis / level**2, activation
