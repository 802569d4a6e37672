"""Public functions with odd arrays and odd options."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import contract
import numpy as np
from values import ANY, Rng, odd_array, pick

import bss

RATE = 8000
DOUBLE = False  # whether solvers are called in double precision, too: each is a kernel to compile


def _samples(rng: Rng, M: int = 2, n: int = 4000) -> np.ndarray:
    s = rng.laplace(0, 0.05, size=(M, n))
    return (s + 0.5 * s[::-1]).astype(np.float64 if DOUBLE and rng.random() < 0.3 else np.float32)


def _spectra(rng: Rng, M: int = 2) -> np.ndarray:
    shape = (9, M, 120)
    X = (rng.normal(size=shape) + 1j * rng.normal(size=shape)) * rng.gamma(0.3, size=(1, M, 120))
    X = X + 0.4 * X[:, ::-1]
    return X.astype(np.complex128 if DOUBLE and rng.random() < 0.3 else np.complex64)


def _solver(name: str, array: Callable[[Rng], np.ndarray], **options: Any) -> tuple[Any, ...]:
    return name, lambda: getattr(bss, name), lambda rng: [array(rng)], options


def _write(x: Any, rate: Any, **options: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bss.write(Path(folder, "a.wav"), x, rate, **options)


def _live(x: Any, rate: Any, **options: Any) -> Any:
    live = bss.Live(2, rate, beside=False, **options)
    return live.push(x)


COMMON = {"n_sources": 2, "n_iter": 3, "tol": 1e-6, "rng": 0, "callback": None}
# name, the function, its arguments, and options as they should be
FUNCTIONS: list[tuple[Any, ...]] = [
    *(_solver(name, _samples, **COMMON) for name in ("fastica", "infomax", "picard_o")),
    _solver("jade", _samples, n_sources=2, rng=0, callback=None),
    _solver("auxiva", _spectra, n_iter=3, tol=1e-6, rng=0, callback=None, contrast="laplace", update="iss"),
    _solver("overiva", _spectra, n_sources=1, n_iter=3, tol=1e-6, rng=0, callback=None),
    _solver("ilrma", _spectra, n_iter=3, n_components=2, dof=4.0, tol=1e-6, rng=0, callback=None),
    _solver("fdica", _spectra, n_iter=3, tol=1e-6, rng=0, callback=None),
    _solver("cacgmm", _spectra, n_sources=2, n_iter=3, tol=1e-6, rng=0, callback=None, reference_mic=0),
    _solver("fastmnmf", _spectra, n_sources=2, n_components=2, n_iter=3, rng=0, callback=None),
    _solver("wpe", _spectra, taps=2, delay=2, n_iter=2, context=0),
    _solver("whiten", _samples, n_components=None),
    (
        "Stft",
        lambda: _no_nan(lambda x, n_fft, hop: bss.Stft(n_fft, hop).forward(x)),
        lambda rng: [_samples(rng)],
        {"n_fft": 256, "hop": 64},
    ),
    ("si_sdr", lambda: _no_nan(bss.si_sdr), lambda rng: [_samples(rng), _samples(rng)], {"zero_mean": False}),
    ("score", lambda: _no_nan(bss.score), lambda rng: [_samples(rng), _samples(rng)], {"filter_length": 8}),
    ("denoise", lambda: bss.denoise, lambda rng: [_samples(rng), RATE], {"strength": 1.0, "weights": None}),
    ("sync", lambda: bss.sync, lambda rng: [_samples(rng), RATE], {"mode": "auto", "names": None, "devices": None}),
    ("write", lambda: _write, lambda rng: [_samples(rng), RATE], {"subtype": "PCM_16"}),
    (
        "mix",
        lambda: bss.mix,
        lambda rng: [list(_samples(rng)), RATE],
        {
            "n_mics": 2,
            "rt60": 0.0,
            "instantaneous": True,
            "snr_db": 30.0,
            "spacing": 0.05,
            "seconds": None,
            "levels_db": None,
            "rng": 0,
            "room": (6, 5, 3),
        },
    ),
    (
        "unmix",
        lambda: bss.unmix,
        lambda rng: [_samples(rng), RATE],
        {
            "n_sources": 2,
            "method": "fastica",
            "effort": "normal",
            "reference_mic": 0,
            "rng": 0,
            "sync": "off",
            "channels": None,
            "per_mic": False,
            "device": "cpu",
        },
    ),
    (
        "Live",
        lambda: _live,
        lambda rng: [_samples(rng, n=800), RATE],
        {"n_sources": 2, "effort": "normal", "reference_mic": 0, "rng": 0},
    ),
]


def _no_nan(function: Callable[..., Any]) -> Callable[..., Any]:
    """Scores of silence are NaN, as they say, and so are spectra of samples that are; nothing else is to be checked here."""

    def scored(*arguments: Any, **options: Any) -> None:
        function(*arguments, **options)

    return scored


@lru_cache(maxsize=64)
def warm(name: str) -> None:
    """Call a function as it should be called, once: its kernels compile, in whatever time that takes."""
    for own, function, arguments, usual in FUNCTIONS:
        if own == name:
            function()(*arguments(np.random.default_rng(0)), **usual)


def run(rng: Rng, folder: Path) -> str:
    """One case: a function, its first array odd or one to two options of any kind."""
    name, function, arguments, usual = pick(rng, FUNCTIONS)
    warm(name)
    given, options = arguments(rng), dict(usual)
    what = rng.random()
    if what < 0.7:
        k = int(rng.integers(len(given))) if rng.random() < 0.3 else 0
        if isinstance(given[k], np.ndarray):
            given[k] = odd_array(rng, given[k])
        elif isinstance(given[k], list):
            given[k] = [odd_array(rng, part) if rng.random() < 0.6 else part for part in given[k]]
        else:
            given[k] = pick(rng, ANY)
    if what > 0.5:
        for option in rng.permutation(list(options))[: int(rng.integers(1, 3))]:
            options[str(option)] = pick(rng, ANY)
    _within_reason(options)
    return f"{name}: {contract.call(function(), given, options)}"


def _within_reason(options: dict[str, Any]) -> None:
    """As many iterations as somebody asks for are done: that is no fault, but takes for ever."""
    for name in ("n_iter", "n_components", "seconds", "filter_length", "n_fft", "taps", "context"):
        value = options.get(name)
        if isinstance(value, int | float | np.number) and not isinstance(value, bool) and 1000 < value < float("inf"):
            options[name] = 3
