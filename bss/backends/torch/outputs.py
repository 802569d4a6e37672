"""The outputs of a solve in the convolutive family on tensors, with the demixing that makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bss.backends.numeric import LOADING, floor
from bss.backends.torch.arrays import array, host, precision, sums, wide_type
from bss.backends.torch.demixing import updates
from bss.backends.torch.demixing.algebra import background_log_det, log_abs_det
from bss.backends.torch.demixing.covariance import covariance, demix_in_place, power_sum, weighted_covariances
from bss.backends.torch.pieces import pieces_of


class Outputs:
    """Outputs Y = W X / level of all M rows (N sources, then background), complex (F, M, T); W (F, M, M), C = E[y y^H], double.

    Who changes Y calls `changed`: what is known of the outputs beside them, their powers and log |det W|^2, would otherwise be
    that of other outputs. C stays that of the first outputs where there is no background.
    """

    def __init__(self, X: Tensor, W: Any, n_sources: int, level: float = 1.0) -> None:
        X = X.detach()
        self.n_sources, self.n_frames, self.level = n_sources, X.shape[2], level
        self.W = array(W, X).to(wide_type(X.device, is_complex=True)).clone()
        self.Y = torch.empty(X.shape, dtype=X.dtype, device=X.device)
        V = (self.W / level).to(X.dtype)
        for f in pieces_of(X):
            torch.matmul(V[f], X[f], out=self.Y[f])
        self.C = covariance(self.Y)
        self.dtype: np.dtype[Any] = precision(self.Y.real)
        self.floor = float(floor(self.dtype))
        self.load = LOADING[self.dtype.itemsize]  # as little as for NumPy's: sums of pieces are added in double precision
        self._log_det = (2.0 * log_abs_det(self.W) - background_log_det(self.C, n_sources)).sum()
        self._power: Tensor | None = None

    @property
    def n_bins(self) -> int:
        """F."""
        return len(self.Y)

    @property
    def log_det(self) -> Any:
        """Sum over bins of log |det W|^2, less log det of the background's covariance: a tensor without axes."""
        return self._log_det

    def demixing(self) -> Tensor:
        """(F, N, M) complex128 of X as it was given."""
        return self.W[:, : self.n_sources] / self.level

    def bin_power(self) -> np.ndarray:
        """Mean over frames of |y_n|^2, (N, F), NumPy's, as C has it: of the first outputs, or of the last where there is
        background."""
        return host(torch.diagonal(self.C, dim1=1, dim2=2).real[:, : self.n_sources].T)

    def power(self) -> Tensor:
        """Mean over bins of |y_n|^2, (N, T)."""
        if self._power is None:
            self._power = sums(self.n_sources, self.n_frames, like=self.Y)
            for f in pieces_of(self.Y):
                self._power += power_sum(self.Y[f, : self.n_sources])
        return self._power / self.n_bins

    def update(self, phi: Tensor, method: str) -> None:
        """One iteration with weights phi (N, T) that all bins share."""
        self.apply(weighted_covariances(self.Y, phi.to(self.Y.real.dtype)), method, powers=True)

    def update_by(self, weights: Callable[[slice], Tensor], method: str, after: Callable[[slice], None] | None = None) -> None:
        """One iteration with weights (F, N, T) of some bins at a time; `after` is told of each piece whose outputs are new."""
        n, m = self.n_sources, self.Y.shape[1]
        V = torch.empty((self.n_bins, n, m, m), dtype=self.W.dtype, device=self.Y.device)
        for f in pieces_of(self.Y):
            V[f] = weighted_covariances(self.Y[f], weights(f))
        self.apply(V, method, after=after)

    def apply(
        self,
        V: Tensor,
        method: str,
        *,
        powers: bool = False,
        after: Callable[[slice], None] | None = None,
        by: Callable[[Tensor], None] | None = None,
    ) -> None:
        """The update of that name from weighted covariances V (F, N, M, M); its powers are kept where asked for.

        `after` is told of each piece whose outputs are new; `by` makes all of them, Y := A Y, instead.
        """
        A, self.C, change = updates.updated(method, V, self.C, self.load)
        self.W = A @ self.W
        if by is not None:
            by(A)
            self.changed(change.sum())
            return
        if after is None:
            self.changed(change.sum(), demix_in_place(self.Y, A, self.n_sources, powers=powers))
            return
        for f in pieces_of(self.Y):
            demix_in_place(self.Y[f], A[f], self.n_sources, powers=False)
            after(f)
        self.changed(change.sum())

    def changed(self, change: Tensor | float, power: Tensor | None = None) -> None:
        """Note by how much log_det changed, and the sums over bins of |y_n|^2 (N, T) where they are known."""
        self._log_det = self._log_det + change
        self._power = power
