"""Time-frequency masks, for more talkers than microphones: in most places of a spectrogram only one talker speaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from bss.backends import dispatch
from bss.backends.operations import Array
from bss.backends.protocol import AngularMixture, Backend, Outputs
from bss.checks import check_rng
from bss.errors import InputError, UsageError, check_callable, check_int
from bss.solvers import mm, permutation
from bss.solvers.mm import MOST_SOURCES, Callback, check_spectra, check_tol
from bss.solvers.result import Separation

FIRST_ITERATIONS = 20
BLIND_ITERATIONS = 15
# A blind beginning fits each bin more closely, also where that is wrong: it must be likelier by so much, per bin and frame. In
# rooms with microphones 10 cm apart it is by 0.00 to 0.04, from a mixing desk, where delays mean nothing, by 0.03 to 0.09.
MARGIN = 0.03
DIFFUSE = 1e-3  # share of sound from everywhere with every direction, without which points would be infinitely likely
COUNT = 1e-2  # bins added to every talker in every frame: nobody is ruled out
BLUR = 0.3  # share of sound from everywhere with which a direction begins
APART = 0.6  # samples between the delays of two talkers
REACH = 1 / 16  # largest delay looked for, as a share of the window
UPSAMPLING = 4
LOWEST_BIN = 1 / 40  # below this share of the bins there is no direction in the phase


@dataclass
class Mixture:
    """A mixture of N directions and its EM; the weights (N, T) are those of all bins, which puts them in one order."""

    state: AngularMixture
    weights: Array
    losses: list[float] = field(default_factory=list)

    def step(self) -> float:
        """One iteration; the loss per bin and frame as it began."""
        spectra, backend = self.state.outputs, dispatch.of(self.weights)
        loss, share = self.state.step(self.weights)
        loss -= COUNT * backend.total(backend.log(self.weights))
        share = share + COUNT
        self.weights = share / share.sum(0)
        self.losses.append(float(loss) / (spectra.n_bins * spectra.n_frames))
        return self.losses[-1]

    def masks(self) -> Array:
        """(F, N, T) posteriors, which sum to one wherever something is heard."""
        return self.state.posteriors(self.weights)


def cacgmm(
    X: Array,
    *,
    n_sources: int | None = None,
    n_iter: int = 50,
    tol: float = 1e-6,
    rng: int | np.random.Generator = 0,
    start: Array | None = None,
    reference_mic: int = 0,
    callback: Callback | None = None,
) -> Separation:
    """Masks by a mixture of complex angular central Gaussians (cACGMM): for any number of talkers, also above M.

    A talker is a direction, blurred by the room, in every bin, and a share of every frame, the same in all bins: that keeps
    the bins in one order. It begins at the delays between the microphones that stand out, and at a blind clustering of every
    bin, aligned over bins; unless the blind one is far likelier after a few iterations, the delays go on.

    Parameters
    ----------
    X : np.ndarray
        (F, M, T) complex spectra of the microphones, from zero to half the sampling rate.
    n_sources : int, optional
        N; M by default.
    n_iter, tol : int, float
        Iterations at most, and the fall of the loss per bin and frame under which it stops (0: never).
    rng : int or np.random.Generator
        Seed of the blind start.
    start : np.ndarray, optional
        (F, N, T) first masks, instead of both.
    reference_mic : int
        Index of the microphone, from 0, that the masks are put on.
    callback : callable, optional
        Called with (iteration, loss).

    Returns
    -------
    Separation
        Sources (F, N, T) as the reference microphone hears them, which sum to it; no demixing.

    Raises
    ------
    InputError, UsageError
        X is not usable; an option is not.

    References
    ----------
    N. Ito, S. Araki and T. Nakatani, "Complex angular central Gaussian mixture model for directional statistics in mask-based
    microphone array signal processing", EUSIPCO 2016. N. Ito, S. Araki and T. Nakatani, "Permutation-free convolutive blind
    source separation via full-band clustering based on frequency-independent source presence priors", ICASSP 2013.

    Examples
    --------
    >>> import numpy as np, bss
    >>> rng = np.random.default_rng(0)
    >>> S = rng.normal(size=(9, 3, 300)) + 1j * rng.normal(size=(9, 3, 300))
    >>> S *= rng.gamma(0.1, size=(1, 3, 300))
    >>> X = (rng.normal(size=(9, 2, 3)) + 1j * rng.normal(size=(9, 2, 3))) @ S
    >>> separation = bss.cacgmm(X, n_sources=3)
    >>> separation.sources.shape, np.allclose(separation.sources.sum(1), X[:, 0])
    ((9, 3, 300), True)
    """
    X = check_spectra(X)
    M = X.shape[1]
    check_int("reference_mic", reference_mic, 0, M - 1)
    mixture, converged = fit(
        X, M if n_sources is None else check_int("n_sources", n_sources, 1, MOST_SOURCES),
        n_iter=n_iter, tol=tol, rng=rng, start=start, callback=callback,
    )  # fmt: skip
    return separation(X, mixture, mixture.masks(), reference_mic, converged)


def separation(X: Array, mixture: Mixture, masks: Array, reference_mic: int, converged: bool) -> Separation:
    """The masks on one microphone as a result."""
    loss = np.asarray(mixture.losses)
    message = f"converged in {len(loss)} iterations" if converged else f"stopped after {len(loss)} iterations"
    return Separation(None, X, loss, len(loss), converged, message, given=masks * X[:, None, reference_mic])


def fit(
    X: Array,
    N: int,
    *,
    n_iter: int = 50,
    tol: float = 1e-6,
    rng: int | np.random.Generator = 0,
    start: Array | None = None,
    callback: Callback | None = None,
) -> tuple[Mixture, bool]:
    """The mixture after its EM, and whether it converged; options as of `cacgmm`."""
    check_int("n_iter", n_iter, 1)
    check_tol(tol)
    check_callable("callback", callback)
    F, M, T = X.shape
    if M < 2:
        raise InputError("X holds one microphone", "a direction needs two or more", "more microphones")
    backend = dispatch.of(X)
    outputs = _outputs(backend, X)
    if start is not None:
        masks = backend.array(_checked(start, (F, N, T)), X)
        mixture = _mixture(backend, outputs, _directions(backend, X, masks))
    else:
        mixture = _begun(X, N, check_rng(rng), min(FIRST_ITERATIONS, n_iter))
    for i, loss in enumerate(mixture.losses):
        if callback is not None:
            callback(i, loss)
    for i in range(len(mixture.losses), n_iter):
        loss = mixture.step()
        if callback is not None:
            callback(i, loss)
        if tol > 0 and i > 0 and mixture.losses[-2] - loss < tol:
            return mixture, True
    return mixture, False


def starts(X: Array, N: int, rng: int | np.random.Generator = 0) -> Iterator[Mixture]:
    """The beginnings of mixtures of N directions in X (F, M, T): a blind one, then that of the delays, if N of them stand out."""
    backend = dispatch.of(X)
    outputs = _outputs(backend, X)
    yield _mixture(backend, outputs, _blind(backend, outputs, X, N, check_rng(rng)))
    delays = standing_out(X, N)
    if delays is not None:
        yield _mixture(backend, outputs, _steered(delays, len(X)))


def _outputs(backend: Backend, X: Array) -> Outputs:
    F, M, _ = X.shape
    return backend.outputs(X, np.broadcast_to(np.eye(M), (F, M, M)), M, mm.level(X))


def _checked(start: Array, shape: tuple[int, ...]) -> Array:
    if not dispatch.known(start):
        start = np.asarray(start)
    if tuple(start.shape) != shape:
        raise UsageError(f"start has shape {tuple(start.shape)}", hint=f"masks (F, N, T) = {shape}")
    if not dispatch.of(start).is_finite(start) or start.min() < 0 or not start.any():
        raise UsageError("start is not made of shares between 0 and 1", hint="masks that sum to one over N")
    return start


def _mixture(backend: Backend, outputs: Outputs, B: Array) -> Mixture:
    N, state = B.shape[1], backend.angular_mixture(outputs, B, DIFFUSE)
    return Mixture(state, _alike(backend, N, outputs.n_frames, state.B))


def _alike(backend: Backend, N: int, T: int, like: Array) -> Array:
    """(N, T) weights that are the same for all."""
    return backend.array(np.full((N, T), 1.0 / N), like)


def _begun(X: Array, N: int, rng: np.random.Generator, n_iter: int) -> Mixture:
    """The better of two beginnings, a few iterations on."""
    tried = list(starts(X, N, rng))
    for mixture in tried:
        for _ in range(n_iter):
            mixture.step()
    return likelier(tried[0], tried[-1])


def likelier(blind: Mixture, steered: Mixture) -> Mixture:
    """The better of two mixtures with different beginnings, after as many iterations."""
    return steered if steered.losses[-1] < blind.losses[-1] + MARGIN else blind


def _directions(backend: Backend, X: Array, masks: Array) -> Array:
    """B (F, N, M, M): covariances of the directions under each mask."""
    M = X.shape[1]
    C, _ = backend.masked_covariances(X, masks)
    count = backend.where(masks.sum(2) > 1e-6, masks.sum(2), 1e-6)[:, :, None, None]
    B: Array = C * (M / count) + DIFFUSE * backend.array(np.eye(M), C)
    return B


def _blind(backend: Backend, outputs: Outputs, X: Array, N: int, rng: np.random.Generator) -> Array:
    """B from a clustering of every bin by itself, with weights that are the same in all frames, put in one order."""
    F, M, T = X.shape
    A = rng.normal(size=(F, N, M, M)) + 1j * rng.normal(size=(F, N, M, M))
    B = A @ A.conj().swapaxes(2, 3)
    B *= M / np.trace(B, axis1=2, axis2=3).real[:, :, None, None]
    state = backend.angular_mixture(outputs, B + BLUR * np.eye(M), DIFFUSE)
    weights = _alike(backend, N, T, state.B)
    for _ in range(BLIND_ITERATIONS):
        state.step(weights)
    order = permutation.align(state.posteriors(weights))
    return backend.take_along(state.B, order[:, :, None, None], 1)


def _steered(delays: np.ndarray, F: int) -> np.ndarray:
    """B (F, N, M, M) of sound that comes with delays (N, M) in samples, blurred."""
    M = delays.shape[1]
    a = np.exp(-1j * np.pi * np.arange(F)[:, None, None] / max(F - 1, 1) * delays)  # (F, N, M)
    return np.asarray((1 - BLUR) * a[..., :, None] * a[..., None, :].conj() + BLUR * np.eye(M))


def standing_out(X: Array, N: int) -> np.ndarray | None:
    """(N, M) delays in samples behind microphone 0 of the N clearest directions that are apart; None if there are fewer.

    A frame in which one talker is loud shows that talker's delays as the peaks of its generalised cross-correlations.
    """
    F = len(X)
    first, size = 1 + int(LOWEST_BIN * F), 2 * (F - 1) * UPSAMPLING
    if size == 0 or first >= F:
        return None
    lags, heights = dispatch.of(X).frame_delays(X, first, UPSAMPLING, max(1, int(REACH * size)))
    chosen: list[np.ndarray] = []
    for t in np.argsort(-heights, kind="stable"):
        if heights[t] > 0 and all(np.abs(lags[t] - other).max() > APART for other in chosen):
            chosen.append(lags[t])
        if len(chosen) == N:
            return np.concatenate([np.zeros((N, 1)), np.stack(chosen)], axis=1)
    return None
