"""A separation made again with a model of each talker: windows as long as the hall, and variances that somebody tells."""

from __future__ import annotations

import numpy as np

from bss.signals.stft import Stft, nearest_size
from bss.solvers import scaling, updates
from bss.solvers.contrasts import Known
from bss.solvers.mm import majorise_minimise

WINDOW_SECONDS = 1.0
FEWEST_FRAMES = 64
ITERATIONS = 3


def refine(mixture: np.ndarray, rate: int, tracks: np.ndarray, alone: np.ndarray, *, reference: int = 0) -> np.ndarray:
    """Tracks (N, n) at a microphone, separated once more from the recording (M, n), talker k being about as `alone` (N, n) is.

    With variances that are nearly right, longer windows do not suffer from how few they are as a blind separation does: in
    rooms with much echo the demixing gets better the longer they are.
    """
    n = mixture.shape[1]
    n_fft = nearest_size(WINDOW_SECONDS * rate)
    while n_fft > 64 and Stft(n_fft, n_fft // 8).n_frames(n) < FEWEST_FRAMES:
        n_fft //= 2
    stft = Stft(n_fft, n_fft // 8)
    X = stft.forward(mixture)
    V = np.abs(stft.forward(alone)) ** 2
    start = demixing_of(X, stft.forward(tracks))
    separation = majorise_minimise(X, Known(V), updates.IP, n_sources=len(tracks), n_iter=ITERATIONS, tol=0.0, start=start)
    back = scaling.projection_back(separation, X, reference_mic=reference)
    return stft.inverse(back.sources, n)


def demixing_of(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """W (F, N, M) that comes nearest to Y (F, N, T) from X (F, M, T)."""
    C = X @ X.conj().swapaxes(1, 2)
    load = 1e-6 * np.trace(C, axis1=1, axis2=2).real + np.finfo(np.float32).tiny
    C += load[:, None, None].astype(C.dtype) * np.eye(C.shape[1], dtype=C.dtype)
    return np.asarray(np.linalg.solve(C, X @ Y.conj().swapaxes(1, 2)).conj().swapaxes(1, 2))
