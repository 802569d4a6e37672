"""The file that `Filters.save` writes, read and checked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bss.checks import check_rate
from bss.errors import InputError, UsageError, check_int
from bss.pipeline.filters.filters import KIND, SCHEMA, Filters
from bss.pipeline.filters.models import Demixing, Microphone, Model, SpatialCovariances
from bss.signals.stft import Stft
from bss.tensor_files import contents


def load_filters(path: str | os.PathLike[str]) -> Filters:
    """Read filters that `Filters.save` or `bss unmix --save-filters` has written.

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
        The file does not exist, contains no filters, or is damaged.

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
    if not Path(path).is_file():
        raise InputError(
            f"{path} does not exist", "a file of filters is expected there", "write one: bss unmix ... --save-filters FILE"
        )
    try:
        return filters_of(Path(path).read_bytes(), os.fspath(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read", error.strerror or str(error), "copy it again, or learn them again") from None


def filters_of(data: bytes, name: str = "this") -> Filters:
    """The filters in bytes that `Filters.to_bytes` made; `name` is that of their file.

    Raises
    ------
    InputError
        They contain no filters, or are damaged.
    """
    try:
        metadata, arrays = contents(data)
    except ValueError as error:
        raise InputError(f"{name} contains no filters", str(error), "copy it again, or learn them again") from None
    if metadata.get("bss") != KIND:
        why = f"it contains a {metadata['bss']}" if "bss" in metadata else "it was not written by bss"
        raise InputError(f"{name} contains no filters", why, "a file written by `bss unmix --save-filters`")
    try:
        return _checked(json.loads(metadata["filters"]), arrays)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError, UsageError) as error:
        why = f"missing or inconsistent: {error}"
        raise InputError(f"{name} contains no filters that this version of bss can use", why, "learn them again") from None


def _checked(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Filters:
    """The filters of a file; ValueError if its parts are inconsistent."""
    if header["schema"] != SCHEMA:
        raise ValueError(f"schema {header['schema']}")
    stft = None if header["stft"] is None else Stft(*header["stft"])
    model = _model(arrays, stft)
    if not all(np.isfinite(a).all() for a in arrays.values()):
        raise ValueError("an array contains NaN or infinite values")
    used, mics, channels = (tuple(header[name]) for name in ("used", "mics", "channels"))
    if len(used) != model.n_mics or not set(used) <= set(range(len(channels))):
        raise ValueError(f"{model.n_mics} microphones, channels {used} of {len(channels)}")
    if len(mics) != model.n_sources or not set(mics) <= set(range(len(used))):
        raise ValueError(f"{model.n_sources} talkers, microphones {mics}")
    rate = check_rate(header["rate"])
    start, end = header["span"]
    if not 0 <= float(start) <= float(end) < float("inf"):
        raise ValueError(f"a span from {start} to {end} s")
    names = tuple(str(name) for name in channels)
    return Filters(
        model, stft, rate, mics, names, used, str(header["method"]), (float(start), float(end)), bool(header["source_model"]),
        _weights(header["weights"]), _n_talkers(header, model),
    )  # fmt: skip


def _weights(name: Any) -> str | None:
    if name is not None and not isinstance(name, str):
        raise ValueError(f"weights {name!r}")
    return name


def _n_talkers(header: Mapping[str, Any], model: Model) -> int | None:
    """How many tracks are talkers; files of earlier versions do not say."""
    n = header.get("n_talkers")
    return None if n is None else check_int("n_talkers", n, 1, model.n_sources)


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
        raise ValueError(f"{name} has shape {a.shape}, expected {expected}")


def _complex(a: np.ndarray) -> np.ndarray:
    """Complex numbers from pairs of real ones along the last axis."""
    if a.ndim < 2 or a.shape[-1] != 2:
        raise ValueError(f"pairs of shape {a.shape}")
    return np.ascontiguousarray(a).view(np.result_type(a.dtype, np.complex64))[..., 0]
