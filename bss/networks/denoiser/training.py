"""Training of the denoiser on folders of speech and of noises, mixed as they are needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bss.errors import InputError
from bss.networks import checkpoint, corpus
from bss.networks.denoiser.card import scores
from bss.networks.denoiser.mixing import Mixing, Sounds, batch
from bss.networks.denoiser.model import KIND, WAVEFORM, Denoiser, DenoiserConfig, loss
from bss.networks.training import VALIDATION_STEP, TrainSettings, train

VALIDATION_BATCHES = 4
AVERAGE, ADAPTED_AVERAGE = 0.999, 0.995  # of the weights over the steps: a training that starts from a model is shorter


def train_denoiser(
    speech: Sequence[str | os.PathLike[str]],
    noise: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    minutes: float | None = None,
    steps: int = 6000,
    size: int = 16,
    device: str = "cpu",
    resume: bool = False,
    validation_share: float = 0.1,
    hold_out: Sequence[str] = (),
    bottleneck: int = 0,
    start: str | os.PathLike[str] | None = None,
    waveform: float = WAVEFORM,
    seconds: float = 3.0,
    learning_rate: float = 2e-3,
    patience: int = 0,
    progress: Callable[[float, dict[str, float]], Any] | None = None,
) -> dict[str, Any]:
    """Train a denoiser, write `out`.safetensors and `out`.csv, and return a report, as JSON can hold it.

    Parameters
    ----------
    speech, noise : list of path
        Folders of clean speech, with one folder per talker, and of noises; without noises only synthetic ones.
    out : path
        Without ending.
    seed, minutes, steps, size, device, resume
        As in `TrainSettings`; size is that of a batch.
    validation_share, hold_out
        The share of the talkers, and names of noises, that are not trained on.
    bottleneck : int
        Size of a variational code; 0 for none.
    start : path, optional
        A denoiser whose weights training starts from: it adapts to your noise within minutes.
    waveform : float
        Weight of the waveform error in dB, relative to that of the compressed spectra: a larger one gives more SI-SDR.
    seconds : float
        Length of the examples.
    learning_rate, patience, progress
        As in `TrainSettings` and `train`.
    """
    config = DenoiserConfig(bottleneck=bottleneck)
    people = corpus.read(speech, config.rate)
    learned, kept = corpus.split(people, validation_share, np.random.default_rng(seed))
    noises = corpus.read(noise, config.rate, hold_out=hold_out, sets=True) if noise else None
    options = Mixing(samples=round(seconds * config.rate))
    talkers, others = Sounds(learned, device), Sounds(kept, device)
    disturbing = None if noises is None else Sounds(noises, device)
    torch.manual_seed(seed)
    model = Denoiser(config)
    if start is not None:
        _start_from(model, start)
    model.to(device)

    def loss_of(network: nn.Module, pair: tuple[Tensor, Tensor]) -> Tensor:
        return denoising_loss(network, pair, waveform)

    def batches(step: int) -> tuple[Tensor, Tensor]:
        return batch(talkers, disturbing, step, seed=seed, size=size, options=options)

    def validate(network: nn.Module) -> float:
        held = [
            batch(others, disturbing, VALIDATION_STEP + k, seed=seed, size=32, options=options) for k in range(VALIDATION_BATCHES)
        ]
        return float(np.mean([float(loss_of(network, pair)) for pair in held]))

    settings = TrainSettings(
        steps=steps, minutes=minutes, learning_rate=learning_rate, average=AVERAGE if start is None else ADAPTED_AVERAGE,
        validate_every=100 if device == "cpu" else 500, patience=patience, seed=seed,
    )  # fmt: skip
    history = train(model, loss_of, batches, validate, settings=settings, out=out, resume=resume, progress=progress)
    report = {
        "validation": history.best, "steps": history.steps, "seconds": round(history.seconds, 1), "ended": history.ended,
        "speech_seconds": round(learned.seconds), "talkers": len(learned.talkers()), "validation_talkers": len(kept.talkers()),
        "noises": [] if noises is None else noises.talkers(), "held_out": list(hold_out), "seed": seed,
        "mixed_seconds": round(history.steps * size * seconds), "start": None if start is None else os.path.basename(start),
        "scores": scored(model, others, disturbing, seed=seed, samples=options.samples),
    }  # fmt: skip
    # in half precision, as what ships is: scores are the same, the file is half as large
    checkpoint.save(f"{os.fspath(out)}.safetensors", checkpoint.halved(model.state_dict()), config, kind=KIND, extra=report)
    return report


def scored(model: nn.Module, speech: Sounds, noise: Sounds | None, *, seed: int, samples: int) -> dict[str, list[float]]:
    """`card.scores` of a trained model."""
    with torch.inference_mode():
        return scores(model, speech, noise, seed=seed, samples=samples)


def denoising_loss(model: nn.Module, pair: tuple[Tensor, Tensor], waveform: float = WAVEFORM) -> Tensor:
    """Of a batch (noisy, clean)."""
    noisy, clean = pair
    return loss(model(noisy), clean, noisy, model, waveform)  # type: ignore[arg-type]


def _start_from(model: Denoiser, path: str | os.PathLike[str]) -> None:
    """Load the weights of a file into a new model; InputError if it has other sizes."""
    held = checkpoint.load(path, KIND)
    own = asdict(model.config)
    other = {name: value for name, value in held.config.items() if own.get(name) != value}
    if other:
        what = ", ".join(f"{name} {value}, not {own.get(name)}" for name, value in other.items())
        raise InputError(f"{os.fspath(path)} has other sizes", what, "a model of the same sizes, or none")
    checkpoint.restore(model, held.tensors)
