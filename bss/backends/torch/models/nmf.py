"""Fit of low-rank variances to known powers: NMF under the Itakura-Saito divergence, sources apart from each other.

Powers q (N, F, T) are of mean one in every bin; spectra B (N, F, K), activations H (N, K, T), all in single precision. Bins that
are worked on together are as many as their variances may take room for.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bss.backends.numeric import LEAST_SHARE
from bss.backends.torch.pieces import copied, pieces

GROUP = 4  # neighbouring bins, of which a step with a stride takes every so many-th; as the kernels for NumPy do
REAL = torch.float32


class NmfFit:
    """Variances B H of the powers of Y (F, N, T), from a random start that NumPy's generator draws."""

    def __init__(self, Y: Tensor, n_components: int, rng: np.random.Generator) -> None:
        bins, n_sources, frames = Y.shape
        q = torch.empty((n_sources, bins, frames), dtype=REAL, device=Y.device)
        for f in pieces(bins, 2 * n_sources * frames * Y.element_size(), Y.device):
            q[:, f] = (Y[f].real ** 2 + Y[f].imag ** 2).movedim(1, 0)
        self.mean = q.mean(2)
        silent = (self.mean <= 0)[:, :, None]
        q /= self.mean.masked_fill(self.mean <= 0, 1.0)[:, :, None]
        self.q = q.clamp_(min=LEAST_SHARE).masked_fill_(silent, 1.0)
        self.B = copied(rng.uniform(0.1, 1.0, (n_sources, bins, n_components)), q, REAL)
        self.H = copied(rng.uniform(0.1, 1.0, (n_sources, n_components, frames)), q, REAL) * q.mean(1, keepdim=True)

    def step(self, stride: int = 1) -> None:
        """One multiplicative step of the spectra, then of the activations, by one of every so many groups of bins.

        Fevotte, Bertin and Durrieu (2009), with the root that makes it a majorisation.
        """
        n_sources, bins, frames = self.q.shape
        above, below = torch.zeros_like(self.H), torch.zeros_like(self.H)
        every = np.arange(bins)
        chosen = torch.as_tensor(every[every // GROUP % stride == 0], device=self.q.device) if stride > 1 else None
        for part in pieces(bins if chosen is None else len(chosen), 4 * n_sources * frames * REAL.itemsize, self.q.device):
            f = part if chosen is None else chosen[part]
            q, B = self.q[:, f], self.B[:, f]
            over, under = self._ratios(q, B)
            B = B * torch.sqrt((over @ self.H.mT) / (under @ self.H.mT))
            self.B[:, f] = B
            over, under = self._ratios(q, B)
            above += B.mT @ over
            below += B.mT @ under
        stepped = (self.H * torch.sqrt(above / below)).clamp_(min=LEAST_SHARE)
        self.H = torch.where((self.H > 0) & (below > 0), stepped, self.H)

    def _ratios(self, q: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
        """q / R^2 and 1 / R of R = B H."""
        under = 1 / (B @ self.H + LEAST_SHARE)
        return q * under * under, under

    def factors(self) -> tuple[Tensor, Tensor]:
        """Spectra (N, F, K) and activations (N, K, T) of the powers as they were given."""
        return self.B * self.mean[:, :, None], self.H
