"""What a method is: a value that says what it needs, chooses its window and learns a separation.

A method of one's own has the six members of `Method` and is passed as `bss.unmix(x, rate, method=...)`; docs/methods.md has one
in thirty lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from bss.signals.stft import Stft
from bss.solvers.result import Separation

if TYPE_CHECKING:
    from bss.networks.files import Weights
    from bss.pipeline.filters import Model

Progress = Callable[[float], Any]


@dataclass(frozen=True)
class Needs:
    """What a method asks of a recording, and what may be said of its tracks.

    Attributes
    ----------
    delay_free : bool
        The mixing must be free of delays and echo.
    more_talkers : bool
        It can separate more talkers than microphones.
    per_mic : bool
        It can give each talker at a microphone of their own.
    success : {"room", "desk"} or None
        Which estimate of success was calibrated on its tracks.
    """

    delay_free: bool = False
    more_talkers: bool = False
    per_mic: bool = True
    success: Literal["room", "desk"] | None = None


@dataclass(frozen=True)
class Size:
    """How large a separation is: M microphones, N talkers, n samples, and the STFT, if any."""

    n_mics: int
    n_sources: int
    n: int
    stft: Stft | None


@dataclass(frozen=True)
class Task:
    """What a method learns from.

    Attributes
    ----------
    x : np.ndarray
        (M, n) usable channels, float32, or float64 where single precision diverged.
    X : np.ndarray
        (F, M, T) their spectra; x itself for a method without an STFT.
    rate : int
        Hz.
    stft : Stft or None
        The window that the method chose.
    n_sources : int
        N.
    effort : str
        "fast", "normal" or "best".
    reference : int
        Index of the reference microphone among the M.
    rng : int
        Seed.
    weights : path or None
        The source model's file, where it is not the one that ships.
    progress : callable or None
        Called with the share that is done.
    """

    x: np.ndarray = field(repr=False)
    X: np.ndarray = field(repr=False)
    rate: int
    stft: Stft | None
    n_sources: int
    effort: str = "normal"
    reference: int = 0
    rng: int = 0
    weights: Weights = None
    progress: Progress | None = None

    def iterations(self, total: int, done: int = 0) -> Callable[[int, float], Any] | None:
        """A solver's callback that reports the share of `total` iterations, of which `done` came before."""
        progress = self.progress
        if progress is None:
            return None
        return lambda i, loss: progress(min(1.0, (done + i + 1) / total))


class Estimate(Protocol):
    """What a method has learned of a recording: its talkers at any microphone, in no particular order.

    Attributes
    ----------
    method : str
        The method by the name under which it is reported.
    stages : mapping
        The solves that led here, by name, in order.
    stft : Stft or None
        The window of the filters.
    source_model : mapping or None
        What the learned source model did, as result.json holds it.
    """

    @property
    def method(self) -> str: ...

    @property
    def stages(self) -> Mapping[str, Separation]: ...

    @property
    def stft(self) -> Stft | None: ...

    @property
    def source_model(self) -> Mapping[str, Any] | None: ...

    def image_powers(self) -> np.ndarray:
        """(N, M) power of each talker at each microphone, up to one factor."""

    def cross_spectra(self, mics: np.ndarray) -> np.ndarray | None:
        """(F, N, M) cross-spectra of talker n at every microphone with microphone mics[n]; None where there are no delays."""

    def tracks(self, mics: np.ndarray) -> np.ndarray:
        """(N, n) float32: talker n as microphone mics[n] hears them."""

    def linear_tracks(self, mics: np.ndarray) -> np.ndarray | None:
        """(N, n) the same by linear filters alone; None where `tracks` are that already."""

    def separated(self, mics: np.ndarray) -> np.ndarray:
        """(N, n) what the blind separation alone gives, which the estimate of success is calibrated on."""

    def model(self, order: np.ndarray, mics: np.ndarray) -> Model:
        """What makes track k from any block: talker order[k] at microphone mics[k]."""


class Method(Protocol):
    """A way to separate a recording. `name` is what `--method` and result.json call it."""

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> Needs: ...

    def window(self, n: int, rate: int) -> Stft | None:
        """The STFT for n samples; None for a method that works on samples. InputError where they are too few."""

    def learn(self, task: Task) -> Estimate | Separation:
        """Separate. A `Separation` must have a demixing."""

    def leaves_residual(self, n_sources: int, n_mics: int) -> bool:
        """Whether the tracks need not sum to the reference microphone, and what is left is a track of its own."""

    def memory(self, size: Size) -> int:
        """Bytes at the peak, about."""


def signal_bytes(size: Size) -> int:
    """Bytes of the recording and its tracks."""
    return 4 * size.n * (2 * size.n_mics + 2 * size.n_sources)


def spectra_bytes(size: Size, *, variances: bool = False) -> int:
    """Bytes of spectra of microphones and talkers, each twice, with a variance for each talker, bin and frame where asked for."""
    if size.stft is None:
        return 0
    one = 8 * size.n * size.stft.n_fft // (2 * size.stft.hop)  # one channel's complex64 bins
    return one * (2 * size.n_mics + 2 * size.n_sources) + (one // 2 * size.n_sources if variances else 0)
