"""Contrasts: what a source looks like. A contrast turns the current sources into the weights phi of a weighted least-squares
problem whose solution lowers the objective (majorisation), and says what the objective is.

A contrast is a frozen value; what it learns from the data is carried outside it, as `state`. `step(outputs, state, update)`
updates the demixing once and gives the loss before that: penalties G summed over sources and bins and averaged over frames, minus
log |det W|^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any, Protocol

import numpy as np

from bss.backends import dispatch
from bss.backends.operations import Array
from bss.backends.protocol import Backend, Outputs, SourceModel
from bss.errors import UsageError, check_choice, check_int
from bss.solvers.demixing.updates import Update


class Contrast(Protocol):
    """What the majorise-minimise loop asks of a source model."""

    def start(self, backend: Backend, outputs: Outputs, rng: np.random.Generator) -> SourceModel:
        """The first state, from the first outputs."""

    def step(self, outputs: Outputs, state: SourceModel, update: Update) -> float:
        """One iteration, in place; returns the loss as it began."""


class Iterated:
    """What the contrasts here share: an iteration is one of their model."""

    def step(self, outputs: Outputs, state: SourceModel, update: Update) -> float:
        """One iteration of model and demixing; returns the loss as it began, or between the two where the model comes first."""
        log_det = outputs.log_det
        return state.update(update.name) - log_det


@dataclass(frozen=True)
class Spherical(Iterated):
    """Contrasts whose weights all bins of a frame share: a new one gives `weights` and `penalty`, and no more."""

    def weights(self, r: Array, n_bins: int) -> Array:
        """phi (N, T) = G'(r) / 2r, r (N, T) being the norm over bins of y, never zero."""
        raise NotImplementedError

    def penalty(self, r: Array, n_bins: int) -> Array:
        """G(r) - phi r^2, (N, T)."""
        raise NotImplementedError

    def start(self, backend: Backend, outputs: Outputs, rng: np.random.Generator) -> SourceModel:
        """There is nothing to learn."""
        return SphericalModel(self, backend, outputs)


@dataclass(frozen=True)
class SphericalModel:
    """A spherical contrast on the outputs of a solve."""

    contrast: Spherical
    backend: Backend
    outputs: Outputs

    def update(self, method: str) -> float:
        """The penalties and the weights of the current outputs, and one update of the demixing."""
        n_bins = self.outputs.n_bins
        square = n_bins * self.outputs.power()
        r = floored(self.backend, square**0.5)
        weights = self.contrast.weights(r, n_bins)
        # phi r^2 with r as it is, the rest with r floored: what the weights majorise, in silent frames too
        penalties = weights * square + self.contrast.penalty(r, n_bins)
        self.outputs.update(weights, method)
        loss: float = self.backend.total(penalties) / r.shape[1]
        return loss


@dataclass(frozen=True)
class Laplace(Spherical):
    """Spherical Laplace: the bins of a talker are loud together, sparse over time. G(r) = 2 r, Hiroe; Kim et al. (2006)."""

    def weights(self, r: Array, n_bins: int) -> Array:
        return 1 / r

    def penalty(self, r: Array, n_bins: int) -> Array:
        return r


@dataclass(frozen=True)
class Gauss(Spherical):
    """Time-varying Gauss: a talker has one variance per frame. G(r) = F + F log(r^2 / F), Ono (2012)."""

    def weights(self, r: Array, n_bins: int) -> Array:
        return n_bins / r**2

    def penalty(self, r: Array, n_bins: int) -> Array:
        return n_bins * dispatch.of(r).log(r**2 / n_bins)


@dataclass(frozen=True)
class StudentT(Spherical):
    """Multivariate Student's t with `dof` degrees of freedom: heavier tails the fewer. G(r) = (dof / 2 + F) log(1 + 2 r^2 / dof).

    Kitamura et al. (2018). Its scale is that of a source of unit power, where the recording is brought to before a solve.
    """

    dof: float = 4.0

    def __post_init__(self) -> None:
        check_dof(self.dof)

    def weights(self, r: Array, n_bins: int) -> Array:
        weights: Array = (self.dof + 2 * n_bins) / (self.dof + 2 * r**2)
        return weights

    def penalty(self, r: Array, n_bins: int) -> Array:
        penalty: Array = (self.dof / 2 + n_bins) * dispatch.of(r).log1p(2 * r**2 / self.dof) - self.weights(r, n_bins) * r**2
        return penalty


