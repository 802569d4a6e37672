"""Autoencoders: a few numbers for each frame of sound, and the frame again from these numbers.

- `LinearAutoencoder`: two matrices. What it learns spans the first principal components, and it is the yardstick of the others.
- `DeepAutoencoder`: layers with bends between them on both sides of the code, so that what it spans may be curved.
- `VAE`: the code is a distribution, a mean and a variance for each number, kept close to a standard normal one. Codes drawn from
  that one give new sounds, and `elbo` is a bound on the log-likelihood of data: something to compare models by.

Everything works on rows: x (B, D), codes z (B, K). What a row means (a frame, a patch of frames) is the business of `features`.

References: P. Baldi and K. Hornik, "Neural networks and principal component analysis: learning from examples without local
minima", Neural Networks 2(1), 1989. G. E. Hinton and R. R. Salakhutdinov, "Reducing the dimensionality of data with neural
networks", Science 313, 2006. D. P. Kingma and M. Welling, "Auto-encoding variational Bayes", ICLR 2014. S. R. Bowman et al.,
"Generating sentences from a continuous space", CoNLL 2016 (annealing). Y. Burda, R. Grosse and R. Salakhutdinov, "Importance
weighted autoencoders", ICLR 2016 (active units). J. Lucas et al., "Don't blame the ELBO!", NeurIPS 2019.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bss.errors import InputError, UsageError, check_choice, check_int

ACTIVE = 0.01  # variance of a code's mean over data from which on it says something (Burda et al.)
NOISES = ("shared", "each", "fixed")
LOG_VARIANCE = (-14.0, 8.0)  # of codes: no variance of a posterior is outside, so that no exponential overflows


@dataclass(frozen=True)
class LinearConfig:
    """D inputs, K codes."""

    inputs: int
    codes: int

    def __post_init__(self) -> None:
        check_int("inputs", self.inputs, 1)
        check_int("codes", self.codes, 1, self.inputs)


@dataclass(frozen=True)
class DeepConfig:
    """D inputs, K codes; `sizes` are those of the encoder's layers, which the decoder has in the opposite order."""

    inputs: int
    codes: int
    sizes: tuple[int, ...] = (512, 256)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", _sizes(self.sizes))
        check_int("inputs", self.inputs, 1)
        check_int("codes", self.codes, 1)


@dataclass(frozen=True)
class VAEConfig:
    """As `DeepConfig`, and what makes the code a distribution.

    Parameters
    ----------
    beta : float
        Weight of the KL divergence in training; one is the evidence lower bound, more presses codes out of use.
    anneal : int
        Steps in which that weight rises from zero, so that codes are of use before they cost anything.
    noise : {"shared", "each", "fixed"}
        Variance of the data around what is decoded: one learned number, one for each input, or `variance` for good.
    """

    inputs: int
    codes: int
    sizes: tuple[int, ...] = (512, 256)
    beta: float = 1.0
    anneal: int = 1000
    noise: str = "shared"
    variance: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", _sizes(self.sizes))
        check_int("inputs", self.inputs, 1)
        check_int("codes", self.codes, 1)
        check_int("anneal", self.anneal, 0)
        check_choice("noise", self.noise, NOISES)
        for name in ("beta", "variance"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name}={getattr(self, name)!r} is out of range", hint="a number above zero")


class Autoencoder(nn.Module):
    """What all three share."""

    config: LinearConfig | DeepConfig | VAEConfig

    def encode(self, x: Tensor) -> Tensor:
        """Codes (B, K) of rows x (B, D); of a VAE their means."""
        raise NotImplementedError

    def decode(self, z: Tensor) -> Tensor:
        """Rows (B, D) of codes z (B, K)."""
        raise NotImplementedError

    def reconstruct(self, x: Tensor) -> Tensor:
        """Rows x (B, D) through the code and back."""
        return self.decode(self.encode(x))

    def loss(self, x: Tensor, step: int) -> Tensor:
        """What training makes small, of a batch x (B, D): the mean squared error."""
        return (self.reconstruct(x) - x).square().mean()


