"""EM of the complex angular central Gaussian mixture on tensors; Ito, Araki and Nakatani (2016).

The density of a direction z = x / |x| in class k is det(B_k)^-1 (z^H B_k^-1 z)^-M. Only the direction counts, so that x itself
does: z z^H / (z^H B^-1 z) is x x^H / (x^H B^-1 x). Posteriors live for some bins at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bss.backends.numeric import NO_POWER
from bss.backends.torch.demixing.covariance import squares
from bss.backends.torch.outputs import Outputs
from bss.backends.torch.pieces import copied, gram, pieces, wide


class Posteriors(NamedTuple):
    """Of some bins: posteriors (F, N, T), zero where nothing is heard; x^H B^-1 x (F, N, T), powers (F, T), and minus the
    log-likelihood."""

    gamma: Tensor
    Q: Tensor
    power: Tensor
    loss: Tensor


class AngularMixture:
    """Shape matrices B (F, N, M, M) of the directions of N classes, and their EM on spectra.

    With every z z^H goes blur / M I, sound from everywhere: without it the likelihood of sound from one point has no bound.
    """

    def __init__(self, outputs: Outputs, B: Any, blur: float) -> None:
        self.outputs = outputs
        self.B = copied(B, outputs.Y, wide(outputs.Y))
        self.blur = blur

    def step(self, weights: Any) -> tuple[Any, Tensor]:
        """One iteration with weights (N, T): the loss as it began, and the sum over bins of the posteriors, (N, T)."""
        w, share = self._weights(weights), None
        losses = []
        for f, x in self._parts():
            p = posteriors(x, self.B[f], w, self.blur)
            losses.append(p.loss)
            total = p.gamma.sum(0, dtype=wide(p.gamma))
            share = total if share is None else share + total
            self.B[f] = directions(x, p, self.blur, self.B[f])
        if share is None:
            raise RuntimeError("spectra without bins")
        return torch.stack(losses).sum(), share

    def posteriors(self, weights: Any) -> Tensor:
        """(F, N, T) in the precision of the data; zero where nothing is heard."""
        Y, w = self.outputs.Y, self._weights(weights)
        masks = torch.empty((len(Y), *w.shape), dtype=w.dtype, device=Y.device)
        for f, x in self._parts():
            masks[f] = posteriors(x, self.B[f], w, self.blur).gamma
        return masks

    def _weights(self, weights: Any) -> Tensor:
        return copied(weights, self.outputs.Y, self.outputs.Y.dtype.to_real())

    def _parts(self) -> Iterator[tuple[slice, Tensor]]:
        Y, n_classes = self.outputs.Y, self.B.shape[1]
        frames, m = Y.shape[2], Y.shape[1]
        for f in pieces(len(Y), (3 * n_classes + 2 * m + 2) * frames * Y.element_size(), Y.device):
            yield f, Y[f]


def posteriors(x: Tensor, B: Tensor, weights: Tensor, blur: float) -> Posteriors:
    """The E step of some bins x (F, M, T) with weights (N, T)."""
    m = x.shape[1]
    inverse = torch.linalg.inv_ex(B).inverse  # without a check, for which the host would wait
    scale = torch.exp(-torch.linalg.slogdet(B).logabsdet / m).to(weights.dtype)
    power = squares(x).sum(1)
    everywhere = (blur / m * torch.diagonal(inverse, dim1=2, dim2=3).real.sum(2)).to(weights.dtype)
    Q = quadratic(inverse, x) + everywhere[:, :, None] * power[:, None]
    Q.clamp_(min=NO_POWER)
    ratio = scale[:, :, None] / Q
    best = ratio.amax(1, keepdim=True)
    gamma = weights * (ratio / best) ** m
    total = gamma.sum(1)
    heard = (power > NO_POWER) & (total > 0)
    logs = m * torch.log(best[:, 0] * power) + torch.log(total)
    loss = -torch.where(heard, logs, torch.zeros_like(logs)).sum(dtype=wide(logs))
    gamma *= torch.where(heard, 1 / total, torch.zeros_like(total))[:, None]
    return Posteriors(gamma, Q, power, loss)


def quadratic(A: Tensor, x: Tensor) -> Tensor:
    """x^H A_k x (F, N, T), real, of Hermitian A (F, N, M, M) and x (F, M, T), one class after the other."""
    return torch.stack([(x.conj() * (A[:, k].to(x.dtype) @ x)).real.sum(1) for k in range(A.shape[1])], 1)


def directions(x: Tensor, p: Posteriors, blur: float, B: Tensor) -> Tensor:
    """The M step of some bins: sum_t gamma / Q (x x^H + blur |x|^2 / M I) at a trace of M, or B where that is nothing."""
    m = x.shape[1]
    rated = p.gamma / p.Q
    V = torch.stack([gram(x * rated[:, k, None], x) for k in range(rated.shape[1])], 1)
    everywhere = blur / m * (rated * p.power[:, None]).sum(2, dtype=wide(rated))
    torch.diagonal(V, dim1=2, dim2=3).add_(everywhere[:, :, None])
    return unit_trace(V, B)[0]


def unit_trace(V: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """V (F, N, M, M) Hermitian, at a trace of M, or B where it is nothing; and what it was divided by (F, N)."""
    V = (V + V.mH) / 2
    total = torch.diagonal(V, dim1=2, dim2=3).real.mean(2)
    sounds = total > 0
    size = torch.where(sounds, total, torch.ones_like(total))
    return torch.where(sounds[:, :, None, None], V / size[:, :, None, None], B), size
