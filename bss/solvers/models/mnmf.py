"""FastMNMF2: sources with full-rank spatial covariances that one matrix per bin makes diagonal, separated by a Wiener filter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bss.backends import dispatch
from bss.backends.operations import Array
from bss.backends.protocol import Backend, FastMnmf, Outputs
from bss.errors import check_int
from bss.solvers.demixing import updates
from bss.solvers.demixing.contrasts import MOST_COMPONENTS, Gauss, Iterated
from bss.solvers.demixing.updates import Update
from bss.solvers.mm import MOST_SOURCES, Callback, background, check_spectra, majorise_minimise
from bss.solvers.result import Separation, without_demixing

START_ITER = 20  # of AuxIVA: by pairs of rows it is there by then
BESIDE = 0.05  # share in which a source begins at the outputs that are not its own


def fastmnmf(
    X: np.ndarray,
    *,
    n_sources: int | None = None,
    n_components: int = 4,
    update: str | Update = "ip",
    n_iter: int = 50,
    tol: float = 1e-6,
    rng: int | np.random.Generator = 0,
    start: np.ndarray | None = None,
    reference_mic: int = 0,
    callback: Callback | None = None,
) -> Separation:
    """Fast multichannel non-negative matrix factorisation (FastMNMF2): echo as spatial covariance, not as one filter.

    Parameters
    ----------
    X : np.ndarray
        (F, M, T) complex spectra of the microphones.
    n_sources : int, optional
        N; M by default.
    n_components : int
        K, the components of each source's NMF.
    update : {"ip", "iss", "ip2", "iss2"} or Update
        How the diagonaliser is updated: as the demixing of `auxiva`.
    n_iter, tol, callback
        As for `auxiva`.
    rng : int or np.random.Generator
        Draws the first NMF.
    start : np.ndarray, optional
        (F, M, M) first diagonaliser, whose row n is near source n; by default that of a short AuxIVA with the Gauss contrast.
    reference_mic : int
        Index of the microphone at which the sources are given, from 0.

    Returns
    -------
    Separation
        Sources (F, N, T) as the reference microphone hears them, which sum to it. The filter changes from frame to frame: there
        is no demixing.

    Raises
    ------
    InputError, UsageError, SolverError
        X is not usable; an option is not; it diverged.

    References
    ----------
    K. Sekiguchi, Y. Bando, A. A. Nugraha, K. Yoshii and T. Kawahara, "Fast multichannel nonnegative matrix factorization with
    directivity-aware jointly-diagonalizable spatial covariance matrices for blind source separation", IEEE/ACM TASLP 28, 2020.

    Examples
    --------
    >>> import numpy as np, bss
    >>> rng = np.random.default_rng(0)
    >>> S = rng.normal(size=(9, 2, 200)) + 1j * rng.normal(size=(9, 2, 200))
    >>> S *= rng.gamma(0.3, size=(9, 2, 1)) @ np.ones((9, 1, 1)) * rng.gamma(0.3, size=(1, 2, 200))
    >>> X = (rng.normal(size=(9, 2, 2)) + 1j * rng.normal(size=(9, 2, 2))) @ S
    >>> separation = bss.fastmnmf(X, n_components=1, n_iter=20)
    >>> np.allclose(separation.sources.sum(1), X[:, 0])
    True
    """
    M = check_spectra(X).shape[1]
    check_int("reference_mic", reference_mic, 0, M - 1)
    return fit(
        X, n_sources=n_sources, n_components=n_components, update=update, n_iter=n_iter, tol=tol, rng=rng, start=start,
        reference_mic=reference_mic, callback=callback,
    )[0]  # fmt: skip


def fit(
    X: np.ndarray,
    *,
    n_sources: int | None = None,
    n_components: int = 4,
    update: str | Update = "ip",
    n_iter: int = 50,
    tol: float = 1e-6,
    rng: int | np.random.Generator = 0,
    start: np.ndarray | None = None,
    reference_mic: int = 0,
    callback: Callback | None = None,
) -> tuple[Separation, FastMnmf]:
    """`fastmnmf`, and the model that it has learned, which gives the sources at every microphone."""
    X = check_spectra(X)
    M = X.shape[1]
    N = M if n_sources is None else check_int("n_sources", n_sources, 1, MOST_SOURCES)
    model = _Directional(N, check_int("n_components", n_components, 1, MOST_COMPONENTS))
    if start is None:
        start = first_diagonaliser(X, min(N, M))
    step = updates.by_name(update)
    solved = majorise_minimise(X, model, step, n_iter=n_iter, tol=tol, rng=rng, start=start, callback=callback)
    return without_demixing(solved, model.learned.wiener(reference_mic)), model.learned


def first_diagonaliser(X: Array, N: int) -> Array:
    """(F, M, M): the demixing of a short AuxIVA in the first N rows, and background that is uncorrelated with it."""
    F, M, _ = X.shape
    backend = dispatch.of(X)
    Q = backend.identity(F, M, M, like=X)
    Q[:, :N] = majorise_minimise(X, Gauss(), updates.IP2, n_sources=N, n_iter=START_ITER, tol=0).demixing
    if N < M:
        background(backend, backend.covariance(X), Q, N)
    return Q


@dataclass
class _Directional(Iterated):
    """Gauss with variances B H of N sources, each spread over all outputs by its row of g: eq. 32 of Sekiguchi et al. (2020).

    A contrast of M outputs. It keeps its state, because the caller wants the Wiener filter that it is.
    """

    n_sources: int
    n_components: int
    state: FastMnmf | None = None

    def start(self, backend: Backend, outputs: Outputs, rng: np.random.Generator) -> FastMnmf:
        """B and H at random, at the loudness that the outputs have per bin and per frame; g nearly diagonal."""
        N, M, K = self.n_sources, outputs.n_sources, self.n_components
        g = np.full((N, M), BESIDE)
        g[np.arange(M) % N, np.arange(M)] = 1
        for n in range(M, N):  # of more sources than outputs, the rest come from somewhere between
            g[n] = rng.uniform(0.3, 1.0, M)
        g /= g.sum(1, keepdims=True)
        powers = backend.host(outputs.power())
        loudness = np.einsum("nm,mt->nt", g, powers)  # not BLAS, whose sums depend on its number of threads
        loudness /= loudness.mean(1, keepdims=True)
        B = rng.uniform(0.1, 1.0, (N, outputs.n_bins, K)) * np.einsum("nm,mf->nf", g, outputs.bin_power())[:, :, None]
        H = rng.uniform(0.1, 1.0, (N, K, outputs.n_frames)) * loudness[:, None]
        self.state = backend.fast_mnmf(outputs, B, H, g)
        return self.state

    @property
    def learned(self) -> FastMnmf:
        """The state after the iterations."""
        if self.state is None:
            raise RuntimeError("no iteration has been made")
        return self.state
