"""BSS-eval v3: SDR, SIR and SAR of estimated sources, allowing a time-invariant distortion filter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.fft
import scipy.linalg

from bss.metrics.si_sdr import BLOCK, decibels

FILTER_LENGTH = 512
COPY_DB = 40.0
"""A reference that a filtered copy of another one matches this well is not a second talker."""


@dataclass(frozen=True)
class Pairs:
    """The scores of every estimate against every reference, in dB.

    Attributes
    ----------
    sdr, sir, sar : array, shape=(N, K)
        NaN where a signal is all zeros. `sir` is also NaN where it is undefined: with a single reference, and for a
        reference that is a copy of another one.
    copy_of : array of int, shape=(N,)
        The other reference of which this one is a (filtered) copy, or -1.
    """

    sdr: np.ndarray
    sir: np.ndarray
    sar: np.ndarray
    copy_of: np.ndarray


def bss_eval_pairs(
    references: Sequence[np.ndarray], estimates: Sequence[np.ndarray], *, filter_length: int = FILTER_LENGTH
) -> Pairs:
    """SDR, SIR and SAR (BSS-eval v3, sources) of every estimate against every reference.

    Parameters
    ----------
    references : array, shape=(N, n), or N arrays of shape (n,)
        The true sources.
    estimates : array, shape=(K, n), or K arrays of shape (n,)
        The estimates, at any scale.
    filter_length : int
        L, the taps of the allowed distortion filter.

    Returns
    -------
    Pairs
        The scores, each (N, K).

    References
    ----------
    E. Vincent, R. Gribonval, C. Fevotte, "Performance measurement in blind audio source separation", IEEE TASLP 14(4),
    2006. The energies of the projections are computed from Gram matrices as in R. Scheibler, "SDR - medium rare with fast
    computations", ICASSP 2022.

    Examples
    --------
    >>> import numpy as np
    >>> s = np.random.default_rng(0).standard_normal((2, 8000))
    >>> bss_eval_pairs(s, s + 0.1 * s[::-1], filter_length=1).sir.round().tolist()
    [[20.0, -21.0], [-21.0, 20.0]]
    """
    N, L = len(references), filter_length
    c = correlations(references, [*references, *estimates], L)
    own = explained_alone(c)
    mutual, own = own[:, :N], own[:, N:]
    energy = np.array([np.any(e) for e in estimates], dtype=np.float64)  # correlations are of unit-energy signals
    every = own[0] if N == 1 else _explained(_factor(partial(_gram, c, N, L)), c[:, N:].transpose(0, 2, 1).reshape(N * L, -1))
    # the shifts of one reference are among those of all references: enforce that despite rounding
    own = np.minimum(own, energy)
    every = np.clip(every, own.max(axis=0), energy)
    copy_of = _copies(mutual)
    sir = decibels(own, every - own)
    sir[(copy_of >= 0) | (N == 1)] = np.nan
    sdr, sar = decibels(own, energy - own), np.tile(decibels(every, energy - every), (N, 1))
    for j, s in enumerate(references):
        if not np.any(s):
            sdr[j] = sir[j] = sar[j] = np.nan
    return Pairs(sdr, sir, sar, copy_of)


def explained_alone(c: np.ndarray) -> np.ndarray:
    """|P_j z|^2 (N, K): the share of each signal z that the L shifts of reference j explain, from `correlations` (N, K, L).

    The first N of the K signals are the references.
    """
    own = np.empty(c.shape[:2])
    for j in range(len(c)):
        factor = _factor(partial(_gram, c[j : j + 1, j : j + 1], 1, c.shape[2]))
        own[j] = _explained(factor, c[j].T)
    return own


def correlations(left: Sequence[np.ndarray], right: Sequence[np.ndarray], n_lags: int) -> np.ndarray:
    """c[j, k, l] = sum over t of left_j[t] right_k[t + l], l = 0 ... n_lags - 1, of the signals scaled to unit energy.

    Block by block with short FFTs in float64, so that memory does not grow with the length of the signals.
    """
    n = len(left[0])
    size = min(n, max(BLOCK // 2, 4 * n_lags) - n_lags + 1)
    n_fft = scipy.fft.next_fast_len(size + n_lags - 1, real=True)
    norms_left, norms_right = [_norm(z) for z in left], [_norm(z) for z in right]
    spectra = np.zeros((len(left), len(right), n_fft // 2 + 1), dtype=np.complex128)
    for start in range(0, n, size):
        # a block of `left` correlates with the same block of `right` and the n_lags - 1 samples after it
        Z = [_spectrum(z[start : start + size + n_lags - 1], a, n_fft) for z, a in zip(right, norms_right, strict=True)]
        for j, (z, a) in enumerate(zip(left, norms_left, strict=True)):
            S = _spectrum(z[start : start + size], a, n_fft).conj()
            for k, Z_k in enumerate(Z):
                spectra[j, k] += S * Z_k
    return np.asarray(scipy.fft.irfft(spectra, n_fft)[..., :n_lags])


def _norm(z: np.ndarray) -> float:
    """Euclidean norm in float64; 1 for a signal of zeros, so that dividing by it leaves zeros."""
    scale = float(np.max(np.abs(z)))
    blocks = (z[start : start + BLOCK].astype(np.float64) / (scale or 1.0) for start in range(0, len(z), BLOCK))
    return scale * float(np.sqrt(sum(float(b @ b) for b in blocks))) or 1.0


def _spectrum(z: np.ndarray, norm: float, n_fft: int) -> np.ndarray:
    return np.asarray(scipy.fft.rfft(z.astype(np.float64) / norm, n_fft))


def _gram(c: np.ndarray, N: int, L: int) -> np.ndarray:
    """The Gram matrix of the L shifts of N references, (N L, N L): block (j, k) is Toeplitz. Lower blocks only."""
    G = np.zeros((N * L, N * L), order="F")
    for j in range(N):
        for k in range(j + 1):
            G[j * L : (j + 1) * L, k * L : (k + 1) * L] = scipy.linalg.toeplitz(c[j, k], c[k, j])
    return G


def _factor(build: Callable[[], np.ndarray]) -> np.ndarray:
    """Lower Cholesky factor of a Gram matrix with unit diagonal.

    References with empty bands, or that are copies of each other, make it numerically singular. Their projections are
    defined all the same: the smallest diagonal loading that allows a factorisation changes them by less than 1e-4 dB.
    """
    load = 0.0
    while True:
        G = build()
        G[np.diag_indices_from(G)] += load
        try:
            return np.asarray(scipy.linalg.cholesky(G, lower=True, overwrite_a=True, check_finite=False))
        except scipy.linalg.LinAlgError:
            load = max(10 * load, 1e-14)


def _explained(factor: np.ndarray, d: np.ndarray) -> np.ndarray:
    """|P z|^2 = d^T G^-1 d for each column d of inner products."""
    y = scipy.linalg.solve_triangular(factor, d, lower=True, check_finite=False)
    return np.asarray(np.einsum("lk,lk->k", y, y))


def _copies(mutual: np.ndarray) -> np.ndarray:
    """For each reference, the other one that its shifts explain, or whose shifts explain it; -1 for none."""
    both = np.maximum(mutual, mutual.T)
    np.fill_diagonal(both, 0.0)
    copied = decibels(both.max(axis=1), 1 - both.max(axis=1)) >= COPY_DB
    return np.where(copied, both.argmax(axis=1), -1)
