"""Who speaks when, and where talkers speak at the same time."""

from __future__ import annotations

from collections.abc import Sequence

Spans = list[tuple[float, float]]


def overlaps(talkers: Sequence[Spans]) -> Spans:
    """Spans in which two talkers or more are active.

    Examples
    --------
    >>> overlaps([[(0.0, 2.0), (3.0, 4.0)], [(1.5, 3.5)], [(1.0, 1.6)]])
    [(1.0, 2.0), (3.0, 3.5)]
    """
    events = sorted((t, d) for spans in talkers for a, b in spans for t, d in ((a, 1), (b, -1)) if b > a)
    found: Spans = []
    active, since = 0, 0.0
    for t, change in events:
        if active < 2 <= active + change:
            since = t
        elif active >= 2 > active + change and t > since:
            if found and found[-1][1] == since:
                found[-1] = (found[-1][0], t)
            else:
                found.append((since, t))
        active += change
    return found


def total(spans: Spans) -> float:
    """Seconds in all."""
    return sum(b - a for a, b in spans)
