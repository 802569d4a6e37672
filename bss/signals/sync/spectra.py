"""Cross-spectra of two microphones over time, along a clock: all that synchronisation measures, it measures on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bss.signals.stft import nearest_size
from bss.signals.sync.applying import extent
from bss.signals.sync.clocks.clock import Clock

FRAME_SECONDS = 0.256  # jumps and delays of up to a third of it are seen in one look
FRAMES = 4  # of a block, in which a clock is taken to stand still
LOW, HIGH = 100.0, 7500.0  # Hz
COMPRESSION = 0.8  # of the cross-spectrum's magnitude that is divided out: what is loud counts for more, but not alone
MOST_BLOCKS = 1500  # of a recording; if it has more, every second, third ... is measured
FINE = 8  # steps of a correlation per sample
CHUNK = 64  # frames


@dataclass(frozen=True)
class Blocks:
    """Cross-spectra of a microphone with the reference.

    Attributes
    ----------
    C : np.ndarray
        (K, F) complex64, microphone times conjugate of the reference: a lag of s seconds is a phase of -2 pi f s.
    hz : np.ndarray
        (F,) frequencies; those outside LOW to HIGH are zero in C.
    seconds : np.ndarray
        (K,) middle of each block, in the time of the reference.
    step : float
        Seconds from one block to the next.
    """

    C: np.ndarray
    hz: np.ndarray
    seconds: np.ndarray
    step: float

    @property
    def lag_step(self) -> float:
        """Seconds of one step of `correlation`."""
        return float(1.0 / (self.size * self.hz[1]))

    @property
    def size(self) -> int:
        """Length of `correlation`."""
        return int(FINE * 2 ** np.ceil(np.log2(2 * (len(self.hz) - 1))))

    def correlation(self, cross: np.ndarray) -> np.ndarray:
        """Cross-spectra (..., F) as correlations over lags, circular, of a sum of 1 per unit of magnitude."""
        from scipy.fft import irfft

        return np.asarray(irfft(cross, n=self.size, axis=-1) * np.float32(self.size / 2))

    def turned(self, lags: np.ndarray) -> Blocks:
        """The same as if lags (K,) in seconds had been taken out."""
        turn = np.empty_like(self.C)
        for k in range(0, len(turn), CHUNK):
            part = slice(k, k + CHUNK)
            turn[part] = self.C[part] * np.exp(2j * np.pi * np.outer(lags[part], self.hz))
        return replace(self, C=turn)

    def part(self, which: slice) -> Blocks:
        """Some of the blocks."""
        return replace(self, C=self.C[which], seconds=self.seconds[which])


class Reader:
    """Windowed spectra of one channel, its frames being read where they are asked for."""

    def __init__(self, x: np.ndarray, rate: int) -> None:
        self.x, self.rate = x, rate
        self.n_fft = 2 * (nearest_size(FRAME_SECONDS * rate) // 2)
        self.window = np.hanning(self.n_fft + 1)[:-1].astype(np.float32)
        self.bins = min(int(HIGH * self.n_fft / rate), self.n_fft // 2) + 1
        self.low = int(np.ceil(LOW * self.n_fft / rate))
        self.hz = np.arange(self.bins) * (rate / self.n_fft)

    def extent(self) -> tuple[int, int]:
        """The samples from the first to the last that is not zero."""
        return extent(self.x)

    def frames(self, first: np.ndarray) -> np.ndarray:
        """(T, n_fft) samples of the frames that begin at these, all of which are inside the recording."""
        return np.asarray(np.lib.stride_tricks.sliding_window_view(self.x, self.n_fft)[first])

    def at(self, first: np.ndarray) -> np.ndarray:
        """(T, F) spectra of the frames that begin at these samples; zero where they are not inside the recording."""
        from scipy.fft import rfft

        n = self.x.shape[0]
        inside = (first >= 0) & (first + self.n_fft <= n)
        X: np.ndarray = rfft(self.frames(np.where(inside, first, 0)) * self.window, axis=1)[:, : self.bins]
        X[~inside] = 0
        X[:, : self.low] = 0
        return X


def measure(reference: Reader, mic: Reader, clock: Clock, span: tuple[float, float]) -> Blocks:
    """Cross-spectra in a span (seconds of the reference), the frames of the microphone being taken where its clock says."""
    rate, hop = reference.rate, reference.n_fft // 2
    frames = max(0, (round(span[1] * rate) - round(span[0] * rate)) // hop - 1)
    every = max(1, -(-frames // (FRAMES * MOST_BLOCKS)))
    blocks = (frames // FRAMES + every - 1) // every
    C = np.zeros((blocks, reference.bins), np.complex64)
    numbers = (FRAMES * every * np.arange(blocks)[:, None] + np.arange(FRAMES)).reshape(-1)
    first = round(span[0] * rate) + hop * numbers
    seconds = (first + hop) / rate
    for group in _groups(blocks):
        part = slice(group.start * FRAMES, group.stop * FRAMES)
        lags = clock.at(seconds[part])
        shift = np.rint(lags * rate).astype(np.int64)
        cross = mic.at(first[part] + shift) * reference.at(first[part]).conj()
        rest = lags - shift / rate
        if rest.any():
            cross *= np.exp(2j * np.pi * np.outer(rest, reference.hz)).astype(np.complex64)
        cross = _compressed(cross)
        C[group] = cross.reshape(group.stop - group.start, FRAMES, -1).sum(1)
    middle = seconds.reshape(blocks, FRAMES).mean(1) if blocks else np.zeros(0)
    return Blocks(C, reference.hz, middle, every * FRAMES * hop / rate)


def _groups(blocks: int) -> Iterator[slice]:
    step = CHUNK // FRAMES
    return (slice(k, min(k + step, blocks)) for k in range(0, blocks, step))


def _compressed(cross: np.ndarray) -> np.ndarray:
    magnitude = np.abs(cross)
    return np.asarray(cross * np.maximum(magnitude, np.float32(1e-18)) ** np.float32(-COMPRESSION))
