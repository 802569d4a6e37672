"""Models with weights of their own in every bin: ICA in every bin by itself, and variances that something else tells."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bss.backends.torch.arrays import array, sums
from bss.backends.torch.demixing.covariance import squares
from bss.backends.torch.kernels.available import usable
from bss.backends.torch.outputs import Outputs

# |y| below which the contrast is quadratic, smooth at zero. The solution has E|y| = 1, whatever the level of a bin.
CORE = 1e-3


class BinwiseLaplace:
    """Weights 1 / |y| of a Laplace contrast in every bin by itself: FD-ICA."""

    def __init__(self, outputs: Outputs) -> None:
        self.outputs = outputs

    def update(self, method: str) -> Any:
        """One iteration; E[2 |y|] summed over bins and sources as it began."""
        y = self.outputs
        if usable(y.Y):
            from bss.backends.torch.kernels import passes

            V, penalties = passes.laplace_covariances(y.Y, y.n_sources, CORE)
            y.apply(V, method)
            return penalties / y.n_frames
        loss = sums(like=y.Y)

        def weights(f: slice) -> Tensor:
            square = squares(y.Y[f, : y.n_sources])
            r = square.sqrt().clamp_min(CORE)
            loss.add_((square / r + r).sum(dtype=loss.dtype))
            return r.reciprocal_()

        y.update_by(weights, method)
        return loss / y.n_frames


class KnownVariances:
    """Gauss with known variances R (F, N, T), for outputs at their level."""

    def __init__(self, outputs: Outputs, R: Any) -> None:
        self.outputs = outputs
        self.R = array(R, outputs.Y).to(outputs.Y.real.dtype)

    def update(self, method: str) -> Any:
        """One iteration; E[|y|^2 / R + log R] summed over sources and bins as it began."""
        y = self.outputs
        loss = sums(like=y.Y)

        def weights(f: slice) -> Tensor:
            R = self.R[f]
            loss.add_((squares(y.Y[f, : y.n_sources]) / R).add_(torch.log(R)).sum(dtype=loss.dtype))
            return 1.0 / R

        y.update_by(weights, method)
        return loss / y.n_frames
