"""What the pictures of a report show, measured in one pass over the tracks, in blocks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.fft import rfft

from bss.report.graphics.shared import Shared, SharedSound

Array = npt.NDArray[np.floating]

FRAME_SECONDS = 0.032
COLUMNS_PER_SECOND, FEWEST_COLUMNS, MOST_COLUMNS = 40, 200, 3000  # of a spectrogram
ROWS = 128
TINY = 1e-20


@dataclass(frozen=True)
class Measured:
    """Of N tracks, what the pictures show.

    Attributes
    ----------
    peaks : (N, P)
        Greatest magnitude in each of P equal parts of the time.
    levels : (N, L)
        Mean power in each of L equal parts.
    spectrogram : (N, R, C)
        Mean power at R frequencies, the lowest first, in C equal parts of the time.
    frequencies : (R,)
        Hz, of the rows, equally far apart on the mel scale.
    shared : Shared or None
        What pairs of talkers' tracks have in common, when and where; None for fewer than two talkers.
    """

    peaks: Array
    levels: Array
    spectrogram: Array
    frequencies: Array
    shared: Shared | None

    @property
    def peak(self) -> float:
        """The greatest magnitude of all tracks."""
        return float(self.peaks.max())


def measure(blocks: Iterable[np.ndarray], n_tracks: int, n: int, rate: int, talkers: list[int]) -> Measured:
    """Measure tracks in blocks (N, k), n samples together; `talkers` are the indices of tracks that should share no sound."""
    seconds = n / rate
    peaks = _Parts(n_tracks, n, min(n, max(400, min(8000, round(50 * seconds)))))
    levels = _Parts(n_tracks, n, min(n, max(20, min(600, round(2 * seconds)))))
    spectra = _Spectra(n_tracks, n, rate, talkers)
    for block in blocks:
        peaks.greatest(np.abs(block))
        levels.add(np.square(block, dtype=np.float64))
        spectra.add(block)
    spectrogram = spectra.finished()
    return Measured(peaks.values, levels.means(), spectrogram, spectra.frequencies, spectra.shared.finished())


class _Parts:
    """Numbers for equal parts of the time, from values (N, k) that come in blocks."""

    def __init__(self, n_tracks: int, n: int, parts: int) -> None:
        self._first = -(-np.arange(parts + 1) * n // parts)  # the first sample of each part
        self.values = np.zeros((n_tracks, parts))
        self._came = 0

    def greatest(self, values: Array) -> None:
        at, cuts = self._next(values.shape[1])
        self.values[:, at] = np.maximum(self.values[:, at], np.maximum.reduceat(values, cuts, axis=1))

    def add(self, values: Array) -> None:
        at, cuts = self._next(values.shape[1])
        self.values[:, at] += np.add.reduceat(values, cuts, axis=1)

    def means(self) -> Array:
        return self.values / np.diff(self._first)

    def _next(self, k: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """The parts that the next k samples are in, and where in these samples each begins."""
        start, self._came = self._came, self._came + k
        low = int(np.searchsorted(self._first, start, "right")) - 1
        high = int(np.searchsorted(self._first, self._came, "left"))
        return np.arange(low, high), np.maximum(self._first[low:high] - start, 0)


class _Spectra:
    """Spectrograms of N tracks, and what the talkers' spectra share."""

    def __init__(self, n_tracks: int, n: int, rate: int, talkers: list[int]) -> None:
        self.size = 1 << max(5, round(np.log2(FRAME_SECONDS * rate)))
        self.hop = self.size // 2
        self._frames = -(-n // self.hop)
        columns = min(MOST_COLUMNS, max(FEWEST_COLUMNS, round(COLUMNS_PER_SECOND * n / rate)), self._frames)
        self.frequencies, self._rows = mel_rows(self.size, rate)
        self._columns = _Parts(n_tracks * ROWS, self._frames, columns)
        self._window = np.hanning(self.size).astype(np.float32)
        self._held = np.zeros((n_tracks, self.size - self.hop), np.float32)  # so that frame t is centred at t * hop
        self._done, self._talkers = 0, talkers
        self.shared = SharedSound(len(talkers), rate, self.size, self.hop)

    def add(self, block: np.ndarray) -> None:
        """The next samples (N, k)."""
        x = np.concatenate([self._held, block], axis=1)
        frames = min(max(0, (x.shape[1] - self.size) // self.hop + 1), self._frames - self._done)
        self._held = x[:, frames * self.hop :]
        if frames == 0:
            return
        cut = np.lib.stride_tricks.sliding_window_view(x, self.size, axis=1)[:, : frames * self.hop : self.hop]
        for first in range(0, frames, 256):  # what is windowed is a copy
            spectra = rfft(cut[:, first : first + 256] * self._window, axis=2)  # (N, T, F)
            power = np.square(spectra.real) + np.square(spectra.imag)
            rows = np.swapaxes(power @ self._rows.T, 1, 2)  # (N, R, T)
            self._columns.add(rows.reshape(-1, rows.shape[2]))
            self.shared.add(spectra[self._talkers])
        self._done += frames

    def finished(self) -> Array:
        """(N, R, C) mean powers."""
        while self._done < self._frames:
            self.add(np.zeros((len(self._held), self.hop), np.float32))
        return self._columns.means().reshape(len(self._held), ROWS, -1)


def mel_rows(size: int, rate: int) -> tuple[Array, Array]:
    """Frequencies (R,) in Hz, and weights (R, F) of the bins of spectra: triangles that are at least two bins wide."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, ROWS + 2) / 2595) - 1)
    bins = np.arange(size // 2 + 1) * rate / size
    centre = edges[1:-1, None]
    below = np.maximum(centre - edges[:-2, None], rate / size)
    above = np.maximum(edges[2:, None] - centre, rate / size)
    weights = np.clip(np.minimum(1 + (bins - centre) / below, 1 - (bins - centre) / above), 0, None)
    return edges[1:-1], (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def decibels(power: Array, reference: float = 1.0) -> Array:
    """Powers in dB of a reference power."""
    return 10 * np.log10(np.maximum(power, TINY) / max(reference, TINY))
