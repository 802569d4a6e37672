"""How alike the cross-spectra of two microphones are at different times, and the rate of a clock that makes them most alike.

Cross-spectra of a room that stays as it is add up over time, whoever talks; with a clock that drifts they turn, the faster the
higher the frequency. The comparison needs no talker to be found, and does not mind that each has a delay of their own.

References
----------
S. Markovich-Golan, S. Gannot and I. Cohen, "Blind sampling rate offset estimation and compensation in wireless acoustic sensor
networks with application to beamforming", IWAENC 2012.
S. Miyabe, N. Ono and S. Makino, "Blind compensation of interchannel sampling frequency mismatch for ad hoc microphone array based
on maximum likelihood estimation", Signal Processing 107, 2015.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bss.signals.sync.spectra import FINE, Blocks

FASTEST = 6e-4  # clocks differ by at most so much
SEARCHED = 1.5e-4  # seconds to either side of what shorter distances have told
FARTHEST = 0.75  # of the recording; beyond it few blocks have a partner
LOST = 0.2  # of the agreement of neighbours, where several talk by turns; what is less alike tells nothing of the clock
SECURE_SECONDS = 4.0  # distances from which on the rate is known too well to change
# Lags, in seconds and as a share of all lag so far, by which it does not change for a clock that runs evenly, fast clocks being
# blurred within a block; for somebody who walks it does, by several times as much.
UNEVEN, BLURRED = 8e-6, 0.01
FEW = 0.05  # of the weight of neighbours: so little is left at a distance where channels are silent


@dataclass(frozen=True)
class Steady:
    """One rate for a whole recording, and how alike blocks are, from -1 to 1.

    Attributes
    ----------
    rate : float
        By how much the lag grows in a second.
    near : float
        Agreement of blocks that follow each other.
    far, unturned : float
        Agreement at the largest distance, with this rate and with none.
    lost : bool
        Whether distant blocks do not agree at any rate near the one that closer ones have.
    uneven : float or None
        By how much, in seconds, distant blocks differ from what the rate of closer ones foretells; None if the recording is too
        short to tell.
    """

    rate: float
    near: float
    far: float
    unturned: float
    lost: bool
    uneven: float | None = None

    @property
    def even(self) -> bool:
        """Whether one rate holds for the whole recording."""
        return not self.lost and self.uneven is not None and self.uneven <= UNEVEN


def steady_rate(blocks: Blocks, *, most: float = FASTEST) -> Steady:
    """The rate at which blocks agree best, from neighbours to the ends of the recording, ever finer."""
    result = Steady(0.0, 0.0, 0.0, 0.0, lost=False)
    magnitude, neighbours = np.abs(blocks.C), 0.0
    for d in _distances(len(blocks.C)):
        cross = np.einsum("kf,kf->f", blocks.C[:-d].conj(), blocks.C[d:])
        weight = float(np.vdot(magnitude[:-d], magnitude[d:]))
        neighbours = neighbours or weight
        if weight <= FEW * neighbours:
            break
        seconds = d * blocks.step
        turned = cross * np.exp(2j * np.pi * blocks.hz * (result.rate * seconds))
        lag, height = peak(blocks, turned, most * seconds if d == 1 else SEARCHED)
        height /= weight
        if d > 1 and height < LOST * result.near:  # at this distance others talk, or at all that are larger the clock is lost
            result = replace(result, lost=True)
            continue
        beyond = abs(lag) - BLURRED * abs(result.rate) * seconds
        uneven = max(result.uneven or 0.0, beyond) if seconds >= SECURE_SECONDS else None
        near = max(result.near, height) if d <= 2 else result.near
        result = Steady(result.rate + lag / seconds, near, height, float(cross.real.sum()) / weight, False, uneven)
    return result


def _distances(blocks: int) -> list[int]:
    """1, 2, 4 ... blocks, and the farthest."""
    last = int(FARTHEST * blocks)
    distances = [1 << k for k in range(20) if 1 << k <= last]
    return [*distances, last] if distances and last > 1.2 * distances[-1] else distances


def peak(blocks: Blocks, cross: np.ndarray, within: float, *, around: float = 0.0) -> tuple[float, float]:
    """Lag in seconds and height of the highest value of the correlation of cross (F,), `within` seconds around a lag."""
    r = blocks.correlation(cross.astype(np.complex64))
    reach = min(int(np.ceil(within / blocks.lag_step)), len(r) // 2 - 1)
    middle = round(around / blocks.lag_step)
    values = r[np.arange(middle - reach, middle + reach + 1) % len(r)].astype(np.float64)
    i = int(values.argmax())
    share = 0.0
    if 0 < i < len(values) - 1:
        a, b, c = values[i - 1 : i + 2]
        share = 0.5 * (a - c) / (a - 2 * b + c) if a - 2 * b + c < 0 else 0.0
    return (middle + i - reach + share) * blocks.lag_step, float(values[i])


def energy_peak(blocks: Blocks) -> float:
    """The lag in seconds where blocks correlate most, whatever it does from one to another: that of the loudest path."""
    from scipy.fft import irfft

    size = blocks.size // FINE
    energy = np.zeros(size)
    for C in blocks.C:
        energy += np.square(irfft(C, n=size))
    k = int(energy.argmax())
    return float((k if k < size // 2 else k - size) * FINE * blocks.lag_step)
