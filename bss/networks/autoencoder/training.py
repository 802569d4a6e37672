"""Training of the autoencoders on folders of speech, some talkers kept apart to validate with; and their files.

A file holds the weights, the sizes of the network, what a row is (`FeatureConfig`), mean and scale of the data, and the report of
the training: `load` needs nothing else.
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
from bss.networks.mixing import generator
from bss.networks.training import TrainSettings, train

KINDS: dict[str, tuple[type, type]] = {
    "linear": (LinearConfig, LinearAutoencoder),
    "deep": (DeepConfig, DeepAutoencoder),
    "vae": (VAEConfig, VAE),
}
FAR = 1 << 40  # a step that training never gets to
HELD = 20_000  # rows to validate with, at most
Progress = Callable[[float, dict[str, float]], Any]
Paths = Sequence[str | os.PathLike[str]]


@dataclass(frozen=True)
class Trained:
    """A model as it was trained, what its rows are, and the report of its training."""

    kind: str
    model: Autoencoder
    features: Features
    report: dict[str, Any]


@dataclass(frozen=True)
class Data:
    """Rows to learn from and rows to validate with, both (R, D) and normalised; how they came about."""

    learned: np.ndarray
    kept: np.ndarray
    features: Features
    words: dict[str, Any]


@dataclass(frozen=True)
class Training:
    """What the three trainings share: `size` rows in a batch; the end as in `TrainSettings`."""

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
    """Rows of all speech in folders; those of some talkers are kept, and talkers of `hold_out` are left out altogether."""
    config = config or FeatureConfig()
    people = corpus.read(speech, config.rate, hold_out=hold_out)
    learned, kept = corpus.split(people, validation_share, np.random.default_rng(seed))
    table = features.table(learned, config)
    found = features.fit(table, config)
    other = features.table(kept, config)
    other = other[np.random.default_rng(seed).permutation(len(other))[:HELD]]
    words = {
        "speech_seconds": round(learned.seconds), "talkers": len(learned.people()), "validation_talkers": len(kept.people()),
        "rows": len(table), "held_out": list(hold_out),
    }  # fmt: skip
    return Data(found.normalised(table), found.normalised(other), found, words)


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
    """Train a linear autoencoder and write `out`.safetensors, `out`.csv; what was done, in values that JSON can hold.

    Parameters
    ----------
    speech : list of path
        Folders of speech, a folder or a file for each talker.
    out : path
        Where to, without ending.
    codes : int
        K.
    features : FeatureConfig, optional
        What a row is.
    hold_out : list of str
        Talkers that are left out.
    **options
        Of `Training`.
    """
    how = Training(**{"learning_rate": 0.8, "size": 4096, "steps": 6000, **options})
    data = read(speech, features, seed=how.seed, hold_out=hold_out)
    return fit(LinearConfig(data.learned.shape[1], codes), data, out, how, progress)


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
    how = Training(**options)
    data = read(speech, features, seed=how.seed, hold_out=hold_out)
    return fit(DeepConfig(data.learned.shape[1], codes, tuple(sizes)), data, out, how, progress)


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
    how = Training(**options)
    data = read(speech, features, seed=how.seed, hold_out=hold_out)
    config = VAEConfig(data.learned.shape[1], codes, tuple(sizes), beta=beta, anneal=anneal, noise=noise)
    return fit(config, data, out, how, progress)


def fit(
    config: LinearConfig | DeepConfig | VAEConfig,
    data: Data,
    out: str | os.PathLike[str],
    how: Training,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train the model of a configuration on rows, and write it; the report."""
    kind, model = build(config, how.seed)
    model.to(how.device)
    learned, kept = (torch.from_numpy(rows).to(how.device) for rows in (data.learned, data.kept))

    size = min(how.size, len(learned))
    per_epoch = len(learned) // size

    @lru_cache(maxsize=1)
    def order(epoch: int) -> Tensor:
        return torch.randperm(len(learned), generator=generator(how.seed, epoch, how.device), device=how.device)

    def batches(step: int) -> tuple[Tensor, int]:
        epoch, k = divmod(step, per_epoch)
        return learned[order(epoch)[k * size : (k + 1) * size]], step

    def validate(network: nn.Module) -> float:
        return validation(network, kept, how.seed)

    linear = kind == "linear"
    settings = TrainSettings(
        steps=how.steps, minutes=how.minutes, seed=how.seed, patience=how.patience, average=0.99, validate_every=200,
        learning_rate=how.learning_rate / (largest_variance(data.learned) if linear else 1.0),
        optimiser="sgd" if linear else "adamw", momentum=0.99, weight_decay=0.0 if linear else 1e-4,
    )  # fmt: skip
    history = train(model, batch_loss, batches, validate, settings=settings, out=out, resume=how.resume, progress=progress)
    with torch.inference_mode():
        error = float((model.reconstruct(kept) - kept).square().mean().sqrt()) * data.features.scale
    report = {
        "kind": kind, "validation": history.best, "error_db": error, "steps": history.steps, "ended": history.ended,
        "seconds": round(history.seconds, 1), "seed": how.seed, "codes": config.codes, **data.words,
    }  # fmt: skip
    if isinstance(model, VAE):
        with torch.inference_mode():
            report |= {"elbo": -history.best, "active": model.active(kept), "collapsed": model.collapsed(kept)}
            report |= {"beta": model.config.beta, "kl": float(model.terms(kept, generator(how.seed, FAR, how.device))[1].mean())}
    save(Trained(kind, model, data.features, report), out)
    return report


def largest_variance(rows: np.ndarray) -> float:
    """Along the first principal component of rows (R, D): what SGD can take at once is in units of its inverse."""
    part = rows[:: max(1, len(rows) // HELD)].astype(np.float64)
    return float(max(np.linalg.eigvalsh(part.T @ part / len(part))[-1], np.finfo(np.float32).tiny))


def build(config: LinearConfig | DeepConfig | VAEConfig, seed: int) -> tuple[str, Autoencoder]:
    """A new model of a configuration, and what kind it is."""
    (kind,) = (kind for kind, (of, _) in KINDS.items() if isinstance(config, of))
    torch.manual_seed(seed)
    model: Autoencoder = KINDS[kind][1](config)
    return kind, model


def batch_loss(model: nn.Module, batch: tuple[Tensor, int]) -> Tensor:
    """Of a batch: rows, and the step they are for."""
    assert isinstance(model, Autoencoder)
    return model.loss(*batch)


def validation(model: nn.Module, rows: Tensor, seed: int) -> float:
    """Mean squared error; of a VAE the bound in nats per row, negative, always with the same draws."""
    if isinstance(model, VAE):
        return -float(model.elbo(rows, generator(seed, FAR, rows.device)).mean())
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
    """The model in a file that one of the trainings wrote, on a device and ready for use.

    Raises
    ------
    InputError
        The file holds no autoencoder, or one that does not fit together.
    """
    held = checkpoint.load(path, tuple(KINDS))
    of, network = KINDS[held.kind]
    tensors = dict(held.tensors)
    try:
        mean, scale = tensors.pop("features.mean"), float(tensors.pop("features.scale"))
        found = Features(FeatureConfig(**held.extra["features"]), mean.numpy(), scale)
        model: Autoencoder = network(of(**held.config))
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is not whole", f"it lacks, or has too much of, {error}", "a file of this version") from None
    if mean.shape != (model.config.inputs,) or found.config.inputs != model.config.inputs:
        raise InputError(f"{path} does not fit together", "its rows are not those that its network takes", "train it again")
    checkpoint.restore(model, tensors)
    return Trained(held.kind, model.to(device).eval(), found, dict(held.extra["report"]))
