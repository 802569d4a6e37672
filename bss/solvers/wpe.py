"""Dereverberation by weighted prediction error (WPE): late echo is what past frames predict of the present one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bss.backends import dispatch
from bss.errors import InputError, UsageError, check_int
from bss.solvers import mm
from bss.solvers.mm import check_spectra

MOST_FRAMES = 1 << 20
FRAMES_PER_TAP = 4  # at least so many frames for each coefficient of a filter: fewer, and it predicts the speech away


@dataclass(frozen=True)
class Dereverberated:
    """A recording without its late echo, and the filters that took it out.

    Attributes
    ----------
    spectra : np.ndarray
        (F, M, T), `x_t - G^H z_t` in every bin.
    filters : np.ndarray
        G (F, M taps, M). Row k M + m is tap k of microphone m, the frame `delay + k` before the present one; column n is what
        is predicted of microphone n. So z_t = [x_(t - delay); x_(t - delay - 1); ...], zeros before the first frame.
    delay : int
        Frames from the present one to the newest that predicts it.
    n_iter : int
        Rounds done.
    message : str
        How it ended, and what was changed of what was asked for.
    """

    spectra: np.ndarray = field(repr=False)
    filters: np.ndarray = field(repr=False)
    delay: int
    n_iter: int
    message: str

    @property
    def taps(self) -> int:
        """Frames that predict the present one."""
        return int(self.filters.shape[1] // self.filters.shape[2])

    def apply(self, X: np.ndarray) -> np.ndarray:
        """The same filters on another recording (F, M, T) by the same microphones in the same room.

        Raises
        ------
        InputError
            X is not complex spectra of as many bins and microphones.
        """
        X = check_spectra(X)
        if (X.shape[0], X.shape[1]) != (self.filters.shape[0], self.filters.shape[2]):
            raise InputError(
                f"X has {X.shape[0]} bins and {X.shape[1]} microphones",
                f"the filters are for {self.filters.shape[0]} bins and {self.filters.shape[2]} microphones",
                "the STFT and the microphones that they were found with",
            )
        return dispatch.of(X).without_prediction(X, self.filters, self.delay)


def wpe(
    X: np.ndarray,
    *,
    taps: int = 10,
    delay: int = 3,
    n_iter: int = 3,
    context: int = 0,
    power: np.ndarray | None = None,
) -> Dereverberated:
    """Dereverberation by weighted prediction error (WPE), offline, from all microphones to all.

    It takes late echo out and leaves talkers, their order and their direction as they are, so that it can go before any
    method of separation. The STFT should be one with short windows, 32 to 64 ms.

    Parameters
    ----------
    X : np.ndarray
        (F, M, T) complex spectra of the microphones.
    taps : int
        Past frames that predict the present one; fewer are used where the recording is too short for so many.
    delay : int
        Frames between the present one and the newest of these, at least 1: what is closer is the talker's own sound.
    n_iter : int
        Rounds of weights and filters.
    context : int
        Frames to either side over which the power of a frame is averaged.
    power : np.ndarray, optional
        (F, T) power of the sound without echo, from elsewhere, for the first round; the recording's own by default.

    Returns
    -------
    Dereverberated
        Spectra (F, M, T) and filters (F, M taps, M), with `apply` for other recordings.

    Raises
    ------
    InputError, UsageError
        X is not usable, silent or too short; an option is not.

    References
    ----------
    T. Nakatani, T. Yoshioka, K. Kinoshita, M. Miyoshi and B.-H. Juang, "Speech dereverberation based on variance-normalized
    delayed linear prediction", IEEE TASLP 18(7), 2010.

    Examples
    --------
    >>> import numpy as np, bss
    >>> rng = np.random.default_rng(0)
    >>> S = rng.normal(size=(9, 2, 400)) + 1j * rng.normal(size=(9, 2, 400))
    >>> X = S.copy()
    >>> X[:, :, 3:] += 0.5 * S[:, ::-1, :-3]  # an echo, three frames late
    >>> dry = bss.wpe(X, taps=4)
    >>> bool(np.linalg.norm(dry.spectra - S) < 0.5 * np.linalg.norm(X - S))
    True
    """
    X = check_spectra(X)
    taps, note = check_taps(X, taps, delay)
    check_int("n_iter", n_iter, 1)
    check_int("context", context, 0, MOST_FRAMES)
    power = None if power is None else check_power(power, X)
    backend = dispatch.of(X)
    filters = backend.prediction_filters(
        X, taps=taps, delay=delay, n_iter=n_iter, context=context, power=power, level=mm.level(X)
    )
    filters = backend.cast(filters, X)
    spectra = backend.without_prediction(X, filters, delay)
    return Dereverberated(spectra, filters, delay, n_iter, f"stopped after {n_iter} rounds{note}")


def check_taps(X: np.ndarray, taps: int, delay: int) -> tuple[int, str]:
    """`taps`, or as many as the recording is long enough for, and a note that says so."""
    check_int("taps", taps, 1, MOST_FRAMES)
    check_int("delay", delay, 1, MOST_FRAMES)
    _, M, T = X.shape
    most = (T - delay) // (FRAMES_PER_TAP * M)
    if most < 1:
        raise InputError(
            f"X has {T} frames of {M} microphones", f"filters with a delay of {delay} frames cannot be learned from so few",
            f"a recording of at least {FRAMES_PER_TAP * M + delay} frames, a shorter hop, or fewer microphones",
        )  # fmt: skip
    if taps <= most:
        return taps, ""
    return most, f"; {most} taps and not {taps}: {T} frames of {M} microphones are too short for more"


def check_power(power: Any, X: np.ndarray) -> np.ndarray:
    """`power` as finite float64 (F, T), never negative, or UsageError."""
    power = dispatch.of(power).host(power) if dispatch.known(power) else np.asarray(power)
    expected = (X.shape[0], X.shape[2])
    if power.shape != expected or power.dtype.kind not in "fiu":
        raise UsageError(f"power is {power.dtype} of shape {power.shape}", hint=f"real, (F, T) = {expected}")
    if not np.isfinite(power).all() or (power < 0).any():
        raise UsageError("power holds negative, NaN or infinite values", hint="squared magnitudes, not decibels")
    return np.asarray(power, np.float64)
