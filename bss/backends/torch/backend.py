"""What solvers call of tensors of any device, as `protocol.Backend` says it: tensors in, tensors out, on the same device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from bss.backends import protocol
from bss.backends.torch.arrays import (
    array,
    cast,
    diagonal,
    double,
    host,
    identity,
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
from bss.backends.torch.demixing.bin_models import BinwiseLaplace, KnownVariances
from bss.backends.torch.demixing.low_rank import LowRank
from bss.backends.torch.ordering import (
    block_sums,
    coherence,
    grams,
    grouping_pass,
    in_parallel,
    join,
    ordering_pass,
    padded,
    phase_fits,
    phases_by_source,
    pooled,
)  # fmt: skip
from bss.backends.torch.outputs import Outputs
from bss.backends.torch.passes import covariance, demix, pooled_powers, square_sum

if TYPE_CHECKING:
    from bss.backends.torch.demixing.tiss import JointPrediction
    from bss.backends.torch.models.cacgmm import AngularMixture
    from bss.backends.torch.models.fastmnmf import FastMnmf
    from bss.backends.torch.models.full_rank import FullRank
    from bss.backends.torch.models.nmf import NmfFit

__all__ = [
    "angular_mixture", "array", "block_sums", "cast", "coherence", "covariance", "demix", "diagonal", "double", "fast_mnmf",
    "fourth_moments", "frame_delays", "full_rank", "grams", "grouping_pass", "host", "ica_pass", "identity", "in_parallel",
    "inner", "inverse", "is_finite", "join", "joint_prediction", "known_variances", "laplace_per_bin", "log", "log1p",
    "low_rank", "masked_covariances", "maximum", "moments", "nmf", "ordering_pass", "outputs", "padded", "phase_fits",
    "phases_by_source", "pooled", "pooled_powers", "precision", "prediction_filters", "principal", "pseudo_inverse",
    "single", "solve", "square_sum", "stack", "take_along", "total", "where", "without_prediction",
]  # fmt: skip


def outputs(X: Tensor, W: Any, n_sources: int, level: float = 1.0) -> Outputs:
    """Y = W X / level, W (F, M, M)."""
    return Outputs(X, W, n_sources, level)


def low_rank(of: protocol.Outputs, B: Any, H: Any, dof: float | None = None) -> LowRank:
    """Variances B H, B (N, F, K), H (N, K, T): ILRMA."""
    return LowRank(_own(of), B, H, dof)


def laplace_per_bin(of: protocol.Outputs) -> BinwiseLaplace:
    """Laplace in every bin by itself: FD-ICA."""
    return BinwiseLaplace(_own(of))


def known_variances(of: protocol.Outputs, R: Any) -> KnownVariances:
    """Gauss with variances R (F, N, T)."""
    return KnownVariances(_own(of), R)


# What follows loads its module when it is first called: a solve needs one of them at most.


def joint_prediction(of: protocol.Outputs, X: Tensor, taps: int, delay: int) -> JointPrediction:
    """Filters of the delayed frames of X: T-ISS."""
    from bss.backends.torch.demixing.tiss import JointPrediction

    return JointPrediction(_own(of), X, taps, delay)


def fast_mnmf(of: protocol.Outputs, B: Any, H: Any, g: Any) -> FastMnmf:
    """Variances B H, spread over the outputs by g (N, M)."""
    from bss.backends.torch.models.fastmnmf import FastMnmf

    return FastMnmf(_own(of), B, H, g)


def angular_mixture(of: protocol.Outputs, B: Any, blur: float) -> AngularMixture:
    """A mixture with shape matrices B (F, N, M, M): cACGMM."""
    from bss.backends.torch.models.cacgmm import AngularMixture

    return AngularMixture(_own(of), B, blur)


def full_rank(of: protocol.Outputs, v: Any, R: Any, *, noise: float) -> FullRank:
    """Powers v (F, N, T) and spatial covariances R (F, N, M, M)."""
    from bss.backends.torch.models.full_rank import FullRank

    return FullRank(_own(of), v, R, noise=noise)


def nmf(Y: Tensor, n_components: int, rng: np.random.Generator) -> NmfFit:
    """An NMF of |Y|^2, Y (F, N, T), from a random start."""
    from bss.backends.torch.models.nmf import NmfFit

    return NmfFit(Y, n_components, rng)


def moments(x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Mean (M,) and covariance (M, M) of x (M, n), for the host."""
    from bss.backends.torch import instantaneous

    return instantaneous.moments(x)


def ica_pass(
    x: Tensor, W: np.ndarray, mean: np.ndarray, nonlinearity: str, *, stride: int = 1, value: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """E[g(y) (x - mean)^T], E[g'(y)] and E[G(y)] of y = W (x - mean), for the host."""
    from bss.backends.torch import instantaneous

    return instantaneous.ica_pass(x, W, mean, nonlinearity, stride=stride, value=value)


def fourth_moments(x: Tensor, K: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """E[z_i z_j z_k z_l] of z = K (x - mean), for the host."""
    from bss.backends.torch import instantaneous

    return instantaneous.fourth_moments(x, K, mean)


def prediction_filters(X: Tensor, *, taps: int, delay: int, n_iter: int, context: int, power: Any, level: float) -> Tensor:
    """G (F, M taps, M) of WPE."""
    from bss.backends.torch import wpe

    return wpe.prediction_filters(X, taps=taps, delay=delay, n_iter=n_iter, context=context, power=power, level=level)


def without_prediction(X: Tensor, filters: Any, delay: int) -> Tensor:
    """X less what filters G predict from the frames `delay` ago and before."""
    from bss.backends.torch import wpe

    return wpe.without_prediction(X, filters, delay)


def masked_covariances(X: Tensor, masks: Any) -> tuple[Tensor, Tensor]:
    """Sums over frames of masks (F, N, T) times z z^H, z = x / |x|: (F, N, M, M); and |x|^2 (F, T)."""
    from bss.backends.torch import masks as of_masks

    return of_masks.masked_covariances(X, masks)


def frame_delays(X: Tensor, first: int, upsampling: int, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """(T, M - 1) delays of every frame, and (T,) how clearly they stand out, for the host."""
    from bss.backends.torch import masks as of_masks

    return of_masks.frame_delays(X, first, upsampling, reach)


def _own(of: object) -> Outputs:
    if not isinstance(of, Outputs):
        raise TypeError(f"outputs of another backend: {type(of).__module__}.{type(of).__qualname__}")
    return of
