"""A second opinion on the number of talkers, where ICA cannot tell: a mixture of so many directions.

ICA has no more outputs than microphones, so that a talker too many is spread over them; and a soft talker has few onsets of its
own among those of the echo. A mixture of directions has neither limit: of each time-frequency point it says from where it comes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bss.pipeline.analysis import counting
from bss.pipeline.analysis.counting import Count
from bss.signals.stft import Stft, nearest_size
from bss.solvers.models import masks
from bss.solvers.models.masks import Mixture

WINDOW_SECONDS, ITERATIONS = 0.128, 20
LOWEST_HZ, HIGHEST_HZ = 200.0, 6000.0
EXCERPTS, EXCERPT_SECONDS = 4, 5.0  # of a recording that is longer
MOST_MICS = 3  # that are compared: more take longer and tell no more
# Share of the onsets in the direction that has fewest of N: less than the first, and there are fewer than N talkers; more than
# the last, and there are N; N is taken from the one between. With N = 2 in 42 rooms with one talker 2.4 % at most; with the
# second 15 dB softer 3 % at least. With one direction more than two microphones, and two talkers, 5 % at most in 39 rooms; with
# three talkers, of 26 rooms 5.8 % or more in 20. With three microphones long echo has up to 11 %.
SECOND = (0.015, 0.027, 0.05)
HIDDEN = {2: (0.03, 0.055, 0.08), 3: (0.03, 0.13, 0.16)}  # by microphones
CLEAR = 0.08  # share of the onsets of a second talker in ICA from which there is no doubt of it
HARDLY = 0.004  # relative to the first, under which there is none
UNOWNED = {2: 0.14, 3: 0.2}  # share of the onsets that no output has to itself, by microphones, above which one may be missing
LEAST_SECONDS = 8.0  # of sound: in less, echoes and syllables of one talker look like more directions


def reconsidered(count: Count, x: np.ndarray, rate: int) -> Count:
    """The count of the talkers in x (M, n), checked by directions if there may be one talker, or more than microphones."""
    M, shares = len(x), count.shares
    if len(shares) < 2:
        return count
    if count.n_sources == M and count.unowned > UNOWNED.get(M, 1.0) and x.shape[1] >= LEAST_SECONDS * rate:
        return _with_hidden(count, smallest_share(x, rate, M + 1, HIDDEN[M][0]))
    second = shares[1]
    if count.n_sources > 2 or second > CLEAR or second < HARDLY * shares[0]:
        return count
    return _with_second(count, smallest_share(x[:MOST_MICS], rate, 2, SECOND[0]))


def _with_hidden(count: Count, share: float | None) -> Count:
    """More talkers than microphones if one more direction has onsets; how many more is not known."""
    M = count.n_sources
    if share is None or share < HIDDEN[M][0]:
        return count
    listed = f"{100 * share:.2g} % of the onsets come from one more direction than microphones"
    reason = f"{count.reason}; {listed}"
    if share < HIDDEN[M][1]:
        return replace(count, most=M + 1, reason=reason)
    return replace(count, n_sources=M + 1, fewest=M if share < HIDDEN[M][2] else M + 1, most=M + 2, reason=reason)


def _with_second(count: Count, share: float | None) -> Count:
    """One or two talkers, by the share of the second direction."""
    if share is None:
        return count
    reason = f"{count.reason}; of two directions one has {100 * share:.2g} % of the onsets"
    n = 2 if share > SECOND[1] else 1
    fewest, most = (1 if share < SECOND[2] else 2), (1 if share < SECOND[0] else 2)
    return replace(count, n_sources=n, fewest=fewest, most=max(most, n), reason=reason)


def smallest_share(x: np.ndarray, rate: int, N: int, enough: float) -> float | None:
    """Of N directions in x (M, n) the one with fewest onsets: its share of them, 0 to 1; None if there are too few to tell.

    The mixture begins blind, and at the delays that stand out, and the likelier one counts. The blind one must find the
    direction, too: delays may be those of echo. It decides alone if it has less than `enough`.

    References
    ----------
    N. Ito, S. Araki and T. Nakatani, "Complex angular central Gaussian mixture model for directional statistics in mask-based
    microphone array signal processing", EUSIPCO 2016.
    """
    size = nearest_size(WINDOW_SECONDS * rate)
    X = Stft(size, size // 2).forward(np.ascontiguousarray(_excerpts(x, rate)))
    first, last = (round(min(f, 0.45 * rate) / rate * size) for f in (LOWEST_HZ, HIGHEST_HZ))
    power = np.mean(np.abs(X) ** 2, axis=1)[:, None]
    found: list[tuple[Mixture, float]] = []
    for mixture in masks.starts(X, N):
        for _ in range(ITERATIONS):
            mixture.step()
        counts = counting.onsets((mixture.masks() * power)[first:last])
        shares = counting.averaged_over_bands(counting.shares_in_bands(counts))
        if not shares.any():
            return None
        found.append((mixture, float(shares.min())))
        if found[0][1] < enough:
            break
    (blind, share), (steered, other) = found[0], found[-1]
    return share if masks.likelier(blind, steered) is blind else min(share, other)


def _excerpts(x: np.ndarray, rate: int) -> np.ndarray:
    """x (M, n), or excerpts spread over it, one after the other."""
    n, length = x.shape[1], round(EXCERPT_SECONDS * rate)
    if n <= EXCERPTS * length:
        return x
    starts = np.linspace(0, n - length, EXCERPTS).astype(int).tolist()
    return np.concatenate([x[:, start : start + length] for start in starts], axis=1)
