"""The training loop of every network here: seeded, and after an interruption resumed as if it had never stopped.

A step depends only on its number (`batches(step)`), and a snapshot holds the weights, the optimiser's moments, the average of the
weights and the time spent. Killed and resumed on the same processor, a training ends with the same bytes.
"""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bss.errors import InputError, UsageError
from bss.networks import checkpoint

SAVE_SECONDS = 30.0  # greatest age of a snapshot
COLUMNS = ("step", "seconds", "learning_rate", "train", "validation")
SNAPSHOT = "training"
MOMENTUM_STEPS = 50  # momentum after k times as many steps: 1 - 0.5 / (1 + k), up to that of the settings
VALIDATION_STEP = 1 << 40  # what validation draws is that of a step which training never reaches


@dataclass(frozen=True)
class TrainSettings:
    """How to train: for `steps`, or for `minutes` unless None. The learning rate falls along a cosine."""

    steps: int = 2000
    minutes: float | None = None
    optimiser: str = "adamw"  # or "sgd", with momentum
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 1e-2
    warmup: float = 0.03  # share of the training in which the learning rate rises
    clip: float = 5.0  # norm of the gradient, at most
    average: float = 0.0  # of the weights over the steps, exponential: 0.999 has a half-life of 700 steps; 0 for none
    validate_every: int = 100
    patience: int = 0  # validations in a row without improvement after which it ends; 0: never
    seed: int = 0


@dataclass
class History:
    """The course of a training: rows of the learning curve, the best validation loss, why it ended."""

    rows: list[dict[str, float]]
    best: float
    steps: int
    seconds: float
    ended: str


def train(
    model: nn.Module,
    loss_of: Callable[[nn.Module, Any], Tensor],
    batches: Callable[[int], Any],
    validate: Callable[[nn.Module], float],
    *,
    settings: TrainSettings,
    out: str | os.PathLike[str],
    resume: bool = False,
    progress: Callable[[float, dict[str, float]], Any] | None = None,
) -> History:
    """Train `model` in place; in the end it has the weights of the best validation.

    Parameters
    ----------
    model : nn.Module
        Already on its device.
    loss_of : callable
        (model, batch) -> scalar.
    batches : callable
        step -> batch; the same for the same step.
    validate : callable
        model -> loss on data that are not trained on.
    settings : TrainSettings
    out : path
        Without ending: `out`.csv is the learning curve, `out`.training a snapshot to resume from, removed at the end.
    resume : bool
        Continue from the snapshot.
    progress : callable, optional
        Called with the share done and the last row of the curve.

    Raises
    ------
    InputError
        There is nothing to resume from, or the loss is no longer finite.
    """
    run = _Run(model, settings, Path(out))
    if resume:
        run.restore()
    else:
        run.begin()
    model.train()
    while not run.ended:
        run.step(loss_of, batches)
        if run.number % settings.validate_every == 0 or run.done() >= 1:
            run.validate(validate)
            run.save()
        elif run.stale():
            run.save()
        if progress is not None:
            progress(min(1.0, run.done()), run.rows[-1] if run.rows else {})
    return run.finish()


