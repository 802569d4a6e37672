"""Kernels on NumPy arrays: what solvers call, as `protocol.Backend` says it. Float32 and complex64 stay what they are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bss.backends import protocol
from bss.backends.cpu import threads
from bss.backends.cpu.arrays import (
    array,
    cast,
    diagonal,
    double,
    host,
    identity,
    in_parallel,
    inner,
    inverse,
    is_finite,
    log,
    log1p,
    maximum,
    precision,
    principal,
    pseudo_inverse,
    single,
    solve,
    stack,
    take_along,
    total,
    where,
)  # fmt: skip
from bss.backends.cpu.demixing.bin_ica import BinwiseLaplace
from bss.backends.cpu.demixing.known_variance import KnownVariances
from bss.backends.cpu.demixing.low_rank import LowRank
from bss.backends.cpu.demixing.tiss import JointPrediction
from bss.backends.cpu.instantaneous.passes import fourth_moments, ica_pass, moments, square_sum
from bss.backends.cpu.masks import frame_delays, masked_covariances
from bss.backends.cpu.models.cacgmm import AngularMixture
from bss.backends.cpu.models.fastmnmf_state import FastMnmf
from bss.backends.cpu.models.full_rank import FullRank
from bss.backends.cpu.models.nmf import NmfFit
from bss.backends.cpu.ordering import grouping
from bss.backends.cpu.ordering.passes import (
    block_sums,
    coherence,
    grams,
    grouping_pass,
    join,
    ordering_pass,
    padded,
    phase_fits,
    phases_by_source,
    pooled,
)  # fmt: skip
from bss.backends.cpu.outputs import Outputs
from bss.backends.cpu.wpe import prediction_filters, without_prediction

__all__ = [
    "angular_mixture", "array", "block_sums", "cast", "coherence", "covariance", "demix", "diagonal", "double", "fast_mnmf",
    "fourth_moments", "frame_delays", "full_rank", "grams", "grouping_pass", "host", "ica_pass", "identity", "in_parallel",
    "inner", "inverse", "is_finite", "join", "joint_prediction", "known_variances", "laplace_per_bin", "log", "log1p",
    "low_rank", "masked_covariances", "maximum", "moments", "nmf", "ordering_pass", "outputs", "padded", "phase_fits",
    "phases_by_source", "pooled", "pooled_powers", "precision", "prediction_filters", "principal", "pseudo_inverse",
    "single", "solve", "square_sum", "stack", "take_along", "total", "where", "without_prediction",
]  # fmt: skip

BLOCK_BYTES = 1 << 21  # one temporary: about an L2 cache


def outputs(X: np.ndarray, W: np.ndarray, n_sources: int, level: float = 1.0) -> Outputs:
    """Y = W X / level, W (F, M, M)."""
    return Outputs(X, W, n_sources, level)


def low_rank(of: protocol.Outputs, B: np.ndarray, H: np.ndarray, dof: float | None = None) -> LowRank:
    """Variances B H, B (N, F, K), H (N, K, T): ILRMA."""
    return LowRank(_own(of), B, H, dof)


def laplace_per_bin(of: protocol.Outputs) -> BinwiseLaplace:
    """Laplace in every bin by itself: FD-ICA."""
    return BinwiseLaplace(_own(of))


def known_variances(of: protocol.Outputs, R: np.ndarray) -> KnownVariances:
    """Gauss with variances R (F, N, T)."""
    return KnownVariances(_own(of), R)


def joint_prediction(of: protocol.Outputs, X: np.ndarray, taps: int, delay: int) -> JointPrediction:
    """Filters of the delayed frames of X: T-ISS."""
    return JointPrediction(_own(of), X, taps, delay)


def fast_mnmf(of: protocol.Outputs, B: np.ndarray, H: np.ndarray, g: np.ndarray) -> FastMnmf:
    """Variances B H, spread over the outputs by g (N, M)."""
    return FastMnmf(_own(of), B, H, g)


def angular_mixture(of: protocol.Outputs, B: np.ndarray, blur: float) -> AngularMixture:
    """A mixture with shape matrices B (F, N, M, M): cACGMM."""
    return AngularMixture(_own(of), B, blur)


def full_rank(of: protocol.Outputs, v: np.ndarray, R: np.ndarray, *, noise: float) -> FullRank:
    """Powers v (F, N, T) and spatial covariances R (F, N, M, M)."""
    return FullRank(_own(of), v, R, noise=noise)


def nmf(Y: np.ndarray, n_components: int, rng: np.random.Generator) -> NmfFit:
    """An NMF of |Y|^2, Y (F, N, T), from a random start."""
    return NmfFit(Y, n_components, rng)


def _own(of: protocol.Outputs) -> Outputs:
    if not isinstance(of, Outputs):
        raise TypeError(f"outputs of another backend: {type(of).__module__}.{type(of).__qualname__}")
    return of


def bins(X: np.ndarray) -> Iterator[slice]:
    """Slices over the first axis, each about BLOCK_BYTES."""
    step = max(1, BLOCK_BYTES // max(1, X[0].nbytes))
    for start in range(0, len(X), step):
        yield slice(start, min(start + step, len(X)))


def demix(W: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Y = W X: (F, N, M), (F, M, T) -> (F, N, T), or (N, M), (M, n) -> (N, n)."""
    Y: np.ndarray = W @ X
    return Y


def covariance(X: np.ndarray) -> np.ndarray:
    """E[x x^H] over frames: (F, M, T) -> (F, M, M) in double precision."""
    C = np.empty((X.shape[0], X.shape[1], X.shape[1]), np.result_type(X.dtype, np.float64))
    for f in bins(X):
        C[f] = X[f] @ X[f].conj().swapaxes(1, 2)
    C /= X.shape[2]
    return C


def pooled_powers(X: np.ndarray, W: np.ndarray, gain: np.ndarray | None, pool: int) -> np.ndarray:
    """gain (F, N), if any, times |W X|^2, averaged over so many frames at a time: (F, N, ceil(T / pool)) of X's precision."""
    P = np.empty((len(X), W.shape[1], -(-X.shape[2] // pool)), X.real.dtype)
    gain = np.ones(P.shape[:2], P.dtype) if gain is None else gain.astype(P.dtype)
    for f in [slice(None)] if X.flags.c_contiguous else bins(X):
        part = np.ascontiguousarray(X[f])
        threads.run(grouping.pooled_powers, threads.CHUNKS, part, np.ascontiguousarray(W[f], X.dtype), gain[f], pool, P[f])
    return P
