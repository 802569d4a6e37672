"""Measurements that reveal faulty channels: level, DC, NaN, clipping, copies. Block by block, in float64.

Only measurements: what they mean for a separation, and the messages to the user, are in `bss.pipeline`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bss.signals import gcc_phat

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Samples = npt.NDArray[np.floating]

BLOCK = 1 << 16
GRIDS = (2.0**-7, 2.0**-15)  # 8 and 16 bit samples; the steps of finer ones are below any microphone's own noise
FLAT = 5e-4  # of half the range: samples this close to an extreme count as being at it
SHOULDER = 0.02  # of half the range: the zone just below an extreme
SHOULDER_STEPS = 8  # the zone spans at least this many quantisation steps
PILED_UP = 0.5  # samples in flat runs per sample in the zone below; at most 0.2 in a smooth wave, 1 and more in a clipped one
LEAST_FLAT = 6  # samples; a single rounded peak is not clipping
SHORTEST = 64  # samples; fewer may match at some lag by chance
ALIKE = 0.5  # correlation of first differences; nearly 1 for a copy, apart from rounding and the ends of the block


@dataclass(frozen=True)
class Moments:
    """Statistics of the finite samples of a recording, from one pass over it; `covariance` is about the mean.

    `step` is the quantisation step of a channel whose samples all lie on a grid of 8 or 16 bits, else 0.
    `loudest` is the first sample of the block with the most power.
    """

    n_nan: Counts  # (M,)
    n_inf: Counts  # (M,)
    first_bad: Counts  # (M,), -1 where all samples are finite
    low: Array  # (M,)
    high: Array  # (M,)
    mean: Array  # (M,)
    covariance: Array  # (M, M)
    step: Array  # (M,)
    loudest: int

    @property
    def peak(self) -> Array:
        """Largest magnitude, (M,)."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    @property
    def rms(self) -> Array:
        """RMS about the mean, (M,); exactly 0 for a constant channel."""
        return np.where(self.low == self.high, 0.0, np.sqrt(np.diagonal(self.covariance)))


def measure(x: Samples) -> Moments:
    """The moments of a recording, in one pass that keeps only a block of it in memory.

    Parameters
    ----------
    x : (M, n) float
        Recording; may contain NaN and inf.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[0.5, 0.0, 0.5, 0.0], [0.25, 0.25, np.nan, 0.25]], dtype=np.float32)
    >>> moments = measure(x)
    >>> moments.mean.tolist(), moments.rms.tolist(), moments.first_bad.tolist()
    ([0.25, 0.25], [0.25, 0.0], [-1, 2])
    """
    n_channels, n = x.shape
    tally = _Tally(n_channels)
    for start, stop in _spans(n):
        tally.add(_block(x, start, stop), start)
    return tally.moments(n)


