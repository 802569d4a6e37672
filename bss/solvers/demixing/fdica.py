"""Frequency-domain ICA: every bin by itself, then one order of the talkers for all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bss.backends import dispatch
from bss.backends.operations import Array
from bss.backends.protocol import Backend, Outputs, SourceModel
from bss.errors import UsageError, check_choice, check_flag, check_int
from bss.solvers import grouping, permutation
from bss.solvers.demixing import updates
from bss.solvers.demixing.contrasts import Iterated
from bss.solvers.demixing.updates import Update
from bss.solvers.mm import Callback, check_sources, check_spectra, majorise_minimise
from bss.solvers.result import Separation

ACTIVITIES = {"log": permutation.log_powers, "shares": permutation.shares}
FIRST_ITERATIONS = 10  # at most, of the first estimate of fewer talkers than microphones
LOUDNESS_EXPONENT = 0.25  # of a bin's power: how much its phases count
# Share of the power in outputs that are loud when no source is, above which there is another sound: 0 to 0.04 in 48 rooms with
# four microphones and two or three talkers, 0.09 with steady noise 5 dB below them.
STRANGE = 0.06


@dataclass(frozen=True)
class BinLaplace(Iterated):
    """Laplace in every bin by itself: G(y) = 2 |y|, made smooth about zero. A contrast of the majorise-minimise loop."""

    def start(self, backend: Backend, outputs: Outputs, rng: np.random.Generator) -> SourceModel:
        """There is nothing to learn."""
        return backend.laplace_per_bin(outputs)


def fdica(
    X: Array,
    *,
    n_sources: int | None = None,
    update: str | Update = "iss",
    n_iter: int = 50,
    tol: float = 1e-6,
    rng: int | np.random.Generator = 0,
    start: Array | None = None,
    callback: Callback | None = None,
    candidates: int = 1,
    activity: str | None = None,
    principal: bool = False,
    others: bool = False,
) -> Separation:
    """Frequency-domain ICA (FD-ICA): each bin is separated by itself, then the bins are put in one order by their activity.

    With fewer talkers than microphones, every bin is separated into as many outputs as microphones, and outputs that are loud
    in the same frames, such as a talker and its echo, are added up: a talker's row is the sum of their rows. Who is loud when
    is first estimated from the N principal components of every bin.

    Parameters
    ----------
    X : np.ndarray
        (F, M, T) complex spectra of the microphones.
    n_sources : int, optional
        N, at most M; M by default.
    update : {"iss", "ip", "iss2", "ip2"} or Update
        How the demixing is updated.
    n_iter, tol : int, float
        Iterations at most, and the fall of the loss per bin under which it stops (0: never).
    rng : int or np.random.Generator
        Seed of what is random (nothing here).
    start : np.ndarray, optional
        (F, N, M) first demixing; with N < M, of the first estimate of who is loud when, which then takes all of X.
    callback : callable, optional
        Called with (iteration, loss).
    candidates : {1, 3}
        Orders of the bins that are tried. Three come with the help of the phases between the microphones, and take three
        times as long; the bins must be all those from zero to half the sampling rate.
    activity : {"log", "shares"}, optional
        What bins are compared by: logarithms of the powers (with three candidates), better in rooms with a talker for every
        output; or shares of the power (with one), which outputs that hold nobody, only echo or noise, do not disturb.
    principal : bool
        With 1 < N < M, leave it at the separation of the principal components: a quarter of the time, 1 to 3 dB worse.
    others : bool
        With 1 < N < M, separate N + 1 sources if there is a sound that is none of N, such as steady noise; it would otherwise be
        added to the sources.

    Returns
    -------
    Separation
        Sources (F, N, T) of arbitrary scale per bin: see `projection_back`. With 1 < N < M they sum to
        microphone 0, except with `principal`.

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
    check_flag("principal", principal)
    check_flag("others", others)
    if check_int("candidates", candidates, 1) not in (1, 3):
        raise UsageError(f"candidates={candidates!r} is not offered", hint="1, or 3")
    activity = ("shares" if candidates == 1 else "log") if activity is None else activity
    check_choice("activity", activity, tuple(ACTIVITIES))
    X = check_spectra(X)
    M = X.shape[1]
    N = check_sources(n_sources, M)
    method = updates.by_name(update)
    if N == M or N == 1:
        separation = majorise_minimise(
            X, BinLaplace(), method, n_sources=N, n_iter=n_iter, tol=tol, rng=rng, start=start, callback=callback
        )
        return _aligned(separation, X, candidates, activity)
    few = n_iter if principal else min(n_iter, FIRST_ITERATIONS)
    if start is None:
        first = _principal(X, N, method, few, tol, rng, callback if principal else None)
    else:
        first = majorise_minimise(X, BinLaplace(), method, n_sources=N, n_iter=few, tol=tol, rng=rng, start=start)
    first = _aligned(first, X, candidates, activity)
    if principal:
        return first
    separation = majorise_minimise(X, BinLaplace(), method, n_iter=n_iter, tol=tol, rng=rng, callback=callback)
    outputs = _powers(separation, X)
    source = grouping.group(outputs, _powers(first, X))
    if not others or grouping.strange_share(outputs, source, N) < STRANGE:
        return _grouped(separation, source, N)
    if N + 1 == M:
        return _aligned(separation, X, candidates, activity)
    first = _aligned(_principal(X, N + 1, method, few, tol, rng, None), X, candidates, activity)
    return _grouped(separation, grouping.group(outputs, _powers(first, X)), N + 1)


