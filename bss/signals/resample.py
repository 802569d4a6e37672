"""Conversion of the sample rate."""

from __future__ import annotations

import numpy as np

from bss.checks import check_rate


def resampled_length(n: int, rate: int, new_rate: int) -> int:
    """Samples at `new_rate` that cover `n` samples at `rate`."""
    return -(-n * new_rate // rate)


def resample(x: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Audio at another rate, with sample 0 at the same instant.

    Band-limited by libsoxr at its high quality setting. Samples that are not finite stay where they are, and spoil no others.

    Parameters
    ----------
    x : (M, n) float32
    rate, new_rate : int
        Hz.

    Returns
    -------
    (M, ceil(n * new_rate / rate)) float32

    Raises
    ------
    UsageError
        A rate below 1 Hz.

    References
    ----------
    R. Sykes, "The SoX Resampler library", https://sourceforge.net/projects/soxr

    Examples
    --------
    >>> x = np.zeros((2, 48000), np.float32)
    >>> resample(x, 48000, 16000).shape
    (2, 16000)
    """
    check_rate(rate, low=1)
    check_rate(new_rate, name="new_rate", low=1)
    if rate == new_rate:
        return np.array(x)
    import soxr

    bad = ~np.isfinite(x)
    clean = np.where(bad, np.float32(0), x) if bad.any() else x
    y = np.zeros((len(x), resampled_length(x.shape[1], rate, new_rate)), np.float32)
    for channel, samples in zip(y, clean, strict=True):
        converted = soxr.resample(samples, rate, new_rate, quality="HQ")[: y.shape[1]]  # may end a sample early or late
        channel[: len(converted)] = converted
    for channel, at in zip(*np.nonzero(bad), strict=True):
        y[channel, at * new_rate // rate] = x[channel, at]
    return y


class Resampling:
    """`resample` block by block: blocks in, blocks out, together the same samples, whatever the blocks are.

    Parameters
    ----------
    rate, new_rate : int
        Hz.
    channels : int
        M.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(2, 48000)).astype(np.float32)
    >>> stream = Resampling(48000, 16000, 2)
    >>> parts = [*(stream.push(x[:, first : first + 1000]) for first in range(0, 48000, 1000)), stream.end()]
    >>> np.allclose(np.concatenate(parts, axis=1), resample(x, 48000, 16000), atol=1e-6)
    True
    """

    def __init__(self, rate: int, new_rate: int, channels: int) -> None:
        import soxr

        self._stream = soxr.ResampleStream(rate, new_rate, channels, dtype="float32", quality="HQ")
        self._channels = channels
        self._ratio = (rate, new_rate)
        self._came = self._went = 0
        self._bad: list[tuple[np.ndarray, ...]] = []  # channels, places after conversion, and values of what is not finite

    def push(self, x: np.ndarray) -> np.ndarray:
        """What can be said after x (M, k): (M, j) float32, j being 0 at times."""
        rate, new_rate = self._ratio
        bad = ~np.isfinite(x)
        if bad.any():
            channels, at = np.nonzero(bad)
            self._bad.append((channels, (self._came + at) * new_rate // rate, x[bad]))
            x = np.where(bad, np.float32(0), x)
        self._came += x.shape[1]
        return self._spoiled(self._converted(x, last=False))

    def end(self) -> np.ndarray:
        """The rest: `resampled_length` samples in all."""
        missing = max(0, resampled_length(self._came, *self._ratio) - self._went)
        rest = self._converted(np.zeros((self._channels, 0), np.float32), last=True)[:, :missing]
        return self._spoiled(np.pad(rest, ((0, 0), (0, missing - rest.shape[1]))))

    def _converted(self, x: np.ndarray, *, last: bool) -> np.ndarray:
        y = self._stream.resample_chunk(np.ascontiguousarray(x.T, dtype=np.float32), last=last)  # soxr takes (k, M)
        converted: np.ndarray = np.asarray(y).reshape(-1, self._channels).T
        return converted

    def _spoiled(self, y: np.ndarray) -> np.ndarray:
        """y (M, k), the next samples, with those in it that are not finite."""
        first, self._went = self._went, self._went + y.shape[1]
        waiting = []
        for bad in self._bad:
            channels, places, values = bad
            now = places < self._went
            y[channels[now], places[now] - first] = values[now]
            if not now.all():
                waiting.append(tuple(entry[~now] for entry in bad))
        self._bad = waiting
        return y
