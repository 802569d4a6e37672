"""Band-limited interpolation at positions whose distance is not quite one sample, as those of another clock."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from bss.backends.cpu.arithmetic.linalg import FAST
from bss.backends.cpu.compiling import compiled

HALF = 32  # samples that count on either side of a position
PHASES = 1024  # of a sample, between which the kernel is interpolated linearly: errors below -110 dB
BETA = 9.0  # of the Kaiser window: the kernel is flat to 0.93 of the Nyquist frequency


@lru_cache(maxsize=1)
def kernel() -> np.ndarray:
    """(PHASES + 1, 2 HALF) windowed sinc: row p weighs the samples around a position p / PHASES after the middle one."""
    offsets = np.arange(1 - HALF, HALF + 1)[None] - np.arange(PHASES + 1)[:, None] / PHASES
    window = np.i0(BETA * np.sqrt(np.maximum(0.0, 1.0 - (offsets / HALF) ** 2))) / np.i0(BETA)
    return np.asarray(np.sinc(offsets) * window, np.float32)


@compiled(**FAST)
def interpolate(x, begin, step, table, y):  # type: ignore[no-untyped-def]
    """y[i] = x at the position begin + i step; zeros lie around x (n,)."""
    phases, taps = table.shape[0] - 1, table.shape[1]
    n = x.shape[0]
    for i in range(y.shape[0]):
        position = begin + i * step
        whole = np.floor(position)
        place = (position - whole) * phases
        row = min(int(place), phases - 1)
        share = np.float32(place - row)
        first = int(whole) + 1 - taps // 2
        total = np.float32(0)
        if first >= 0 and first + taps <= n:
            for q in range(taps):
                total += x[first + q] * (table[row, q] + share * (table[row + 1, q] - table[row, q]))
        else:
            for q in range(max(0, -first), min(taps, n - first)):
                total += x[first + q] * (table[row, q] + share * (table[row + 1, q] - table[row, q]))
        y[i] = total


def at(x: np.ndarray, begin: float, step: float, count: int) -> np.ndarray:
    """(count,) float32: x (n,) at the positions begin, begin + step, ..., in samples."""
    y = np.empty(count, np.float32)
    interpolate(np.ascontiguousarray(x, np.float32), float(begin), float(step), kernel(), y)
    return y
