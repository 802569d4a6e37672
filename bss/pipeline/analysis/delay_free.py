"""Whether a mixture is instantaneous: the delayed coherence of the outputs of plain ICA, and the delays between microphones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.errors import SolverError
from bss.pipeline import calibration
from bss.signals import delays
from bss.signals.stft import Stft
from bss.solvers.instantaneous.ica import fastica

EXCERPT_SECONDS, FRAME_SECONDS = 20.0, 0.064
DELAY_FREE = calibration.CHOICE_DELAY_FREE.value
# Amplitudes are raised to this power; otherwise a few loud fricatives that coincide would dominate whole frequency bands.
COMPRESSION = 0.25
FLOOR = 10 ** (-90 / 20)  # of the largest amplitude of an output: below there is only the rounding of samples
SHIFTS, FEWEST_SHIFTS = 12, 4


@dataclass(frozen=True)
class DelayEvidence:
    """The evidence for or against an instantaneous mixture.

    Attributes
    ----------
    residual_coherence : float or None
        Mean coherence of the outputs of plain ICA over the bins; None if there are fewer than two.
    delayed_coherence : float or None
        Their delayed coherence, relative to that of independent signals; None if it cannot be measured.
    largest_delay : float
        Largest delay between microphones in seconds.
    seconds : float
        Length of the excerpt that was analysed.
    """

    residual_coherence: float | None
    delayed_coherence: float | None
    largest_delay: float
    seconds: float

    @property
    def delay_free(self) -> bool:
        """Whether the mixture is instantaneous."""
        return self.delayed_coherence is not None and self.delayed_coherence < DELAY_FREE

    @property
    def sentence(self) -> str:
        """The conclusion in words."""
        if self.delay_free:
            return "all microphones receive each talker at the same time, as from a mixing desk"
        if self.delayed_coherence is None:
            return "delays between the microphones cannot be ruled out"
        if self.largest_delay > 0:
            return f"sound reaches the microphones up to {1e3 * self.largest_delay:.2f} ms apart"
        return "the recording contains echo"

    def to_dict(self) -> dict[str, Any]:
        """As a dict for result.json."""
        return {
            "residual_coherence": None if self.residual_coherence is None else round(self.residual_coherence, 4),
            "delayed_coherence_over_chance": self.delayed_coherence,
            "delay_free_below": DELAY_FREE,
            "largest_delay_ms": round(1e3 * self.largest_delay, 3),
            "trial_seconds": round(self.seconds, 3),
        }


def measure(x: np.ndarray, rate: int, n_sources: int | None) -> DelayEvidence:
    """Measure delays in x (M, n) of n_sources talkers (as many as microphones if None), by plain ICA of an excerpt."""
    excerpt = _loudest(x, rate)
    Y = _ica_outputs(excerpt, rate, n_sources)
    coherence, delayed = (None, None) if Y is None else (residual_coherence(Y), delayed_coherence(Y))
    delayed = None if delayed is None else round(delayed, 3)  # the value that is reported decides
    return DelayEvidence(coherence, delayed, delays.measure(excerpt, rate).largest, excerpt.shape[1] / rate)


def _loudest(x: np.ndarray, rate: int) -> np.ndarray:
    """The loudest EXCERPT_SECONDS of x, as a recording may begin before anybody speaks."""
    length = round(EXCERPT_SECONDS * rate)
    if x.shape[1] <= length:
        return x
    starts = range(0, x.shape[1] - length + 1, length // 2)
    energies = [float(np.vdot(x[:, s : s + length], x[:, s : s + length])) for s in starts]
    start = starts[int(np.argmax(energies))]
    return x[:, start : start + length]


def _ica_outputs(x: np.ndarray, rate: int, n_sources: int | None) -> np.ndarray | None:
    """(F, N, T) spectra of the outputs of FastICA of x; None if it finds fewer than two sources."""
    try:
        fewer = n_sources if n_sources is not None and 1 < n_sources < len(x) else None  # else as many as are independent
        y = fastica(x, n_sources=fewer, n_iter=100, tol=1e-5).sources
    except SolverError:
        return None
    if len(y) < 2:
        return None
    size = 1 << max(4, round(np.log2(FRAME_SECONDS * rate)))
    return Stft(size, size // 2).forward(y - y.mean(1, keepdims=True))


def residual_coherence(Y: np.ndarray) -> float:
    """Mean coherence of the outputs Y (F, N, T) of ICA over the bins: 0 for independent outputs, 1 for filtered copies.

    ICA separates instantaneous mixtures. In a room every output still contains filtered versions of every talker, which are
    coherent in each frequency bin.
    """
    S, power = _cross(Y, Y)
    pairs = np.triu_indices(Y.shape[1], 1)
    return float(np.mean((np.sum(np.abs(S) ** 2, axis=0) / np.sum(power, axis=0))[pairs]))


def delayed_coherence(Y: np.ndarray) -> float | None:
    """Delayed coherence of the outputs Y (F, N, T) of ICA relative to that of independent signals: about 1 for a mixing desk.

    An instantaneous mixture of independent sources, whatever its matrix, has a coherency whose imaginary part is zero, except for
    the estimation error, which is larger the shorter the recording. Shifting one output in time by so much that the two have
    nothing in common shows how large that error is. None if the recording is too short for such shifts.

    References
    ----------
    G. Nolte et al., "Identifying true brain interaction from EEG data using the imaginary part of coherency", Clinical
    Neurophysiology 115(10), 2004.
    """
    T = Y.shape[2]
    parts = min(SHIFTS, T // 2)  # frames overlap by half, so that a shift by one is too little
    if parts < FEWEST_SHIFTS:
        return None
    magnitude = np.abs(Y)
    audible = magnitude > FLOOR * magnitude.max((0, 2), keepdims=True)
    Y = np.where(audible, Y, 0) * np.where(audible, magnitude, 1) ** (COMPRESSION - 1)
    pairs = np.triu_indices(Y.shape[1], 1)
    chance = np.mean([_imaginary(Y, np.roll(Y, k * T // parts, axis=2))[pairs] for k in range(1, parts)])
    return float(np.mean(_imaginary(Y, Y)[pairs]) / chance) if chance > 0 else None


def _imaginary(Y: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """(N, N) square of the imaginary part of the coherency of outputs Y and Z (F, N, T), summed over the bins."""
    S, power = _cross(Y, Z)
    return np.asarray(np.sum(np.where(power > 0, S.imag, 0) ** 2 / np.where(power > 0, power, 1), axis=0))


def _cross(Y: np.ndarray, Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(F, N, N) cross-spectra of Y and Z (F, N, T), and the product of their powers."""
    powers = [np.einsum("fnt,fnt->fn", A, A.conj()).real for A in (Y, Z)]
    return Y @ Z.conj().swapaxes(1, 2), powers[0][:, :, None] * powers[1][:, None, :]
