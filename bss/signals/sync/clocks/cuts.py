"""To the sample: where in its recording a microphone jumped.

Cross-spectra tell that the lag jumped, and the block. Here the microphone is predicted from the reference, with the lag before
and with that after the jump, and cut where the one prediction stops being the better one.
"""

from __future__ import annotations

import numpy as np

from bss.backends.cpu import resampling
from bss.signals.sync.clocks.clock import Piece
from bss.signals.sync.prediction import LEARNED_SECONDS, filtered, transfer
from bss.signals.sync.spectra import Reader

AROUND_SECONDS, FAR_SECONDS = 2.0, 5.0  # how far from where blocks, or windows of them, tell of it a jump may be


def place(reference: Reader, mic: Reader, before: Piece, after: Piece, guess: float, *, far: bool = False) -> int:
    """The first sample of the microphone whose lag is that of `after`; `guess` is the time of the jump in the reference, `far` if
    that is known to a few seconds only."""
    rate = mic.rate
    middle = round((guess + before.at(guess)) * rate)
    around = round((FAR_SECONDS if far else AROUND_SECONDS) * rate)
    learned = around + round(LEARNED_SECONDS * rate)
    start, stop = max(0, middle - learned), min(len(mic.x), middle + learned)
    own = np.diff(mic.x[start:stop], prepend=np.float32(0))
    first, second = (_heard(reference, piece, start, stop - start, rate) for piece in (before, after))
    edges = (max(0, middle - around - start), min(stop - start, middle + around - start))
    H = transfer(own, (first, second), edges, reference)
    if H is None:
        return middle
    errors = [np.square(own - filtered(side, H, reference)) for side in (first, second)]
    gain = np.cumsum((errors[0] - errors[1]).astype(np.float64)[edges[0] : edges[1]])
    return int(start + edges[0] + gain.argmin() + 1)


def _heard(reference: Reader, piece: Piece, start: int, count: int, rate: int) -> np.ndarray:
    """The reference, differentiated, in the time of the microphone's samples from `start` on."""
    first = (start / rate - piece.at(start / rate - piece.lag)) * rate
    step = 1.0 / (1.0 + piece.rate)
    low = min(max(0, int(first) - resampling.HALF - 1), len(reference.x))
    x = reference.x[low : max(low, int(first + count * step) + resampling.HALF + 2)]
    return np.diff(resampling.at(x, first - low, step, count), prepend=np.float32(0))
