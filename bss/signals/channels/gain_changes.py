"""Whether a channel is what the others hear at a gain that changes: automatic gain control, a beam, a processed mix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bss.signals.stft import Stft

FRAME_SECONDS = 0.064
LOWEST, HIGHEST, EVERY = 200.0, 6000.0, 8  # Hz, and every so many bins
LOADING = 1e-5  # of the power, in the regression
LONGEST_SECONDS = 30.0  # of a longer recording the middle
SUSPECT_DB = -2.5  # gains that change leave at least so much less than fixed ones; below 1 dB in any still microphone
EXACT = 1e-4  # share of a channel that may be rounding: what the others predict so well has no gain of its own
ITERATIONS = 3
RANGE = 1e3  # amplitude, of a gain
TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class GainChanges:
    """How well the other channels predict one whose gain changes.

    Attributes
    ----------
    channel : int
        Its index.
    fixed_db, varying_db : float
        What remains of it, relative to its power, after a prediction by fixed filters, and by these with a gain in every frame.
    spread_db : float
        Standard deviation of that gain, weighted by power.
    """

    channel: int
    fixed_db: float
    varying_db: float
    spread_db: float


def measure(x: np.ndarray, rate: int) -> list[GainChanges]:
    """The channels of x (M, n) that the others predict better with changing gains; none if there are fewer than three.

    One regression of every channel on all others finds the suspects; only for these the filters are then learned with the gains.
    """
    m, n = x.shape
    size = 1 << max(4, round(np.log2(FRAME_SECONDS * rate)))
    stft = Stft(size, size // 2)
    length = min(n, round(LONGEST_SECONDS * rate))
    if m < 3 or stft.n_frames(length) < 8 * m:
        return []
    start = (n - length) // 2
    bins = np.arange(round(LOWEST * size / rate), min(round(min(HIGHEST, 0.45 * rate) * size / rate), size // 2) + 1, EVERY)
    X = stft.forward(np.ascontiguousarray(x[:, start : start + length], np.float32))[bins]
    X = X / np.sqrt(np.mean(X.real**2 + X.imag**2, axis=2, keepdims=True) + TINY)  # so that all frequencies count
    R = _loaded(X @ X.conj().swapaxes(1, 2))
    P = np.linalg.inv(R)
    error = (P @ X) / np.einsum("fmm->fm", P)[:, :, None]  # of each channel, predicted from the others
    own, fixed = _power(X), _power(error)
    varying = own - _best_gains(X, X - error)[1]
    total = own.sum(1) + TINY
    shares = [np.maximum(left.sum(1), 0) / total for left in (varying, fixed)]
    improvement = 10 * np.log10((shares[0] + EXACT) / (shares[1] + EXACT))
    return [_refined(X, int(k), float(shares[1][k])) for k in np.flatnonzero(improvement < SUSPECT_DB)]


def _refined(X: np.ndarray, k: int, fixed: float) -> GainChanges:
    """Channel k of X (F, M, T) as y = g_t h^H x, by least squares in turn for the filters h (F, M - 1) and the gains g (T,)."""
    y, others = X[:, k], np.delete(X, k, axis=1)
    gains = np.ones(X.shape[2], np.float32)
    for _ in range(ITERATIONS):
        louder = others * gains
        h = np.linalg.solve(_loaded(louder @ louder.conj().swapaxes(1, 2)), louder @ y.conj()[:, :, None])[:, :, 0]
        p = np.einsum("fm,fmt->ft", h.conj(), others)
        gains = np.clip(_best_gains(y[:, None], p[:, None])[0][0], 0, RANGE)
    total = _power(y[:, None])[0] + TINY
    varying = float(np.sum(np.abs(y - gains * p) ** 2) / total.sum())
    levels = 20 * np.log10(np.maximum(gains, 1 / RANGE))
    spread = float(np.sqrt(np.average((levels - np.average(levels, weights=total)) ** 2, weights=total)))
    return GainChanges(k, 10 * float(np.log10(fixed + TINY)), 10 * float(np.log10(varying + TINY)), spread)


def _best_gains(Y: np.ndarray, P: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(M, T) gains with which predictions P (F, M, T) fit Y best in each frame, and the power that they explain."""
    cross, power = np.sum((Y.conj() * P).real, axis=0), _power(P)
    gains = cross / (power + 1e-9 * power.max() + TINY)
    return gains, gains * cross


def _power(Y: np.ndarray) -> np.ndarray:
    """(M, T) power of Y (F, M, T)."""
    return np.asarray(np.sum(Y.real**2 + Y.imag**2, axis=0))


def _loaded(R: np.ndarray) -> np.ndarray:
    """R (F, M, M) with a small diagonal added."""
    load = LOADING * np.einsum("fmm->f", R).real / R.shape[1] + TINY
    return np.asarray(R + load[:, None, None] * np.eye(R.shape[1], dtype=R.dtype))
