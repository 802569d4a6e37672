"""The learned source model: the spectrum of a talker without the interference that a separation has left.

The input is one separated track and the sum of all others, both at the reference microphone; the output is the talker
without the others. The power of its prediction is the variance of that talker in every bin and frame: the contrast of the next
separation (`contrasts.Known`). It is trained on what `bss unmix` makes of simulated rooms, so that it knows what separations
leave: see `bss.pipeline.training`.

The network works on patches of a spectrogram, like an MLP-Mixer: each block mixes channels, neighbouring times (dilated, so
that eight blocks see several seconds), all frequencies, and the mean over time of each frequency, which holds how much of the
others leaks into it in this room. Every layer is a matrix product or a short convolution: no recurrence, fast on CPUs.

References: A. A. Nugraha, A. Liutkus and E. Vincent, "Multichannel audio source separation with deep neural networks", IEEE/ACM
TASLP 24(9), 2016. N. Makishima et al., "Independent deeply learned matrix analysis for determined audio source separation",
IEEE/ACM TASLP 27(10), 2019. R. Scheibler and M. Togami, "Surrogate source model learning for determined source separation",
ICASSP 2021. I. Tolstikhin et al., "MLP-Mixer: an all-MLP architecture for vision", NeurIPS 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bss.networks.source_model.features import FEATURES, features

KIND = "source-model"


@dataclass(frozen=True)
class SourceModelConfig:
    """Sizes. Of the bins the first n_fft / 2 are used; the last one gets the gain of its neighbour."""

    rate: int = 16_000
    n_fft: int = 1024
    hop: int = 256
    patch_bins: int = 4
    patch_frames: int = 2
    channels: int = 64
    blocks: int = 8
    groups: int = 8  # of channels with frequency mixing of their own
    cycle: int = 5  # dilations 1, 2, 4 .. 2 ** (cycle - 1), then again

    @property
    def bands(self) -> int:
        """Patches along frequency."""
        return self.n_fft // 2 // self.patch_bins


OUTPUTS = 4  # complex gain of the track, complex gain of the others


class Block(nn.Module):
    """(B, C, bands, T) -> the same: frequencies, then times and channels, each added to its input."""

    def __init__(self, config: SourceModelConfig, index: int) -> None:
        super().__init__()
        C, K = config.channels, config.bands
        self.groups, dilation = config.groups, 2 ** (index % config.cycle)
        self.norm_bands = nn.BatchNorm2d(C)
        self.bands = nn.Parameter(torch.empty(config.groups, K, K))
        nn.init.normal_(self.bands, std=K**-0.5)
        self.norm = nn.BatchNorm2d(C)
        self.times = nn.Conv2d(C, C, (1, 3), padding=(0, dilation), dilation=(1, dilation))
        self.context = nn.Conv2d(C, C, 1, bias=False)
        self.narrow = nn.Conv2d(C, C, 1)
        nn.init.zeros_(self.narrow.weight)

    def forward(self, x: Tensor) -> Tensor:
        B, C, K, T = x.shape
        h = torch.relu_(self.norm_bands(x)).view(B, self.groups, C // self.groups, K, T)
        x = x + torch.matmul(self.bands[None, :, None], h).view(B, C, K, T)
        h = self.norm(x)
        h = torch.relu_(self.times(h) + self.context(h.mean(3, keepdim=True)))
        narrowed: Tensor = self.narrow(h)
        return x + narrowed


class SourceModel(nn.Module):
    """Spectra of a track and of the others -> spectrum of the talker."""

    window: Tensor

    def __init__(self, config: SourceModelConfig) -> None:
        super().__init__()
        self.config = config
        patch = config.patch_bins * config.patch_frames
        self.embed = nn.Conv2d(FEATURES * patch, config.channels, 1)
        self.blocks = nn.ModuleList(Block(config, k) for k in range(config.blocks))
        self.norm = nn.BatchNorm2d(config.channels)
        self.head = nn.Conv2d(config.channels, OUTPUTS * patch, 1)
        nn.init.zeros_(self.head.weight)  # a new network changes nothing
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]
        self.register_buffer("window", torch.hann_window(config.n_fft), persistent=False)

    def spectra(self, y: Tensor) -> Tensor:
        """(B, bins, T) complex of y (B, n)."""
        c = self.config
        return torch.stft(y, c.n_fft, c.hop, window=self.window, return_complex=True)

    def signals(self, Y: Tensor, n: int) -> Tensor:
        """(B, n) of spectra (B, bins, T)."""
        c = self.config
        return torch.istft(Y, c.n_fft, c.hop, window=self.window, length=n)

    def forward(self, y: Tensor, others: Tensor) -> Tensor:
        """(B, n) the talkers in tracks y (B, n), from these and, for each, the sum of the others (B, n)."""
        Y, R = self.spectra(y), self.spectra(others)
        return self.signals(self.talker(Y, R), y.shape[1])

    def talker(self, Y: Tensor, R: Tensor) -> Tensor:
        """(B, bins, T) complex, of spectra of the same shape."""
        frames = Y.shape[2]
        h = self.embed(self.patches(features(Y, R, torch)))
        for block in self.blocks:
            h = block(h)
        gain = self.unpatch(self.head(torch.relu(self.norm(h))), frames).float()
        own = torch.complex(1 + gain[:, 0], gain[:, 1])
        leak = torch.complex(gain[:, 2], gain[:, 3])
        return own * Y + leak * R

    def patches(self, x: Tensor) -> Tensor:
        """(B, FEATURES, bins, T) -> (B, FEATURES * patch, bands, T / patch_frames), zeros behind the last frame."""
        c = self.config
        x = nn.functional.pad(x[:, :, : c.n_fft // 2], (0, -x.shape[3] % c.patch_frames))
        B, D, _, T = x.shape
        x = x.view(B, D, c.bands, c.patch_bins, T // c.patch_frames, c.patch_frames)
        return x.permute(0, 1, 3, 5, 2, 4).reshape(B, -1, c.bands, T // c.patch_frames)

    def unpatch(self, h: Tensor, frames: int) -> Tensor:
        """The inverse of `patches` for the OUTPUTS gains; the last bin is as its neighbour."""
        c = self.config
        B, _, K, T = h.shape
        h = h.view(B, OUTPUTS, c.patch_bins, c.patch_frames, K, T).permute(0, 1, 4, 2, 5, 3)
        h = h.reshape(B, OUTPUTS, c.n_fft // 2, T * c.patch_frames)[..., :frames]
        return torch.cat((h, h[:, :, -1:]), dim=2)


def loss(estimate: Tensor, truth: Tensor, mixture: Tensor) -> Tensor:
    """Error relative to the talker in dB, mean over (B, n). Errors 30 dB below the talker, or 40 dB below all, count no more."""
    error = (estimate - truth).square().sum(1)
    own, all_ = truth.square().sum(1), mixture.square().sum(1)
    bottom = 1e-3 * own + 1e-4 * all_ + torch.finfo(own.dtype).tiny
    return 10 * torch.log10((error + bottom) / (own + bottom)).mean()