def _principal(
    X: Array, N: int, method: Update, n_iter: int, tol: float, rng: int | np.random.Generator, callback: Callback | None
) -> Separation:
    """N sources of every bin from its N principal components: few talkers are most of what many microphones hear."""
    backend = dispatch.of(X)
    P = backend.cast(backend.principal(backend.covariance(X), N), X)
    separation = majorise_minimise(P @ X, BinLaplace(), method, n_iter=n_iter, tol=tol, rng=rng, callback=callback)
    return replace(separation, demixing=separation.demixing @ P, observed=X)


def _aligned(separation: Separation, X: Array, candidates: int, activity: str) -> Separation:
    """The rows of every bin in one order of talkers."""
    backend, features = dispatch.of(X), ACTIVITIES[activity](_powers(separation, X))
    if candidates == 1:
        order = permutation.align(features)
    else:
        loudness = backend.diagonal(backend.covariance(X)).real.mean(1) ** LOUDNESS_EXPONENT
        phases = _phases(backend, separation.mixing)
        order = permutation.align(features, phases=phases, loudness=loudness, candidates=candidates)
    return separation.permuted(order)


def _grouped(separation: Separation, source: np.ndarray, N: int) -> Separation:
    """The outputs of all microphones added up to N sources, source (F, M) by source, at the scale of microphone 0."""
    heard = separation.mixing[:, 0, :, None]
    # a silent bin keeps its rows: zeros could not be scaled back
    rows = separation.demixing * dispatch.of(separation.observed).where(heard == 0, 1, heard)
    return replace(separation, demixing=grouping.grouped(rows, source, N))


def _powers(separation: Separation, X: Array) -> Array:
    """(F, N, T') of the sources, summed over microphones, averaged over frames so that T' is at most FRAMES."""
    pool = -(-X.shape[2] // permutation.FRAMES)
    return dispatch.of(X).pooled_powers(X, separation.demixing, (abs(separation.mixing) ** 2).sum(1), pool)


def _phases(backend: Backend, A: Array) -> Array:
    """(F, N, M - 1) of absolute value one: phases of mixing A (F, M, N) against its first row; 0 where there is nothing."""
    cross = A[:, 1:] * A[:, :1].conj()
    size = abs(cross)
    phases: Array = (cross / backend.where(size > 0, size, 1)).swapaxes(1, 2)
    return phases
