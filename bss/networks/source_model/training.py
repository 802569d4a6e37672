"""Training of the source model on separations with known truth, whatever made them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bss.networks import checkpoint
from bss.networks.source_model.model import KIND, SourceModel, SourceModelConfig, loss
from bss.networks.training import VALIDATION_STEP, TrainSettings, generator, train

FULL_SCALE = 32767.0  # of int16
VALIDATION_BATCHES = 8


@dataclass(frozen=True)
class Tracks:
    """Separated tracks on a device, one after another in `samples` (3, n) int16: the track, the sum of the others, the truth."""

    samples: Tensor
    starts: Tensor
    lengths: Tensor

    def __len__(self) -> int:
        return len(self.starts)

    def draw(self, count: int, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Track, others and truth (count, n), at one random level for each."""
        device = self.samples.device
        k = torch.randint(len(self), (count,), generator=rng, device=device)
        room = (self.lengths[k] - n).clamp_min(0)
        offset = (torch.rand(count, generator=rng, device=device) * (room + 1)).long()
        index = self.starts[k, None] + (offset[:, None] + torch.arange(n, device=device)) % self.lengths[k, None]
        gain = 10 ** (-torch.rand(count, 1, generator=rng, device=device)) / FULL_SCALE
        track, others, truth = self.samples[:, index].float() * gain
        return track, others, truth


def of_scenes(scenes: Sequence[tuple[np.ndarray, np.ndarray]], device: str = "cpu") -> Tracks:
    """Tracks and truth (N, n) float32 of each scene, as int16: every track with the sum of the others beside it."""
    parts = []
    for tracks, truth in scenes:
        scale = 0.5 / max(np.abs(tracks).max(), np.abs(tracks.sum(0)).max(), np.abs(truth).max(), 1e-9)
        for n in range(len(tracks)):
            three = np.stack((tracks[n], tracks.sum(0) - tracks[n], truth[n]))
            parts.append((np.clip(three * scale, -1, 1) * FULL_SCALE).astype(np.int16))
    return of_samples(np.concatenate(parts, axis=1), np.array([part.shape[1] for part in parts]), device)


def of_samples(samples: np.ndarray, lengths: np.ndarray, device: str = "cpu") -> Tracks:
    """From samples (3, n) int16 and the lengths of the tracks in them."""
    ends = np.cumsum(lengths)
    held = [torch.from_numpy(np.ascontiguousarray(a)).to(device) for a in (samples, ends - lengths, lengths)]
    return Tracks(*held)


def source_loss(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """The error of what the model makes of a batch (track, others, truth)."""
    track, others, truth = batch
    with torch.autocast("cuda", torch.bfloat16, enabled=track.is_cuda):
        estimate = model(track, others)
    return loss(estimate, truth, track + others)


def fit(
    learned: Tracks,
    kept: Tracks,
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    minutes: float | None = None,
    steps: int = 4000,
    size: int = 16,
    seconds: float = 4.0,
    device: str = "cpu",
    resume: bool = False,
    learning_rate: float = 2e-3,
    patience: int = 0,
    config: SourceModelConfig | None = None,
    extra: dict[str, Any] | None = None,
    progress: Callable[[float, dict[str, float]], Any] | None = None,
) -> dict[str, Any]:
    """Train a source model, write `out`.safetensors and `out`.csv, and return a report, as JSON can hold it."""
    config = config or SourceModelConfig()
    n = round(seconds * config.rate)
    torch.manual_seed(seed)
    model = SourceModel(config).to(device)

    def batches(step: int) -> tuple[Tensor, Tensor, Tensor]:
        return learned.draw(size, n, generator(seed, step, device))

    count = min(VALIDATION_BATCHES, 1 + len(kept) // 16)  # of few tracks, more excerpts would tell nothing new
    held = [kept.draw(32, n, generator(seed, VALIDATION_STEP + k, device)) for k in range(count)]

    def validate(network: nn.Module) -> float:
        return float(np.mean([float(source_loss(network, batch)) for batch in held]))

    untouched = float(np.mean([float(loss(track, truth, track + others)) for track, others, truth in held]))
    settings = TrainSettings(
        steps=steps, minutes=minutes, learning_rate=learning_rate, average=0.998, validate_every=100 if device == "cpu" else 250,
        seed=seed, clip=2.0, patience=patience,
    )  # fmt: skip
    history = train(model, source_loss, batches, validate, settings=settings, out=out, resume=resume, progress=progress)
    report = {
        **(extra or {}), "validation_db": history.best, "before_db": untouched, "steps": history.steps,
        "seconds": round(history.seconds, 1), "ended": history.ended, "tracks": len(learned), "seed": seed,
    }  # fmt: skip
    checkpoint.save(f"{os.fspath(out)}.safetensors", model.state_dict(), config, kind=KIND, extra=report)
    return report
