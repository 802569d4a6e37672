"""Time-frequency masks, for more talkers than microphones: in most places of a spectrogram only one talker speaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from bss.backends import dispatch
from bss.backends.protocol import AngularMixture, Array, Backend, Outputs
from bss.errors import InputError, UsageError, check_int
from bss.solvers import mm, permutation
from bss.solvers.mm import Callback, check_spectra, check_tol
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
    weights: np.ndarray
    losses: list[float] = field(default_factory=list)

    def step(self) -> float:
        """One iteration; the loss per bin and frame as it began."""
        spectra = self.state.outputs
        loss, share = self.state.step(self.weights)
        loss -= COUNT * float(np.log(self.weights).sum())
        share = share + COUNT
        self.weights = share / share.sum(0)
        self.losses.append(loss / (spectra.n_bins * spectra.n_frames))
        return self.losses[-1]

    def masks(self) -> np.ndarray:
        """(F, N, T) posteriors, which sum to one wherever something is heard."""
        return self.state.posteriors(self.weights)


def cacgmm(
    X: np.ndarray,
    *,
    n_sources: int | None = None,
    n_iter: int = 50,
    tol: float = 1e-6,
    rng: int | np.random.Generator = 0,
    start: np.ndarray | None = None,
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
        X, M if n_sources is None else check_int("n_sources", n_sources, 1),
        n_iter=n_iter, tol=tol, rng=rng, start=start, callback=callback,
    )  # fmt: skip
    return separation(X, mixture, mixture.masks(), reference_mic, converged)


def separation(X: np.ndarray, mixture: Mixture, masks: np.ndarray, reference_mic: int, converged: bool) -> Separation:
    """The masks on one microphone as a result."""
    loss = np.asarray(mixture.losses)
    message = f"converged in {len(loss)} iterations" if converged else f"stopped after {len(loss)} iterations"
    return Separation(None, X, loss, len(loss), converged, message, given=masks * X[:, None, reference_mic])


def fit(
    X: np.ndarray,
    N: int,
    *,
    n_iter: int = 50,
    tol: float = 1e-6,
    rng: int | np.random.Generator = 0,
    start: np.ndarray | None = None,
    callback: Callback | None = None,
) -> tuple[Mixture, bool]:
    """The mixture after its EM, and whether it converged; options as of `cacgmm`."""
    check_int("n_iter", n_iter, 1)
    check_tol(tol)
    F, M, T = X.shape
    if M < 2:
        raise InputError("X holds one microphone", "a direction needs two or more", "more microphones")
    backend = dispatch.of(X)
    outputs = _outputs(backend, X)
    if start is not None:
        mixture = _mixture(backend, outputs, _directions(X, _checked(start, (F, N, T))))
    else:
        mixture = _begun(X, N, np.random.default_rng(rng), min(FIRST_ITERATIONS, n_iter))
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


def starts(X: np.ndarray, N: int, rng: int | np.random.Generator = 0) -> Iterator[Mixture]:
    """The beginnings of mixtures of N directions in X (F, M, T): a blind one, then that of the delays, if N of them stand out."""
    backend = dispatch.of(X)
    outputs = _outputs(backend, X)
    yield _mixture(backend, outputs, _blind(backend, outputs, X, N, np.random.default_rng(rng)))
    delays = standing_out(X, N)
    if delays is not None:
        yield _mixture(backend, outputs, _steered(delays, len(X)))


def _outputs(backend: Backend, X: np.ndarray) -> Outputs:
    F, M, _ = X.shape
    return backend.outputs(X, np.broadcast_to(np.eye(M), (F, M, M)), M, mm.level(X))


def _checked(start: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    start = np.asarray(start)
    if start.shape != shape:
        raise UsageError(f"start has shape {start.shape}", hint=f"masks (F, N, T) = {shape}")
    if not np.isfinite(start).all() or start.min() < 0 or not start.any():
        raise UsageError("start is not made of shares between 0 and 1", hint="masks that sum to one over N")
    return start


def _mixture(backend: Backend, outputs: Outputs, B: Array) -> Mixture:
    N = B.shape[1]
    return Mixture(backend.angular_mixture(outputs, B, DIFFUSE), np.full((N, outputs.n_frames), 1.0 / N))


def _begun(X: np.ndarray, N: int, rng: np.random.Generator, n_iter: int) -> Mixture:
    """The better of two beginnings, a few iterations on."""
    tried = list(starts(X, N, rng))
    for mixture in tried:
        for _ in range(n_iter):
            mixture.step()
    return likelier(tried[0], tried[-1])


def likelier(blind: Mixture, steered: Mixture) -> Mixture:
    """The better of two mixtures with different beginnings, after as many iterations."""
    return steered if steered.losses[-1] < blind.losses[-1] + MARGIN else blind


def _directions(X: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """B (F, N, M, M): covariances of the directions under each mask."""
    F, M, _ = X.shape
    B = np.empty((F, masks.shape[1], M, M), np.complex128)
    for f in range(F):
        power = np.sum(np.abs(X[f]) ** 2, axis=0)
        Z = X[f] / np.sqrt(np.where(power > 0, power, 1))
        count = np.maximum(masks[f].sum(1), 1e-6)[:, None, None]
        # not BLAS, whose sums depend on its number of threads
        B[f] = np.einsum("nt,mt,kt->nmk", masks[f], Z, Z.conj()) * (M / count) + DIFFUSE * np.eye(M)
    return B


def _blind(backend: Backend, outputs: Outputs, X: np.ndarray, N: int, rng: np.random.Generator) -> np.ndarray:
    """B from a clustering of every bin by itself, with weights that are the same in all frames, put in one order."""
    F, M, T = X.shape
    A = rng.normal(size=(F, N, M, M)) + 1j * rng.normal(size=(F, N, M, M))
    B = A @ A.conj().swapaxes(2, 3)
    B *= M / np.trace(B, axis1=2, axis2=3).real[:, :, None, None]
    state = backend.angular_mixture(outputs, B + BLUR * np.eye(M), DIFFUSE)
    weights = np.full((N, T), 1.0 / N)
    for _ in range(BLIND_ITERATIONS):
        state.step(weights)
    order = permutation.align(state.posteriors(weights))
    return np.asarray(np.take_along_axis(state.B, order[:, :, None, None], axis=1))


def _steered(delays: np.ndarray, F: int) -> np.ndarray:
    """B (F, N, M, M) of sound that comes with delays (N, M) in samples, blurred."""
    M = delays.shape[1]
    a = np.exp(-1j * np.pi * np.arange(F)[:, None, None] / max(F - 1, 1) * delays)  # (F, N, M)
    return np.asarray((1 - BLUR) * a[..., :, None] * a[..., None, :].conj() + BLUR * np.eye(M))


def standing_out(X: np.ndarray, N: int) -> np.ndarray | None:
    """(N, M) delays in samples behind microphone 0 of the N clearest directions that are apart; None if there are fewer.

    A frame in which one talker is loud shows that talker's delays as the peaks of its generalised cross-correlations.
    """
    lags, heights = _frame_delays(X)
    chosen: list[np.ndarray] = []
    for t in np.argsort(-heights, kind="stable"):
        if heights[t] > 0 and all(np.abs(lags[t] - other).max() > APART for other in chosen):
            chosen.append(lags[t])
        if len(chosen) == N:
            return np.concatenate([np.zeros((N, 1)), np.stack(chosen)], axis=1)
    return None


def _frame_delays(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T, M - 1) delays of every frame, and (T,) how clearly they stand out: 1 for sound from one direction."""
    F, M, T = X.shape
    size = 2 * (F - 1) * UPSAMPLING
    reach = max(1, int(REACH * size))
    lags, heights = np.zeros((T, M - 1)), np.zeros(T)
    first = 1 + int(LOWEST_BIN * F)
    if size == 0 or first >= F:
        return lags, heights
    step = max(1, (1 << 20) // size)
    for begin in range(0, T, step):
        t = slice(begin, begin + step)
        for m in range(1, M):
            cross = X[:, m, t] * X[:, 0, t].conj()
            cross /= np.maximum(np.abs(cross), np.finfo(cross.real.dtype).tiny)
            cross[:first] = 0
            correlation = np.fft.irfft(cross, n=size, axis=0)
            near = np.concatenate([correlation[-reach:], correlation[: reach + 1]])
            lags[t, m - 1] = (near.argmax(0) - reach) / UPSAMPLING
            heights[t] += near.max(0) * (size / (2 * (F - first) * (M - 1)))
    return lags, heights