class _Tally:
    """Running sums of `measure`."""

    def __init__(self, n_channels: int) -> None:
        m = n_channels
        self.n_nan, self.n_inf = np.zeros(m, np.int64), np.zeros(m, np.int64)
        self.first_bad = np.full(m, -1, np.int64)
        self.low, self.high = np.full(m, np.inf), np.full(m, -np.inf)
        self.on_grid = np.ones((len(GRIDS), m), dtype=bool)
        self.shift: Array | None = None
        self.total, self.products = np.zeros(m), np.zeros((m, m))
        self.loudest, self.largest_power = 0, -1.0

    def add(self, block: npt.NDArray[np.float32], start: int) -> None:
        finite = np.isfinite(block)
        self._count_bad(block, finite, start)
        self.low = np.minimum(self.low, np.min(block, axis=1, where=finite, initial=np.inf))
        self.high = np.maximum(self.high, np.max(block, axis=1, where=finite, initial=-np.inf))
        self._try_grids(block)
        self._sum(block, finite, start)

    def _count_bad(self, block: npt.NDArray[np.float32], finite: npt.NDArray[np.bool_], start: int) -> None:
        good = finite.all(axis=1)
        if good.all():
            return
        nan = np.isnan(block)
        self.n_nan += nan.sum(axis=1)
        self.n_inf += (~finite & ~nan).sum(axis=1)
        new = ~good & (self.first_bad < 0)
        self.first_bad[new] = start + np.argmin(finite[new], axis=1)

    def _try_grids(self, block: npt.NDArray[np.float32]) -> None:
        with np.errstate(over="ignore"):
            for g, k in np.argwhere(self.on_grid):
                levels = block[k] * np.float32(1.0 / GRIDS[g])  # exact: a power of two
                self.on_grid[g, k] = np.array_equal(levels, np.rint(levels))

    def _sum(self, block: npt.NDArray[np.float32], finite: npt.NDArray[np.bool_], start: int) -> None:
        wide = block.astype(np.float64)
        wide[~finite] = 0.0
        if self.shift is None:  # about the mean, so that a large DC offset does not cost the variance its precision
            self.shift = wide.mean(axis=1)
        wide -= self.shift[:, None]
        wide[~finite] = 0.0
        gram = wide @ wide.T
        self.total += wide.sum(axis=1)
        self.products += gram
        power = float(np.trace(gram))
        if power > self.largest_power:
            self.loudest, self.largest_power = start, power

    def moments(self, n: int) -> Moments:
        n_finite = n - self.n_nan - self.n_inf
        counted = np.maximum(n_finite, 1)
        offset = self.total / counted
        covariance = self.products / np.minimum(counted[:, None], counted) - np.outer(offset, offset)
        np.fill_diagonal(covariance, np.maximum(np.diagonal(covariance), 0.0))
        low, high = np.where(n_finite > 0, self.low, 0.0), np.where(n_finite > 0, self.high, 0.0)
        mean = offset if self.shift is None else self.shift + offset
        step = np.where(self.on_grid[0], GRIDS[0], np.where(self.on_grid[1], GRIDS[1], 0.0))
        return Moments(self.n_nan, self.n_inf, self.first_bad, low, high, mean, covariance, step, self.loudest)


def flat_tops(x: Samples, channel: int, moments: Moments) -> tuple[float, float]:
    """Share of a channel's samples, 0 to 1, in flat tops (runs of three or more at an extreme), and their magnitude.

    Each side counts only if samples pile up at its extreme, many more than the zone just below it would explain. That
    distinguishes clipping, at full scale or below it, from the rounded crests of a slow or coarsely quantised wave.
    """
    low, high = moments.low[channel], moments.high[channel]
    half = (high - low) / 2.0
    zone = max(SHOULDER * half, SHOULDER_STEPS * moments.step[channel])
    share, level = 0.0, 0.0
    for sign, extreme in ((1.0, high), (-1.0, -low)):
        if extreme <= 0.0:  # a pause of zeros in a channel that stays on one side of zero is not a flat top
            continue
        flat, below = _count_flat(x[channel : channel + 1], sign, extreme - FLAT * half, extreme - zone)
        if flat >= LEAST_FLAT and flat >= PILED_UP * below:
            share += flat / x.shape[1]
            level = max(level, float(extreme))
    return share, level


def _count_flat(x: Samples, sign: float, top: float, shoulder: float) -> tuple[int, int]:
    """Number of samples of `sign * x`, (1, n), in runs of three or more at or above `top`; and between `shoulder` and `top`."""
    n, flat, below = x.shape[1], 0, 0
    for start, stop in _spans(n):
        first = max(start - 2, 0)  # two more samples on each side, so that no run is split
        level = sign * _block(x, first, min(stop + 2, n))[0]
        core = slice(start - first, stop - first)
        high = level >= shoulder
        if not high[core].any():
            continue
        at_top = level >= top
        three = at_top[:-2] & at_top[1:-1] & at_top[2:]
        run = np.zeros_like(at_top)
        run[:-2] |= three
        run[1:-1] |= three
        run[2:] |= three
        flat += int(np.count_nonzero(run[core]))
        below += int(np.count_nonzero(high[core] & ~at_top[core]))
    return flat, below


