"""What a separation has learned, without the recording: enough to turn any block of the same microphones into tracks."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bss.backends import dispatch
from bss.checks import check_recording
from bss.errors import InputError, UsageError, check_int
from bss.networks.files import Weights
from bss.signals.stft import Stft
from bss.solvers import fullrank

SCHEMA = 1
KIND = "filters"
EM_ITERATIONS = 20  # for the powers of new frames under spatial covariances that are known


class Model(Protocol):
    """How the spectra (or samples) of a block become those of the talkers at the microphones."""

    @property
    def n_mics(self) -> int: ...

    @property
    def n_sources(self) -> int: ...

    def images(self, X: np.ndarray, mics: np.ndarray) -> np.ndarray:
        """(F, N, T) talker n at microphone mics[n], of spectra X (F, M, T); (N, n) of samples (M, n)."""

    def arrays(self) -> dict[str, np.ndarray]:
        """What `Filters.save` writes."""


@dataclass(frozen=True)
class Demixing:
    """One matrix per bin, or one for all samples.

    Attributes
    ----------
    W : np.ndarray
        (F, N, M) or (N, M) demixing.
    A : np.ndarray
        (F, M, N) or (M, N) mixing: A[f, m, n] y_n is the image of talker n at microphone m.
    """

    W: np.ndarray
    A: np.ndarray

    @property
    def n_mics(self) -> int:
        return int(self.W.shape[-1])

    @property
    def n_sources(self) -> int:
        return int(self.W.shape[-2])

    def images(self, X: np.ndarray, mics: np.ndarray) -> np.ndarray:
        return self.scaled(dispatch.of(X).demix(self.W.astype(X.dtype), X), mics)

    def scaled(self, Y: np.ndarray, mics: np.ndarray) -> np.ndarray:
        """Sources Y = W X at the level that microphone mics[n] hears of talker n."""
        at = np.broadcast_to(mics, (*self.A.shape[:-2], 1, len(mics)))
        return np.asarray(Y * np.take_along_axis(self.A, at, -2).swapaxes(-1, -2))

    def ordered(self, order: np.ndarray) -> Demixing:
        """The same with talker order[k] in place k."""
        return Demixing(np.take(self.W, order, axis=-2), np.take(self.A, order, axis=-1))

    def arrays(self) -> dict[str, np.ndarray]:
        return {"demixing": self.W, "mixing": self.A}


@dataclass(frozen=True)
class SpatialCovariances:
    """A multichannel Wiener filter in every bin and frame, from covariances R (F, N, M, M) of the talkers' sound in a bin.

    How loud each talker is in a frame of a new block is learned from the block (EM with R known): Duong et al. (2010).
    """

    R: np.ndarray

    @property
    def n_mics(self) -> int:
        return int(self.R.shape[-1])

    @property
    def n_sources(self) -> int:
        return int(self.R.shape[1])

    def images(self, X: np.ndarray, mics: np.ndarray) -> np.ndarray:
        if not X.any():
            return np.zeros((len(X), self.n_sources, X.shape[2]), X.dtype)
        model = fullrank.with_known_covariances(X, self.R, EM_ITERATIONS)
        Y = np.empty((len(X), self.n_sources, X.shape[2]), X.dtype)
        for mic in np.unique(mics):
            Y[:, mics == mic] = model.images(int(mic))[0][:, mics == mic]
        return Y

    def arrays(self) -> dict[str, np.ndarray]:
        return {"covariances": self.R}


@dataclass(frozen=True)
class Microphone:
    """One talker, who is what a microphone records: nothing to separate."""

    n_mics: int

    @property
    def n_sources(self) -> int:
        return 1

    def images(self, X: np.ndarray, mics: np.ndarray) -> np.ndarray:
        return np.asarray(X[mics])

    def arrays(self) -> dict[str, np.ndarray]:
        return {"microphones": np.array([self.n_mics])}


@dataclass(frozen=True)
class Filters:
    """The filters of one separation.

    Attributes
    ----------
    model : Demixing, SpatialCovariances or Microphone
        What makes the talkers of the M channels that are used.
    stft : Stft or None
        The window; None where the model works on samples.
    rate : int
        Hz.
    mics : tuple[int, ...]
        For each of the N tracks the microphone at which it is heard, among the used ones.
    channels : tuple[str, ...]
        Names of all channels of the recording.
    used : tuple[int, ...]
        The channels that the model takes, from 0.
    method : str
        What learned them.
    span : tuple[float, float]
        Seconds of the recording that they were learned from.
    source_model : bool
        Whether the learned source model follows.
    weights : path or None
        Its file, where it is not the one that ships.
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

    def apply(self, x: np.ndarray, *, rate: int | None = None, reference_mic: int | None = None) -> np.ndarray:
        """Tracks (N, n) of a recording x (M, n) of the same microphones in the same places.

        Parameters
        ----------
        x : np.ndarray
            (M, n) all channels of the recording, in the order that the filters were learned with.
        rate : int, optional
            Hz of x, to be checked.
        reference_mic : int, optional
            The channel, from 0, at whose level and place every talker is given; by default as in the separation.

        Raises
        ------
        InputError
            Another number of microphones, another rate, or samples that are not finite.
        UsageError
            A reference microphone that the filters do not use.

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
        x = check_recording(np.ascontiguousarray(check_recording(x)[list(self.used)], np.float32))
        y = self._linear(x, self._mics(reference_mic))
        if not self.source_model:
            return y
        from bss.networks.source_model import apply

        model = apply.load(self.weights)
        return apply.enhance(model, apply.prepare(model, y, self.rate))

    def check(self, n_channels: int, rate: int) -> None:
        """InputError where a recording with so many channels, at that rate, is not one that these filters are for."""
        if n_channels != len(self.channels):
            raise InputError(
                f"the recording has {n_channels} channels, and these filters were learned with {len(self.channels)}",
                "filters belong to the microphones that they were learned with: the same ones, in the same places and order",
                "the recording of all these microphones, or `bss unmix`, which learns filters for this one",
            )  # fmt: skip
        if rate != self.rate:
            raise InputError(
                f"the recording is at {rate} Hz, and these filters were learned at {self.rate} Hz", "",
                f"the recording at {self.rate} Hz (ffmpeg -ar {self.rate}), or `bss unmix`",
            )  # fmt: skip

    def _mics(self, reference_mic: int | None) -> np.ndarray:
        """(N,) the microphone of each track, among those that are used."""
        if reference_mic is None:
            return np.array(self.mics)
        check_int("reference_mic", reference_mic, 0, len(self.channels) - 1)
        if reference_mic not in self.used:
            raise UsageError(f"{self.channels[reference_mic]} was left out when these filters were learned", hint="another one")
        return np.full(self.model.n_sources, self.used.index(reference_mic))

    def _linear(self, x: np.ndarray, mics: np.ndarray) -> np.ndarray:
        if self.stft is None:
            return np.asarray(self.model.images(x, mics), np.float32)
        Y = self.model.images(self.stft.forward(x), mics)
        return np.asarray(self.stft.inverse(Y, x.shape[1]), np.float32)

    def to_bytes(self) -> bytes:
        """The file that `load_filters` reads: safetensors and not pickle, for filters from strangers are data."""
        from safetensors.numpy import save

        return bytes(save({name: _real(a) for name, a in self.model.arrays().items()}, {"bss": KIND, "filters": self._words()}))

    def _words(self) -> str:
        words = {
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
        }
        return json.dumps(words)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write them to a file, whole or not at all.

        Raises
        ------
        InputError
            The file is there already, or the place cannot be written.
        """
        from bss.signals.writing import output_folder

        place = Path(path)
        with output_folder(place.parent, [place.name], overwrite=overwrite) as out:
            out.data(place.name, self.to_bytes())


