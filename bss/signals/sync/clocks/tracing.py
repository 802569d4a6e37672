"""The clock of one microphone beside the reference: where it lies, how fast it runs, and where it jumped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bss.signals.sync.clocks import cuts, jumps, losses, offsets, wander
from bss.signals.sync.clocks.agreement import Steady, energy_peak, steady_rate
from bss.signals.sync.clocks.clock import Clock, Jump, Piece
from bss.signals.sync.spectra import Blocks, Reader, measure

SHARED = 0.1  # agreement of neighbouring blocks; unrelated recordings have 0.02, and microphones in a room 0.6 and more
ARRAY_SECONDS = 0.02  # 7 m: what sound takes from one microphone of an array to the next is no offset
SEED_SECONDS = 60.0  # a clock is found in such an excerpt first, and then along the whole recording
LOOK_SECONDS = 20.0  # of it, in which offsets are tried
# A talker who walks turns the cross-spectra, too, but not evenly, and distant ones stay different, as the echoes change: before
# microphones 10 cm apart, where little can be told from the lag, at most 0.8 of the agreement of neighbours is left.
GAINED = 0.05  # agreement that a rate must gain
STILL = 0.85  # of the agreement of neighbours that must be left with a small lag
LARGE_LAG = 4e-4  # seconds in all, 14 cm
ROUNDS = 4
MOST_JUMPS, MOST_LOST = 50, 4
SETTLED = 2e-7  # seconds; a clock that changes by less over the recording is found
WHOLE_SAMPLE = 0.15  # of a sample: jumps are whole samples, and are taken as such if the measured value is that close


@dataclass(frozen=True)
class Trace:
    """The clock of a microphone, and what was found.

    Attributes
    ----------
    clock : Clock
        Its lag.
    jumps : tuple[Jump, ...]
        Where samples are missing or too many.
    cuts : tuple[int, ...]
        For each of them the first sample of the microphone after it.
    agreement : float
        Of distant blocks along this clock, 1 at most.
    needed : bool
        Whether the recording differs from one that is synchronised.
    """

    clock: Clock
    jumps: tuple[Jump, ...]
    cuts: tuple[int, ...]
    agreement: float
    needed: bool


def trace(reference: Reader, mic: Reader, span: tuple[float, float], *, drift: bool = True, force: bool = False) -> Trace | None:
    """The clock of `mic` in a span of the reference in seconds; None if the two share no sound.

    With `drift` false only the offset is looked for; with `force` a rate is taken whatever it gains.
    """
    seed, lag = _found(reference, mic, span)
    if seed is None:
        return None
    moved = abs(lag) > ARRAY_SECONDS
    if not moved:
        lag = 0.0
    clock = Clock.steady(span[1], lag)
    if not drift:
        return Trace(clock, (), (), 1.0, moved)
    state = State(clock, drifting=force, moved=moved)
    if seed != span:
        steady = steady_rate(measure(reference, mic, clock, seed))
        if force or _drifts(steady, seed[1] - seed[0], moved):
            state = replace(state, clock=_along(clock, steady, sum(seed) / 2), drifting=True)
    state = _refined(reference, mic, state, span)
    if not state.changed:
        whole = round(lag * mic.rate) / mic.rate  # a clock that is merely late is shifted, and its samples stay what they are
        return Trace(Clock.steady(span[1], whole), (), (), state.agreement, moved)
    clock = state.clock
    start = float(clock.at(np.array(span[0])))
    rest = energy_peak(measure(reference, mic, clock, span)) if abs(start) > ARRAY_SECONDS else 0.0
    if abs(start + rest) <= ARRAY_SECONDS:  # they started together, and keep the delay of sound between them, as an array does
        rest = -start
    clock = clock.plus(Clock.steady(clock.stop, rest))
    clock, found, places = _cut(reference, mic, clock, state.breaks)
    return Trace(clock, found, places, state.agreement, True)


def _found(reference: Reader, mic: Reader, span: tuple[float, float]) -> tuple[tuple[float, float] | None, float]:
    """An excerpt in which the two share sound, and their lag in it; the other may not have been on during the loudest one."""
    tried: list[tuple[float, float]] = []
    third = (span[1] - span[0]) / 3
    parts = [span] if third < LOOK_SECONDS else [span, *((span[0] + k * third, span[0] + (k + 1) * third) for k in (1, 0, 2))]
    for part in parts:
        seed = _loudest(reference, part, SEED_SECONDS)
        if seed in tried:
            continue
        tried.append(seed)
        lag = _locate(reference, mic, _loudest(reference, seed, LOOK_SECONDS))
        if lag is not None:
            return seed, lag
    return None, 0.0


def _loudest(reference: Reader, span: tuple[float, float], seconds: float) -> tuple[float, float]:
    """The loudest part of a span, of at most so many seconds."""
    if span[1] - span[0] <= 1.5 * seconds:
        return span
    starts = np.arange(span[0], span[1] - seconds, seconds / 4)
    cells = (reference.x[round(s * reference.rate) : round((s + seconds) * reference.rate)] for s in starts)
    start = float(starts[int(np.argmax([float(np.vdot(c, c)) for c in cells]))])
    return start, start + seconds


def _locate(reference: Reader, mic: Reader, span: tuple[float, float]) -> float | None:
    """The lag in seconds at which the two share sound in a span; None if there is none."""
    here = measure(reference, mic, Clock.steady(span[1]), span)
    if steady_rate(here).near >= SHARED:
        lag = energy_peak(here)
        if abs(lag) <= ARRAY_SECONDS:
            return lag
    best = 0.0, 0.0
    seconds = len(reference.x) / reference.rate
    for lag in offsets.candidates(reference.x, mic.x, reference.rate, span):
        blocks = measure(reference, mic, Clock.steady(span[1], lag), span)
        shared = steady_rate(blocks).near
        # of lags that are as good, as in music that repeats itself, the one by which the recordings overlap most
        if shared >= SHARED and shared * (1 - abs(lag) / (2 * seconds)) > best[0]:
            best = shared * (1 - abs(lag) / (2 * seconds)), lag + energy_peak(blocks)
    return best[1] if best[0] > 0 else None


def _along(clock: Clock, steady: Steady, middle: float) -> Clock:
    """A clock, turned by a rate about the middle of the excerpt in which that was measured."""
    return clock.plus(Clock.steady(clock.stop, -steady.rate * middle, steady.rate))


@dataclass(frozen=True)
class State:
    """What is known of a clock so far: its lag, times of its jumps, the agreement along it, whether it runs at another rate than
    the reference, and whether it started at another time."""

    clock: Clock
    breaks: tuple[float, ...] = ()
    agreement: float = 0.0
    drifting: bool = False
    moved: bool = False

    @property
    def changed(self) -> bool:
        """Whether it is anything but even and at rest."""
        return self.drifting or bool(self.breaks)


def _refined(reference: Reader, mic: Reader, state: State, span: tuple[float, float]) -> State:
    """All that is found of a clock.

    What is measured along a clock is added to it, and measured again: frames are read where the clock says, so that the more is
    right, the finer is what is left.
    """
    blocks = measure(reference, mic, state.clock, span)
    state, found = _coarse(blocks, state)
    if found:
        blocks = measure(reference, mic, state.clock, span)
    state, spliced = _spliced(reference, mic, state, blocks, span)
    for k in range(ROUNDS):
        if k or spliced:
            blocks = measure(reference, mic, state.clock, span)
        state, settled = _step(blocks, state, span[1] - span[0])
        if settled:
            break
    if state.drifting:
        curve = wander.follow(measure(reference, mic, state.clock, span), state.clock.stop, known=True)
        if curve is not None:
            state = replace(state, clock=state.clock.plus(curve))
    return state


def _coarse(blocks: Blocks, state: State) -> tuple[State, bool]:
    """The state with a rate that changes, or that all parts have though they do not agree; and whether there is one.

    Where distant blocks agree, the finer look that follows is enough.
    """
    steady = steady_rate(blocks)
    if steady.even:
        return state, False
    curve, stop = wander.follow(blocks, state.clock.stop), state.clock.stop
    if curve is None:
        rate = wander.steady(blocks)
        if rate is None or abs(rate) * stop < LARGE_LAG:
            return state, False
        curve = Clock.steady(stop, 0.0, rate)
    return replace(state, clock=state.clock.plus(curve), drifting=True), True


def _step(blocks: Blocks, state: State, seconds: float) -> tuple[State, bool]:
    """The state with what blocks along its clock tell, and whether that was nothing new."""
    steady = steady_rate(blocks)
    drifting = state.drifting or _drifts(steady, seconds, state.moved)
    turned = blocks.turned(steady.rate * blocks.seconds) if drifting or steady.lost else blocks
    found = _jumps(turned, state.breaks, close=not steady.even)
    if found:
        steady = steady_rate(blocks.turned(_lags(found, blocks.seconds)))
        drifting = drifting or _drifts(steady, seconds, state.moved)
    more = _clock(found, steady.rate if drifting else 0.0, state.clock.stop)
    breaks = tuple(sorted({*state.breaks, *found}))
    settled = not (found or drifting) or float(np.ptp(more.at(blocks.seconds))) < SETTLED
    return State(state.clock.plus(more), breaks, steady.far, drifting, state.moved), settled


def _spliced(reference: Reader, mic: Reader, state: State, blocks: Blocks, span: tuple[float, float]) -> tuple[State, bool]:
    """The state with the spans found elsewhere in which the clock so far leads to nothing, and whether there are any."""
    clock, breaks, found = state.clock, set(state.breaks), False
    for start, stop in losses.lost(blocks, span)[:MOST_LOST]:
        middle = _loudest(reference, (start, stop), LOOK_SECONDS)
        at = sum(middle) / 2
        lag = _locate(reference, mic, middle)
        if lag is None or abs(lag - float(clock.at(np.array(at)))) <= ARRAY_SECONDS:
            continue
        rate = clock.piece_at(at).rate
        clock, found = clock.with_span(Piece(start, stop, lag - rate * (at - start), rate)), True
        breaks |= {edge for edge in (start, stop) if span[0] < edge < span[1]}
    return replace(state, clock=clock, breaks=tuple(sorted(breaks))), found


def _drifts(steady: Steady, seconds: float, known: bool) -> bool:
    """Whether a rate is that of a clock; `known` to be another recorder or not."""
    large = known or abs(steady.rate) * seconds >= LARGE_LAG
    return steady.even and steady.far - steady.unturned > GAINED and (large or steady.far >= STILL * steady.near)


def _jumps(blocks: Blocks, known: Sequence[float], *, close: bool) -> dict[float, float]:
    """Time of each jump in blocks whose clock runs evenly otherwise, and how much the lag grows there; for known ones how much
    more than was known."""
    found: dict[float, float] = {}
    for seconds in known:
        rest = jumps.rest(blocks, seconds)
        if rest:
            found[seconds] = rest
            blocks = blocks.turned(np.where(blocks.seconds >= seconds, rest, 0.0))
    for _ in range(MOST_JUMPS):
        jump = jumps.find(blocks, close=close)
        if jump is None:
            break
        found[jump.seconds] = found.get(jump.seconds, 0.0) + jump.lag
        blocks = blocks.turned(np.where(blocks.seconds >= jump.seconds, jump.lag, 0.0))
    return found


def _lags(found: dict[float, float], seconds: np.ndarray) -> np.ndarray:
    return np.asarray(sum(np.where(seconds >= at, lag, 0.0) for at, lag in found.items()))


def _clock(found: dict[float, float], rate: float, stop: float) -> Clock:
    """A clock of this rate, with these jumps."""
    times = [0.0, *sorted(found), stop]
    lags = np.cumsum([0.0, *(found[t] for t in sorted(found))])
    pairs = zip(times[:-1], times[1:], lags, strict=True)
    return Clock(tuple(Piece(a, b, float(lag) + rate * a, rate) for a, b, lag in pairs))


def _cut(
    reference: Reader, mic: Reader, clock: Clock, breaks: Sequence[float]
) -> tuple[Clock, tuple[Jump, ...], tuple[int, ...]]:
    """The clock with its jumps where they are to the sample, and as large as whole samples where they are nearly that."""
    found, places = [], []
    for seconds in breaks:
        k = next(i for i, p in enumerate(clock.pieces) if p.start == seconds)
        before, after = clock.pieces[k - 1], clock.pieces[k]
        jump = after.lag - before.at(seconds)
        if abs(jump) < jumps.SMALLEST:  # what looked like a jump has turned out to be none
            continue
        whole = round(jump * mic.rate)
        change = whole / mic.rate - jump if abs(jump * mic.rate - whole) <= WHOLE_SAMPLE else 0.0
        after = replace(after, lag=after.lag + change)
        first = cuts.place(reference, mic, before, after, seconds, far=abs(jump) > jumps.LARGEST)
        at = first / mic.rate - before.at(seconds)
        clock = clock.split(k, at, change)
        found.append(Jump(at, -jump - change))
        places.append(first)
    return clock, tuple(found), tuple(places)
