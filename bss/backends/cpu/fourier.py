"""Windowed Fourier transforms of frames, block by block."""

from __future__ import annotations

import numpy as np

BLOCK_BYTES = 1 << 23


def precision(x: np.ndarray) -> np.dtype[np.generic]:
    """NumPy's name for the type of the elements."""
    return x.dtype


def stft(x: np.ndarray, window: np.ndarray, hop: int, lead: int, n_frames: int) -> np.ndarray:
    """(F, M, T) spectra of frames of x (M, n), the first of which begins `lead` zeros before sample 0."""
    from scipy.fft import rfft

    (m, n), n_fft = x.shape, len(window)
    padded = np.zeros((m, n_fft + (n_frames - 1) * hop), x.dtype)
    padded[:, lead : lead + n] = x
    view = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=1)[:, ::hop]
    window = window.astype(x.dtype)
    X = np.empty((n_fft // 2 + 1, m, n_frames), np.result_type(x.dtype, np.complex64))
    for t in _blocks(m * n_fft * x.itemsize, n_frames):
        X[:, :, t] = rfft(view[:, t] * window, axis=2).transpose(2, 0, 1)
    return X


def istft(Y: np.ndarray, window: np.ndarray, hop: int) -> np.ndarray:
    """(N, n_fft + (T - 1) hop) of Y (F, N, T): frames times the window, overlapped and added."""
    from scipy.fft import irfft

    (_, sources, n_frames), n_fft = Y.shape, len(window)
    y = np.zeros((sources, n_fft + (n_frames - 1) * hop), Y.real.dtype)
    window = window.astype(y.dtype)
    for t in _blocks(sources * n_fft * y.itemsize, n_frames):
        block = irfft(Y[:, :, t].transpose(1, 2, 0), n=n_fft, axis=2) * window
        for i in range(block.shape[1]):
            start = (t.start + i) * hop
            y[:, start : start + n_fft] += block[:, i]
    return y


def _blocks(frame_bytes: int, n_frames: int) -> list[slice]:
    step = max(1, BLOCK_BYTES // frame_bytes)
    return [slice(t, min(t + step, n_frames)) for t in range(0, n_frames, step)]
