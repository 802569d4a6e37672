"""Updates: how the demixing moves, given the weights of the contrast. Each lowers the majorised objective.

With more microphones than sources W (F, M, M) holds the N sources' rows and, below them, M - N rows of background that is
kept uncorrelated with the sources: what Scheibler and Ono (2019) call OverIVA. An update is a frozen value with
`step(kernels, X, C, Y, W, phi)`, C = E[x x^H], which changes Y (F, M, T) and W in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Protocol

import numpy as np

from bss.errors import check_choice


class Update(Protocol):
    """What the majorise-minimise loop asks of an update."""

    def step(self, kernels: ModuleType, X: np.ndarray, C: np.ndarray, Y: np.ndarray, W: np.ndarray, phi: np.ndarray) -> None:
        """One sweep over the sources; Y and W change in place and keep Y = W X."""


@dataclass(frozen=True)
class Ip:
    """Iterative projection, one row after the other: Ono (2011)."""

    def step(self, kernels: ModuleType, X: np.ndarray, C: np.ndarray, Y: np.ndarray, W: np.ndarray, phi: np.ndarray) -> None:
        n_sources = phi.shape[0]
        for n in range(n_sources):
            kernels.ip(X, W, phi, n)
            if n_sources < W.shape[1]:
                kernels.orthogonal_background(C, W, n_sources)
        Y[:] = kernels.demix(W, X)


@dataclass(frozen=True)
class Iss:
    """Iterative source steering: rank-one updates of all sources, no matrix inverse. Scheibler and Ono (2020)."""

    def step(self, kernels: ModuleType, X: np.ndarray, C: np.ndarray, Y: np.ndarray, W: np.ndarray, phi: np.ndarray) -> None:
        n_sources = phi.shape[0]
        kernels.iss(Y, W, phi, n_sources)
        if n_sources < W.shape[1]:
            kernels.orthogonal_background(C, W, n_sources)
            Y[:, n_sources:] = kernels.demix(W[:, n_sources:], X)


NAMES = ("ip", "iss")


def by_name(update: str | Update) -> Update:
    """The update that a name or value means."""
    if not isinstance(update, str) and hasattr(update, "step"):
        return update
    check_choice("update", str(update), NAMES)
    named: dict[str, Update] = {"ip": Ip(), "iss": Iss()}
    return named[str(update)]
