"""Many scores in a few numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def statistics(rows: Sequence[Mapping[str, Any]], measures: Sequence[str]) -> dict[str, dict[str, float | int | None]]:
    """Count, mean and quantiles of each measure over the rows that have it, in the measure's unit.

    Examples
    --------
    >>> found = statistics([{"si_sdr": 10.0}, {"si_sdr": None}, {"si_sdr": 20.0}], ["si_sdr"])["si_sdr"]
    >>> found["count"], found["mean"], found["q50"]
    (2, 15.0, 15.0)
    """
    return {measure: _of([row[measure] for row in rows if row.get(measure) is not None]) for measure in measures}


def _of(values: Sequence[float]) -> dict[str, float | int | None]:
    names = [f"q{round(100 * share):02d}" for share in QUANTILES]
    if not values:
        return {"count": 0, "mean": None, **dict.fromkeys(names)}
    found = np.quantile(np.asarray(values, np.float64), QUANTILES)
    return {"count": len(values), "mean": float(np.mean(values)), **{n: float(q) for n, q in zip(names, found, strict=True)}}
