"""One order of the sources in all bins, of features that are tensors.

The search takes bin after bin, each seeing what those before it have become: there is nothing in it for many processors. Features
are few, at most some hundred frames of each bin, so `padded` brings them to the host once, as tensors there, and the compiled
search of NumPy's arrays works on their memory. Phases come along.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from bss.backends.cpu.arrays import in_parallel as in_parallel_on_host
from bss.backends.cpu.ordering import passes
from bss.backends.torch.arrays import host


def pooled(activity: Tensor, pool: int) -> Tensor:
    """Sums over so many frames at a time: (F, N, T) -> (F, N, ceil(T / pool))."""
    frames = activity.shape[2]
    filled = torch.nn.functional.pad(activity, (0, -frames % pool))
    return filled.view(*filled.shape[:2], -1, pool).sum(3)


def padded(v: Tensor) -> Tensor:
    """v (F, N, T) as the search reads it: on the host, float32, with zeros behind the last frame."""
    return torch.from_numpy(passes.padded(host(v)))


def phases_by_source(phases: Tensor) -> Tensor:
    """(F, N, P) -> (N, P, F) complex64 on the host."""
    return torch.from_numpy(passes.phases_by_source(host(phases)))


def grams(U: Tensor) -> Tensor:
    """U_f U_f^T of U (F, N, T) float32: (F, N, N)."""
    return torch.from_numpy(passes.grams(host(U)))


def join(U: Tensor, order: np.ndarray) -> None:
    """order (F, N), in place: neighbours of features U (F, N, T) joined to groups, level by level."""
    passes.join(host(U), order)


def ordering_pass(U: Tensor, G: Tensor, order: np.ndarray, fits: Tensor | None, reach: int, whole: float, phase: float) -> int:
    """Every bin put in the order that fits the bins up to `reach` away, all bins, and the phases; returns how many changed."""
    return passes.ordering_pass(host(U), host(G), order, None if fits is None else host(fits), reach, whole, phase)


def block_sums(U: Tensor, order: np.ndarray, edges: np.ndarray) -> Tensor:
    """(blocks, N, T): features in their order, added up over the bins of each block."""
    return torch.from_numpy(passes.block_sums(host(U), order, edges))


def coherence(U: Tensor, G: Tensor, order: np.ndarray, reach: int) -> float:
    """Mean over bins of the correlation of each, summed over the sources, with the bins up to `reach` away."""
    return passes.coherence(host(U), host(G), order, reach)


def phase_fits(
    phases: Tensor, loudness: Tensor | None, order: np.ndarray, edges: np.ndarray, *, n_lags: int, sharpness: float
) -> Tensor:
    """(blocks, N, N) how well what is in one place of a block has the phases of another, phases (N, P, F)."""
    heard = None if loudness is None else host(loudness)
    return torch.from_numpy(passes.phase_fits(host(phases), heard, order, edges, n_lags=n_lags, sharpness=sharpness))


def grouping_pass(
    V: Tensor, U: Tensor, first: Tensor, whole: Tensor | None, reach: int, first_weight: float, whole_weight: float
) -> np.ndarray:
    """(F, M) talkers that outputs belong to, by features V (F, M, T) of outputs, U and first (F, N, T) of talkers."""
    outputs, talkers, estimate = (np.ascontiguousarray(host(v)) for v in (V, U, first))
    about = None if whole is None else np.ascontiguousarray(host(whole))
    return passes.grouping_pass(outputs, talkers, estimate, about, reach, first_weight, whole_weight)


def in_parallel(jobs: list[Callable[[], np.ndarray]]) -> list[np.ndarray]:
    """What the jobs return: the search is the host's, and its threads are, too."""
    return in_parallel_on_host(jobs)
