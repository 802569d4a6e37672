"""How numbers are fitted, and judged: by their error in scenes left out of the fit, and by how much chance moves them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.measures import Arrays

RIDGE = 1e-3  # of the variance of a feature
FOLDS, RESAMPLES = 8, 40
Value = float | tuple[float, ...]
Values = dict[str, Value]


@dataclass(frozen=True)
class Step:
    """Numbers that are fitted together.

    Attributes
    ----------
    groups : tuple of str
        The scenes that they are fitted on.
    units : dict of str to str
        The names of the numbers, and the unit of the error of each.
    fit : callable
        From scenes to values; what else is in them is kept for `errors`.
    errors : callable
        From values and scenes to the error of each number in each scene; NaN where a scene says nothing of it.
    """

    groups: tuple[str, ...]
    units: dict[str, str]
    fit: Callable[[Sequence[Arrays]], Values]
    errors: Callable[[Values, Sequence[Arrays]], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Row:
    """A number, old and new; its spread by chance; the mean error of both, the new one in scenes left out of its fit.

    `better` is the mean by which the new one errs less in the same scene, `doubt` two standard errors of that.
    """

    name: str
    old: Value
    new: Value
    spread: Value
    error_old: float
    error_new: float
    better: float
    doubt: float
    error_unit: str
    scenes: int


def evaluated(step: Step, scenes: Sequence[Arrays], old: Values) -> list[Row]:
    """Fit the numbers of a step anew and compare them with the old ones."""
    rng = np.random.default_rng(0)
    new = step.fit(scenes)
    before = step.errors(old, scenes)
    after = {name: np.full(len(scenes), np.nan) for name in step.units}
    for fold in np.array_split(rng.permutation(len(scenes)), min(FOLDS, len(scenes))):
        out = set(fold.tolist())
        seen = step.fit([scene for k, scene in enumerate(scenes) if k not in out])
        for name, errors in step.errors(seen, [scenes[k] for k in fold]).items():
            after[name][fold] = errors
    again = [step.fit(_resampled(scenes, rng)) for _ in range(RESAMPLES)]
    return [_row(name, unit, old, new, again, before[name], after[name]) for name, unit in step.units.items()]


def _resampled(scenes: Sequence[Arrays], rng: np.random.Generator) -> list[Arrays]:
    """As many scenes, drawn with replacement from those that tell the same."""
    kinds: dict[tuple[str, ...], list[Arrays]] = {}
    for scene in scenes:
        kinds.setdefault(tuple(sorted(scene)), []).append(scene)
    return [kind[k] for kind in kinds.values() for k in rng.integers(len(kind), size=len(kind))]


def _row(name: str, unit: str, old: Values, new: Values, again: list[Values], before: np.ndarray, after: np.ndarray) -> Row:
    spread = np.std([values[name] for values in again], axis=0)
    both = np.isfinite(before) & np.isfinite(after)
    better = (before - after)[both]
    count = max(len(better), 1)
    return Row(
        name, old[name], new[name], tuple(map(float, spread)) if np.ndim(spread) else float(spread),
        _mean(before), _mean(after), _mean(better), 2 * float(np.std(better)) / np.sqrt(count) if len(better) else np.nan,
        unit, int(both.sum()),
    )  # fmt: skip


def _mean(errors: np.ndarray) -> float:
    errors = errors[np.isfinite(errors)]
    return float(errors.mean()) if len(errors) else float("nan")


def regression(X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[float, ...]:
    """Coefficients of the columns of X, and a constant: least squares with weights and a little ridge."""
    weight = weight / weight.sum()
    mean, centre = weight @ X, float(weight @ y)
    Z = X - mean
    C = (Z * weight[:, None]).T @ Z
    slopes = np.linalg.solve(C + RIDGE * np.diag(np.diag(C)) + 1e-12 * np.eye(len(C)), (Z * weight[:, None]).T @ (y - centre))
    return (*map(float, slopes), float(centre - mean @ slopes))


def robust_regression(X: np.ndarray, y: np.ndarray, usual: float) -> tuple[float, ...]:
    """The same, in which errors above `usual` count by their size, not by its square (Huber's loss, reweighted least squares)."""
    weight = np.ones(len(y))
    for _ in range(30):
        found = np.asarray(regression(X, y, weight))
        weight = np.minimum(1, usual / np.maximum(np.abs(X @ found[:-1] + found[-1] - y), 1e-9))
    return tuple(map(float, found))


def limit(low: np.ndarray, high: np.ndarray, *, ratio: bool = False) -> float:
    """What parts two kinds best, those below from those above, both counting the same: the middle of the widest such gap.

    NaN is left out; `ratio` takes the middle of logarithms, for numbers that are above zero.
    """
    low, high = (np.asarray(a, float)[np.isfinite(a)] for a in (low, high))
    if not len(low) or not len(high):
        return float("nan")
    if ratio:
        return float(np.exp(limit(np.log(np.maximum(low, 1e-6)), np.log(np.maximum(high, 1e-6)))))
    values = np.unique(np.concatenate([low, high]))
    gaps = np.stack([values[:-1], values[1:]])
    if gaps.size == 0:
        return float(values[0])
    middle = gaps.mean(0)
    wrong = (low[:, None] > middle).mean(0) + (high[:, None] < middle).mean(0)
    best = np.flatnonzero(wrong <= wrong.min() + 1e-9)
    return float(middle[best[np.argmax((gaps[1] - gaps[0])[best])]])


def plateau(grid: np.ndarray, merit: np.ndarray) -> float:
    """The middle of the longest stretch of a grid on which a merit is greatest."""
    at_best = np.concatenate([[0], (merit >= merit.max() - 1e-9).astype(int), [0]])
    edges = np.flatnonzero(np.diff(at_best)).reshape(-1, 2)
    first, end = edges[np.argmax(edges[:, 1] - edges[:, 0])]
    return float(grid[(first + end - 1) // 2])
