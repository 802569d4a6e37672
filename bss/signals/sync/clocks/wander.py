"""Clocks whose rate changes, as those of recorders that warm up: rates of parts of the recording, then lags beside the whole."""

from __future__ import annotations

import numpy as np

from bss.signals.sync.clocks.agreement import peak, steady_rate
from bss.signals.sync.clocks.clock import Clock
from bss.signals.sync.spectra import Blocks

WINDOW_SECONDS = 20.0  # in which a rate is measured to half a part per million
CHANGES = 4e-6  # by which rates must differ to be more than the error of that
FEWEST = 3  # parts
LAG_SECONDS = 8.0  # in which a lag is measured beside the whole recording
LAG_WITHIN = 3e-4  # seconds
ROUNDS = 4
GAINED, GAINED_MORE = 0.1, 0.02  # agreement that a curve must gain; when a clock is known to be off


def follow(blocks: Blocks, stop: float, *, known: bool = False) -> Clock | None:
    """The lag of a clock whose rate changes, along which distant blocks agree; None if no such curve makes them agree.

    With `known`, that of a clock of which it is known that it is another one; small changes then count, too.
    """
    before = steady_rate(blocks)
    curve = Clock.steady(stop) if known else _from_rates(blocks, stop)
    if curve is None:
        return None
    for _ in range(ROUNDS):
        curve = curve.plus(_rest(blocks.turned(curve.at(blocks.seconds)), stop))
    after = steady_rate(blocks.turned(curve.at(blocks.seconds)))
    reached = before.unturned if before.lost else before.far
    gained = GAINED_MORE if known else GAINED
    good = after.even and after.unturned >= reached + gained
    return curve if good else None


def steady(blocks: Blocks) -> float | None:
    """The rate that all parts of a recording have, though they do not agree with each other, as after a long jump; else None."""
    _, rates = _rates(blocks)
    return float(np.median(rates)) if len(rates) >= FEWEST and np.ptp(rates) < CHANGES else None


def _rates(blocks: Blocks) -> tuple[list[float], list[float]]:
    """Times and rates of parts of the recording, those in which distant blocks agree."""
    length = round(WINDOW_SECONDS / blocks.step)
    times, rates = [], []
    for first in range(0, len(blocks.C) - length + 1, max(1, length // 4)):
        part = blocks.part(slice(first, first + length))
        found = steady_rate(part)
        if found.even and found.near > 0:
            times.append(float(part.seconds.mean()))
            rates.append(found.rate)
    return times, rates


def _from_rates(blocks: Blocks, stop: float) -> Clock | None:
    """A curve whose slope follows the rates of parts of the recording; None if they are the same, or cannot be measured."""
    times, rates = _rates(blocks)
    if len(rates) < FEWEST or np.ptp(rates) < CHANGES:
        return None
    knots = np.linspace(0.0, stop, max(2, round(stop / (WINDOW_SECONDS / 4)) + 1))
    slopes = np.interp((knots[1:] + knots[:-1]) / 2, times, rates)
    return Clock.through(list(knots), [0.0, *np.cumsum(slopes * np.diff(knots))])


def _rest(blocks: Blocks, stop: float) -> Clock:
    """What is left of the lag in each part of blocks that are nearly in step, beside all others."""
    length = max(1, round(LAG_SECONDS / blocks.step))
    whole = blocks.C.sum(0)
    times, lags = [], []
    for first in range(0, len(blocks.C) - length + 1, max(1, length // 2)):
        part = blocks.C[first : first + length].sum(0)
        lag, height = peak(blocks, (whole - part).conj() * part, LAG_WITHIN)
        if height > 0:
            times.append(float(blocks.seconds[first : first + length].mean()))
            lags.append(lag)
    if len(lags) < 2:
        return Clock.steady(stop)
    smooth = np.convolve(np.pad(lags, 1, mode="reflect", reflect_type="odd"), [0.25, 0.5, 0.25], "valid")
    slopes = np.diff(smooth) / np.diff(times)  # which go on at the ends
    first, last = smooth[0] - slopes[0] * times[0], smooth[-1] + slopes[-1] * (stop - times[-1])
    return Clock.through([0.0, *times, stop], [first, *smooth, last])
