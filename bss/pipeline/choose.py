"""What to separate a recording with, decided from the recording, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bss.errors import BssError, InputError, UsageError, check_choice
from bss.signals import delays
from bss.signals.delays import Delays
from bss.signals.stft import Stft
from bss.solvers.ica import fastica

METHODS = ("auto", "fastica", "infomax", "auxiva", "ilrma")
INSTANTANEOUS = ("fastica", "infomax")
TRIAL_SECONDS = 20.0
# Residual coherence after a trial of ICA: at most 0.04 of delay-free mixtures (2 to 4 talkers, 2 to 10 s, noise 15 dB under
# them), at least 0.16 of rooms with 0.15 to 0.6 s of reverberation and 1 to 50 cm between microphones; see docs/methods.md.
DELAY_FREE = 0.08
FRAME_SECONDS = 0.256
FEWEST_FRAMES = 60


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
    """

    method: str
    n_fft: int
    hop: int
    reason: str
    warnings: tuple[str, ...] = ()
    evidence: dict[str, Any] = field(default_factory=dict)


def choose(x: np.ndarray, rate: int, *, n_sources: int | None = None, method: str = "auto") -> Choice:
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

    Raises
    ------
    UsageError
        There is no such method.
    InputError
        The recording is too short for the convolutive family.
    """
    check_choice("method", method, METHODS)
    part = _middle(x, rate)
    evidence: dict[str, Any] = {}
    coherence = residual_coherence(part, rate, n_sources)
    apart = delays.measure(part, rate)
    evidence = {
        "residual_coherence": None if coherence is None else round(coherence, 4),
        "delay_free_below": DELAY_FREE,
        "largest_delay_ms": round(1e3 * apart.largest, 3),
        "trial_seconds": round(part.shape[1] / rate, 3),
    }
    delay_free = coherence is not None and coherence < DELAY_FREE
    finding = _finding(coherence, apart)
    if method == "auto":
        if delay_free:
            return Choice("fastica", 0, 0, f"FastICA, because {finding}", (), evidence)
        n_fft, hop = window(x.shape[1], rate)
        reason = f"ILRMA with windows of {1e3 * n_fft / rate:.0f} ms, because {finding}"
        return Choice("ilrma", n_fft, hop, reason, (), evidence)
    if method in INSTANTANEOUS:
        warned = () if delay_free else (f"{method} cannot separate this recording well: {finding}; try --method auto",)
        return Choice(method, 0, 0, f"{method}, as asked", warned, evidence)
    n_fft, hop = window(x.shape[1], rate)
    warned = (f"{finding}: FastICA would do, and better; try --method auto",) if delay_free else ()
    return Choice(method, n_fft, hop, f"{method} with windows of {1e3 * n_fft / rate:.0f} ms, as asked", warned, evidence)


def _finding(coherence: float | None, apart: Delays) -> str:
    if coherence is None:
        return "plain ICA finds nothing to separate"
    if coherence < DELAY_FREE:
        return f"the mixing is free of delays (ICA leaves a coherence of {coherence:.3f} between its outputs)"
    late = f"sound reaches the microphones up to {1e3 * apart.largest:.2f} ms apart" if apart.largest > 0 else "there is echo"
    return f"{late}, and plain ICA leaves a coherence of {coherence:.2f} between its outputs"


def _middle(x: np.ndarray, rate: int) -> np.ndarray:
    """The loudest TRIAL_SECONDS of x: a recording may begin with people sitting down."""
    length = round(TRIAL_SECONDS * rate)
    if x.shape[1] <= length:
        return x
    starts = range(0, x.shape[1] - length + 1, length // 2)
    energies = [float(np.vdot(x[:, s : s + length], x[:, s : s + length])) for s in starts]
    start = starts[int(np.argmax(energies))]
    return x[:, start : start + length]


def residual_coherence(x: np.ndarray, rate: int, n_sources: int | None = None) -> float | None:
    """How alike the outputs of a trial of FastICA still are, bin by bin: 0 for independent, 1 for filtered copies.

    Delay-free mixtures come apart; in a room every output still holds filtered versions of every talker, and these are
    coherent in each frequency bin. None when a trial finds fewer than two sources.
    """
    try:
        y = fastica(x, n_sources=n_sources if n_sources and n_sources > 1 else None, n_iter=100, tol=1e-5).sources
    except BssError as error:
        if isinstance(error, (InputError, UsageError)):
            raise
        return None
    if len(y) < 2:
        return None
    size = 1 << max(4, round(np.log2(0.064 * rate)))
    Y = Stft(size, size // 2).forward(y - y.mean(1, keepdims=True))
    S = Y @ Y.conj().swapaxes(1, 2)  # (F, N, N)
    P = np.diagonal(S, axis1=1, axis2=2).real
    cross = np.sum(np.abs(S) ** 2, axis=0)
    own = np.einsum("fi,fj->ij", P, P)
    pairs = np.triu_indices(len(y), 1)
    return float(np.mean(cross[pairs] / own[pairs]))


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
