"""The convolutive family on spectra: AuxIVA, OverIVA, ILRMA. Each is the one loop with a contrast and an update."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bss.errors import check_choice, check_int
from bss.solvers.demixing import contrasts, updates
from bss.solvers.demixing.contrasts import Contrast, Nmf
from bss.solvers.demixing.fdica import fdica
from bss.solvers.demixing.updates import Update
from bss.solvers.mm import Callback, majorise_minimise
from bss.solvers.models.nmf import fit_nmf
from bss.solvers.result import Separation

STARTS = ("fdica", "microphones")
STARTING = 20  # iterations of FD-ICA at most: ILRMA goes on from there


def auxiva(
    X: np.ndarray,
    *,
    n_sources: int | None = None,
    contrast: str | Contrast = "laplace",
    update: str | Update = "iss",
    n_iter: int = 50,
    tol: float = 1e-6,
    rng: int | np.random.Generator = 0,
    start: np.ndarray | None = None,
    callback: Callback | None = None,
) -> Separation:
    """Independent vector analysis by an auxiliary function (AuxIVA); OverIVA when n_sources < M.

    Parameters
    ----------
    X : np.ndarray or torch.Tensor
        (F, M, T) complex spectra of the microphones. The result is of the same kind and on the same device.
    n_sources : int, optional
        N; M by default.
    contrast : {"laplace", "gauss", "student-t", "generalised-gauss"} or Contrast
        The model of a source.
    update : {"iss", "ip", "iss2", "ip2"} or Update
        How the demixing is updated.
    n_iter, tol : int, float
        Iterations at most, and the fall of the loss per bin under which it stops (0: never).
    rng : int or np.random.Generator
        Seed of what is random (nothing in the named contrasts).
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
    N. Ono, "Stable and fast update rules for independent vector analysis based on auxiliary function technique",
    WASPAA 2011. R. Scheibler and N. Ono, "Fast and stable blind source separation with rank-1 updates", ICASSP 2020.

    Examples
    --------
    >>> import numpy as np, bss
    >>> rng = np.random.default_rng(0)
    >>> S = rng.normal(size=(9, 2, 200)) + 1j * rng.normal(size=(9, 2, 200))
    >>> S *= rng.gamma(0.3, size=(1, 2, 200))
    >>> X = (rng.normal(size=(9, 2, 2)) + 1j * rng.normal(size=(9, 2, 2))) @ S
    >>> separation = bss.auxiva(X, n_iter=30)
    >>> np.allclose(separation.sources, separation.demixing @ X)
    True
    """
    return majorise_minimise(
        X, contrasts.by_name(contrast), updates.by_name(update), n_sources=n_sources, n_iter=n_iter, tol=tol, rng=rng,
        start=start, callback=callback,
    )  # fmt: skip


def overiva(
    X: np.ndarray,
    *,
    n_sources: int,
    contrast: str | Contrast = "laplace",
    update: str | Update = "ip",
    n_iter: int = 50,
    tol: float = 1e-6,
    rng: int | np.random.Generator = 0,
    start: np.ndarray | None = None,
    callback: Callback | None = None,
) -> Separation:
    """Independent vector analysis with more microphones than sources (OverIVA): all microphones are used.

    Parameters
    ----------
    X : np.ndarray
        (F, M, T) complex spectra of the microphones.
    n_sources : int
        N, at most M.
    contrast, update, n_iter, tol, rng, start, callback
        As for `auxiva`.

    Returns
    -------
    Separation
        Sources (F, N, T), demixing (F, N, M).

    Raises
    ------
    InputError, UsageError, SolverError
        X is not usable; an option is not; it diverged.

    References
    ----------
    R. Scheibler and N. Ono, "Independent vector analysis with more microphones than sources", WASPAA 2019.

    Examples
    --------
    >>> import numpy as np, bss
    >>> rng = np.random.default_rng(0)
    >>> S = rng.normal(size=(9, 3, 300)) + 1j * rng.normal(size=(9, 3, 300))
    >>> S[:, :2] *= 10 * rng.gamma(0.3, size=(1, 2, 300))
    >>> X = (rng.normal(size=(9, 3, 3)) + 1j * rng.normal(size=(9, 3, 3))) @ S
    >>> bss.overiva(X, n_sources=2).demixing.shape
    (9, 2, 3)
    """
    return auxiva(
        X, n_sources=n_sources, contrast=contrast, update=update, n_iter=n_iter, tol=tol, rng=rng, start=start,
        callback=callback,
    )  # fmt: skip


def ilrma(
    X: np.ndarray,
    *,
    n_sources: int | None = None,
    n_components: int = 2,
    dof: float | None = None,
    update: str | Update = "iss",
    n_iter: int = 100,
    tol: float = 1e-6,
    rng: int | np.random.Generator = 0,
    start: str | np.ndarray | None = "fdica",
    callback: Callback | None = None,
) -> Separation:
    """Independent low-rank matrix analysis (ILRMA): each source's spectrogram is a small NMF.

    Parameters
    ----------
    X : np.ndarray
        (F, M, T) complex spectra of the microphones.
    n_sources : int, optional
        N; M by default.
    n_components : int
        K, the components of each source's NMF.
    dof : float, optional
        Degrees of freedom of Student's t (t-ILRMA): the fewer, the heavier the tails. Gaussian sources by default.
    update, tol, callback
        As for `auxiva`.
    n_iter : int
        Iterations at most, those of the start among them.
    rng : int or np.random.Generator
        Draws the first NMF.
    start : {"fdica", "microphones"} or np.ndarray, optional
        Where it begins. "fdica": half of n_iter, at most 20, are iterations of FD-ICA, and the NMF is fitted to what they found.
        Which minimum ILRMA ends in is much a matter of where it began: from the microphones themselves, or a first demixing
        (F, N, M), with an NMF at random, it is the paper's, and several dB worse. None is the microphones.

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
    D. Kitamura et al., "Determined blind source separation unifying independent vector analysis and nonnegative matrix
    factorization", IEEE/ACM TASLP 24(9), 2016. D. Kitamura et al., "Generalized independent low-rank matrix analysis using
    heavy-tailed distributions for blind source separation", EURASIP J. Adv. Signal Process. 28, 2018.

    Examples
    --------
    >>> import numpy as np, bss
    >>> rng = np.random.default_rng(0)
    >>> S = rng.normal(size=(9, 2, 200)) + 1j * rng.normal(size=(9, 2, 200))
    >>> S *= rng.gamma(0.3, size=(9, 2, 1)) @ np.ones((9, 1, 1)) * rng.gamma(0.3, size=(1, 2, 200))
    >>> X = (rng.normal(size=(9, 2, 2)) + 1j * rng.normal(size=(9, 2, 2))) @ S
    >>> bss.ilrma(X, n_components=1, n_iter=20).n_iter <= 20
    True
    """
    contrast, method = Nmf(n_components, dof=dof), updates.by_name(update)
    first = min(STARTING, check_int("n_iter", n_iter, 1) // 2)
    demixing = None if isinstance(start, str) else start
    if isinstance(start, str) and check_choice("start", start, STARTS) == "fdica" and first > 0:
        initial = fdica(X, n_sources=n_sources, update=method, n_iter=first, tol=tol, principal=True)
        basis, activation = fit_nmf(initial.sources, contrast.n_components, rng=rng)
        contrast = replace(contrast, basis=basis, activation=activation)
        demixing, n_iter = initial.demixing, n_iter - first
    return majorise_minimise(
        X, contrast, method, n_sources=n_sources, n_iter=n_iter, tol=tol, rng=rng, start=demixing, callback=callback
    )
