"""Windowed Fourier transforms of frames on tensors, block by block."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bss.backends.torch.arrays import precision

__all__ = ["istft", "precision", "stft"]

BLOCK_BYTES = {"cpu": 1 << 23}
BLOCK_BYTES_GPU = 1 << 28


def stft(x: Tensor, window: np.ndarray, hop: int, lead: int, n_frames: int) -> Tensor:
    """(F, M, T) spectra of frames of x (M, n), the first of which begins `lead` zeros before sample 0."""
    (m, n), n_fft = x.shape, len(window)
    padded = torch.zeros((m, n_fft + (n_frames - 1) * hop), dtype=x.dtype, device=x.device)
    padded[:, lead : lead + n] = x
    frames = padded.unfold(1, n_fft, hop)  # (M, T, n_fft), a view
    shape = torch.as_tensor(window, dtype=x.dtype, device=x.device)
    X = torch.empty((n_fft // 2 + 1, m, n_frames), dtype=torch.promote_types(x.dtype, torch.complex64), device=x.device)
    for t in _blocks(m * n_fft * x.element_size(), n_frames, x.device):
        X[:, :, t] = torch.fft.rfft(frames[:, t] * shape, dim=2).permute(2, 0, 1)
    return X


def istft(Y: Tensor, window: np.ndarray, hop: int) -> Tensor:
    """(N, n_fft + (T - 1) hop) of Y (F, N, T): frames times the window, overlapped and added."""
    (_, sources, n_frames), n_fft = Y.shape, len(window)
    real = Y.real.dtype
    shape = torch.as_tensor(window, dtype=real, device=Y.device)
    overlap = -(-n_fft // hop)  # hops in a frame, the last of which may be filled up with zeros
    y = torch.zeros((sources, n_frames + overlap - 1, hop), dtype=real, device=Y.device)
    for t in _blocks(sources * n_fft * shape.element_size(), n_frames, Y.device):
        block = torch.fft.irfft(Y[:, :, t].permute(1, 2, 0), n=n_fft, dim=2) * shape
        block = torch.nn.functional.pad(block, (0, overlap * hop - n_fft)).view(sources, -1, overlap, hop)
        for k in range(overlap):
            y[:, t.start + k : t.stop + k] += block[:, :, k]
    return y.view(sources, -1)[:, : n_fft + (n_frames - 1) * hop]


def _blocks(frame_bytes: int, n_frames: int, device: torch.device) -> list[slice]:
    step = max(1, BLOCK_BYTES.get(device.type, BLOCK_BYTES_GPU) // frame_bytes)
    return [slice(t, min(t + step, n_frames)) for t in range(0, n_frames, step)]