@dataclass(frozen=True)
class Match:
    """Channel j as `gain` times channel i, `lag` samples later; `residual` is the share of j's power that this leaves."""

    gain: float
    residual: float
    lag: int = 0


def match(moments: Moments, i: int, j: int) -> Match:
    """The best scaling of channel i to channel j, from the moments."""
    return _fit(moments.covariance[i, i], moments.covariance[j, j], moments.covariance[i, j], 0)


def match_delayed(x: Samples, i: int, j: int, lag: int, moments: Moments) -> Match:
    """The best scaling of channel i, `lag` samples later (earlier if negative), to channel j, over all samples."""
    total, n = np.zeros(5), x.shape[1] - abs(lag)
    for start, stop in _spans(n):
        a = _block(x[i : i + 1], start + max(-lag, 0), stop + max(-lag, 0))[0].astype(np.float64) - moments.mean[i]
        b = _block(x[j : j + 1], start + max(lag, 0), stop + max(lag, 0))[0].astype(np.float64) - moments.mean[j]
        total += a.sum(), b.sum(), a @ a, b @ b, a @ b
    sum_a, sum_b, aa, bb, ab = total / n
    return _fit(aa - sum_a**2, bb - sum_b**2, ab - sum_a * sum_b, lag)


def _fit(power_i: float, power_j: float, cross: float, lag: int) -> Match:
    if power_i <= 0.0 or power_j <= 0.0:
        return Match(0.0, 1.0, lag)
    return Match(float(cross / power_i), float(max(1.0 - cross / power_i * (cross / power_j), 0.0)), lag)


def likely_delays(x: Samples, channels: tuple[int, ...], max_lag: int, moments: Moments) -> dict[tuple[int, int], Match]:
    """The best match at a lag other than 0 of each pair i < j of `channels`, for the pairs that correlate there.

    Searches lags of up to `max_lag` samples either way, in the loudest block only. The cross-correlation is of first
    differences: it peaks sharply at the lag of a copy even if low frequencies dominate, as in any voice.
    """
    block = _block(x, moments.loudest, min(moments.loudest + BLOCK, x.shape[1]))
    size = block.shape[1]
    max_lag = min(max_lag, size // 4)
    if size < SHORTEST or max_lag < 1:
        return {}
    n_fft = 1 << (2 * size - 1).bit_length()
    differences = {k: np.diff(block[k].astype(np.float64)) for k in channels}
    spectra = {k: np.fft.rfft(differences[k], n_fft) for k in channels}
    scale = {k: float(np.linalg.norm(differences[k])) for k in channels}
    best = {}
    for at, j in enumerate(channels):
        for i in channels[:at]:
            correlation = gcc_phat.correlate(np.conj(spectra[i]) * spectra[j], max_lag)
            correlation[max_lag] = 0  # lag 0: `match` covers it
            lag, height = gcc_phat.peaks(correlation)
            if height <= ALIKE * scale[i] * scale[j]:
                continue
            peak = int(lag)
            # the ends of the block can shift the peak by a sample or two
            near = [lag for lag in range(peak - 2, peak + 3) if 0 < abs(lag) <= max_lag]
            best[i, j] = min((match_delayed(block, i, j, lag, moments) for lag in near), key=lambda fit: fit.residual)
    return best


def _spans(n: int) -> Iterator[tuple[int, int]]:
    """Start and stop of each block of `n` samples."""
    for start in range(0, n, BLOCK):
        yield start, min(start + BLOCK, n)


def _block(x: Samples, start: int, stop: int) -> npt.NDArray[np.float32]:
    """Samples [start, stop) as float32, the precision of everything that follows; what exceeds its range becomes infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(x[:, start:stop], dtype=np.float32)
