"""The denoiser on a recording that arrives block by block: some frames are kept, however long it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bss.networks.denoiser.inference import DenoiserNetwork
from bss.networks.denoiser.wiener import WienerFilter
from bss.signals.resample import Resampling

ROLL_OFF = 0.92  # of half the rate: where the resampler begins to attenuate
# Share of the gain that the Wiener filter decides. It errs elsewhere than the network: in noise of 0 to 10 dB the mean of both
# has more SI-SDR than either (the model card has the numbers).
WIENER_SHARE = 0.3
TOP_HZ = (5500.0, 7500.0)  # what lies above the network's band gets the gain of this one


@dataclass(frozen=True)
class Model:
    """The network and the rate that it works at, in Hz."""

    network: DenoiserNetwork
    rate: int


class Denoising:
    """Samples in, samples out, at any rate: in all as many out as in, each in its place.

    The network's rate is 16 kHz. At other rates it gets the recording resampled, and what it changes there is brought to the rate
    of the recording and added to it: nothing else of the recording is filtered. What lies above 8 kHz (a recording at 48 kHz
    without what passed both conversions, so that nothing is counted twice or lost between the two) is scaled, moment by
    moment, by the gain of the band from 5.5 to 7.5 kHz. There noise and fricatives are about what they are above, and hiss
    that is let through above 8 kHz while it is removed below would be heard in every pause.

    Parameters
    ----------
    model : Model
    channels : int
        M; each is treated by itself.
    rate : int
        Hz.
    strength : float
        Share of the change that is made, 0 to 1.
    """

    def __init__(self, model: Model, channels: int, rate: int, strength: float) -> None:
        self.model, self.rate, self.strength = model, rate, np.float32(strength)
        self.stream = Stream(model, channels, known_hz=rate / 2)
        same = rate == model.rate
        self.down = None if same else Resampling(rate, model.rate, channels)
        self.up = None if same else Resampling(model.rate, rate, 2 * channels)
        self.pending_low = np.zeros((channels, 0), np.float32)  # at the network's rate, not yet answered by it
        self.pending: np.ndarray | None = None  # (M, k) at the recording's rate, in its dtype
        self.n_out = 0

    def push(self, x: np.ndarray) -> np.ndarray:
        """What x (M, k) completes: (M, j) of its dtype; j may be 0."""
        self.pending = x if self.pending is None else np.concatenate((self.pending, x), axis=1)
        low = np.asarray(x, np.float32) if self.down is None else self.down.push(x)
        self.pending_low = np.concatenate((self.pending_low, low), axis=1)
        return self._applied(*self._resampled(*self._change(self.stream.push(low))))

    def end(self) -> np.ndarray:
        """The rest."""
        if self.pending is None:
            return self.pending_low
        rest = self.pending_low[:, :0] if self.down is None else self.down.end()
        self.pending_low = np.concatenate((self.pending_low, rest), axis=1)
        quiet = np.concatenate((self.stream.push(rest), self.stream.end()), axis=1)
        change, below = self._resampled(*self._change(quiet))
        if self.up is not None:
            last = np.split(self.up.end(), 2)
            change, below = (np.concatenate(pair, axis=1) for pair in zip((change, below), last, strict=True))
        return self._applied(change, below)

    def _change(self, quiet: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the network changes of the samples that it was given, and these."""
        below, self.pending_low = np.split(self.pending_low, [quiet.shape[1]], axis=1)
        return quiet - below, below

    def _resampled(self, change: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both at the recording's rate."""
        if self.up is None:
            return change, below
        first, second = np.split(self.up.push(np.concatenate((change, below))), 2)
        return first, second

    def _applied(self, change: np.ndarray, below: np.ndarray) -> np.ndarray:
        """The samples that the change is known of, changed by as much as the strength says."""
        assert self.pending is not None  # there is a change only after samples
        x, self.pending = np.split(self.pending, [min(change.shape[1], self.pending.shape[1])], axis=1)
        change, below = change[:, : x.shape[1]], below[:, : x.shape[1]]  # conversion there and back may end a sample later
        if self.stream.keeps_top:
            change = change + (self.stream.top_gain(self.n_out, x.shape[1], self.rate) - 1) * (x - below)
        self.n_out += x.shape[1]
        return np.asarray(x + self.strength * change, x.dtype)


class Stream:
    """The same at the network's rate: output lags by a window and the frames that the network looks ahead.

    Parameters
    ----------
    model : Model
    channels : int
        M.
    known_hz : float
        Half the rate of the recording: above it there is nothing.
    wiener_share : float
        Share of the gain that the Wiener filter decides.
    """

    def __init__(
        self, model: Model, channels: int, *, known_hz: float = float("inf"), wiener_share: float = WIENER_SHARE
    ) -> None:
        net = self.net = model.network
        bins = np.arange(net.n_fft // 2 + 1)
        # bins that a low rate leaves empty are filled with lower ones: the network would take the recording for a voice so clean
        # that nothing is to be done anywhere
        edge = round(ROLL_OFF * known_hz * net.n_fft / model.rate) if known_hz < model.rate / 2 else len(bins)
        self.bins_read = np.where(bins < edge, bins, np.maximum(edge - 1 - (bins - edge) % max(1, 2 * edge // 3), 0))
        self.rate = model.rate
        self.window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(net.n_fft) / net.n_fft)).astype(np.float32)
        half = net.n_fft // 2
        square = np.zeros(-(-net.n_fft // net.hop) * net.hop)
        square[: net.n_fft] = self.window**2
        self.dual = (self.window / np.resize(square.reshape(-1, net.hop).sum(0), net.n_fft)).astype(np.float32)
        self.state = net.start(channels)
        self.share, self.wiener = np.float32(wiener_share), WienerFilter(channels, half + 1, model.rate / net.hop)
        self.wiener_gains = np.zeros((channels, 0, half + 1), np.float32)  # until those of the network are there
        self.samples = np.zeros((channels, half), np.float32)  # of frames that are not complete; the first is centred at 0
        self.frames = np.zeros((channels, 0, half + 1), np.complex64)  # until their gains are there
        self.overlap = np.zeros((channels, net.n_fft - net.hop), np.float32)
        self.skip = net.ahead  # gains before the first frame
        self.cut = half  # samples before sample 0
        self.n_in = self.n_out = 0
        self.band = slice(*(round(hz * net.n_fft / model.rate) for hz in TOP_HZ))
        self.keeps_top = known_hz > model.rate / 2  # whether the recording has anything above the network's band
        self.top, self.top_first = np.ones((channels, 0), np.float32), 0  # gains of that band, and the frame they begin at

    def push(self, x: np.ndarray) -> np.ndarray:
        """What x (B, k) completes: (B, j) samples; j may be 0."""
        self.n_in += x.shape[1]
        return self._processed(x)

    def end(self) -> np.ndarray:
        """The rest: in all as many samples out as in."""
        silence = np.zeros((len(self.samples), self.net.n_fft + (self.net.ahead + 1) * self.net.hop), np.float32)
        missing = self.n_in - self.n_out
        return self._processed(silence)[:, :missing]

    def top_gain(self, first: int, count: int, rate: int) -> np.ndarray:
        """Gain (B, count) of the highest band at samples of another rate, in order: what is before `first` is forgotten."""
        if not count:
            return np.ones((len(self.top), 0), np.float32)
        at = (first + np.arange(count)) * (self.rate / rate / self.net.hop) - self.top_first
        frames = np.arange(self.top.shape[1])
        gain = np.stack([np.interp(at, frames, own) for own in self.top]).astype(np.float32)
        passed = max(0, int(at[-1]) - 1)
        self.top, self.top_first = self.top[:, passed:], self.top_first + passed
        return gain

    def _processed(self, x: np.ndarray) -> np.ndarray:
        n_fft, hop = self.net.n_fft, self.net.hop
        held = np.concatenate((self.samples, np.asarray(x, np.float32)), axis=1)
        count = max(0, (held.shape[1] - n_fft) // hop + 1)
        self.samples = held[:, count * hop :]
        if not count:
            return held[:, :0]
        windows = np.lib.stride_tricks.sliding_window_view(held, n_fft, axis=1)[:, : (count - 1) * hop + 1 : hop]
        X = np.fft.rfft(windows * self.window, axis=2).astype(np.complex64)
        gains = self.net.gains(X[:, :, self.bins_read], self.state)[:, min(self.skip, count) :]
        self.skip -= min(self.skip, count)
        wiener = np.concatenate((self.wiener_gains, self.wiener.gains(X)), axis=1)
        wiener, self.wiener_gains = np.split(wiener, [gains.shape[1]], axis=1)
        gains = gains + self.share * (wiener - gains)
        ready, self.frames = np.split(np.concatenate((self.frames, X), axis=1), [gains.shape[1]], axis=1)
        if self.keeps_top:
            self.top = np.concatenate((self.top, _gain(ready[:, :, self.band], gains[:, :, self.band])), axis=1)
        return self._overlap_added(np.fft.irfft(ready * gains, axis=2).astype(np.float32) * self.dual)

    def _overlap_added(self, frames: np.ndarray) -> np.ndarray:
        """Overlap-add of frames (B, T, n_fft) behind those before."""
        hop = self.net.hop
        B, T, n_fft = frames.shape
        total = np.zeros((B, T * hop + n_fft - hop), np.float32)
        total[:, : n_fft - hop] = self.overlap
        for t in range(T):
            total[:, t * hop : t * hop + n_fft] += frames[:, t]
        self.overlap = total[:, T * hop :]
        done = total[:, : T * hop]
        cut = min(self.cut, done.shape[1])
        self.cut -= cut
        self.n_out += done.shape[1] - cut
        return done[:, cut:]


def _gain(X: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Root of what is left of the power of a band in each frame, (B, T) of (B, T, bins); 1 of silence."""
    power, left = np.abs(X) ** 2, np.abs(gains * X) ** 2
    tiny = np.finfo(np.float32).tiny
    return np.asarray(np.sqrt((left.sum(2) + tiny) / (power.sum(2) + tiny)), np.float32)
