"""Channels of a long recording that fail for a while, by the levels of its seconds: left out, or what is done without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bss.errors import InputError
from bss.pipeline.analysis.preflight.channel_rules import clock, joined
from bss.pipeline.planning.options import UnmixOptions
from bss.pipeline.planning.spans import ENOUGH
from bss.pipeline.stream.survey import LOUD, Survey

DEAD = 1e-6  # of the power of its loud seconds: the noise of no room, and of no preamplifier, is so far below what they hear
SHORTEST_SECONDS = 3  # of such a failure
MOST_SPANS = 8  # more pauses of one channel are those of a noise gate or a mute switch

Span = tuple[int, int]


@dataclass(frozen=True)
class Faults:
    """What the levels of a recording show.

    Attributes
    ----------
    options : UnmixOptions
        Those asked for, without the channels that are left out.
    dead : dict
        For channels that are used, spans of seconds in which they have no sound.
    warnings : tuple[str, ...]
        For the user.
    """

    options: UnmixOptions
    dead: dict[int, list[Span]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def find(found: Survey, names: Sequence[str], options: UnmixOptions) -> Faults:
    """The channels that fail: left out if the others suffice, as in memory.

    Raises
    ------
    InputError
        Fewer than two channels are left.
    """
    chosen = list(range(len(names))) if options.channels is None else list(options.channels)
    broken = [k for k in chosen if not found.finite[k]]
    warnings = [f"{names[k]} contains NaN or infinite samples, and is left out" for k in broken]
    kept = [k for k in chosen if k not in broken]
    spans = {k: dead for k in kept if (dead := dead_spans(found.levels[k]))}
    always = [k for k in kept if k not in spans]
    if spans and not options.per_mic and len(always) >= max(ENOUGH, 1 + (options.n_sources or 0)):
        warnings += [f"{names[k]} has no sound {_when(dead)}, and is left out: the others suffice" for k, dead in spans.items()]
        kept, spans = always, {}
    if options.per_mic:  # a track of a microphone is silent where it is
        spans = {}
    warnings += [f"{names[k]} has no sound {_when(dead)}: then it is done without it" for k, dead in spans.items()]
    if broken and len(kept) < 2:
        raise InputError(
            f"{joined([names[k] for k in broken])} contain NaN or infinite samples", "fewer than two other channels are left",
            "export the files again, or choose a part before the first bad sample with --end",
        )  # fmt: skip
    if kept != chosen:
        options = replace(options, channels=tuple(kept))
    return Faults(options, spans, tuple(warnings))


def dead_spans(levels: np.ndarray) -> list[Span]:
    """Spans of seconds in which a channel with these mean powers (S,) has no sound, if there are few."""
    silent = levels <= DEAD * np.quantile(levels, LOUD)
    if silent.all():  # a channel without any sound is for others to find
        return []
    edges = np.flatnonzero(np.diff(np.concatenate([[0], silent.astype(np.int8), [0]]))).reshape(-1, 2)
    spans = [(int(a), int(b)) for a, b in edges if b - a >= SHORTEST_SECONDS]
    return spans if len(spans) <= MOST_SPANS else []


def _when(spans: Sequence[Span]) -> str:
    return joined([f"from {clock(a)} to {clock(b)}" for a, b in spans])
