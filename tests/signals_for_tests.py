"""Synthetic talkers and rooms, and how far a separation is from them: what the tests of solvers and delays share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.signal

from bss.solvers.demixing import updates

RATE = 16_000
# An update and a precision are kernels of their own, and compiling them is most of what a test takes. Recordings are in single
# precision; in double, where the algebra of a bin is the same code, ISS stands for the other updates.
UPDATES_AND_TYPES = [*((name, np.complex64) for name in updates.NAMES), ("iss", np.complex128)]
every_update_and_type = pytest.mark.parametrize(("update", "dtype"), UPDATES_AND_TYPES)


def voices(n_sources: int, n: int, seed: int = 0) -> np.ndarray:
    """(N, n) voice-like signals of unit power: coloured, heavy-tailed, and loud and quiet by turns (syllables of 80 ms)."""
    rng = np.random.default_rng(seed)
    signals = []
    for _ in range(n_sources):
        pitch = np.exp(1j * 2 * np.pi * rng.uniform(200, 900) / RATE)  # a formant: one resonance
        noise = scipy.signal.lfilter([1.0], np.poly([0.97 * pitch, 0.97 * pitch.conj()]).real, rng.laplace(size=n))
        noise += 0.1 * noise.std() * rng.laplace(size=n)
        syllable = 1280
        loudness = np.repeat(rng.gamma(0.5, size=n // syllable + 2), syllable)
        envelope = np.convolve(loudness, np.hanning(syllable) / (syllable / 2), "valid")[:n]
        signals.append(noise * envelope / (noise * envelope).std())
    return np.stack(signals)


def room(n_mics: int, n_sources: int, seed: int = 0, taps: int = 400, decay: float = 80.0) -> np.ndarray:
    """(M, N, taps) impulse responses: a direct path of a few samples' delay, then a tail that decays exponentially."""
    rng = np.random.default_rng(seed + 1)
    h = 0.25 * rng.standard_normal((n_mics, n_sources, taps)) * np.exp(-np.arange(taps) / decay)
    for m in range(n_mics):
        for k in range(n_sources):
            onset = rng.integers(0, 12)
            h[m, k, :onset] = 0
            h[m, k, onset] = 1.0
    return h


def images(h: np.ndarray, s: np.ndarray) -> np.ndarray:
    """(N, M, n): source n as microphone m hears it. Their sum over sources is the recording."""
    return np.stack([[np.convolve(h[m, k], s[k])[: s.shape[1]] for m in range(len(h))] for k in range(len(s))])


def spectra(n_bins: int, n_sources: int, n_frames: int, seed: int = 0, components: int = 1) -> np.ndarray:
    """(F, N, T) complex sources of unit power in every bin, whose bins are loud together: variances of rank `components`.

    No source is ever quite silent: where one is, the likelihood of the Gauss contrasts grows without bound.
    """
    rng = np.random.default_rng(seed)
    basis = rng.gamma(0.5, size=(n_sources, n_bins, components)) + 0.05
    activation = rng.gamma(0.3, size=(n_sources, components, n_frames)) + 0.02
    S = complex_normal(rng, n_bins, n_sources, n_frames) * np.sqrt((basis @ activation).swapaxes(0, 1))
    return S / np.sqrt(np.mean(np.abs(S) ** 2, axis=2, keepdims=True))


def complex_normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Independent complex Gaussian numbers of unit power."""
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def mixing_matrices(n_bins: int, n_mics: int, n_sources: int, seed: int = 0) -> np.ndarray:
    """(F, M, N) random matrices, none of them close to singular."""
    rng = np.random.default_rng(seed + 1)
    A = complex_normal(rng, n_bins, n_mics, n_sources)
    U, _, V = np.linalg.svd(A, full_matrices=False)
    return (U * rng.uniform(1, 3, (n_bins, 1, n_sources))) @ V


def convolutive(n_mics: int, n_sources: int, dtype: Any, seed: int = 0, n_frames: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """An easy recording X (F, M, T), and A (F, M, M) of which the first N columns are the talkers, the others 26 dB weaker."""
    n_bins = 33
    A = np.eye(n_mics) + 0.6 * complex_normal(np.random.default_rng(seed + 1), n_bins, n_mics, n_mics)
    A[:, :, n_sources:] *= 0.05
    return (A @ spectra(n_bins, n_mics, n_frames, seed)).astype(dtype), A


def independent(kind: str, count: int = 3, n: int = 20_000) -> np.ndarray:
    """(N, n) sources without memory, of unit power: heavy-tailed, light-tailed, or by turns; or voices."""
    if kind == "voices":
        return voices(count, n, seed=4)
    rng = np.random.default_rng(5)
    heavy, light = (
        rng.laplace(size=(count, n)),
        np.stack([rng.uniform(-1, 1, n), rng.choice([-1.0, 1.0], n), np.sin(np.arange(n))]),
    )
    s = {"super": heavy, "sub": light[:count], "mixed": np.vstack([heavy[:1], light[: count - 1]])}[kind]
    s -= s.mean(1, keepdims=True)
    return np.asarray(s / s.std(1, keepdims=True))


def mixing_matrix(n_mics: int, n_sources: int, condition: float = 3.0) -> np.ndarray:
    """(M, N) of that condition number."""
    U, _, V = np.linalg.svd(np.random.default_rng(8).standard_normal((n_mics, n_sources)), full_matrices=False)
    return np.asarray((U * np.geomspace(1, 1 / condition, n_sources)) @ V)


def interference_db(G: np.ndarray) -> float:
    """Worst interference-to-signal ratio of G = demixing @ mixing, (N, N') or (F, N, N'), one assignment for all bins, in dB.

    Sources have unit power. An order that changes from bin to bin counts as interference; scales and signs do not.
    """
    P = np.abs(G if G.ndim == 3 else G[None]) ** 2
    share = (P / P.sum(2, keepdims=True)).mean(0)
    rows, columns = scipy.optimize.linear_sum_assignment(share, maximize=True)
    own = share[rows, columns]
    return float(10 * np.log10(np.max((1 - own) / own) + 1e-300))
