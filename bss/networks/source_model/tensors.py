"""The source model's network on torch tensors, of any device: all tracks of a segment at once, from samples to samples.

It is made of the network in use, `inference.Mixer`, and not of the one that is trained: a file of weights is read once.
Arrays are (B, C, T, K): tracks, channels, patches along time, bands.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from bss.networks.source_model.features import features
from bss.networks.source_model.inference import Mixer
from bss.signals.stft import Stft


class TensorMixer:
    """Gains (B, 4, F, T) from features (B, 4, F, T), as `Mixer` has them of one track."""

    def __init__(self, network: Mixer, device: str) -> None:
        self.device = device
        self.sizes = network.bins, network.patch_bins, network.patch_frames, network.bands
        self.embed, self.norm, self.head = (_on(device, *pair) for pair in (network.embed, network.norm, network.head))
        self.blocks = [_Block(block, device) for block in network.blocks]

    def __call__(self, given: Tensor) -> Tensor:
        bins, p, q, K = self.sizes
        B, D, wanted, frames = given.shape
        T = -(-frames // q)
        x = torch.nn.functional.pad(given[:, :, :bins], (0, T * q - frames))
        x = x.reshape(B, D, K, p, T, q).permute(0, 1, 3, 5, 4, 2).reshape(B, -1, T * K)
        weight, bias = self.embed
        x = (weight @ x + bias[:, None]).view(B, -1, T, K)
        for block in self.blocks:
            x = block(x)
        scale, shift = self.norm
        x = torch.relu(_affine(x, scale, shift))
        weight, bias = self.head
        gains = (weight @ x.flatten(2) + bias[:, None]).view(B, -1, p, q, T, K)
        gains = gains.permute(0, 1, 5, 2, 4, 3).reshape(B, -1, bins, T * q)[..., :frames]
        return gains if wanted == bins else torch.cat((gains, gains[:, :, -1:]), 2)  # the last bin is as its neighbour


class _Block:
    """One block: frequencies, then times and channels, each added to its input."""

    def __init__(self, block: object, device: str) -> None:
        self.norm_bands, self.norm = _on(device, *block.norm_bands), _on(device, *block.norm)  # type: ignore[attr-defined]
        names = ("mix", "taps", "bias", "context", "narrow", "narrow_bias")
        self.mix, taps, self.bias, self.context, self.narrow, self.narrow_bias = _on(device, *(getattr(block, n) for n in names))
        C = len(taps)
        self.taps = taps.view(C, -1, C).movedim(1, 2)[..., None].contiguous()  # (to, from, times, bands)
        self.dilation: int = block.dilation  # type: ignore[attr-defined]

    def __call__(self, x: Tensor) -> Tensor:
        B, C, T, K = x.shape
        groups = len(self.mix)
        h = torch.relu_(_affine(x, *self.norm_bands)).view(B, groups, C // groups * T, K)
        x = x + (h @ self.mix).view(B, C, T, K)
        scale, shift = self.norm
        offset = self.context @ (x.mean(2) * scale[:, None] + shift[:, None]) + self.bias[:, None]
        d = self.dilation
        h = torch.nn.functional.conv2d(_affine(x, scale, shift), self.taps, padding=(d, 0), dilation=(d, 1))
        h = torch.relu_(h + offset[:, :, None])
        return x + (self.narrow @ h.flatten(2) + self.narrow_bias[:, None]).view(B, C, T, K)


def talkers(network: TensorMixer, stft: Stft, spectra: np.ndarray | None, sounds: np.ndarray) -> np.ndarray:
    """(N, n) float32 the talkers in tracks, from these and, for each, the sum of the others: sounds (2 N, n), one behind the
    other, whose spectra (F, 2 N, T) may be known already."""
    transform: Any = stft  # of tensors, too
    with torch.inference_mode():
        given = _on(network.device, sounds if spectra is None else spectra)[0]
        both = transform.forward(given) if spectra is None else given
        Y, R = both.movedim(1, 0).chunk(2)  # (N, F, T)
        gain = network(features(Y, R, torch))
        S = Y + torch.complex(gain[:, 0], gain[:, 1]) * Y + torch.complex(gain[:, 2], gain[:, 3]) * R
        return np.asarray(transform.inverse(S.movedim(0, 1).contiguous(), sounds.shape[1]).cpu().numpy())


def _affine(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return x * scale[:, None, None] + shift[:, None, None]


def _on(device: str, *arrays: object) -> tuple[Tensor, ...]:
    return tuple(torch.as_tensor(a).to(device) for a in arrays)
