"""The denoiser: from a noisy spectrogram, a complex gain for each time-frequency point.

A denoising autoencoder over time: each frame of log powers is encoded, recurrent layers keep track of the noise, and a decoder
predicts how much of each bin is speech. It needs few frames from the future (`ahead`), so that a recording of any length can be
processed block by block. With `bottleneck` the code is that of a variational autoencoder: a mean and a variance for each
dimension, sampled from in training; in use the code is the mean.

References: P. Vincent et al., "Extracting and composing robust features with denoising autoencoders", ICML 2008. D. P. Kingma and
M. Welling, "Auto-encoding variational Bayes", ICLR 2014. D. S. Williamson, Y. Wang and D. Wang, "Complex ratio masking for
monaural speech separation", IEEE/ACM TASLP 24(3), 2016. H. Schröter et al., "DeepFilterNet", ICASSP 2022.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

KIND = "denoiser"


@dataclass(frozen=True)
class DenoiserConfig:
    """Sizes: frames of `n_fft` samples, `hop` apart, at `rate` Hz."""

    rate: int = 16_000
    n_fft: int = 512
    hop: int = 256
    hidden: int = 288
    layers: int = 3
    ahead: int = 2  # frames of the future that a gain may depend on
    bottleneck: int = 0  # size of a variational code; 0: none

    @property
    def bins(self) -> int:
        """F."""
        return self.n_fft // 2 + 1


WAVEFORM = 0.02  # weight of the waveform error, in dB, in the loss
FLOOR = 1e-10  # powers count from -100 dB
State = Tensor | None


class Denoiser(nn.Module):
    """Spectra (B, F, T) -> gains (B, F, T), complex, of absolute value at most one or so."""

    window: Tensor

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        self.encode = nn.Linear(c.bins, c.hidden)
        self.remember = nn.GRU(c.hidden, c.hidden, c.layers, batch_first=True)
        self.code = nn.Linear(c.hidden, 2 * c.bottleneck) if c.bottleneck else None
        self.decode = nn.Linear((c.bottleneck or c.hidden) + c.hidden, 2 * c.bins)
        with torch.no_grad():
            self.decode.bias[: c.bins] += 2.0  # a new network passes most of the input
        self.register_buffer("window", torch.hann_window(c.n_fft).sqrt(), persistent=False)
        self.kl: Tensor | None = None  # nats per frame of the last pass, where there is a bottleneck

    def spectra(self, x: Tensor) -> Tensor:
        """(B, F, T) of x (B, n), with T = n // hop + 1."""
        c = self.config
        return torch.stft(x, c.n_fft, c.hop, window=self.window, return_complex=True, pad_mode="constant")

    def signals(self, X: Tensor, n: int) -> Tensor:
        """(B, n) of spectra."""
        c = self.config
        return torch.istft(X, c.n_fft, c.hop, window=self.window, length=n)

    def forward(self, x: Tensor) -> Tensor:
        """(B, n) without noise, of x (B, n)."""
        X = self.spectra(x)
        padded = nn.functional.pad(torch.view_as_real(X), (0, 0, 0, self.config.ahead))
        gains, _ = self.gains(torch.view_as_complex(padded), None)
        return self.signals(X * gains, x.shape[1])

    def gains(self, X: Tensor, state: State) -> tuple[Tensor, State]:
        """Gains of all frames of X (B, F, T) but the last `ahead`, and the state for the frames after.

        With a state, X continues the frames before, and the first gains are those of the `ahead` frames before X.
        """
        power = torch.log10(X.real**2 + X.imag**2 + FLOOR).transpose(1, 2) / 3 + 1
        encoded = torch.relu(self.encode(power))
        recurrent, state = self.remember(encoded, state)
        code = recurrent if self.code is None else self._drawn(self.code(recurrent))
        decoded = self.decode(torch.cat((code, encoded), 2)).transpose(1, 2)
        size, turn = decoded.chunk(2, 1)
        gain = torch.polar(torch.sigmoid(size), 1.5 * torch.tanh(turn))
        return gain[:, :, self.config.ahead :], state

    def _drawn(self, code: Tensor) -> Tensor:
        mean, log_variance = code.chunk(2, 2)
        log_variance = log_variance.clamp(-12, 4)
        self.kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(2).mean()
        return mean + torch.randn_like(mean) * (0.5 * log_variance).exp() if self.training else mean


def loss(estimate: Tensor, clean: Tensor, noisy: Tensor, model: Denoiser, waveform: float = WAVEFORM) -> Tensor:
    """Compressed spectra that differ, in size and in phase, and the error of the samples in dB: ears and SI-SDR both matter."""
    scale = noisy.square().mean(1, keepdim=True).sqrt() + 1e-7
    S, E = compressed(model, clean / scale), compressed(model, estimate / scale)
    size = (S.abs() - E.abs()).square().mean()
    phase = (S - E).abs().square().mean()
    error = (estimate - clean).square().sum(1)
    bottom = 1e-3 * clean.square().sum(1) + 1e-4 * noisy.square().sum(1) + torch.finfo(error.dtype).tiny
    decibel = 10 * torch.log10((error + bottom) / (noisy.square().sum(1) + bottom)).mean()
    total = 5.0 * size + 2.5 * phase + waveform * decibel
    return total if model.kl is None else total + 1e-3 * model.kl


def compressed(model: Denoiser, x: Tensor) -> Tensor:
    """Spectra with their absolute values to the power of 0.3, about as loudness goes."""
    X = model.spectra(x)
    size = torch.sqrt(X.real**2 + X.imag**2 + 1e-8)
    return X * size ** (0.3 - 1)
