"""The protocol of a method: a value that states what it needs, chooses its window and learns a separation.

A method of your own has the six members of `Method` and is passed as `bss.unmix(x, rate, method=...)`; docs/methods.md has an
example of thirty lines.
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
    from bss.pipeline.filters.models import Model

Progress = Callable[[float], Any]


@dataclass(frozen=True)
class Needs:
    """What a method requires of a recording, and how its tracks are assessed.

    Attributes
    ----------
    delay_free : bool
        The mixture must be instantaneous.
    more_talkers : bool
        It can separate more talkers than microphones.
    per_mic : bool
        It can estimate each talker at a different microphone.
    success : {"room", "desk"} or None
        The estimate of success that is calibrated for its tracks.
    tensors : bool
        Its solvers take tensors: with `devices.solve` it computes on the device of the task.
    """

    delay_free: bool = False
    more_talkers: bool = False
    per_mic: bool = True
    success: Literal["room", "desk"] | None = None
    tensors: bool = False


@dataclass(frozen=True)
class Size:
    """The size of a separation: M microphones, N talkers, n samples, and the STFT, if any."""

    n_mics: int
    n_sources: int
    n: int
    stft: Stft | None


@dataclass(frozen=True)
class Task:
    """The input of a method.

    Attributes
    ----------
    x : np.ndarray
        (M, n) usable channels, float32, or float64 after single precision diverged.
    X : np.ndarray
        (F, M, T) their spectra; x itself for a method without STFT.
    rate : int
        Hz.
    stft : Stft or None
        The window of the method.
    n_sources : int
        N, the sounds to separate.
    effort : str
        "fast", "normal" or "best".
    reference : int
        Index of the reference microphone among the M.
    rng : int
        Random seed.
    weights : path or None
        File of the source model; None for the built-in one.
    progress : callable or None
        Called with the fraction that is done.
    n_talkers : int or None
        How many of the sounds are talkers; None if that is to be found out.
    others : bool
        Whether the method may separate another sound, which is none of N.
    device : str
        Where solvers compute, as `devices.solve` takes it; "cpu" for a method that does not need tensors.
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
    n_talkers: int | None = None
    others: bool = False
    device: str = "cpu"

    def iterations(self, total: int, done: int = 0) -> Callable[[int, float], Any] | None:
        """A callback for a solver that reports the fraction of `total` iterations, `done` of which precede it."""
        progress = self.progress
        if progress is None:
            return None
        return lambda i, loss: progress(min(1.0, (done + i + 1) / total))


class Estimate(Protocol):
    """The result of a method: the talkers at any microphone, in no particular order.

    Attributes
    ----------
    method : str
        The name of the method in reports.
    stages : mapping
        Name to result of each solver, in the order in which they ran.
    stft : Stft or None
        The window of the filters.
    source_model : mapping or None
        What the learned source model did, for result.json.
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
        """(N, M) power of each talker at each microphone, up to a common factor."""

    def cross_spectra(self, mics: np.ndarray) -> np.ndarray | None:
        """(F, N, M) cross-spectra of talker n between every microphone and microphone mics[n]; None without delays."""

    def tracks(self, mics: np.ndarray) -> np.ndarray:
        """(N, n) float32: the image of talker n at microphone mics[n]."""

    def linear_tracks(self, mics: np.ndarray) -> np.ndarray | None:
        """(N, n) the same by linear filters only; None if `tracks` are linear already."""

    def separated(self, mics: np.ndarray) -> np.ndarray:
        """(N, n) the same by the blind separation only, for which the estimate of success is calibrated."""

    def model(self, order: np.ndarray, mics: np.ndarray) -> Model:
        """The filters that make track k of any block: talker order[k] at microphone mics[k]."""


class Method(Protocol):
    """A separation method. `name` is its name for `--method` and in result.json."""

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> Needs: ...

    def window(self, n: int, rate: int) -> Stft | None:
        """The STFT for n samples; None for a method in the time domain. Raises InputError if they are too few."""

    def learn(self, task: Task) -> Estimate | Separation:
        """Separate. A `Separation` must have a demixing matrix."""

    def leaves_residual(self, n_sources: int, n_mics: int) -> bool:
        """Whether the tracks need not add up to the reference microphone, so that the rest becomes a track."""

    def memory(self, size: Size) -> int:
        """Approximate peak memory in bytes."""


def signal_bytes(size: Size) -> int:
    """Memory of the recording and its tracks in bytes."""
    return 4 * size.n * (2 * size.n_mics + 2 * size.n_sources)


def spectra_bytes(size: Size, *, variances: bool = False) -> int:
    """Memory in bytes of spectra of microphones and talkers, each twice, and if wanted of the variances (F, N, T)."""
    if size.stft is None:
        return 0
    channel = 8 * size.n * size.stft.n_fft // (2 * size.stft.hop)  # complex64
    return channel * (2 * size.n_mics + 2 * size.n_sources) + (channel // 2 * size.n_sources if variances else 0)
