"""What masks begin with, once per solve: covariances of the directions under them, and the delays of single frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from bss.backends.torch.arrays import array, host
from bss.backends.torch.demixing.covariance import squares
from bss.backends.torch.pieces import gram, pieces


def masked_covariances(X: Tensor, masks: Any) -> tuple[Tensor, Tensor]:
    """Sums over frames of masks (F, N, T) times z z^H, z = x / |x| of X (F, M, T): (F, N, M, M); and |x|^2 (F, T)."""
    F, M, T = X.shape
    masks = array(masks, X).to(X.real.dtype)
    C = torch.empty((F, masks.shape[1], M, M), dtype=X.dtype, device=X.device)
    power = torch.empty((F, T), dtype=X.real.dtype, device=X.device)
    for f in pieces(F, 4 * M * T * X.element_size(), X.device):
        power[f] = squares(X[f]).sum(1)
        Z = X[f] / torch.where(power[f] > 0, power[f], 1.0).sqrt()[:, None]
        for n in range(masks.shape[1]):
            C[f, n] = gram(Z * masks[f, n, None], Z).to(C.dtype)
    return C, power


def frame_delays(X: Tensor, first: int, upsampling: int, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """(T, M - 1) delays of every frame of X (F, M, T) in samples, by the bins from `first` on, and (T,) how clearly they stand
    out: 1 for sound from one direction. `reach` is the largest delay looked for, in parts of a sample. For the host."""
    F, M, T = X.shape
    size = 2 * (F - 1) * upsampling
    lags = torch.zeros((T, M - 1), dtype=X.real.dtype, device=X.device)
    heights = torch.zeros(T, dtype=X.real.dtype, device=X.device)
    for t in pieces(T, 6 * size * X.real.element_size(), X.device):
        for m in range(1, M):
            cross = X[:, m, t] * X[:, 0, t].conj()
            cross /= cross.abs().clamp_min(torch.finfo(lags.dtype).tiny)
            cross[:first] = 0
            correlation = torch.fft.irfft(cross, n=size, dim=0)
            near = torch.cat([correlation[-reach:], correlation[: reach + 1]])
            height, place = near.max(0)
            lags[t, m - 1] = (place - reach).to(lags.dtype) / upsampling
            heights[t] += height * (size / (2 * (F - first) * (M - 1)))
    return host(lags).astype(np.float64), host(heights).astype(np.float64)
