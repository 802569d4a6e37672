"""Noisy speech made as it is needed, on the CPU or the GPU. It follows from the step and the seed, so training can resume.

Speech is equalised, some of it put into a room, and scaled to a level; noise is recorded noise, faster or slower than it was,
coloured noise of varying level, clicks, hum, or people talking, some of it filtered. Some examples are speech alone, others noise
alone. The clean side keeps its room: what is to be removed is noise, not echo.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bss.networks.corpus import Corpus
from bss.networks.training import generator


@dataclass(frozen=True)
class Mixing:
    """How examples are made. Levels are dB of full scale, signal-to-noise ratios dB over an example."""

    samples: int = 64_000
    snr_db: tuple[float, float] = (-6.0, 24.0)
    level_db: tuple[float, float] = (-45.0, -12.0)
    reverberant: float = 0.4
    rt60: tuple[float, float] = (0.1, 0.6)
    recorded: float = 0.65  # share of the examples with recorded noise; coloured noise has what these leave
    babble: float = 0.1
    hum: float = 0.05
    clicks: float = 0.05
    clean: float = 0.05  # without noise
    wordless: float = 0.04  # without speech
    speed: tuple[float, float] = (0.6, 1.6)  # of recorded noise: each recording stands for many


class Sounds:
    """A corpus on a device, to draw segments from."""

    def __init__(self, corpus: Corpus, device: str | torch.device = "cpu") -> None:
        self.samples = torch.from_numpy(corpus.samples).to(device)
        self.rate = corpus.rate
        self.starts, self.ends = torch.from_numpy(corpus.starts).to(device), torch.from_numpy(corpus.ends).to(device)
        self.people = {name: k for k, name in enumerate(corpus.talkers())}
        self.of = torch.tensor([self.people[name] for name in corpus.names], device=device)

    def draw(self, count: int, n: int, rng: torch.Generator, speed: Tensor | None = None) -> Tensor:
        """(count, n): segments of clips, each clip as likely as it is long; a clip that is too short is repeated.

        With a `speed` (count, 1) each is played so much faster, samples in between on straight lines.
        """
        device = self.samples.device
        at = torch.randint(len(self.samples), (count,), generator=rng, device=device)
        clip = torch.searchsorted(self.ends, at, right=True)
        begin, length = self.starts[clip], (self.ends - self.starts)[clip]
        offset = at - begin
        steps = torch.arange(n, device=device)
        if speed is None:
            return self.samples[begin[:, None] + (offset[:, None] + steps) % length[:, None]]
        where = steps * speed
        whole = where.floor()
        first = offset[:, None] + whole.long()
        low, high = (self.samples[begin[:, None] + place % length[:, None]] for place in (first, first + 1))
        return torch.lerp(low, high, where - whole)


def batch(
    speech: Sounds, noise: Sounds | None, step: int, *, seed: int, size: int, options: Mixing | None = None
) -> tuple[Tensor, Tensor]:
    """Noisy and clean (size, samples) of one step."""
    o = options or Mixing()
    device = speech.samples.device
    rng = generator(seed, step, device)
    clean = in_rooms(equalised(unit(speech.draw(size, o.samples, rng)), rng, 6.0), speech.rate, o, rng)
    added = unit(disturbance(speech, noise, size, o, rng))
    snr, level = uniform(o.snr_db, size, rng, device), uniform(o.level_db, size, rng, device)
    chance = torch.rand(size, 1, generator=rng, device=device)
    added = torch.where(chance < o.clean, 0.0, added * 10 ** (-snr / 20))
    clean = torch.where(chance > 1 - o.wordless, 0.0, unit(clean))
    noisy = clean + added
    gain = 10 ** (level / 20) / noisy.square().mean(1, keepdim=True).sqrt().clamp_min(1e-9)
    peak = (gain * noisy).abs().amax(1, keepdim=True).clamp_min(1e-9)
    gain = gain * (0.99 / peak).clamp_max(1.0)
    return gain * noisy, gain * clean


def uniform(span: tuple[float, float], size: int, rng: torch.Generator, device: torch.device) -> Tensor:
    """(size, 1) between two numbers."""
    return span[0] + (span[1] - span[0]) * torch.rand(size, 1, generator=rng, device=device)


def unit(x: Tensor) -> Tensor:
    """x (B, n) with a power of one; silence stays silence."""
    return x / x.square().mean(1, keepdim=True).sqrt().clamp_min(1e-6)


def disturbance(speech: Sounds, noise: Sounds | None, size: int, o: Mixing, rng: torch.Generator) -> Tensor:
    """(size, samples) of noise, each of one kind, some of two."""
    device = speech.samples.device
    kinds: list[tuple[float, Callable[[int], Tensor]]] = [
        (1 - o.recorded - o.babble - o.hum - o.clicks, lambda count: coloured(count, o.samples, rng, device)),
        (o.hum, lambda count: hum(count, o.samples, speech.rate, rng, device)),
        (o.clicks, lambda count: clicks(count, o.samples, speech.rate, rng, device)),
        (o.babble, lambda count: babble(speech, count, o, rng)),
    ]
    if noise is not None:
        kinds.append((o.recorded, lambda count: recorded(noise, count, o, rng)))
    chance = torch.tensor([share for share, _ in kinds], device=device)
    which = torch.multinomial(chance.expand(size, -1), 2, replacement=True, generator=rng)
    second = (torch.rand(size, 1, generator=rng, device=device) < 0.3).float() * uniform((0.1, 0.7), size, rng, device)
    which[second[:, 0] == 0, 1] = -1  # what is not heard is not made
    total = torch.zeros(size, o.samples, device=device)
    for k, (_, made) in enumerate(kinds):
        for level, rows in ((torch.ones_like(second), which[:, 0] == k), (second, which[:, 1] == k)):
            if rows.any():
                total[rows] += level[rows] * unit(made(int(rows.sum())))
    return total


def recorded(noise: Sounds, size: int, o: Mixing, rng: torch.Generator) -> Tensor:
    """Recorded noise at speeds of its own."""
    low, high = (math.log(limit) for limit in o.speed)
    speed = torch.exp(uniform((low, high), size, rng, noise.samples.device))
    return varying(equalised(unit(noise.draw(size, o.samples, rng, speed)), rng, 8.0), rng, 4.0)


def babble(speech: Sounds, size: int, o: Mixing, rng: torch.Generator) -> Tensor:
    """Six people talking at once, some of them further away."""
    device = speech.samples.device
    crowd = torch.zeros(size, o.samples, device=device)
    for _ in range(6):
        crowd += 10 ** (uniform((-12.0, 0.0), size, rng, device) / 20) * unit(speech.draw(size, o.samples, rng))
    return in_rooms(crowd, speech.rate, o, rng)


def clicks(size: int, n: int, rate: int, rng: torch.Generator, device: torch.device) -> Tensor:
    """Keys, clocks, taps: 1 to 12 a second of one short decaying sound each, at levels of their own, over some noise."""
    per_second = uniform((1.0, 12.0), size, rng, device)
    struck = (torch.rand(size, n, generator=rng, device=device) < per_second / rate).float()
    struck *= 10 ** (torch.randn(size, n, generator=rng, device=device) / 4)
    length = rate // 10
    time = torch.arange(length, device=device) / rate
    fading = torch.exp(-time / (0.001 * 10 ** uniform((0.0, 1.3), size, rng, device)))
    sound = equalised(torch.randn(size, length, generator=rng, device=device) * fading, rng, 12.0)
    heard = torch.fft.irfft(torch.fft.rfft(struck, n=n + length) * torch.fft.rfft(sound, n=n + length), n=n + length)[:, :n]
    return unit(heard) + 0.1 * torch.randn(size, n, generator=rng, device=device)


def coloured(size: int, n: int, rng: torch.Generator, device: torch.device) -> Tensor:
    """Noise of varying level, with a slope of 0 to -9 dB per octave and bumps: white, pink, brown, fans, streets."""
    white = torch.randn(size, n, generator=rng, device=device)
    octaves = torch.log2(torch.arange(n // 2 + 1, device=device).clamp_min(8) / 8.0)
    slope = uniform((-9.0, 1.0), size, rng, device) * octaves / 20
    shaped = torch.fft.irfft(torch.fft.rfft(white) * 10**slope, n=n)
    return varying(equalised(shaped, rng, 8.0), rng, 5.0)


def hum(size: int, n: int, rate: int, rng: torch.Generator, device: torch.device) -> Tensor:
    """Mains and machines: harmonics of 40 to 400 Hz that waver a little, over some noise."""
    base = 40 * 10 ** uniform((0.0, 1.0), size, rng, device)
    time = torch.arange(n, device=device) / rate
    waver = 1 + 0.01 * torch.sin(2 * torch.pi * uniform((0.1, 2.0), size, rng, device) * time)
    phase = 2 * torch.pi * torch.cumsum(base * waver / rate, 1)
    total = 0.1 * torch.randn(size, n, generator=rng, device=device)
    for k in range(1, 9):
        total += uniform((0.0, 1.0), size, rng, device) / k * torch.sin(k * phase + uniform((0, 6.28), size, rng, device))
    return total


def varying(x: Tensor, rng: torch.Generator, spread_db: float) -> Tensor:
    """x with a level that varies by some dB over seconds."""
    points = torch.randn(x.shape[0], 1, 8, generator=rng, device=x.device) * spread_db
    points = points * torch.rand(x.shape[0], 1, 1, generator=rng, device=x.device)
    wander = torch.nn.functional.interpolate(points, size=x.shape[1], mode="linear", align_corners=True)[:, 0]
    return x * 10 ** (wander / 20)


def equalised(x: Tensor, rng: torch.Generator, spread_db: float) -> Tensor:
    """x through a smooth filter of its own, some dB up and down over frequency: other microphones, other distances."""
    points = torch.randn(x.shape[0], 1, 10, generator=rng, device=x.device) * spread_db
    points = points * torch.rand(x.shape[0], 1, 1, generator=rng, device=x.device)
    bins = x.shape[1] // 2 + 1
    where = torch.log2(1 + torch.arange(bins, device=x.device) * (1023 / (bins - 1))) / 10 * 9  # points an octave apart
    low = where.floor().long().clamp_max(8)
    part = where - low
    curve = points[:, 0, low] * (1 - part) + points[:, 0, low + 1] * part
    filtered: Tensor = torch.fft.irfft(torch.fft.rfft(x) * 10 ** (curve / 20), n=x.shape[1])
    return filtered


def in_rooms(x: Tensor, rate: int, o: Mixing, rng: torch.Generator) -> Tensor:
    """x, some of it with the echo of a room: the direct sound, then decaying noise."""
    size, n = x.shape
    length = int(o.rt60[1] * rate)
    time = torch.arange(length, device=x.device) / rate
    decay = torch.exp(-6.9 * time / uniform(o.rt60, size, rng, x.device))
    late = torch.randn(size, length, generator=rng, device=x.device) * decay
    late[:, : int(0.003 * rate)] = 0
    ratio = uniform((-2.0, 12.0), size, rng, x.device)  # direct to echo, dB
    late = late / late.square().sum(1, keepdim=True).sqrt() * 10 ** (-ratio / 20)
    late[:, 0] = 1
    echo = torch.fft.irfft(torch.fft.rfft(x, n=n + length) * torch.fft.rfft(late, n=n + length), n=n + length)[:, :n]
    chosen = torch.rand(size, 1, generator=rng, device=x.device) < o.reverberant
    heard: Tensor = torch.where(chosen, echo, x)
    return heard
