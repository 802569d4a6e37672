"""Which microphones are usable when: the recording in segments, and what the filters of each set of microphones learn from.

Filters of a set of microphones are learned from all samples at which every one of them is usable, which may be many segments, and
make the tracks of those segments at which no others are usable. A segment with one microphone cannot be separated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from bss.errors import InputError
from bss.pipeline.analysis.preflight.channel_rules import clock, joined
from bss.pipeline.analysis.preflight.channels import Preflight

if TYPE_CHECKING:
    from bss.pipeline.planning.options import UnmixOptions

Parts = tuple[tuple[int, int], ...]

SHORTEST_SECONDS = 3.0  # of sound to learn filters from; shorter recordings separate badly
# A microphone that is dead for more of the time is left out if so many others, and one more than talkers, are always usable:
# they do nearly as well, and one set of filters for all is safer than several whose talkers have to be matched.
MUCH, ENOUGH = 0.25, 3
MOST_LAYERS = 6  # each costs a separation; beyond, the microphones with most dead spans are left out


@dataclass(frozen=True)
class Layer:
    """A set of microphones and the parts [start, stop) of the recording in which all of them are usable."""

    mics: tuple[int, ...]
    parts: Parts

    @property
    def n(self) -> int:
        """Samples."""
        return sum(stop - start for start, stop in self.parts)

    def cut(self, x: np.ndarray) -> np.ndarray:
        """The parts of these microphones of x (M, n), joined."""
        return np.ascontiguousarray(np.concatenate([x[list(self.mics), a:b] for a, b in self.parts], axis=1))

    def spread(self, y: np.ndarray, n: int) -> np.ndarray:
        """The inverse for signals y (N, n'): back at their times among n samples, zeros elsewhere."""
        whole, at = np.zeros((len(y), n), y.dtype), 0
        for start, stop in self.parts:
            whole[:, start:stop] = y[:, at : at + stop - start]
            at += stop - start
        return whole


@dataclass(frozen=True)
class Segment:
    """Samples [start, stop) with the same usable microphones, and the layer that makes their tracks: None if none can."""

    start: int
    stop: int
    mics: tuple[int, ...]
    layer: int | None


@dataclass(frozen=True)
class Spans:
    """The segments of a recording and the layers; the first layer has all microphones."""

    layers: tuple[Layer, ...]
    segments: tuple[Segment, ...]


def usable_spans(
    channels: Preflight, used: tuple[int, ...], n: int, rate: int, options: UnmixOptions, warnings: list[str]
) -> tuple[tuple[int, ...], Spans | None]:
    """The channels of `used` to separate, and their spans: None if all are usable for all n samples. Adds to the warnings.

    Raises
    ------
    InputError
        No two channels are usable at the same time.
    """
    dead = {used.index(k): spans for k, spans in channels.dead.items() if k in used}
    if not dead or options.per_mic:  # a track of a microphone is silent where it is
        return used, None
    out = sufficient(dead, len(used), n, options.n_sources)
    kept = [k for k in range(len(used)) if k not in out]
    spans = None
    if any(k in dead for k in kept):
        spans, worst = lay_out({kept.index(k): v for k, v in dead.items() if k in kept}, len(kept), n, rate)
        out += [kept[k] for k in worst]
        kept = [k for k in kept if k not in out]
        spans = spans if len(spans.segments) > 1 else None
    if spans is not None and not spans.layers[0].parts:
        raise InputError(
            "no two microphones are usable at the same time",
            "separation needs two",
            "a part in which they are (--start, --end)",
        )
    names = [channels.names[used[k]] for k in range(len(used))]
    warnings += [f"{names[k]} is not used at all: the other microphones suffice" for k in out]
    if spans is not None:
        warnings += _gaps(spans, [names[k] for k in kept], rate)
    return tuple(used[k] for k in kept), spans


def _gaps(spans: Spans, names: list[str], rate: int) -> list[str]:
    """What happens where not all microphones are usable, in words."""
    words = []
    for segment in spans.segments:
        when = f"from {clock(segment.start / rate)} to {clock(segment.stop / rate)}"
        if segment.layer is None:
            who = f"only {names[segment.mics[0]]} is" if len(segment.mics) == 1 else "too few microphones are"
            words.append(f"{when} {who} usable, so nothing is separated: the sound is in the residual")
        elif segment.layer > 0:
            words.append(f"{when} the talkers are separated with {joined([names[mic] for mic in segment.mics])} alone")
    return words


def sufficient(dead: Mapping[int, Parts], n_mics: int, n: int, n_sources: int | None) -> list[int]:
    """The microphones to leave out altogether: dead for much of the n samples, while enough others never are."""
    always = n_mics - len(dead)
    if always < max(ENOUGH, 0 if n_sources is None else n_sources + 1):
        return []
    return [mic for mic, spans in dead.items() if _total(spans) > MUCH * n]


def lay_out(dead: Mapping[int, Parts], n_mics: int, n: int, rate: int) -> tuple[Spans, list[int]]:
    """The spans of n samples of n_mics microphones with their dead spans, and microphones that have to be left out.

    Those are left out, the longest dead first, without which there is something to learn from, and not too many layers.
    """
    mics, shortest = list(range(n_mics)), round(SHORTEST_SECONDS * rate)
    while True:
        segments = _segments({mic: dead[mic] for mic in mics if mic in dead}, mics, n)
        layers = _layers(segments, mics, shortest)
        worst = max((mic for mic in mics if mic in dead), key=lambda mic: _total(dead[mic]), default=None)
        if worst is None or len(mics) == 2 or (layers and layers[0].n >= shortest and len(layers) <= MOST_LAYERS):
            break
        mics.remove(worst)
    places = {mic: k for k, mic in enumerate(mics)}
    by_set = {layer.mics: k for k, layer in enumerate(layers)}
    ready = tuple(Segment(a, b, tuple(places[m] for m in usable), by_set.get(usable)) for a, b, usable in segments)
    renamed = tuple(Layer(tuple(places[m] for m in layer.mics), layer.parts) for layer in layers)
    return Spans(renamed, ready), [mic for mic in range(n_mics) if mic not in mics]


def _total(spans: Parts) -> int:
    return sum(stop - start for start, stop in spans)


def _segments(dead: Mapping[int, Parts], mics: list[int], n: int) -> list[tuple[int, int, tuple[int, ...]]]:
    """Start, stop and usable microphones of each segment."""
    times = sorted({0, n, *(t for spans in dead.values() for span in spans for t in span if 0 < t < n)})
    segments: list[tuple[int, int, tuple[int, ...]]] = []
    for a, b in pairwise(times):
        usable = tuple(m for m in mics if not any(start < b and a < stop for start, stop in dead.get(m, ())))
        if segments and segments[-1][2] == usable:
            segments[-1] = (segments[-1][0], b, usable)
        else:
            segments.append((a, b, usable))
    return segments


def _layers(segments: list[tuple[int, int, tuple[int, ...]]], mics: list[int], shortest: int) -> list[Layer]:
    """A layer for all microphones, and for every other set of two or more that occurs and has enough to learn from."""
    sets = dict.fromkeys([tuple(mics), *(usable for _, _, usable in segments)])
    layers = [Layer(s, tuple((a, b) for a, b, usable in segments if set(s) <= set(usable))) for s in sets if len(s) > 1]
    return layers[:1] + [layer for layer in layers[1:] if layer.n >= shortest]