class _Run:
    """The state of one training."""

    def __init__(self, model: nn.Module, settings: TrainSettings, out: Path) -> None:
        self.model, self.settings, self.out = model, settings, out
        self.optimiser = _optimiser(model, settings)
        self.number, self.before, self.clock = 0, 0.0, time.monotonic()
        self.rows: list[dict[str, float]] = []
        self.best, self.stagnant, self.ended = math.inf, 0, ""
        self.sum: Tensor | float = 0.0
        self.count, self.saved = 0, self.clock
        self.average = {k: v.detach().clone() for k, v in model.state_dict().items()} if settings.average else {}
        self.kept = {k: v.detach().clone() for k, v in model.state_dict().items()}

    def seconds(self) -> float:
        """Spent training, over all its sittings."""
        return self.before + time.monotonic() - self.clock

    def done(self) -> float:
        """The share of the training that is done."""
        s = self.settings
        return self.number / s.steps if s.minutes is None else self.seconds() / (60 * s.minutes)

    def rate(self) -> float:
        """The learning rate now: up a ramp, down a cosine."""
        s, done = self.settings, min(1.0, self.done())
        if done < s.warmup:
            return s.learning_rate * max(done / s.warmup, 0.01)
        return s.learning_rate * max(0.01, 0.5 * (1 + math.cos(math.pi * (done - s.warmup) / (1 - s.warmup))))

    def step(self, loss_of: Callable[[nn.Module, Any], Tensor], batches: Callable[[int], Any]) -> None:
        """One iteration."""
        s = self.settings
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
            if s.optimiser == "sgd":  # little momentum at first, where it overshoots (Sutskever et al., ICML 2013)
                group["momentum"] = min(s.momentum, 1 - 0.5 / (1 + self.number // MOMENTUM_STEPS))
        torch.manual_seed(s.seed * 7919 + self.number)  # what the model itself draws: dropout, codes of a VAE
        loss = loss_of(self.model, batches(self.number))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if s.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), s.clip)
        self.optimiser.step()
        self.number += 1
        self.sum, self.count = self.sum + loss.detach(), self.count + 1
        if self.average:
            keep = min(s.average, (1 + self.number) / (10 + self.number))
            for name, value in self.model.state_dict().items():
                if value.is_floating_point():
                    self.average[name].lerp_(value, 1 - keep)
                else:
                    self.average[name].copy_(value)

    def validate(self, validate: Callable[[nn.Module], float]) -> None:
        """Validate, add a row to the curve, and keep the weights if they are the best."""
        mean = float(self.sum) / max(1, self.count)
        if not math.isfinite(mean):
            raise InputError(
                f"the training diverged by step {self.number}", "its loss is no longer finite", "a lower --learning-rate"
            )
        weights = self.average or self.model.state_dict()
        current = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(weights)
        self.model.eval()
        with torch.inference_mode():
            value = float(validate(self.model))
        if value < self.best:
            self.best, self.stagnant = value, 0
            self.kept = {k: v.detach().clone() for k, v in weights.items()}
        else:
            self.stagnant += 1
        self.model.load_state_dict(current)
        self.model.train()
        self.sum, self.count = 0.0, 0
        row = dict(zip(COLUMNS, (self.number, round(self.seconds(), 2), self.rate(), mean, value), strict=True))
        self.rows.append(row)
        s = self.settings
        if self.done() >= 1:
            self.ended = f"after {self.number} steps"
        elif s.patience and self.stagnant >= s.patience:
            self.ended = f"early, after {self.number} steps: {self.stagnant} validations without improvement"

    def begin(self) -> None:
        """An empty curve, and the first snapshot."""
        self.out.parent.mkdir(parents=True, exist_ok=True)
        self.save()

    def stale(self) -> bool:
        """Whether the last snapshot is old."""
        return time.monotonic() - self.saved > SAVE_SECONDS

    def save(self) -> None:
        """Write the snapshot, then the curve: resuming drops rows that are newer than the snapshot."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()} | {f"best.{k}": v for k, v in self.kept.items()}
        moments = self.optimiser.state_dict()["state"]
        for index, state in moments.items():
            tensors |= {f"optimiser.{index}.{k}": torch.as_tensor(v) for k, v in state.items() if v is not None}
        extra = {
            "step": self.number, "seconds": self.seconds(), "rows": self.rows, "since": self.stagnant, "ended": self.ended,
            "best": None if math.isinf(self.best) else self.best, "sum": float(self.sum), "count": self.count,
        }  # fmt: skip
        checkpoint.save(self._snapshot(), tensors, self.settings, kind=SNAPSHOT, extra=extra)
        self._write_rows()
        self.saved = time.monotonic()

    def restore(self) -> None:
        """Continue from the snapshot."""
        if not self._snapshot().is_file():
            raise InputError(f"there is no interrupted training {self._snapshot()}", hint="train without --resume")
        held = checkpoint.load(self._snapshot(), SNAPSHOT)
        if held.config["seed"] != self.settings.seed:
            raise UsageError("the interrupted training has another seed", hint=f"--seed {held.config['seed']}")
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "best": {}, "optimiser": {}}
        for name, tensor in held.tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        checkpoint.restore(self.model, parts["model"])
        device = next(self.model.parameters()).device
        self.average = {k: v.to(device) for k, v in parts["average"].items()} if self.settings.average else {}
        self.kept = {k: v.to(device) for k, v in parts["best"].items()}
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts["optimiser"].items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = tensor
        self.optimiser.load_state_dict({"state": state, "param_groups": self.optimiser.state_dict()["param_groups"]})
        saved = held.extra
        self.number, self.before, self.rows = int(saved["step"]), float(saved["seconds"]), list(saved["rows"])
        self.best, self.stagnant = math.inf if saved["best"] is None else float(saved["best"]), int(saved["since"])
        self.sum, self.count = float(saved["sum"]), int(saved["count"])
        self.ended = "" if self.done() < 1 else saved["ended"]
        self._write_rows()

    def finish(self) -> History:
        """Load the best weights, and remove the snapshot."""
        self.model.load_state_dict(self.kept)
        self.model.eval()
        self._snapshot().unlink(missing_ok=True)
        return History(self.rows, self.best, self.number, self.seconds(), self.ended)

    def _snapshot(self) -> Path:
        return self.out.with_name(self.out.name + ".training")

    def _write_rows(self) -> None:
        unfinished = self.out.with_name(f".{self.out.name}.csv.part")
        with open(unfinished, "w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            table.writerows(self.rows)
        unfinished.replace(self.out.with_name(self.out.name + ".csv"))


def generator(seed: int, step: int, device: str | torch.device) -> torch.Generator:
    """The random numbers of one step of one training."""
    return torch.Generator(device).manual_seed((seed * 1_000_003 + step) % (1 << 62))


def device_for(name: str, threads: int | None = None) -> str:
    """ "cpu" or "cuda" for those or "auto", and limit the threads of torch. InputError if there is no GPU for "cuda"."""
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("torch finds no GPU that it can use", hint="--device cpu")
    if threads is not None:
        torch.set_num_threads(threads)
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"


def _optimiser(model: nn.Module, s: TrainSettings) -> torch.optim.Optimizer:
    parameters = [p for p in model.parameters() if p.requires_grad]
    if s.optimiser == "adamw":
        return torch.optim.AdamW(parameters, s.learning_rate, weight_decay=s.weight_decay)
    if s.optimiser == "sgd":
        return torch.optim.SGD(parameters, s.learning_rate, momentum=s.momentum, weight_decay=s.weight_decay)
    raise UsageError(f"optimiser={s.optimiser!r} is not known", hint="one of adamw, sgd")
