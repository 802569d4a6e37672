"""More outputs than talkers: every output of every bin goes to the talker whose activity it shares."""

from __future__ import annotations

import numpy as np

from bss.backends import dispatch
from bss.backends.operations import Array
from bss.solvers.permutation import log_powers, scaled_reach, unit

STEPS = ((100, 3), (30, 3), (8, 3))  # bins to either side that an output is compared with, and passes at most
FIRST_REACH = 3
UNLIKE, UNLIKE_REACH = 0.2, 30  # correlation under which an output is loud at other times than its talker; bins that tell
EVERY = 4  # bins of which one is looked at for that
FIRST, WHOLE = 0.3, 0.3  # weights of the first estimate, and of all bins together, against the bins about


def group(outputs: Array, first: Array) -> np.ndarray:
    """The talker that each output of each bin belongs to.

    Outputs of one talker (its direct sound, its echo) are loud in the same frames. A talker's activity is that of the sum of
    its outputs, about the bin and over all of them; it begins with a first estimate, and is learned again as
    outputs change talkers.

    Parameters
    ----------
    outputs : np.ndarray
        (F, M, T) powers of the outputs, summed over the microphones.
    first : np.ndarray
        (F, N, T) powers of the talkers in a first estimate, N < M, in one order.

    Returns
    -------
    np.ndarray
        (F, M) talkers, from 0; everyone has an output in every bin.
    """
    backend, (F, _, _) = dispatch.of(outputs), outputs.shape
    initial, features = unit(log_powers(first)), unit(log_powers(outputs))
    talker = backend.grouping_pass(features, initial, initial, None, scaled_reach(FIRST_REACH, F), FIRST, 0.0)
    learned = 0 * initial
    changed = np.ones(F, bool)
    for reach, n_passes in STEPS:
        for _ in range(n_passes):
            learned[changed] = unit(log_powers(_sums(outputs[changed], talker[changed], initial.shape[1])))
            whole = learned.sum(0, keepdims=True)
            length = (whole**2).sum(2, keepdims=True) ** 0.5
            whole /= backend.where(length > 0, length, 1)
            better = backend.grouping_pass(features, learned, initial, whole, scaled_reach(reach, F), FIRST, WHOLE)
            changed = (better != talker).any(1)
            talker = better
            if not changed.any():
                break
    return talker


def strange_share(outputs: Array, talker: np.ndarray, N: int) -> float:
    """Share of the power, 0 to 1, in outputs (F, M, T) that are loud at other times than the talker (F, M) they belong to.

    Echo is loud when its talker is. Noise must belong to one of the talkers, too, but is like none of them.
    """
    powers, belongs = dispatch.of(outputs).host(outputs[::EVERY]), talker[::EVERY]
    own = np.broadcast_to(belongs[:, :, None], powers.shape)
    learned = unit(log_powers(_sums(powers, belongs, N)))
    reach = scaled_reach(UNLIKE_REACH, len(outputs)) // EVERY + 1
    about, whole = _unit(_window_sums(learned, reach)), _unit(learned.sum(0, keepdims=True))
    features = unit(log_powers(powers))
    fit = np.maximum((np.take_along_axis(about, own, axis=1) * features).sum(2), (whole[0][belongs] * features).sum(2))
    power = powers.sum(2)
    return float(power[fit < UNLIKE].sum() / max(float(power.sum()), float(np.finfo(np.float32).tiny)))


def _window_sums(values: np.ndarray, reach: int) -> np.ndarray:
    """For each bin the sum of the values (F, N, T) of the `reach` bins to either side, without its own."""
    F = len(values)
    cumulative = np.concatenate([np.zeros_like(values[:1], np.float64), np.cumsum(values, axis=0, dtype=np.float64)])
    low, high = np.maximum(np.arange(F) - reach, 0), np.minimum(np.arange(F) + reach + 1, F)
    return np.asarray(cumulative[high] - cumulative[low] - values)


def _unit(values: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.asarray(values / np.where(length > 0, length, 1))


def grouped(demixing: Array, talker: np.ndarray, N: int) -> Array:
    """(F, N, M): the rows of each talker's outputs, added up; demixing (F, M, M), talker (F, M)."""
    return _sums(demixing, talker, N)


def _sums(rows: Array, talker: np.ndarray, N: int) -> Array:
    """Rows (F, M, ...) added up by talker (F, M): (F, N, ...)."""
    backend = dispatch.of(rows)
    return backend.stack([backend.where((talker == i)[:, :, None], rows, 0).sum(1) for i in range(N)], 1)
