"""Training of the autoencoders on folders of speech, with other talkers for validation; and their files.

A file holds the weights, the sizes of the network, what a row is (`FeatureConfig`), the mean and scale of the data, and the
report of the training: `load` needs nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bss.errors import InputError
from bss.networks import checkpoint, corpus
from bss.networks.autoencoder import features
from bss.networks.autoencoder.features import FeatureConfig, Features
from bss.networks.autoencoder.model import (
    VAE,
    Autoencoder,
    DeepAutoencoder,
    DeepConfig,
    LinearAutoencoder,
    LinearConfig,
    VAEConfig,
)
from bss.networks.training import VALIDATION_STEP, TrainSettings, generator, train

KINDS: dict[str, tuple[type, type]] = {
    "linear": (LinearConfig, LinearAutoencoder),
    "deep": (DeepConfig, DeepAutoencoder),
    "vae": (VAEConfig, VAE),
}
VALIDATION_ROWS = 20_000  # at most
Progress = Callable[[float, dict[str, float]], Any]
Paths = Sequence[str | os.PathLike[str]]


@dataclass(frozen=True)
class Trained:
    """A trained model, its features, and the report of its training."""

    kind: str
    model: Autoencoder
    features: Features
    report: dict[str, Any]


@dataclass(frozen=True)
class Data:
    """Rows to train on and rows to validate with, both (R, D) and normalised; their features; a report on them."""

    learned: np.ndarray
    kept: np.ndarray
    features: Features
    report: dict[str, Any]


@dataclass(frozen=True)
class Training:
    """Options of all three: `size` rows in a batch, the rest as in `TrainSettings`."""

    seed: int = 0
    minutes: float | None = None
    steps: int = 4000
    size: int = 512
    device: str = "cpu"
    resume: bool = False
    patience: int = 10
    learning_rate: float = 1e-3


def read(
    speech: Paths,
    config: FeatureConfig | None = None,
    *,
    seed: int = 0,
    validation_share: float = 0.1,
    hold_out: Sequence[str] = (),
) -> Data:
    """Rows of all speech in folders; those of some talkers are for validation, and talkers of `hold_out` are left out."""
    config = config or FeatureConfig()
    people = corpus.read(speech, config.rate, hold_out=hold_out)
    learned, kept = corpus.split(people, validation_share, np.random.default_rng(seed))
    table = features.table(learned, config)
    fitted = features.fit(table, config)
    other = features.table(kept, config)
    other = other[np.random.default_rng(seed).permutation(len(other))[:VALIDATION_ROWS]]
    report = {
        "speech_seconds": round(learned.seconds), "talkers": len(learned.talkers()), "validation_talkers": len(kept.talkers()),
        "rows": len(table), "held_out": list(hold_out),
    }  # fmt: skip
    return Data(fitted.normalised(table), fitted.normalised(other), fitted, report)


def train_linear(
    speech: Paths,
    out: str | os.PathLike[str],
    *,
    codes: int = 32,
    features: FeatureConfig | None = None,
    hold_out: Sequence[str] = (),
    progress: Progress | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Train a linear autoencoder, write `out`.safetensors and `out`.csv, and return a report, as JSON can hold it.

    Parameters
    ----------
    speech : list of path
        Folders of speech, with a folder or a file for each talker.
    out : path
        Without ending.
    codes : int
        K, the size of the code.
    features : FeatureConfig, optional
        What a row is.
    hold_out : list of str
        Talkers to leave out.
    **options
        Of `Training`.
    """
    training = Training(**{"learning_rate": 0.8, "size": 4096, "steps": 6000, **options})
    data = read(speech, features, seed=training.seed, hold_out=hold_out)
    return fit(LinearConfig(data.learned.shape[1], codes), data, out, training, progress)


