"""Dereverberation and separation with one objective: iterative source steering over present and past frames (T-ISS)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bss.backends import dispatch
from bss.backends.protocol import Backend, JointPrediction, Outputs, SourceModel
from bss.errors import UsageError
from bss.solvers.demixing import contrasts, updates
from bss.solvers.demixing.contrasts import Contrast, Nmf, Spherical
from bss.solvers.demixing.updates import Update
from bss.solvers.mm import Callback, check_spectra, majorise_minimise
from bss.solvers.result import Separation
from bss.solvers.wpe import Dereverberated, check_taps


@dataclass(frozen=True)
class JointSeparation(Separation):
    """A separation of a recording that was dereverberated on the way: `observed` is what it was then.

    `sources == demixing @ observed`, and in terms of the recording `sources == stacked_demixing @ stack(X, taps, delay)`.

    Attributes
    ----------
    demixing : np.ndarray
        (F, N, M).
    observed : np.ndarray
        (F, M, T) recording without late echo.
    loss, n_iter, converged, message
        As of `Separation`.
    dereverberation : Dereverberated
        The filters that `observed` comes from; `dereverberation.apply(other)` is what `demixing` wants of another recording.
    """

    dereverberation: Dereverberated = field(repr=False)

    @property
    def stacked_demixing(self) -> np.ndarray:
        """(F, N, M (taps + 1)): W [I, -G^H], of the present frame and the past ones in the order of `stack`."""
        delayed = self.demixing @ self.dereverberation.filters.conj().swapaxes(1, 2)
        columns = [*self.demixing.swapaxes(0, 2), *(-delayed).swapaxes(0, 2)]  # (N, F) each
        return dispatch.of(delayed).stack([column.swapaxes(0, 1) for column in columns], 2)


@dataclass
class _Joint:
    """A contrast whose step is followed by one of the filters. They are not part of its state: the caller wants them."""

    contrast: Contrast
    X: np.ndarray
    taps: int
    delay: int
    prediction: JointPrediction | None = None

    def start(self, backend: Backend, outputs: Outputs, rng: np.random.Generator) -> SourceModel:
        self.prediction = backend.joint_prediction(outputs, self.X, self.taps, self.delay)
        return self.contrast.start(backend, outputs, rng)

    def step(self, outputs: Outputs, state: SourceModel, update: Update) -> float:
        loss = self.contrast.step(outputs, state, update)
        if isinstance(self.contrast, Nmf):
            self.started.update_low_rank(state)
        elif isinstance(self.contrast, Spherical):
            r = contrasts.floored(dispatch.of(self.X), (outputs.n_bins * outputs.power()) ** 0.5)
            self.started.update(self.contrast.weights(r, outputs.n_bins))
        return loss

    @property
    def started(self) -> JointPrediction:
        """The filters, of a solve that has begun."""
        if self.prediction is None:
            raise RuntimeError("no iteration has been made")
        return self.prediction


def tiss(
    X: np.ndarray,
    *,
    n_sources: int | None = None,
    taps: int = 5,
    delay: int = 2,
    contrast: str | Contrast = "laplace",
    update: str | Update = "iss",
    n_iter: int = 50,
    tol: float = 1e-6,
    rng: int | np.random.Generator = 0,
    start: np.ndarray | None = None,
    callback: Callback | None = None,
) -> JointSeparation:
    """Joint dereverberation and separation by iterative source steering (T-ISS).

    AuxIVA or ILRMA on the present frame together with some past ones: one loss, which neither part raises.

    Parameters
    ----------
    X : np.ndarray
        (F, M, T) complex spectra of the microphones.
    n_sources : int, optional
        N; M by default.
    taps, delay : int
        Past frames that take part, and frames from the present one to the newest of them; fewer taps are used where the
        recording is too short for so many.
    contrast : str or Contrast
        The model of a source: a name that `auxiva` knows, or "nmf", ILRMA's with two components; or a value.
    update : str or Update
        How the demixing of the present frame is updated: as for `auxiva`.
    n_iter, tol : int, float
        Iterations at most, and the fall of the loss per bin under which it stops (0: never).
    rng : int or np.random.Generator
        Draws the first NMF.
    start : np.ndarray, optional
        (F, N, M) first demixing.
    callback : callable, optional
        Called with (iteration, loss).

    Returns
    -------
    JointSeparation
        Sources (F, N, T) of arbitrary scale per bin: see `projection_back`, with `result.observed` for X.

    Raises
    ------
    InputError, UsageError, SolverError
        X is not usable; an option is not; it diverged.

    References
    ----------
    T. Nakashima, R. Scheibler, M. Togami and N. Ono, "Joint dereverberation and separation with iterative source steering",
    ICASSP 2021.

    Examples
    --------
    >>> import numpy as np, bss
    >>> rng = np.random.default_rng(0)
    >>> S = rng.normal(size=(9, 2, 200)) + 1j * rng.normal(size=(9, 2, 200))
    >>> S *= rng.gamma(0.3, size=(1, 2, 200))
    >>> X = (rng.normal(size=(9, 2, 2)) + 1j * rng.normal(size=(9, 2, 2))) @ S
    >>> X[:, :, 3:] += 0.5 * X[:, ::-1, :-3]
    >>> result = bss.tiss(X, taps=2)
    >>> result.stacked_demixing.shape
    (9, 2, 6)
    """
    X = check_spectra(X)
    taps, note = check_taps(X, taps, delay)
    model = Nmf() if isinstance(contrast, str) and contrast == "nmf" else contrasts.by_name(contrast)
    if not isinstance(model, (Nmf, Spherical)):
        raise UsageError(f"contrast={contrast!r} has no weights that T-ISS knows", hint="a Spherical contrast, or Nmf")
    joint = _Joint(model, X, taps, delay)
    separation = majorise_minimise(
        X, joint, updates.by_name(update), n_sources=n_sources, n_iter=n_iter, tol=tol, rng=rng, start=start, callback=callback
    )
    backend = dispatch.of(X)
    filters = backend.cast(joint.started.filters, X)
    dry = Dereverberated(
        backend.without_prediction(X, filters, delay), filters, delay, separation.n_iter, separation.message + note
    )
    outcome = (separation.loss, separation.n_iter, separation.converged, separation.message + note)
    return JointSeparation(separation.demixing, dry.spectra, *outcome, dry)


def stack(X: np.ndarray, taps: int, delay: int) -> np.ndarray:
    """[x_t; x_(t - delay); x_(t - delay - 1); ...]: (F, M, T) -> (F, M (taps + 1), T), zeros before the first frame.

    A copy, taps + 1 times as large as X: no solver makes it.
    """
    F, M, T = X.shape
    backend = dispatch.of(X)
    stacked = backend.array(np.zeros((F, taps + 1, M, T), backend.precision(X)), X)
    stacked[:, 0] = X
    for k in range(min(taps, T - delay)):
        stacked[:, k + 1, :, delay + k :] = X[:, :, : T - delay - k]
    return stacked.reshape(F, -1, T)
