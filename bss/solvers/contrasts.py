"""Contrasts: what a source looks like. A contrast turns the current sources Y (F, N, T) into the weights phi of a weighted
least-squares problem whose solution lowers the objective (majorisation), and says what the objective is.

A contrast is a frozen value; what it learns from the data is carried outside it, as `state`. `step(kernels, Y, state)` gives
`(phi, state, loss)`: phi (N, 1 or F, T) equals G'(r) / 2r of the penalty G, and loss is the sum of G over sources and bins,
averaged over frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from bss.errors import UsageError, check_choice, check_int
from bss.kernels.numbers import floor


class Contrast(Protocol):
    """What the majorise-minimise loop asks of a source model."""

    def start(self, kernels: ModuleType, Y: np.ndarray, rng: np.random.Generator) -> Any:
        """The first state, from the first sources."""

    def step(self, kernels: ModuleType, Y: np.ndarray, state: Any) -> tuple[np.ndarray, Any, float]:
        """Weights phi, the next state, and the loss of Y under it."""

    def rescale(self, state: Any, gain: np.ndarray) -> Any:
        """The state of Y * gain (N,), whose loss differs by a constant."""


@dataclass(frozen=True)
class Laplace:
    """Spherical Laplace: the bins of a talker are loud together, sparse over time. G(r) = 2 r, Hiroe and Kim et al. (2006)."""

    def start(self, kernels: ModuleType, Y: np.ndarray, rng: np.random.Generator) -> None:
        return None

    def step(self, kernels: ModuleType, Y: np.ndarray, state: None) -> tuple[np.ndarray, None, float]:
        bins = Y.shape[0]
        r = np.sqrt(kernels.frame_power(Y) * bins)  # (N, T)
        loss = 2.0 * float(r.sum(dtype=np.float64)) / r.shape[1]
        return _inverse(r)[:, None], None, loss

    def rescale(self, state: None, gain: np.ndarray) -> None:
        return None


@dataclass(frozen=True)
class Gauss:
    """Time-varying Gauss: a talker has one variance per frame. G(r) = F log(r^2 / F), Ono (2012)."""

    def start(self, kernels: ModuleType, Y: np.ndarray, rng: np.random.Generator) -> None:
        return None

    def step(self, kernels: ModuleType, Y: np.ndarray, state: None) -> tuple[np.ndarray, None, float]:
        variance = kernels.frame_power(Y)  # (N, T)
        phi = _inverse(variance)
        # the likelihood given 1 / phi: G and a constant where the variance is the frame's own, and right where it is a floor
        loss = Y.shape[0] * float((variance * phi - np.log(phi)).sum(dtype=np.float64)) / variance.shape[1]
        return phi[:, None], None, loss

    def rescale(self, state: None, gain: np.ndarray) -> None:
        return None


@dataclass(frozen=True)
class Nmf:
    """Gauss with low-rank variances R = B H (IS-NMF): the contrast of ILRMA, Kitamura et al. (2016).

    The state is (B (N, F, K), H (N, K, T)). It starts at random, or from `basis` and `activation` where given.
    """

    n_components: int = 2
    basis: np.ndarray | None = None
    activation: np.ndarray | None = None

    def __post_init__(self) -> None:
        check_int("n_components", self.n_components, 1)
        if (self.basis is None) != (self.activation is None):
            raise UsageError("one of basis and activation is given", hint="give both or neither")

    def start(self, kernels: ModuleType, Y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        (F, N, T), K = Y.shape, self.n_components
        real = Y.real.dtype
        if self.basis is not None and self.activation is not None:
            if self.basis.shape[:2] != (N, F) or self.activation.shape != (N, self.basis.shape[2], T):
                raise UsageError(
                    f"basis {self.basis.shape} and activation {self.activation.shape} do not fit",
                    hint=f"(N, F, K) and (N, K, T) with N={N}, F={F}, T={T}",
                )
            return self.basis.astype(real), self.activation.astype(real)
        B = rng.uniform(0.1, 1.0, (N, F, K)).astype(real)
        H = rng.uniform(0.1, 1.0, (N, K, T)).astype(real)
        return B, H

    def step(self, kernels: ModuleType, Y: np.ndarray, state: Any) -> tuple[np.ndarray, Any, float]:
        B, H = state[0].copy(), state[1].copy()
        F, N, T = Y.shape
        phi = np.empty((N, F, T), Y.real.dtype)
        loss = 0.0
        for n in range(N):
            P = kernels.power(Y[:, n])
            R = kernels.nmf_step(P, B[n], H[n])
            phi[n] = 1 / R
            loss += float((P * phi[n]).sum(dtype=np.float64) + np.log(R).sum(dtype=np.float64)) / T
        return phi, (B, H), loss

    def rescale(self, state: Any, gain: np.ndarray) -> Any:
        return state[0] * (gain**2)[:, None, None].astype(state[0].dtype), state[1]


def _inverse(r: np.ndarray) -> np.ndarray:
    """1 / r, where silent frames count as `floor` of the mean, and a source that is silent throughout as one."""
    lowest = floor(r.dtype, r.mean(1, keepdims=True))
    return 1 / np.maximum(r, np.where(lowest > 0, lowest, 1))  # type: ignore[no-any-return]


NAMES = ("laplace", "gauss")


def by_name(contrast: str | Contrast) -> Contrast:
    """The contrast that a name or value means."""
    if not isinstance(contrast, str) and hasattr(contrast, "step"):
        return contrast
    check_choice("contrast", str(contrast), NAMES)
    named: dict[str, Contrast] = {"laplace": Laplace(), "gauss": Gauss()}
    return named[str(contrast)]
