"""A further separation with known variances of the talkers, with longer windows and few iterations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from bss.pipeline import devices
from bss.pipeline.filters.models import Demixing
from bss.signals.stft import Stft, nearest_size
from bss.signals.windows import fit_n_fft
from bss.solvers import scaling, updates
from bss.solvers.contrasts import Known
from bss.solvers.mm import majorise_minimise

WINDOW_SECONDS, OVERLAP = 1.0, 8
FEWEST_FRAMES = 64
ITERATIONS = 3


@dataclass(frozen=True)
class Refined:
    """Tracks (N, n) at a microphone, and their demixing."""

    tracks: np.ndarray
    demixing: Demixing
    stft: Stft


def refine(
    mixture: np.ndarray, rate: int, tracks: np.ndarray, estimates: np.ndarray, *, reference: int = 0, device: str = devices.CPU
) -> Refined:
    """Separate a recording (M, n) again, starting from tracks (N, n), with the variances of better estimates (N, n).

    A blind separation suffers from the small number of long windows. With variances that are nearly right it does not: in rooms
    with much echo the demixing improves with their length.
    """
    n = mixture.shape[1]
    n_fft = fit_n_fft(n, nearest_size(WINDOW_SECONDS * rate), FEWEST_FRAMES, overlap=OVERLAP)
    stft = Stft(n_fft, n_fft // OVERLAP)
    X = stft.forward(mixture)
    V = np.abs(stft.forward(estimates)) ** 2
    start = demixing_of(X, stft.forward(tracks))
    solver = partial(
        majorise_minimise, contrast=Known(V), update=updates.IP, n_sources=len(tracks), n_iter=ITERATIONS, tol=0.0, start=start
    )
    separation = devices.solve(device, X, solver)
    back = scaling.projection_back(separation, X, reference_mic=reference)
    return Refined(stft.inverse(back.sources, n), Demixing(back.demixing, back.mixing), stft)


def demixing_of(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """W (F, N, M) that minimises |Y - W X|, for Y (F, N, T) and X (F, M, T)."""
    C = X @ X.conj().swapaxes(1, 2)
    load = 1e-6 * np.trace(C, axis1=1, axis2=2).real + np.finfo(np.float32).tiny
    C += load[:, None, None].astype(C.dtype) * np.eye(C.shape[1], dtype=C.dtype)
    return np.asarray(np.linalg.solve(C, X @ Y.conj().swapaxes(1, 2)).conj().swapaxes(1, 2))
