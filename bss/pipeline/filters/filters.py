"""The filters of a separation, without the recording: they turn any other recording of the same microphones into tracks."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bss.checks import check_level, check_recording
from bss.errors import InputError, UsageError, check_int
from bss.networks.files import Weights
from bss.pipeline.filters.models import Model
from bss.signals.stft import Stft

SCHEMA = 1
KIND = "filters"


@dataclass(frozen=True)
class Filters:
    """The filters of one separation.

    Attributes
    ----------
    model : Demixing, SpatialCovariances or Microphone
        How the talkers follow from the M channels that are used.
    stft : Stft or None
        The window; None in the time domain.
    rate : int
        Hz.
    mics : tuple[int, ...]
        For each of the N tracks its microphone, as an index into the used ones.
    channels : tuple[str, ...]
        Names of all channels of the recording.
    used : tuple[int, ...]
        Indices of the channels that are used.
    method : str
        The method that learned them.
    span : tuple[float, float]
        Start and end of the recording that they were learned from, in seconds.
    source_model : bool
        Whether the learned source model is applied to the tracks.
    weights : path or None
        File of the source model; None for the built-in one.
    n_talkers : int or None
        How many of the N are talkers, which come first, before other sounds; None if all are.
    """

    model: Model = field(repr=False)
    stft: Stft | None
    rate: int
    mics: tuple[int, ...]
    channels: tuple[str, ...]
    used: tuple[int, ...]
    method: str
    span: tuple[float, float]
    source_model: bool = False
    weights: Weights = None
    n_talkers: int | None = None

    @property
    def n_tracks(self) -> int:
        """How many tracks `apply` makes."""
        return self.model.n_sources if self.n_talkers is None else self.n_talkers

    def apply(self, x: np.ndarray, *, rate: int | None = None, reference_mic: int | None = None) -> np.ndarray:
        """Tracks of the talkers (N, n) of a recording x (M, n) of the same microphones in the same places.

        Parameters
        ----------
        x : np.ndarray
            (M, n) all channels of the recording, in the order in which the filters were learned.
        rate : int, optional
            Hz of x, to check that it is that of the filters.
        reference_mic : int, optional
            Index of the channel whose images of the talkers are returned; by default as in the separation.

        Raises
        ------
        InputError
            The number of microphones or the rate differs, or samples are not finite.
        UsageError
            The filters do not use that reference microphone.

        Examples
        --------
        >>> import numpy as np, bss
        >>> s = np.random.default_rng(0).laplace(0, 0.05, size=(2, 16_000)).astype(np.float32)
        >>> A = np.array([[1.0, 0.6], [0.5, 1.0]], np.float32)
        >>> filters = bss.unmix(A @ s, 16_000).filters
        >>> other = np.random.default_rng(1).laplace(0, 0.05, size=(2, 8_000)).astype(np.float32)
        >>> bool(np.allclose(filters.apply(A @ other).sum(0), (A @ other)[0], atol=1e-5))
        True
        """
        self.check(len(np.atleast_2d(x)), self.rate if rate is None else rate)
        x = check_level(check_recording(x), name="x")
        x = check_recording(np.ascontiguousarray(x[list(self.used)], np.float32))
        y = self._linear(x, self._mics(reference_mic))
        if not self.source_model:
            return y[: self.n_tracks]
        from bss.networks.source_model import apply
        from bss.pipeline.methods.neural import enhanced_talkers

        model = apply.load(self.weights)
        return enhanced_talkers(model, apply.prepare(model, y, self.rate), np.arange(len(y)) < self.n_tracks)[: self.n_tracks]

    def check(self, n_channels: int, rate: int) -> None:
        """Raise InputError if the filters are not for recordings with n_channels at that rate."""
        if n_channels != len(self.channels):
            raise InputError(
                f"the recording has {n_channels} channels, but these filters were learned with {len(self.channels)}",
                "filters only work with the same microphones, in the same places and order",
                "a recording of all these microphones, or `bss unmix`, which learns filters for this one",
            )  # fmt: skip
        if rate != self.rate:
            raise InputError(
                f"the recording is at {rate} Hz, but these filters were learned at {self.rate} Hz", "",
                f"the recording at {self.rate} Hz (ffmpeg -ar {self.rate}), or `bss unmix`",
            )  # fmt: skip

    def _mics(self, reference_mic: int | None) -> np.ndarray:
        """(N,) the microphone of each track, as an index into the used ones."""
        if reference_mic is None:
            return np.array(self.mics)
        check_int("reference_mic", reference_mic, 0, len(self.channels) - 1)
        if reference_mic not in self.used:
            used = ", ".join(str(k) for k in self.used)
            raise UsageError(
                f"{self.channels[reference_mic]} was left out when these filters were learned", "", f"reference_mic one of {used}"
            )
        return np.full(self.model.n_sources, self.used.index(reference_mic))

    def _linear(self, x: np.ndarray, mics: np.ndarray) -> np.ndarray:
        if self.stft is None:
            return np.asarray(self.model.images(x, mics), np.float32)
        Y = self.model.images(self.stft.forward(x), mics)
        return np.asarray(self.stft.inverse(Y, x.shape[1]), np.float32)

    def to_bytes(self) -> bytes:
        """The contents of the file that `load_filters` reads: safetensors, since loading a pickle from others is not safe."""
        from safetensors.numpy import save

        return bytes(save({name: _real(a) for name, a in self.model.arrays().items()}, {"bss": KIND, "filters": self._header()}))

    def _header(self) -> str:
        header = {
            "schema": SCHEMA,
            "stft": self.stft and [self.stft.n_fft, self.stft.hop],
            "rate": self.rate,
            "mics": list(self.mics),
            "channels": list(self.channels),
            "used": list(self.used),
            "method": self.method,
            "span": list(self.span),
            "source_model": self.source_model,
            "weights": None if self.weights is None else os.fspath(self.weights),
            "n_talkers": self.n_talkers,
        }
        return json.dumps(header)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the filters to a file, completely or not at all.

        Raises
        ------
        InputError
            The file already exists, or cannot be written.
        """
        from bss.signals.files.writing import output_folder

        place = Path(path)
        with output_folder(place.parent, [place.name], overwrite=overwrite) as out:
            out.data(place.name, self.to_bytes())


def _real(a: np.ndarray) -> np.ndarray:
    """Complex numbers as pairs of real ones along a new last axis."""
    a = np.ascontiguousarray(a)
    return a.view(a.real.dtype).reshape(*a.shape, 2) if np.iscomplexobj(a) else a
