"""Talkers whom the reference microphone hardly hears: their tracks are at the microphone that hears them best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bss.pipeline.analysis.ordering import Order

# Share of a talker in the power of the reference microphone below which the track would be lost in its noise, or in 16 bits, and
# how many times larger it must be elsewhere. A talker 30 times as far away as another is still above.
HARDLY, BETTER = 1e-3, 100.0
TINY = float(np.finfo(np.float64).tiny)


def at_audible(order: Order, powers: np.ndarray, x: np.ndarray) -> Order:
    """The order with tracks of hardly audible talkers at their dominant microphones.

    Parameters
    ----------
    order : Order
        All tracks at the reference microphone.
    powers : np.ndarray
        (N, M) power of each talker of the estimate at each microphone, up to a common factor.
    x : np.ndarray
        (M, n) the recording.
    """
    shares = _shares(powers, x)[order.talkers]
    rows = np.arange(len(shares))
    here, best = shares[rows, order.mics], shares[rows, order.dominant]
    hidden = (here < HARDLY) & (best > BETTER * here)
    return replace(order, mics=np.where(hidden, order.dominant, order.mics))


def sentence(mics: np.ndarray, names: Sequence[str], reference: int) -> str:
    """Which tracks have the level of another microphone than the reference, from the microphone of each (N,), in words."""
    moved = [f"source{k + 1} that of {names[mic]}" for k, mic in enumerate(mics.tolist()) if mic != reference]
    return f"tracks have the level at {names[reference]}, except for talkers whom it hardly hears: {', '.join(moved)}"


def _shares(powers: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(N, M) share of each talker in the power of each microphone."""
    total = np.sum(np.square(x, dtype=np.float64), axis=1)
    scaled = powers / (total + TINY)
    return np.asarray(scaled / max(float(scaled.sum(0).max()), TINY))