def train_deep(
    speech: Paths,
    out: str | os.PathLike[str],
    *,
    codes: int = 32,
    sizes: Sequence[int] = (512, 256),
    features: FeatureConfig | None = None,
    hold_out: Sequence[str] = (),
    progress: Progress | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Train a deep autoencoder: as `train_linear`; `sizes` are those of the layers of the encoder."""
    training = Training(**options)
    data = read(speech, features, seed=training.seed, hold_out=hold_out)
    return fit(DeepConfig(data.learned.shape[1], codes, tuple(sizes)), data, out, training, progress)


def train_vae(
    speech: Paths,
    out: str | os.PathLike[str],
    *,
    codes: int = 32,
    sizes: Sequence[int] = (512, 256),
    beta: float = 1.0,
    anneal: int = 1000,
    noise: str = "shared",
    features: FeatureConfig | None = None,
    hold_out: Sequence[str] = (),
    progress: Progress | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Train a variational autoencoder: as `train_deep`; `beta`, `anneal` and `noise` are those of `VAEConfig`."""
    training = Training(**options)
    data = read(speech, features, seed=training.seed, hold_out=hold_out)
    config = VAEConfig(data.learned.shape[1], codes, tuple(sizes), beta=beta, anneal=anneal, noise=noise)
    return fit(config, data, out, training, progress)


def fit(
    config: LinearConfig | DeepConfig | VAEConfig,
    data: Data,
    out: str | os.PathLike[str],
    training: Training,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train the model of a configuration on rows, write it, and return a report."""
    kind, model = build(config, training.seed)
    model.to(training.device)
    learned, kept = (torch.from_numpy(rows).to(training.device) for rows in (data.learned, data.kept))

    size = min(training.size, len(learned))
    per_epoch = len(learned) // size

    @lru_cache(maxsize=1)
    def order(epoch: int) -> Tensor:
        return torch.randperm(len(learned), generator=generator(training.seed, epoch, training.device), device=training.device)

    def batches(step: int) -> tuple[Tensor, int]:
        epoch, k = divmod(step, per_epoch)
        return learned[order(epoch)[k * size : (k + 1) * size]], step

    def validate(network: nn.Module) -> float:
        return validation(network, kept, training.seed)

    linear = kind == "linear"
    settings = TrainSettings(
        steps=training.steps, minutes=training.minutes, seed=training.seed, patience=training.patience,
        average=0.99, validate_every=200,
        learning_rate=training.learning_rate / (largest_variance(data.learned) if linear else 1.0),
        optimiser="sgd" if linear else "adamw", momentum=0.99, weight_decay=0.0 if linear else 1e-4,
    )  # fmt: skip
    history = train(model, batch_loss, batches, validate, settings=settings, out=out, resume=training.resume, progress=progress)
    with torch.inference_mode():
        error = float((model.reconstruct(kept) - kept).square().mean().sqrt()) * data.features.scale
    report = {
        "kind": kind, "validation": history.best, "error_db": error, "steps": history.steps, "ended": history.ended,
        "seconds": round(history.seconds, 1), "seed": training.seed, "codes": config.codes, **data.report,
    }  # fmt: skip
    if isinstance(model, VAE):
        with torch.inference_mode():
            report |= {"elbo": -history.best, "active": model.active(kept), "collapsed": model.collapsed(kept)}
            report |= {
                "beta": model.config.beta,
                "kl": float(model.terms(kept, generator(training.seed, VALIDATION_STEP, training.device))[1].mean()),
            }
    save(Trained(kind, model, data.features, report), out)
    return report


def largest_variance(rows: np.ndarray) -> float:
    """Along the first principal component of rows (R, D): the learning rate of SGD is in units of its inverse."""
    part = rows[:: max(1, len(rows) // VALIDATION_ROWS)].astype(np.float64)
    return float(max(np.linalg.eigvalsh(part.T @ part / len(part))[-1], np.finfo(np.float32).tiny))


def build(config: LinearConfig | DeepConfig | VAEConfig, seed: int) -> tuple[str, Autoencoder]:
    """A new model of a configuration, and its kind."""
    (kind,) = (kind for kind, (of, _) in KINDS.items() if isinstance(config, of))
    torch.manual_seed(seed)
    model: Autoencoder = KINDS[kind][1](config)
    return kind, model


def batch_loss(model: nn.Module, batch: tuple[Tensor, int]) -> Tensor:
    """The loss of a batch: rows, and the number of the step."""
    assert isinstance(model, Autoencoder)
    return model.loss(*batch)


def validation(model: nn.Module, rows: Tensor, seed: int) -> float:
    """Mean squared error; of a VAE the bound in nats per row, negative, always with the same draws."""
    if isinstance(model, VAE):
        return -float(model.elbo(rows, generator(seed, VALIDATION_STEP, rows.device)).mean())
    assert isinstance(model, Autoencoder)
    return float((model.reconstruct(rows) - rows).square().mean())


def save(trained: Trained, out: str | os.PathLike[str]) -> None:
    """Write `out`.safetensors."""
    tensors = dict(trained.model.state_dict())
    tensors["features.mean"] = torch.from_numpy(trained.features.mean)
    tensors["features.scale"] = torch.tensor(trained.features.scale, dtype=torch.float64)
    extra = {"features": asdict(trained.features.config), "report": trained.report}
    config = trained.model.config
    checkpoint.save(f"{os.fspath(out)}.safetensors", tensors, config, kind=trained.kind, extra=extra)


def load(path: str | os.PathLike[str], device: str = "cpu") -> Trained:
    """The trained model in a file, on a device and ready for use.

    Raises
    ------
    InputError
        The file holds no autoencoder, or an inconsistent one.
    """
    held = checkpoint.load(path, tuple(KINDS))
    of, network = KINDS[held.kind]
    tensors = dict(held.tensors)
    try:
        mean, scale = tensors.pop("features.mean"), float(tensors.pop("features.scale"))
        fitted = Features(FeatureConfig(**held.extra["features"]), mean.numpy(), scale)
        model: Autoencoder = network(of(**held.config))
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path} does not fit this version of bss", f"missing or unexpected: {error}", "train the model again"
        ) from None
    if mean.shape != (model.config.inputs,) or fitted.config.inputs != model.config.inputs:
        raise InputError(f"{path} is inconsistent", "its features are not those that its network takes", "train the model again")
    checkpoint.restore(model, tensors)
    return Trained(held.kind, model.to(device).eval(), fitted, dict(held.extra["report"]))
