"""Autoencoders: a frame of sound as a few numbers, the code, and the frame reconstructed from it.

- `LinearAutoencoder`: two matrices. It learns the subspace of the first principal components, and is the baseline of the others.
- `DeepAutoencoder`: nonlinear layers on both sides of the code, which span a curved surface.
- `VAE`: the code is a distribution, a mean and a variance for each dimension, kept close to a standard normal one. Codes drawn
  from that one decode to new sounds, and `elbo` is a lower bound on the log-likelihood of data, by which models can be compared.

All work on rows x (B, D) and codes z (B, K). `features` defines what a row is (a frame, or a patch of frames).

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

ACTIVE = 0.01  # variance over data of the mean of a dimension of the code, above which it is in use (Burda et al.)
NOISES = ("shared", "each", "fixed")
LOG_VARIANCE = (-14.0, 8.0)  # of a posterior, clamped so that no exponential overflows


@dataclass(frozen=True)
class LinearConfig:
    """D inputs, a code of size K."""

    inputs: int
    codes: int

    def __post_init__(self) -> None:
        check_int("inputs", self.inputs, 1)
        check_int("codes", self.codes, 1, self.inputs)


@dataclass(frozen=True)
class DeepConfig:
    """D inputs, a code of size K; `sizes` are those of the encoder's layers, which the decoder has in the opposite order."""

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
        Weight of the KL divergence in training: 1 is the evidence lower bound, larger ones leave dimensions of the code unused.
    anneal : int
        Steps over which that weight rises from zero, so that the code is useful before it costs anything.
    noise : {"shared", "each", "fixed"}
        Variance of the data around the decoder's output: one learned for all inputs, one for each, or always `variance`.
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
    """The interface of all three."""

    config: LinearConfig | DeepConfig | VAEConfig

    def encode(self, x: Tensor) -> Tensor:
        """Codes (B, K) of rows x (B, D); of a VAE their means."""
        raise NotImplementedError

    def decode(self, z: Tensor) -> Tensor:
        """Rows (B, D) of codes z (B, K)."""
        raise NotImplementedError

    def reconstruct(self, x: Tensor) -> Tensor:
        """Rows x (B, D), encoded and decoded."""
        return self.decode(self.encode(x))

    def loss(self, x: Tensor, step: int) -> Tensor:
        """The loss of a batch x (B, D) in training: the mean squared error."""
        return (self.reconstruct(x) - x).square().mean()


class LinearAutoencoder(Autoencoder):
    """Two matrices without biases: x -> E x -> D E x."""

    config: LinearConfig

    def __init__(self, config: LinearConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = nn.Linear(config.inputs, config.codes, bias=False)
        self.decoder = nn.Linear(config.codes, config.inputs, bias=False)
        nn.init.orthogonal_(self.decoder.weight)  # a projection onto a random subspace, to be rotated
        with torch.no_grad():
            self.encoder.weight.copy_(self.decoder.weight.T)

    def encode(self, x: Tensor) -> Tensor:
        codes: Tensor = self.encoder(x)
        return codes

    def decode(self, z: Tensor) -> Tensor:
        decoded: Tensor = self.decoder(z)
        return decoded

    def loss(self, x: Tensor, step: int) -> Tensor:
        """Half the squared error, summed over inputs: the learning rate is then in units of the inverse variance of the data."""
        return 0.5 * (self.reconstruct(x) - x).square().sum(1).mean()


class Layers(nn.Module):
    """Nonlinear layers with a linear bypass, so that they need not learn what is linear."""

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
        self.bent = nn.Sequential(*parts, last)  # `bent` and `straight` are names in the files of models
        self.straight = nn.Linear(inputs, outputs, bias=False) if sizes else None

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bent(x)
        return y if self.straight is None else y + self.straight(x)


class DeepAutoencoder(Autoencoder):
    """Nonlinear encoder and decoder."""

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
        decoded: Tensor = self.decoder(z)
        return decoded


class VAE(Autoencoder):
    """p(z) = N(0, I), p(x | z) = N(decode(z), variance), and the approximate posterior q(z | x) = N(mean, diagonal)."""

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
        decoded: Tensor = self.decoder(z)
        return decoded

    def draw(self, mean: Tensor, log_variance: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """z = mean + deviation * eps (reparametrisation): eps does not depend on the network, so gradients pass."""
        eps = torch.randn(mean.shape, generator=rng, device=mean.device, dtype=mean.dtype)
        return mean + (0.5 * log_variance).exp() * eps

    def terms(self, x: Tensor, rng: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """log p(x | z) with one z from q(z | x), and KL(q(z | x) || p(z)), in nats (B,)."""
        mean, log_variance = self.posterior(x)
        z = self.draw(mean, log_variance, rng)
        log_noise = self.log_noise.expand(x.shape[1])
        error = (x - self.decode(z)).square() * (-log_noise).exp()
        log_likelihood = -0.5 * (error + log_noise + math.log(2 * math.pi)).sum(1)
        return log_likelihood, kl(mean, log_variance)

    def elbo(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """The evidence lower bound of each row (B,), in nats, estimated from one draw of z."""
        log_likelihood, divergence = self.terms(x, rng)
        return log_likelihood - divergence

    def weight(self, step: int) -> float:
        """Weight of the KL divergence in a step of training."""
        c = self.config
        return c.beta * min(1.0, (step + 1) / c.anneal) if c.anneal else c.beta

    def loss(self, x: Tensor, step: int) -> Tensor:
        """The negative bound, with the KL divergence weighted by `weight`, in nats per input."""
        log_likelihood, divergence = self.terms(x)
        return (self.weight(step) * divergence - log_likelihood).mean() / self.config.inputs

    def sample(self, n: int, rng: torch.Generator | None = None) -> Tensor:
        """(n, D): rows decoded from codes drawn from the standard normal distribution."""
        z = torch.randn(n, self.config.codes, generator=rng, device=self.log_noise.device)
        return self.decode(z)

    def interpolate(self, a: Tensor, b: Tensor, steps: int) -> Tensor:
        """(steps, D): rows decoded along the straight line from the code of a (D,) to that of b (D,), both included."""
        first, last = self.encode(torch.stack((a, b)))
        share = torch.linspace(0, 1, check_int("steps", steps, 2), device=a.device)[:, None]
        return self.decode((1 - share) * first + share * last)

    def activity(self, x: Tensor) -> Tensor:
        """(K,) variance over data x (B, D) of the mean of each dimension of the code."""
        if len(x) < 2:
            raise InputError(f"the variance of codes over {len(x)} row is not defined", hint="two rows or more")
        return self.encode(x).var(0)

    def active(self, x: Tensor) -> int:
        """Number of dimensions of the code that are in use for data x (B, D)."""
        return int((self.activity(x) > ACTIVE).sum())

    def collapsed(self, x: Tensor) -> list[int]:
        """The unused dimensions: their posterior is the prior, whatever the data (posterior collapse)."""
        return [int(k) for k in torch.nonzero(self.activity(x) <= ACTIVE)[:, 0]]


def kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, diagonal) || N(0, I)) of each row, in nats (B,)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


def _sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    return tuple(check_int("sizes", size, 1) for size in sizes)
