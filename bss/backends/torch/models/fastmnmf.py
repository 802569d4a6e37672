"""FastMNMF2 on tensors: outputs z = Q x that share the sources' low-rank variances; Sekiguchi et al. (2020).

Output m of bin f has, in frame t, the variance v = sum_n g[n, m] L[n, t], L[n, t] = sum_k B[n, f, k] H[n, k, t].
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from bss.backends.numeric import LEAST_VARIANCE
from bss.backends.torch.demixing.covariance import squares
from bss.backends.torch.outputs import Outputs
from bss.backends.torch.pieces import copied, gram, pieces, wide


class FastMnmf:
    """Low-rank variances B H of N sources, spread by g (N, M) over the outputs, and their steps together with Q's.

    B (N, F, K), H (N, K, T) of mean one, and g of rows that sum to one: the level is in B.
    """

    def __init__(self, outputs: Outputs, B: Any, H: Any, g: Any) -> None:
        self.outputs = outputs
        real = outputs.Y.dtype.to_real()
        self.B, self.H, self.g = (copied(a, outputs.Y, real) for a in (B, H, g))
        self.double = wide(self.B)
        self.tiny = torch.finfo(real).tiny
        self._level()

    def update(self, method: str) -> Any:
        """One iteration of spectra, diagonaliser, activations and g, each with the others as they are by then.

        Returns E[|z|^2 / v + log v] summed over bins and outputs as it was between the first two, and leaves log_det as
        it is after.
        """
        y = self.outputs
        loss = torch.zeros((), dtype=self.double, device=y.Y.device)
        sums = torch.zeros((2, *self.H.shape), dtype=self.double, device=y.Y.device)

        def weights(f: slice) -> Tensor:
            self._spectral_step(f)
            _, R = self._inverse_variances(f)
            loss.add_((squares(y.Y[f]) * R - torch.log(R)).sum(dtype=loss.dtype))
            return R

        def temporal_sums(f: slice) -> None:
            """What the new outputs of some bins say of the activations."""
            _, R = self._inverse_variances(f)
            B = self.B[:, f].mT
            sums[0] += B @ self._shared(squares(y.Y[f]) * R * R)
            sums[1] += B @ self._shared(R)

        y.update_by(weights, method, temporal_sums)
        self.H *= torch.sqrt(sums[0] / sums[1].clamp_(min=self.tiny)).to(self.H.dtype)
        self._level()
        self._spread_step()
        self._level()
        return loss / y.n_frames

    def _spectral_step(self, f: slice) -> None:
        """B of some bins by one multiplicative step: all sources from the same variances."""
        _, R = self._inverse_variances(f)
        above = gram(self._shared(squares(self.outputs.Y[f]) * R * R), self.H)
        below = gram(self._shared(R), self.H)
        stepped = (self.B[:, f] * torch.sqrt(above / below)).to(self.B.dtype).clamp_(min=LEAST_VARIANCE)
        self.B[:, f] = torch.where(below > 0, stepped, self.B[:, f])

    def _spread_step(self) -> None:
        """g by one multiplicative step."""
        above, below = torch.zeros_like(self.g, dtype=self.double), torch.zeros_like(self.g, dtype=self.double)
        for f in self._pieces():
            L, R = self._inverse_variances(f)
            above += gram(L, squares(self.outputs.Y[f]) * R * R).sum(0)
            below += gram(L, R).sum(0)
        self.g *= torch.sqrt(above / below.clamp_(min=torch.finfo(self.double).tiny)).to(self.g.dtype)

    def _inverse_variances(self, f: slice) -> tuple[Tensor, Tensor]:
        """L (F, N, T), and 1 / v (F, M, T); no variance is less than a share of its mean, or so little that 1 / v^2 overflows."""
        B = self.B[:, f]
        L = (B @ self.H).movedim(0, 1)
        mean = (B.to(self.double) * self.H.mean(2, dtype=self.double)[:, None]).sum(2)  # (N, F)
        floor = LEAST_VARIANCE + self.outputs.floor * (mean.mT @ self.g.to(self.double))
        return L, 1 / torch.maximum(self.g.mT @ L, floor.to(L.dtype)[:, :, None])

    def _shared(self, a: Tensor) -> Tensor:
        """(N, F, T): sums over outputs of a (F, M, T), weighted by g."""
        return (self.g @ a).movedim(1, 0)

    def _level(self) -> None:
        """Activations of mean one and rows of g that sum to one, the level in the spectra: none of them drifts away."""
        mean = self.H.mean(2, dtype=self.double).clamp_(min=self.tiny)
        self.H = (self.H / mean[:, :, None].to(self.H.dtype)).clamp_(min=self.outputs.floor)
        self.g.clamp_(min=LEAST_VARIANCE)
        total = self.g.sum(1, dtype=self.double)
        self.g /= total[:, None].to(self.g.dtype)
        self.B = (self.B * (mean * total[:, None])[:, None].to(self.B.dtype)).clamp_(min=LEAST_VARIANCE)

    def _pieces(self) -> Iterator[slice]:
        Y, N = self.outputs.Y, len(self.g)
        return pieces(len(Y), (4 * N + 6 * Y.shape[1]) * Y.shape[2] * self.B.element_size(), Y.device)

    def covariances(self) -> Tensor:
        """(F, N, M, M), of trace M: Q^-1 diag(g_n) Q^-H, eq. 31 of Sekiguchi et al. (2020)."""
        A = torch.linalg.inv(self.outputs.W)
        R: Tensor = (A[:, None] * self.g.to(self.double)[:, None]) @ A.mH[:, None]
        trace: Tensor = torch.diagonal(R, dim1=2, dim2=3).real.sum(2)
        return R * (R.shape[-1] / trace)[:, :, None, None]

    def wiener(self, reference_mic: int) -> Tensor:
        """(F, N, T) sources at one microphone, in its units; they sum to what it recorded."""
        y = self.outputs
        mixing = (torch.linalg.inv(y.W)[:, reference_mic] * y.level).to(y.Y.dtype)
        images = torch.empty((len(y.Y), len(self.g), y.n_frames), dtype=y.Y.dtype, device=y.Y.device)
        for f in self._pieces():
            L = (self.B[:, f] @ self.H).movedim(0, 1)
            parts = mixing[f, :, None] * y.Y[f] / (self.g.mT @ L)
            images[f] = L * (self.g.to(parts.dtype) @ parts)
        return images
