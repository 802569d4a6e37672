"""When a source is active, and how loud it is then."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

FRAME_SECONDS = 0.032
LOUD = 0.95  # quantile of the frame levels that serves as the level of loud frames
LOWEST, HIGHEST = 30.0, 12.0  # dB below that: range of the activity threshold
LONGEST_GAP, SHORTEST_SPAN = 0.4, 0.1  # seconds: a pause for breath does not end a span, a click does not start one


@dataclass(frozen=True)
class Activity:
    """Active spans (S, 2) of a source in seconds, their share of the time, and its levels in dBFS, which are None for silence."""

    spans: np.ndarray
    share: float
    level: float | None
    level_while_active: float | None

    def to_dict(self) -> dict[str, Any]:
        """As a dict for result.json."""
        return {
            "level_dbfs": _rounded(self.level),
            "active_level_dbfs": _rounded(self.level_while_active),
            "active_share": round(self.share, 4),
            "active_spans": [[round(float(a), 3), round(float(b), 3)] for a, b in self.spans],
        }


def measure(y: np.ndarray, rate: int) -> Activity:
    """The activity of a source y (n,).

    The threshold is the one that divides the frame levels best into two groups (Otsu's method): speech, and the remains of the
    other talkers in its pauses. Its range is limited, so that a talker who never pauses is not split.

    References
    ----------
    N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. Systems, Man and Cybernetics 9(1), 1979.
    """
    size = frame_size(rate)
    frames = -(-y.size // size)
    padded = np.zeros(frames * size, np.float64)
    padded[: y.size] = y
    power = np.mean(padded.reshape(frames, size) ** 2, axis=1)
    level = float(np.mean(np.square(y, dtype=np.float64)))
    return of_powers(power, y.size, rate, level)


def frame_size(rate: int) -> int:
    """Samples of a frame."""
    return max(1, round(FRAME_SECONDS * rate))


def of_powers(power: np.ndarray, n: int, rate: int, level: float | None = None) -> Activity:
    """The activity of a source of n samples from the mean powers (T,) of its frames, and that of all samples, if known."""
    size = frame_size(rate)
    if not power.any():
        return Activity(np.zeros((0, 2)), 0.0, None, None)
    active = _smoothed(power > _threshold(power), size / rate)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(np.int8), [0]])))
    spans = np.minimum(edges.reshape(-1, 2) * size, n) / rate
    share = float(np.sum(spans[:, 1] - spans[:, 0]) * rate / n)
    level = float(power.sum() * size / n) if level is None else level
    return Activity(spans, share, _db(level), _db(float(power[active].mean())))


def _threshold(power: np.ndarray) -> float:
    """The power above which a frame is active."""
    loud = float(np.quantile(power, LOUD))
    loud = loud if loud > 0 else float(power.max())
    levels = 10 * np.log10(np.maximum(power / loud, 1e-6))
    candidates = np.arange(-LOWEST, -HIGHEST + 0.5, 1.0)
    return float(loud * 10 ** (max(candidates, key=lambda threshold: _variance_between(levels, threshold)) / 10))


def _variance_between(levels: np.ndarray, threshold: float) -> float:
    """Variance between the groups of levels above and below a threshold."""
    above = levels > threshold
    share = float(above.mean())
    if share in (0.0, 1.0):
        return 0.0
    return share * (1 - share) * float(levels[above].mean() - levels[~above].mean()) ** 2


def _smoothed(active: np.ndarray, seconds: float) -> np.ndarray:
    """Short gaps filled, then short spans removed, unless none would be left; `seconds` per frame."""
    filled = _without_short(active, round(LONGEST_GAP / seconds), False)
    kept = _without_short(filled, round(SHORTEST_SPAN / seconds), True)
    return kept if kept.any() else filled


def _without_short(active: np.ndarray, frames: int, kind: bool) -> np.ndarray:
    """Runs of `kind` that are shorter than `frames` inverted, except pauses at the beginning and the end."""
    result: np.ndarray = active.copy()
    edges = np.flatnonzero(np.diff(active.astype(np.int8))) + 1
    bounds = [0, *edges.tolist(), active.size]
    for begin, end in pairwise(bounds):
        inside = begin > 0 and end < active.size
        if active[begin] == kind and end - begin < frames and (kind or inside):
            result[begin:end] = not kind
    return result


def _db(power: float) -> float | None:
    return 10 * float(np.log10(power)) if power > 0 else None


def _rounded(level: float | None) -> float | None:
    return None if level is None else round(level, 2)