class LinearAutoencoder(Autoencoder):
    """Two matrices without biases: x -> E x -> D E x."""

    config: LinearConfig

    def __init__(self, config: LinearConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = nn.Linear(config.inputs, config.codes, bias=False)
        self.decoder = nn.Linear(config.codes, config.inputs, bias=False)
        nn.init.orthogonal_(self.decoder.weight)  # a projection onto a random plane, to be turned
        with torch.no_grad():
            self.encoder.weight.copy_(self.decoder.weight.T)

    def encode(self, x: Tensor) -> Tensor:
        codes: Tensor = self.encoder(x)
        return codes

    def decode(self, z: Tensor) -> Tensor:
        rows: Tensor = self.decoder(z)
        return rows

    def loss(self, x: Tensor, step: int) -> Tensor:
        """The squared error of a row, its sum over inputs: with it the learning rate is in units of the data's variance."""
        return 0.5 * (self.reconstruct(x) - x).square().sum(1).mean()


class Layers(nn.Module):
    """Rows through layers with bends, beside a straight way past them: what is linear need not be learned by layers."""

    def __init__(self, inputs: int, sizes: Sequence[int], outputs: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        size = inputs
        for wider in sizes:
            parts += [nn.Linear(size, wider), nn.GELU()]
            size = wider
        last = nn.Linear(size, outputs)
        if sizes:
            nn.init.zeros_(last.weight)  # a new network is linear
            nn.init.zeros_(last.bias)
        self.bent = nn.Sequential(*parts, last)
        self.straight = nn.Linear(inputs, outputs, bias=False) if sizes else None

    def forward(self, x: Tensor) -> Tensor:
        bent: Tensor = self.bent(x)
        return bent if self.straight is None else bent + self.straight(x)


class DeepAutoencoder(Autoencoder):
    """Layers down to the code and up again."""

    config: DeepConfig

    def __init__(self, config: DeepConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Layers(config.inputs, config.sizes, config.codes)
        self.decoder = Layers(config.codes, config.sizes[::-1], config.inputs)

    def encode(self, x: Tensor) -> Tensor:
        codes: Tensor = self.encoder(x)
        return codes

    def decode(self, z: Tensor) -> Tensor:
        rows: Tensor = self.decoder(z)
        return rows


class VAE(Autoencoder):
    """p(z) = N(0, I), p(x | z) = N(decode(z), variance), and q(z | x) = N(mean, diagonal) to invert it."""

    config: VAEConfig
    log_noise: Tensor

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Layers(config.inputs, config.sizes, 2 * config.codes)
        self.decoder = Layers(config.codes, config.sizes[::-1], config.inputs)
        start = torch.full((config.inputs if config.noise == "each" else 1,), math.log(config.variance))
        if config.noise == "fixed":
            self.register_buffer("log_noise", start)
        else:
            self.log_noise = nn.Parameter(start)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, K) of q(z | x)."""
        mean, log_variance = self.encoder(x).chunk(2, 1)
        return mean, log_variance.clamp(*LOG_VARIANCE)

    def encode(self, x: Tensor) -> Tensor:
        return self.posterior(x)[0]

    def decode(self, z: Tensor) -> Tensor:
        rows: Tensor = self.decoder(z)
        return rows

    def draw(self, mean: Tensor, log_variance: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """z = mu + sigma * eps: what is random does not depend on the network, so gradients pass (reparametrisation)."""
        eps = torch.randn(mean.shape, generator=rng, device=mean.device, dtype=mean.dtype)
        return mean + (0.5 * log_variance).exp() * eps

    def terms(self, x: Tensor, rng: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """log p(x | z) with one z from q(z | x), and KL(q(z | x) || p(z)), in nats (B,)."""
        mean, log_variance = self.posterior(x)
        z = self.draw(mean, log_variance, rng)
        log_noise = self.log_noise.expand(x.shape[1])
        error = (x - self.decode(z)).square() * (-log_noise).exp()
        likelihood = -0.5 * (error + log_noise + math.log(2 * math.pi)).sum(1)
        return likelihood, kl(mean, log_variance)

    def elbo(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """The evidence lower bound of each row (B,), in nats; its mean over one draw of z."""
        likelihood, divergence = self.terms(x, rng)
        return likelihood - divergence

    def weight(self, step: int) -> float:
        """Of the KL divergence in a step of training."""
        c = self.config
        return c.beta * min(1.0, (step + 1) / c.anneal) if c.anneal else c.beta

    def loss(self, x: Tensor, step: int) -> Tensor:
        """The negative bound, with the KL divergence as `weight` has it, in nats for each input."""
        likelihood, divergence = self.terms(x)
        return (self.weight(step) * divergence - likelihood).mean() / self.config.inputs

    def sample(self, n: int, rng: torch.Generator | None = None) -> Tensor:
        """(n, D): what codes drawn from the standard normal distribution decode to."""
        z = torch.randn(n, self.config.codes, generator=rng, device=self.log_noise.device)
        return self.decode(z)

    def interpolate(self, a: Tensor, b: Tensor, steps: int) -> Tensor:
        """(steps, D): on the straight line from the code of row a (D,) to that of row b (D,), both ends included."""
        first, last = self.encode(torch.stack((a, b)))
        share = torch.linspace(0, 1, check_int("steps", steps, 2), device=a.device)[:, None]
        return self.decode((1 - share) * first + share * last)

    def activity(self, x: Tensor) -> Tensor:
        """(K,) variance over data x (B, D) of the mean of each code."""
        if len(x) < 2:
            raise InputError(f"the variance of codes over {len(x)} row", "needs two or more")
        return self.encode(x).var(0)

    def active(self, x: Tensor) -> int:
        """How many codes say something about data x (B, D)."""
        return int((self.activity(x) > ACTIVE).sum())

    def collapsed(self, x: Tensor) -> list[int]:
        """The codes that say nothing: their posterior is the prior, whatever the data (posterior collapse)."""
        return [int(k) for k in torch.nonzero(self.activity(x) <= ACTIVE)[:, 0]]


def kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, diagonal) || N(0, I)) of each row, in nats (B,)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


def _sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    return tuple(check_int("sizes", size, 1) for size in sizes)
