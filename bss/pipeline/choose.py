"""What to separate a recording with, decided from the recording, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bss.errors import InputError, SolverError, check_choice
from bss.pipeline.rooms import EFFORTS
from bss.signals import delays
from bss.signals.delays import Delays
from bss.signals.stft import Stft, nearest_size
from bss.solvers.ica import fastica

METHODS = ("auto", "fastica", "infomax", "auxiva", "fdica", "ilrma", "neural", "cacgmm")
INSTANTANEOUS = ("fastica", "infomax")
LONG = ("fdica", "ilrma", "neural")  # with long windows
UNLIMITED = ("auto", "cacgmm")  # for more talkers than microphones
TRIAL_SECONDS, TRIAL_FRAME_SECONDS = 20.0, 0.064
# What the outputs of a trial of ICA share with a delay, relative to chance. Above 1.2 it was in 3 of 700 delay-free mixtures (2
# to 4 talkers, real and synthetic, 0.5 to 12 s, noise down to 15 dB under them), none of them longer than 2 s. Below it was in
# 6 of 700 rooms (measured and simulated ones, 0 to 0.6 s of reverberation, 1 cm to 1 m between microphones), all of them
# noisy recordings of 1 or 2 s; and in none of 160 in which everyone had a microphone of their own.
DELAY_FREE = 1.2
# Amplitudes are raised to this power: a few loud fricatives that coincide would else decide over whole bands of frequencies.
COMPRESSION = 0.25
HEARD = 10 ** (-90 / 20)  # of the loudest amplitude of an output: below is the rounding of samples
SHIFTS, FEWEST_SHIFTS = 12, 4
FRAME_SECONDS, LONG_SECONDS = 0.256, 0.512
FEWEST_FRAMES = 60
# Frames of long windows, where they overlap by three quarters, that ICA in every bin needs; they then overlap by more, which
# is the better the shorter the recording.
FEWEST_LONG, PLENTY = 32, 500


@dataclass(frozen=True)
class Choice:
    """The method, its window (0 without an STFT), and why.

    Attributes
    ----------
    method : str
        One of METHODS but "auto".
    n_fft, hop : int
        Samples of the STFT; 0 for instantaneous ICA.
    reason : str
        One line for people.
    warnings : tuple[str, ...]
        What speaks against a method that the user asked for.
    evidence : dict
        The numbers behind the reason.
    effort : str
        One of `rooms.EFFORTS`.
    """

    method: str
    n_fft: int
    hop: int
    reason: str
    warnings: tuple[str, ...] = ()
    evidence: dict[str, Any] = field(default_factory=dict)
    effort: str = "normal"

    @property
    def delay_free(self) -> bool:
        """Whether the mixing was found to be free of delays."""
        delayed = self.evidence.get("delayed_coherence_over_chance")
        return delayed is not None and delayed < DELAY_FREE


def choose(
    x: np.ndarray,
    rate: int,
    *,
    n_sources: int | None = None,
    method: str = "auto",
    effort: str = "normal",
    learned: bool = True,
) -> Choice:
    """Instantaneous ICA where the mixing is free of delays, else the convolutive family; and its window.

    Parameters
    ----------
    x : np.ndarray
        (M, n) usable channels.
    rate : int
        Hz.
    n_sources : int, optional
        N; M by default.
    method : str
        One of METHODS. A named method is kept, with a warning where the recording speaks against it.
    effort : str
        One of `rooms.EFFORTS`: how long to try in a room.
    learned : bool
        Whether auto may take the learned source model.

    Raises
    ------
    UsageError
        There is no such method.
    InputError
        The recording is too short for the convolutive family.
    """
    check_choice("method", method, METHODS)
    check_choice("effort", effort, tuple(EFFORTS))
    part = _middle(x, rate)
    crowded = n_sources is not None and n_sources > len(x)
    Y = _trial(part, rate, None if crowded else n_sources)
    coherence, delayed = (None, None) if Y is None else (residual_coherence(Y), delayed_coherence(Y))
    delayed = None if delayed is None else round(delayed, 3)  # what is told is what decides
    apart = delays.measure(part, rate)
    evidence = {
        "residual_coherence": None if coherence is None else round(coherence, 4),
        "delayed_coherence_over_chance": delayed,
        "delay_free_below": DELAY_FREE,
        "largest_delay_ms": round(1e3 * apart.largest, 3),
        "trial_seconds": round(part.shape[1] / rate, 3),
    }
    delay_free = delayed is not None and delayed < DELAY_FREE
    finding = _finding(delayed, apart)
    if method == "auto" and crowded:
        n_fft, hop = window(x.shape[1], rate)
        finding = f"{n_sources} talkers are more than {len(x)} microphones, and a demixing finds one per microphone at most"
        reason = f"masks (cACGMM) with windows of {1e3 * n_fft / rate:.0f} ms, because {finding}"
        return Choice("cacgmm", n_fft, hop, reason, (), evidence)
    if method == "auto":
        if delay_free:
            return Choice("fastica", 0, 0, f"FastICA, because {finding}", (), evidence)
        n_fft, hop = long_window(x.shape[1], rate)
        polish = EFFORTS[effort].ilrma > 0 and n_sources in (None, len(x))
        taken, name = ("ilrma", "FD-ICA and ILRMA") if polish else ("fdica", "FD-ICA")
        if learned and EFFORTS[effort].looks > 0:
            taken, name = "neural", "FD-ICA and the learned source model"
        reason = f"{name} with windows of {1e3 * n_fft / rate:.0f} ms, because {finding}"
        return Choice(taken, n_fft, hop, reason, (), evidence, effort)
    if method in INSTANTANEOUS:
        warned = () if delay_free else (f"{method} cannot separate this recording well: {finding}; try --method auto",)
        return Choice(method, 0, 0, f"{method}, as asked", warned, evidence)
    n_fft, hop = (long_window if method in LONG else window)(x.shape[1], rate)
    warned = (f"{finding}: FastICA would do, and better; try --method auto",) if delay_free and not crowded else ()
    return Choice(method, n_fft, hop, f"{method} with windows of {1e3 * n_fft / rate:.0f} ms, as asked", warned, evidence, effort)


def _finding(delayed: float | None, apart: Delays) -> str:
    if delayed is None:
        return "nothing shows that the mixing is free of delays"
    shared = f"the outputs of plain ICA share {delayed:.3g} times as much delayed sound as chance gives"
    if delayed < DELAY_FREE:
        return f"the mixing is free of delays ({shared})"
    late = f"sound reaches the microphones up to {1e3 * apart.largest:.2f} ms apart" if apart.largest > 0 else "there is echo"
    return f"{late} ({shared})"


def _middle(x: np.ndarray, rate: int) -> np.ndarray:
    """The loudest TRIAL_SECONDS of x: a recording may begin with people sitting down."""
    length = round(TRIAL_SECONDS * rate)
    if x.shape[1] <= length:
        return x
    starts = range(0, x.shape[1] - length + 1, length // 2)
    energies = [float(np.vdot(x[:, s : s + length], x[:, s : s + length])) for s in starts]
    start = starts[int(np.argmax(energies))]
    return x[:, start : start + length]


def _trial(x: np.ndarray, rate: int, n_sources: int | None) -> np.ndarray | None:
    """(F, N, T) spectra of what FastICA makes of x; None when it finds fewer than two sources."""
    try:
        y = fastica(x, n_sources=n_sources if n_sources and n_sources > 1 else None, n_iter=100, tol=1e-5).sources
    except SolverError:
        return None
    if len(y) < 2:
        return None
    size = 1 << max(4, round(np.log2(TRIAL_FRAME_SECONDS * rate)))
    return Stft(size, size // 2).forward(y - y.mean(1, keepdims=True))


def residual_coherence(Y: np.ndarray) -> float:
    """How alike the outputs Y (F, N, T) of ICA still are, bin by bin: 0 for independent, 1 for filtered copies.

    Delay-free mixtures come apart; in a room every output still holds filtered versions of every talker, and these are
    coherent in each frequency bin.
    """
    S, power = _cross(Y, Y)
    pairs = np.triu_indices(Y.shape[1], 1)
    return float(np.mean((np.sum(np.abs(S) ** 2, axis=0) / np.sum(power, axis=0))[pairs]))


def delayed_coherence(Y: np.ndarray) -> float | None:
    """What the outputs Y (F, N, T) of ICA share with a delay, relative to what chance gives: about 1 for a mixing desk.

    Mixing without delays, whatever its matrix, leaves nothing in the imaginary part of the coherency of independent
    sources. What chance leaves there, more in a short recording than in a long one, shows when an output is shifted in
    time until nothing can be common. None where the recording is too short for that.

    References
    ----------
    G. Nolte et al., "Identifying true brain interaction from EEG data using the imaginary part of coherency", Clinical
    Neurophysiology 115(10), 2004.
    """
    T = Y.shape[2]
    parts = min(SHIFTS, T // 2)  # frames overlap by half: one frame is no shift
    if parts < FEWEST_SHIFTS:
        return None
    loudness = np.abs(Y)
    heard = loudness > HEARD * loudness.max((0, 2), keepdims=True)
    Y = np.where(heard, Y, 0) * np.where(heard, loudness, 1) ** (COMPRESSION - 1)
    pairs = np.triu_indices(Y.shape[1], 1)
    chance = np.mean([_imaginary(Y, np.roll(Y, k * T // parts, axis=2))[pairs] for k in range(1, parts)])
    return float(np.mean(_imaginary(Y, Y)[pairs]) / chance) if chance > 0 else None


def _imaginary(Y: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """(N, N) square of the imaginary part of the coherency of outputs Y and Z (F, N, T), summed over the bins."""
    S, power = _cross(Y, Z)
    return np.asarray(np.sum(np.where(power > 0, S.imag, 0) ** 2 / np.where(power > 0, power, 1), axis=0))


def _cross(Y: np.ndarray, Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(F, N, N) cross-spectra of Y and Z (F, N, T), and the product of their powers."""
    own = [np.einsum("fnt,fnt->fn", A, A.conj()).real for A in (Y, Z)]
    return Y @ Z.conj().swapaxes(1, 2), own[0][:, :, None] * own[1][:, None, :]


