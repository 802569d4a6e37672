"""Spectra of any span of a recording that is read in pieces: the frames are those of the whole, so that spans fit together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bss.backends import dispatch
from bss.backends.cpu import threads
from bss.signals.files.blocks import Blocks
from bss.signals.stft import Stft


@dataclass(frozen=True)
class Span:
    """Samples [start, stop) of a recording, and the frames of an STFT that depend on them.

    Attributes
    ----------
    start, stop : int
        Samples.
    x : np.ndarray
        (M, stop - start) the samples.
    stft : Stft
        Its frame t begins at sample t hop - lead.
    X : np.ndarray
        (F, M, T) spectra of these frames.
    """

    start: int
    stop: int
    x: np.ndarray = field(repr=False)
    stft: Stft
    X: np.ndarray = field(repr=False)

    def signals(self, Y: np.ndarray) -> np.ndarray:
        """(N, stop - start) float32 signals of spectra Y (F, N, T) in these frames."""
        first = self.start // self.stft.hop * self.stft.hop - self.stft.lead
        out = np.empty((Y.shape[1], self.stop - self.start), np.float32)
        fourier = dispatch.fourier_of(Y)

        def work(begin: int, step: int) -> None:
            for n in range(begin, len(out), step):
                y = fourier.istft(Y[:, n : n + 1], self.stft.dual, self.stft.hop)
                out[n] = y[0, self.start - first : self.stop - first]

        threads.run(work)
        return out

    def inside(self, y: np.ndarray) -> tuple[slice, np.ndarray]:
        """The frames that lie within the span, and the spectra (F, N, T') of signals y (N, stop - start) in them."""
        stft, t0 = self.stft, self.start // self.stft.hop
        first = -(-(self.start + stft.lead) // stft.hop)
        last = (self.stop - stft.hop) // stft.hop
        count = max(0, last - first + 1)
        if not count:
            return slice(0, 0), np.empty((stft.n_bins, len(y), 0), np.complex64)
        begin = first * stft.hop - stft.lead - self.start
        part = y[:, begin : begin + stft.n_fft + (count - 1) * stft.hop]
        return slice(first - t0, first - t0 + count), _stft(part, stft, count)


def span_of(blocks: Blocks, stft: Stft, start: int, stop: int) -> Span:
    """Samples [start, stop) and their spectra; what is before and after the recording is zero."""
    first, last = start // stft.hop, (stop - 1 + stft.lead) // stft.hop
    begin = first * stft.hop - stft.lead
    x = padded(blocks, begin, last * stft.hop + stft.hop)
    return Span(start, stop, x[:, start - begin : stop - begin], stft, _stft(x, stft, last - first + 1))


def padded(blocks: Blocks, start: int, stop: int) -> np.ndarray:
    """(M, stop - start) float32 samples, zeros outside the recording."""
    inside = max(0, start), min(max(stop, 0), blocks.n)
    x = blocks.read(*inside) if inside[1] > inside[0] else np.zeros((blocks.n_mics, 0), np.float32)
    before, after = inside[0] - start, stop - inside[1]
    return np.ascontiguousarray(np.pad(x, ((0, 0), (before, after))) if before or after else x)


def _stft(x: np.ndarray, stft: Stft, count: int) -> np.ndarray:
    """(F, M, count) spectra of frames of x (M, n), the first of which begins with it."""
    X = np.empty((stft.n_bins, len(x), count), np.complex64)
    fourier = dispatch.fourier_of(x)

    def work(begin: int, step: int) -> None:
        for m in range(begin, len(x), step):
            X[:, m] = fourier.stft(x[m : m + 1], stft.window, stft.hop, 0, count)[:, 0]

    threads.run(work)
    return X
