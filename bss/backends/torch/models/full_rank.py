"""EM of the full-rank local Gaussian model on tensors, x ~ N(0, sum_k v_k R_k + noise I); Duong, Vincent and Gribonval (2010).

v (F, N, T) are the powers of each source in each bin and frame, R (F, N, M, M) how a source is spread over the microphones, echo
included. The covariances of all frames of some bins, S (F, M, M, T), are inverted side by side.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from bss.backends.numeric import LEAST_VARIANCE
from bss.backends.torch.demixing.covariance import squares
from bss.backends.torch.models.cacgmm import unit_trace
from bss.backends.torch.outputs import Outputs
from bss.backends.torch.pieces import copied, gram, pieces, wide


class Inverted(NamedTuple):
    """Of some bins: S^-1 (F, M, M, T), z = S^-1 x (F, M, T) and the sum of log det S + x^H S^-1 x."""

    S: Tensor
    z: Tensor
    loss: Tensor


class FullRank:
    """Powers v and spatial covariances R (F, N, M, M) of N sources in spectra, and their EM."""

    def __init__(self, outputs: Outputs, v: Any, R: Any, *, noise: float) -> None:
        self.outputs = outputs
        self.R = copied(R, outputs.Y, wide(outputs.Y))
        self.v = copied(v, outputs.Y, outputs.Y.dtype.to_real()).clamp_(min=LEAST_VARIANCE)
        self.noise = noise

    def step(self) -> Any:
        """One iteration; the loss as it began."""
        losses = []
        for f in self._pieces():
            x, v, R = self.outputs.Y[f], self.v[f], self.R[f]
            at = self._inverted(f)
            losses.append(at.loss)
            new, sums, kept = learned(x, v, R, at)
            R_new, size = unit_trace(kept[:, :, None, None] * R + R @ sums @ R, R)
            self.R[f] = R_new
            self.v[f] = new * (size / x.shape[2]).to(v.dtype)[:, :, None]
        return torch.stack(losses).sum()

    def step_powers(self) -> Any:
        """The same of the powers alone."""
        R = self.R
        self.R = R.clone()
        loss = self.step()
        self.R = R
        return loss

    def covariances(self) -> Tensor:
        """(F, N, M, M) spatial covariances of the talkers."""
        return self.R.clone()

    def images(self, mic: int) -> tuple[Tensor, Tensor]:
        """(F, N, T) what microphone `mic` hears of each source, by a multichannel Wiener filter, and (N, M) their powers."""
        Y, N = self.outputs.Y, self.R.shape[1]
        out = torch.empty((len(Y), N, Y.shape[2]), dtype=Y.dtype, device=Y.device)
        powers = torch.zeros((N, Y.shape[1]), dtype=wide(self.v), device=Y.device)
        for f in self._pieces():
            z = self._inverted(f).z
            for k in range(N):
                heard = self.v[f, k, None] * (self.R[f, k].to(z.dtype) @ z)
                powers[k] += squares(heard).sum((0, 2), dtype=powers.dtype)
                out[f, k] = heard[:, mic]
        return out * self.outputs.level, powers * self.outputs.level**2

    def _pieces(self) -> Any:
        Y = self.outputs.Y
        m, frames = Y.shape[1], Y.shape[2]
        return pieces(len(Y), (2 * m * m + 4 * m + self.R.shape[1]) * frames * Y.element_size(), Y.device)

    def _inverted(self, f: slice) -> Inverted:
        """The covariances of the model, inverted."""
        x, v, R = self.outputs.Y[f], self.v[f], self.R[f]
        m = x.shape[1]
        S = (R.flatten(2).mT.to(x.dtype) @ v.to(x.dtype)).view(len(x), m, m, x.shape[2])
        power = squares(x).sum(1)
        torch.diagonal(S, dim1=1, dim2=2).add_((self.noise / m * power + LEAST_VARIANCE)[:, :, None])
        log_det = invert(S)
        z = (S * x[:, None]).sum(2)
        loss = log_det.sum(dtype=wide(log_det)) + (x.conj() * z).real.sum(dtype=wide(log_det))
        return Inverted(S, z, loss)


def invert(S: Tensor) -> Tensor:
    """S (F, M, M, T) := S^-1 of positive definite matrices, by elimination on the diagonal; log det of what they were."""
    log_det = torch.zeros_like(S[:, 0, 0].real)
    for p in range(S.shape[1]):
        pivot = S[:, p, p].real.clone()
        log_det += torch.log(pivot)
        row, column = S[:, p] / pivot[:, None], S[:, :, p].clone()
        row[:, p], column[:, p] = 0, 0
        S -= column[:, :, None] * row[:, None]
        S[:, p] = row
        S[:, :, p] = -column / pivot[:, None]
        S[:, p, p] = 1 / pivot
    return log_det


def learned(x: Tensor, v: Tensor, R: Tensor, at: Inverted) -> tuple[Tensor, Tensor, Tensor]:
    """Powers v := E[c^H R^-1 c] / M, and of every source sum_t u (z z^H - S^-1), u = v^2 / v_new, and sum_t v / v_new.

    z z^H - S^-1 is by how much more there is than the model expects.
    """
    m, z, real = x.shape[1], at.z, v.dtype
    expected = (R.conj().flatten(2).to(z.dtype) @ at.S.flatten(1, 2)).real
    heard = torch.stack([(z.conj() * (R[:, k].to(z.dtype) @ z)).real.sum(1) for k in range(R.shape[1])], 1)
    new = (v + v * v * (heard - expected) / m).clamp_(min=LEAST_VARIANCE)
    ratio = v / new
    u = v * ratio
    sums = torch.stack([gram(z * u[:, k, None], z) for k in range(R.shape[1])], 1)
    sums -= gram(u.to(z.dtype), at.S.conj().flatten(1, 2)).view(sums.shape)
    return new.to(real), sums, ratio.sum(2, dtype=wide(ratio))