@dataclass(frozen=True)
class GeneralisedGauss(Spherical):
    """Generalised Gauss of shape beta: 1 is Laplace, less is sparser. G(r) = 2 r^beta / beta, Ono (2012)."""

    beta: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.beta < 2:
            raise UsageError(f"beta={self.beta} is out of range", hint="more than 0 and less than 2, such as 0.5")

    def weights(self, r: Array, n_bins: int) -> Array:
        weights: Array = r ** (self.beta - 2)
        return weights

    def penalty(self, r: Array, n_bins: int) -> Array:
        penalty: Array = (2 / self.beta - 1) * r**self.beta
        return penalty


@dataclass(frozen=True)
class Nmf(Iterated):
    """Gauss with low-rank variances R = B H (IS-NMF): the contrast of ILRMA, Kitamura et al. (2016).

    With `dof` degrees of freedom, Student's t instead: t-ILRMA, S. Mogami et al. (2017), D. Kitamura et al. (2018). The state
    is B (N, F, K) and H (N, K, T). It starts at random at the level of each bin, or from `basis` and `activation`.
    """

    n_components: int = 2
    basis: Array | None = None
    activation: Array | None = None
    dof: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_components", check_int("n_components", self.n_components, 1, MOST_COMPONENTS))
        if self.dof is not None:
            check_dof(self.dof)
        if (self.basis is None) != (self.activation is None):
            raise UsageError("one of basis and activation is given", hint="give both or neither")

    def start(self, backend: Backend, outputs: Outputs, rng: np.random.Generator) -> SourceModel:
        """B and H as the backend keeps them."""
        N, F, T, K = outputs.n_sources, outputs.n_bins, outputs.n_frames, self.n_components
        if self.basis is not None and self.activation is not None:
            if self.basis.shape[:2] != (N, F) or self.activation.shape != (N, self.basis.shape[2], T):
                raise UsageError(
                    f"basis {tuple(self.basis.shape)} and activation {tuple(self.activation.shape)} do not fit",
                    hint=f"(N, F, K) and (N, K, T) with N={N}, F={F}, T={T}",
                )
            return backend.low_rank(outputs, self.basis, self.activation, self.dof)
        B = rng.uniform(0.1, 1.0, (N, F, K)) * outputs.bin_power()[:, :, None]
        return backend.low_rank(outputs, B, rng.uniform(0.1, 1.0, (N, K, T)), self.dof)


@dataclass(frozen=True)
class Known(Iterated):
    """Gauss with variances that something else tells: a network that has learned what speech is, or the truth (an oracle).

    `variances` (F, N, T) are at the level of the recording given to the solver; they stay as they are from step to step.
    Nugraha, Liutkus and Vincent (2016); Makishima et al. (2019).
    """

    variances: Array

    def start(self, backend: Backend, outputs: Outputs, rng: np.random.Generator) -> SourceModel:
        """The variances as the backend keeps them, none below `LEAST_KNOWN` of its bin's mean."""
        F, N, T = outputs.n_bins, outputs.n_sources, outputs.n_frames
        if self.variances.shape != (F, N, T):
            raise UsageError(f"variances of shape {tuple(self.variances.shape)}", hint=f"(F, N, T) = {(F, N, T)}")
        R, arrays = self.variances / outputs.level**2, dispatch.of(self.variances)  # NumPy's, it may be, beside tensors
        lowest = LEAST_KNOWN * R.mean(2, keepdims=True)
        return backend.known_variances(outputs, arrays.maximum(R, arrays.where(lowest > 0, lowest, 1)))


def check_dof(dof: Any) -> None:
    """UsageError unless `dof` is a positive number."""
    if not isinstance(dof, Real) or not 0 < float(dof) < np.inf:
        raise UsageError(f"dof={dof!r} is not a positive number", hint="1 for very heavy tails, 4, or 1000 for nearly Gauss")


def floored(backend: Backend, r: Array) -> Array:
    """Norms r (N, T), where silent frames count as 60 dB under the source's mean, and a source silent throughout as one."""
    mean = r.mean(1, keepdims=True)
    return backend.maximum(r, backend.where(mean > 0, SILENT_FRAME * mean, 1))


SILENT_FRAME = 1e-3
MOST_COMPONENTS = 1024  # of a source's NMF
LEAST_KNOWN = 1e-3  # 30 dB under the mean: known variances are never so well known that less would mean something

NAMES = ("laplace", "gauss", "student-t", "generalised-gauss")


def by_name(contrast: str | Contrast) -> Contrast:
    """The contrast that a name or value means."""
    if not isinstance(contrast, str) and hasattr(contrast, "step"):
        return contrast
    check_choice("contrast", str(contrast), NAMES)
    named: dict[str, Contrast] = dict(zip(NAMES, (Laplace(), Gauss(), StudentT(), GeneralisedGauss()), strict=True))
    return named[str(contrast)]