def load_filters(path: str | os.PathLike[str]) -> Filters:
    """The filters in a file that `Filters.save` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Filters
        `filters.apply(x)` makes tracks (N, n) of a recording (M, n).

    Raises
    ------
    InputError
        There is no such file, it is none of filters, or it is damaged.

    Examples
    --------
    >>> import numpy as np, bss, pathlib, tempfile
    >>> s = np.random.default_rng(0).laplace(0, 0.05, size=(2, 16_000)).astype(np.float32)
    >>> x = np.array([[1.0, 0.6], [0.5, 1.0]], np.float32) @ s
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "room.filters")
    ...     bss.unmix(x, 16_000).filters.save(path)
    ...     filters = bss.load_filters(path)
    >>> filters.method, filters.apply(x).shape
    ('fastica', (2, 16000))
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise InputError(f"{path} does not exist", "it should hold filters", "bss unmix ... --save-filters FILE makes them")
    try:
        with safe_open(os.fspath(path), "np") as file:
            words = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} holds no filters", f"safetensors says: {error}", "copy it again, or learn them again") from None
    if words.get("bss") != KIND:
        what = f"it holds a {words['bss']}" if "bss" in words else "bss did not write it"
        raise InputError(f"{path} holds no filters", what, "a file that `bss unmix --save-filters` wrote")
    try:
        return _checked(json.loads(words["filters"]), arrays)
    except (KeyError, TypeError, ValueError, IndexError, UsageError) as error:
        why = f"something in it is missing or does not fit: {error}"
        raise InputError(f"{path} holds no filters that this version of bss can use", why, "learn them again") from None


def _checked(words: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Filters:
    """The filters, or a ValueError saying what does not fit."""
    if words["schema"] != SCHEMA:
        raise ValueError(f"schema {words['schema']}")
    stft = None if words["stft"] is None else Stft(*words["stft"])
    model = _model(arrays, stft)
    if not all(np.isfinite(a).all() for a in arrays.values()):
        raise ValueError("an array is not finite")
    used, mics, channels = (tuple(words[name]) for name in ("used", "mics", "channels"))
    if len(used) != model.n_mics or not set(used) <= set(range(len(channels))):
        raise ValueError(f"{model.n_mics} microphones, channels {used} of {len(channels)}")
    if len(mics) != model.n_sources or not set(mics) <= set(range(len(used))):
        raise ValueError(f"{model.n_sources} talkers, microphones {mics}")
    rate = check_int("rate", words["rate"], 1)
    start, end = words["span"]
    names = tuple(str(name) for name in channels)
    return Filters(
        model, stft, rate, mics, names, used, str(words["method"]), (float(start), float(end)), bool(words["source_model"]),
        words["weights"],
    )  # fmt: skip


def _model(arrays: Mapping[str, np.ndarray], stft: Stft | None) -> Model:
    if "microphones" in arrays:
        return Microphone(check_int("microphones", int(arrays["microphones"][0]), 1))
    if "covariances" in arrays:
        R = _complex(arrays["covariances"])
        _shape("covariances", R, stft, R.shape[-3], R.shape[-1], R.shape[-1])
        return SpatialCovariances(R)
    W, A = (_complex(arrays[name]) if stft else arrays[name] for name in ("demixing", "mixing"))
    _shape("demixing", W, stft, *W.shape[-2:])
    _shape("mixing", A, stft, *W.shape[:-3:-1])
    return Demixing(W, A)


def _shape(name: str, a: np.ndarray, stft: Stft | None, *last: int) -> None:
    expected = last if stft is None else (stft.n_bins, *last)
    if a.shape != expected:
        raise ValueError(f"{name} of shape {a.shape}, not {expected}")


def _real(a: np.ndarray) -> np.ndarray:
    """Complex numbers as pairs of real ones along a last axis."""
    a = np.ascontiguousarray(a)
    return a.view(a.real.dtype).reshape(*a.shape, 2) if np.iscomplexobj(a) else a


def _complex(a: np.ndarray) -> np.ndarray:
    """The inverse of `_real`."""
    if a.ndim < 2 or a.shape[-1] != 2:
        raise ValueError(f"pairs of shape {a.shape}")
    return np.ascontiguousarray(a).view(np.result_type(a.dtype, np.complex64))[..., 0]