def long_window(n: int, rate: int) -> tuple[int, int]:
    """n_fft and hop of windows of about LONG_SECONDS, for ICA in every bin by itself: shorter where there would be too few.

    Raises
    ------
    InputError
        Too short even so.
    """
    window(n, rate)  # what is too short for windows of any length is refused
    n_fft = nearest_size(LONG_SECONDS * rate)
    while Stft(n_fft).n_frames(n) < FEWEST_LONG:
        n_fft //= 2
    return n_fft, n_fft // (8 if Stft(n_fft).n_frames(n) < PLENTY else 4)


def window(n: int, rate: int) -> tuple[int, int]:
    """n_fft and hop: windows of about FRAME_SECONDS, shorter when a recording gives fewer than FEWEST_FRAMES of them.

    Raises
    ------
    InputError
        Too short even so.
    """
    n_fft = 1 << round(np.log2(FRAME_SECONDS * rate))
    while n_fft > 64 and Stft(n_fft).n_frames(n) < FEWEST_FRAMES:
        n_fft //= 2
    if Stft(n_fft).n_frames(n) < FEWEST_FRAMES:
        raise InputError(
            f"the recording holds {n} samples, {n / rate:.2f} s", "too little to learn a room from",
            "a longer part of the recording; ten seconds or more are good",
        )  # fmt: skip
    return n_fft, n_fft // 4
