"""The majorise-minimise loop, written once for AuxIVA, OverIVA, ILRMA and every other pair of contrast and update."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from bss.backends import dispatch, numeric
from bss.backends.operations import Array
from bss.backends.protocol import Backend
from bss.checks import LARGEST, check_rng, plain, refuse_level
from bss.errors import InputError, SolverError, UsageError, check_callable, check_int
from bss.solvers.demixing.contrasts import Contrast
from bss.solvers.demixing.updates import Update
from bss.solvers.result import Separation

Callback = Callable[[int, float], Any]


def majorise_minimise(
    X: Array,
    contrast: Contrast,
    update: Update,
    *,
    n_sources: int | None = None,
    n_iter: int = 50,
    tol: float = 1e-6,
    rng: int | np.random.Generator = 0,
    start: Array | None = None,
    callback: Callback | None = None,
) -> Separation:
    """Lower sum_n E[G_n(y_n)] - 2 sum_f log |det W_f| from a start.

    Parameters
    ----------
    X : np.ndarray or torch.Tensor
        (F, M, T) spectra of the microphones. The result is of the same kind and on the same device.
    contrast, update : Contrast, Update
        The source model and how the demixing is updated.
    n_sources : int, optional
        N, at most M; M by default.
    n_iter, tol : int, float
        Iterations at most; it stops when the loss per bin falls by less than `tol` in an iteration. 0 never stops early.
    rng : int or np.random.Generator
        Where random starts come from.
    start : np.ndarray, optional
        (F, N, M) first demixing; the first N microphones by default.
    callback : callable, optional
        Called with (iteration, loss) in each iteration, before its step; an exception of its own ends the solve.

    Raises
    ------
    InputError
        X is not (F, M, T) complex and finite, or silent.
    UsageError
        More sources than microphones, or a start of the wrong shape.
    SolverError
        It diverged.
    """
    X = check_spectra(X)
    F, M, _ = X.shape
    N = check_sources(n_sources, M)
    check_int("n_iter", n_iter, 1)
    check_tol(tol)
    check_callable("callback", callback)
    backend = dispatch.of(X)
    unit = level(X)
    W = first_demixing(backend, start, X, N)
    if N < M:
        background(backend, backend.covariance(X), W, N)
    outputs = backend.outputs(X, W, N, unit)  # levels near one, so that one rule for small numbers serves
    state = contrast.start(backend, outputs, check_rng(rng))
    losses: list[float] = []
    for i in range(n_iter):
        losses.append(float(contrast.step(outputs, state, update)) / F)  # of tensors the one value that an iteration fetches
        if not np.isfinite(losses[-1]):
            raise SolverError(
                f"the separation diverged in iteration {i}", "its objective is no longer finite",
                "`bss check` on the recording, fewer sources, or double precision",
            )  # fmt: skip
        if callback is not None:
            callback(i, losses[-1])
        if tol > 0 and i > 0 and losses[-2] - losses[-1] < tol:
            break
    return _finish(backend, X, outputs.demixing(), losses, tol)


def _finish(backend: Backend, X: Array, W: Array, losses: list[float], tol: float) -> Separation:
    W = backend.cast(W, X)
    if not backend.is_finite(W):
        raise SolverError("the separation diverged", "its demixing is not finite", "`bss check` on the recording")
    fall = losses[-2] - losses[-1] if len(losses) > 1 else np.inf
    rose = -fall > max(tol, float(numeric.floor(np.float32)) * abs(losses[-1]))  # by more than roundings, at any precision
    converged = bool(tol > 0 and fall < tol and not rose)
    message = f"converged in {len(losses)} iterations" if converged else f"stopped after {len(losses)} iterations"
    if rose:
        message += "; the loss rose: try `bss check` on the recording, or double precision"
    elif tol > 0 and not converged:
        message += f"; the loss still fell by more than tol={tol:g}: try a larger n_iter"
    return Separation(W, X, np.asarray(losses), len(losses), converged, message)


def first_demixing(backend: Backend, start: Array | None, X: Array, N: int) -> Array:
    """(F, M, M) with `start` (F, N, M), at a scale that keeps the level of X, or the identity, in its first N rows."""
    F, M, _ = X.shape
    W = backend.identity(F, M, M, like=X)
    if start is not None:
        start = backend.array(start, like=X)
        if start.shape != (F, N, M):
            raise UsageError(f"start has shape {tuple(start.shape)}", hint=f"(F, N, M) = {(F, N, M)}")
        if not backend.is_finite(start) or not start.any():
            raise UsageError("start holds NaN, infinite values or only zeros", hint="the demixing of a solve that converged")
        unit = backend.cast(start / abs(start).max(), X)
        powers = backend.pooled_powers(X, unit / level(X), None, X.shape[2])
        if not powers.any():
            raise UsageError("start makes silence of the recording", hint="the demixing of a solve that converged")
        W[:, :N] = backend.double(unit) / math.sqrt(backend.total(powers) / (F * N))
    return W


def background(backend: Backend, C: Array, W: Array, N: int) -> None:
    """Rows N.. of W (F, M, M) := [J, -I], uncorrelated with the sources: eq. 13 of Scheibler and Ono (2019). In place.

    Bins may be silent: nothing is uncorrelated there, J = 0, and the sources are the first microphones, lest W be singular.
    """
    M = W.shape[1]
    W[~C.any((1, 2)), :N] = backend.identity(N, M, like=W)
    CW = C @ W[:, :N].conj().swapaxes(1, 2)  # (F, M, N)
    W[:, N:, :N] = CW[:, N:] @ backend.pseudo_inverse(CW[:, :N])
    W[:, N:, N:] = -backend.identity(M - N, M - N, like=W)


def check_spectra(X: Any) -> Array:
    """X as a complex, finite (F, M, T) array, or InputError saying what was given and what was expected."""
    if isinstance(X, np.ndarray):
        X = plain(X, name="X")
    backend = dispatch.of(X)
    if X.ndim != 3 or backend.precision(X) not in (np.complex64, np.complex128):
        raise InputError(
            f"X is {X.dtype} of shape {tuple(X.shape)}", "expected complex (F, M, T): bins, microphones, frames",
            "X = bss.Stft(4096, 1024).forward(x)",
        )  # fmt: skip
    F, M, T = X.shape
    if M > T or F == 0 or M == 0:
        raise InputError(
            f"X has shape {tuple(X.shape)}: {M} microphones and {T} frames", "expected (F, M, T), more frames than microphones",
            "X.transpose, a longer recording, or a shorter n_fft",
        )  # fmt: skip
    total = float(backend.square_sum(X))
    broken = not math.isfinite(total)
    for m in range(M if broken else 0):  # which it is, takes longer to tell
        if not math.isfinite(backend.total(X[:, m].real) + backend.total(X[:, m].imag)):
            raise InputError(f"channel {m} of X holds NaN or infinite values", hint="leave that channel out")
    refuse_level(math.sqrt(total / math.prod(X.shape)), LARGEST[backend.precision(X).itemsize // 2], "X")
    silent = [m for m in range(M) if not X[:, m].any()]
    if 0 < len(silent) < M:
        raise InputError(f"channel {silent[0]} of X is silent", "nothing can be demixed with it", "leave that channel out")
    return X  # type: ignore[no-any-return]


def level(X: Array) -> float:
    """Root mean square of an array of any shape, summed in float64.

    Raises
    ------
    InputError
        The array holds only zeros.
    """
    total = dispatch.of(X).square_sum(X)
    if total <= 0.0:
        raise InputError("the recording is silent", "there is nothing to separate", "another recording, or `bss check`")
    return math.sqrt(total / math.prod(X.shape))


MOST_SOURCES = 256  # of methods that find more than there are microphones


def check_tol(tol: Any) -> None:
    """UsageError unless `tol` is a number of at least 0."""
    if not isinstance(tol, Real) or not 0 <= float(tol) < math.inf:
        raise UsageError(f"tol={tol!r} is not a number of at least 0", hint="1e-6, or 0 for all of n_iter")


def check_sources(n_sources: int | None, M: int) -> int:
    """N, at most M."""
    if n_sources is None:
        return M
    try:
        n_sources = operator.index(n_sources)
    except TypeError:
        raise UsageError(f"n_sources={n_sources!r} is not a whole number", hint=f"1 to {M}") from None
    if n_sources > M:
        raise UsageError(
            f"{n_sources} sources asked for, {M} microphones given", "a linear demixing finds at most one source per microphone",
            f"n_sources of at most {M}, or bss.cacgmm, which separates more talkers than microphones by masks",
        )  # fmt: skip
    return check_int("n_sources", n_sources, 1, M)
