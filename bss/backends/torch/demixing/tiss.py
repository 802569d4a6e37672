"""What outputs do without, learned in turn with their demixing: late echo, predicted from delayed frames (T-ISS).

y = W (x - G^H z) depends on what the microphones heard some frames ago, z. Its rows are pivots that never change: each takes from
every output, in turn, what it predicts of it, eqs. 14-15 of Nakashima et al. (2021). One such round is known from the weighted
products of the rows, R = E[phi z z^H] and p = E[phi y z^H], alone: row k takes p_k less what the rows before it have taken, so
that all shares V solve V U = p, with U the upper triangle of R.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bss.backends.numeric import NO_POWER
from bss.backends.protocol import SourceModel
from bss.backends.torch.demixing.algebra import background_log_det, solved
from bss.backends.torch.demixing.covariance import covariance
from bss.backends.torch.demixing.low_rank import LowRank
from bss.backends.torch.outputs import Outputs
from bss.backends.torch.pieces import pieces, wide
from bss.backends.torch.wpe import FRAMES, delayed


class JointPrediction:
    """Filters G (F, M taps, M) of the delayed frames of X, y = W (x - G^H z); all zero to begin with."""

    def __init__(self, outputs: Outputs, X: Tensor, taps: int, delay: int) -> None:
        self.outputs, self.delay, self.taps = outputs, delay, taps
        self.X = X.detach()
        bins, m, _ = X.shape
        self.filters = torch.zeros((bins, m * taps, m), dtype=outputs.W.dtype, device=X.device)

    def update(self, phi: Tensor) -> None:
        """One iteration with weights phi (N, T) that all bins share; their scale does not matter, and must not overflow."""
        y = self.outputs
        phi = (phi / phi.mean(1, keepdim=True)).to(y.Y.real.dtype)
        background = phi.new_ones((y.Y.shape[1] - y.n_sources, y.n_frames))
        weights = torch.cat([phi, background])[None]
        self._update(lambda f: weights)

    def update_low_rank(self, model: SourceModel) -> None:
        """One iteration with the weights 1 / R of R = B H."""
        if not isinstance(model, LowRank):
            raise TypeError(f"no low-rank variances: {type(model).__qualname__}")
        y, mean = self.outputs, model.H_mean()

        def weights(f: slice) -> Tensor:
            phi = 1 / model.variances(f, mean)
            background = phi.new_ones((len(phi), y.Y.shape[1] - y.n_sources, y.n_frames))
            return torch.cat([phi, background], 1)

        self._update(weights)

    def _update(self, weights: Callable[[slice], Tensor]) -> None:
        """One iteration with weights (F or 1, M, T) of some bins at a time."""
        y = self.outputs
        before = background_log_det(y.C, y.n_sources)
        m, rows = y.Y.shape[1], self.filters.shape[1]
        room = ((2 * rows + m) * min(y.n_frames, FRAMES) + 2 * m * y.n_frames) * y.Y.element_size()
        for f in pieces(y.n_bins, room + 3 * m * rows * rows * y.W.element_size(), y.Y.device):
            x = self.X[f] / y.level
            V = self._shares(x, y.Y[f], weights(f))
            share = V.to(y.Y.dtype)
            for t, Z in delayed(x, self.taps, self.delay):
                y.Y[f, :, t] -= share @ Z
            self.filters[f] += solved(y.W[f], V)[0].mH
            if y.n_sources < m:
                y.C[f] = covariance(y.Y[f])
        change = before - background_log_det(y.C, y.n_sources)
        y.changed(change.sum() if isinstance(change, Tensor) else change)

    def _shares(self, x: Tensor, Y: Tensor, phi: Tensor) -> Tensor:
        """V (F, M, M taps): what the rows in turn take from each output."""
        bins, m, frames = Y.shape
        rows = self.taps * m
        R = torch.zeros((bins, m, rows, rows), dtype=wide(Y), device=Y.device)
        p = torch.zeros((bins, m, rows), dtype=R.dtype, device=Y.device)
        for t, Z in delayed(x, self.taps, self.delay):
            adjoint = Z.mH.resolve_conj()  # once, and not for every output
            for n in range(m):
                R[:, n] += (Z * phi[:, n, None, t]) @ adjoint
                p[:, n] += ((Y[:, n, None, t] * phi[:, n, None, t]) @ adjoint)[:, 0]
        heard = torch.diagonal(R, dim1=2, dim2=3).real > NO_POWER * frames
        upper = torch.where(heard[:, :, None], R.triu(), torch.eye(rows, dtype=R.dtype, device=R.device))
        p = torch.where(heard, p, torch.zeros_like(p))
        # V U = p: transposed, a lower triangle from the left
        V: Tensor = torch.linalg.solve_triangular(upper.mT, p[..., None], upper=False)[..., 0]
        return V
