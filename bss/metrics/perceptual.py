"""PESQ and STOI of an estimate against its reference, by the packages of the extras `pesq` and `metrics`."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from bss.errors import InputError
from bss.signals.resample import resample

PESQ_RATES = {"pesq_wb": 16_000, "pesq_nb": 8_000}
STOI_RATE = 10_000
PERCEPTUAL = ("pesq_wb", "pesq_nb", "stoi", "estoi")
PACKAGES = {"pesq": ("pesq_wb", "pesq_nb"), "pystoi": ("stoi", "estoi")}
LEFT_OUT = {  # in words, by package
    "pesq": "PESQ is left out, as the package pesq is not installed: pip install 'bss-toolkit[pesq]', which compiles it and "
    "needs a C compiler and Python's headers",
    "pystoi": "STOI and extended STOI are left out, as the package pystoi is not installed: pip install 'bss-toolkit[metrics]'",
}
PESQ_SECONDS = 15.0
"""PESQ is for some 10 s of speech, and its reference code keeps 50 utterances: after more of them it writes past its memory."""
DEFINITIONS = {
    "pesq_wb": f"ITU-T P.862.2, MOS-LQO from 1.04 to 4.64, at 16000 Hz; mean over pieces of at most {PESQ_SECONDS:g} s",
    "pesq_nb": f"ITU-T P.862.1, MOS-LQO from 1.02 to 4.55, at 8000 Hz; mean over pieces of at most {PESQ_SECONDS:g} s",
    "stoi": "short-time objective intelligibility, at most 1, at 10000 Hz",
    "estoi": "extended short-time objective intelligibility, at most 1, at 10000 Hz",
}
LOWEST_PESQ = {"wb": 1.0435, "nb": 1.0167}  # where the raw score is at its lowest, -0.5
NO_SPEECH = "PESQ finds no speech in the reference"
LITTLE_SPEECH = "STOI needs 0.4 s of speech in the reference"
NARROW = "wide-band PESQ compares up to 7 kHz, and the recording has less"


def perceptual_scores(reference: np.ndarray, estimate: np.ndarray, rate: int) -> tuple[dict[str, float], list[str]]:
    """PESQ (wide and narrow band), STOI and extended STOI of one estimate.

    Parameters
    ----------
    reference, estimate : array, shape=(n,)
        Neither is silent. Where `rate` is not that of a measure, both are converted to it by `bss.signals.resample`.
    rate : int
        Hz.

    Returns
    -------
    dict, list of str
        The measures by name, those whose package is installed, NaN where one does not exist; and why.

    Raises
    ------
    InputError
        No package of any of them is installed.

    References
    ----------
    ITU-T P.862 (2001), P.862.1 (2003), P.862.2 (2007). C. Taal et al., IEEE TASLP 19(7), 2011 (STOI); J. Jensen and C. Taal,
    IEEE TASLP 24(11), 2016 (extended).
    """
    scores, reasons = {}, []
    measured = installed()[0]
    for name, own_rate in ((name, PESQ_RATES[name]) for name in measured if name in PESQ_RATES):
        scores[name], reason = (
            (math.nan, NARROW) if rate < own_rate else _pesq(*_at(own_rate, reference, estimate, rate), own_rate)
        )
        reasons.append(reason)
    s, e = _at(STOI_RATE, reference, estimate, rate)
    for name in (name for name in measured if name not in PESQ_RATES):
        scores[name], reason = _stoi(s, e, extended=name == "estoi")
        reasons.append(reason)
    return scores, list(dict.fromkeys(reason for reason in reasons if reason))


def installed() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The measures whose package is installed, and a line for each package that is not; InputError if none is."""
    missing = [package for package in PACKAGES if not _is_there(package)]
    if len(missing) == len(PACKAGES):
        raise InputError(
            f"{' and '.join(missing)} are not installed", "perceptual scores need one of them at least",
            "pip install 'bss-toolkit[metrics]' for STOI, and 'bss-toolkit[pesq]' for PESQ, which needs a C compiler",
        )  # fmt: skip
    measured = tuple(name for package, names in PACKAGES.items() if package not in missing for name in names)
    return measured, tuple(LEFT_OUT[package] for package in missing)


def _is_there(package: str) -> bool:
    try:
        importlib.import_module(package)
    except ImportError as error:
        if error.name not in (package, None):  # it is there, and what it needs is not
            raise
        return False
    return True


def need(package: str, what: str) -> Any:
    """A package of the extra `metrics`, or InputError naming the extra."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f"{error.name or package} is not installed", f"{what} needs it", "pip install 'bss-toolkit[metrics]'"
        ) from error


def _at(own_rate: int, reference: np.ndarray, estimate: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    if rate == own_rate:
        return reference, estimate
    both = resample(np.stack([reference, estimate]).astype(np.float32), rate, own_rate)
    return both[0], both[1]


def _pesq(reference: np.ndarray, estimate: np.ndarray, rate: int) -> tuple[float, str]:
    """The mean over pieces in which the talker speaks, and otherwise why there is none."""
    package = need("pesq", "PESQ")
    mode = "wb" if rate == PESQ_RATES["pesq_wb"] else "nb"
    count = max(1, math.ceil(len(reference) / (PESQ_SECONDS * rate)))
    values = []
    for s, e in zip(np.array_split(reference, count), np.array_split(estimate, count), strict=True):
        if not np.any(s):
            continue
        try:
            # of silence PESQ is not defined
            values.append(float(package.pesq(rate, s, e, mode)) if np.any(e) else LOWEST_PESQ[mode])
        except (package.NoUtterancesError, package.BufferTooShortError):
            continue
    return (float(np.mean(values)), "") if values else (math.nan, NO_SPEECH)


def _stoi(reference: np.ndarray, estimate: np.ndarray, *, extended: bool) -> tuple[float, str]:
    stoi: Callable[..., float] = need("pystoi", "STOI").stoi
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Not enough STFT frames", RuntimeWarning)
        try:
            value = float(stoi(reference, estimate, STOI_RATE, extended=extended))
        except (RuntimeWarning, ValueError):  # fewer samples than one window are a ValueError there
            return math.nan, LITTLE_SPEECH
    return value, ""
