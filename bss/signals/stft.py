"""The short-time Fourier transform as one immutable value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bss.backends import dispatch
from bss.backends.operations import Array
from bss.checks import plain
from bss.errors import InputError, UsageError, check_int

LARGEST_FFT = 1 << 24  # samples of a window: minutes


@dataclass(frozen=True)
class Stft:
    """An STFT with a periodic Hann window and its exact inverse.

    Parameters
    ----------
    n_fft : int
        Samples of a frame; even.
    hop : int, optional
        Samples from one frame to the next; at most half of n_fft, a quarter of it by default.

    Raises
    ------
    UsageError
        n_fft is odd or hop does not fit it.

    Examples
    --------
    >>> import numpy as np, bss
    >>> stft = bss.Stft(512, 128)
    >>> x = np.random.default_rng(0).normal(size=(2, 4000)).astype(np.float32)
    >>> X = stft.forward(x)
    >>> X.shape, X.dtype
    ((257, 2, 35), dtype('complex64'))
    >>> np.allclose(stft.inverse(X, 4000), x, atol=1e-5)
    True
    """

    n_fft: int
    hop: int = 0

    def __post_init__(self) -> None:
        check_int("n_fft", self.n_fft, 4, LARGEST_FFT)
        if self.n_fft % 2:
            raise UsageError(f"n_fft={self.n_fft} is odd", hint=f"n_fft={self.n_fft + 1}")
        if self.hop is None or (isinstance(self.hop, int) and self.hop == 0):
            object.__setattr__(self, "hop", self.n_fft // 4)
        check_int("hop", self.hop, 1, self.n_fft // 2)

    @property
    def n_bins(self) -> int:
        """F, the number of frequency bins."""
        return self.n_fft // 2 + 1

    @property
    def lead(self) -> int:
        """Zeros before sample 0, so that the first samples lie in as many frames as all others."""
        return self.n_fft - self.hop

    def n_frames(self, n: int) -> int:
        """T, the number of frames of n samples."""
        return -(-(n + self.lead) // self.hop)

    @cached_property
    def window(self) -> np.ndarray:
        """(n_fft,) periodic Hann window, float64."""
        window: np.ndarray = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.n_fft) / self.n_fft)
        return window

    @cached_property
    def dual(self) -> np.ndarray:
        """(n_fft,) synthesis window: overlapped analysis times synthesis is one everywhere."""
        square = np.zeros(-(-self.n_fft // self.hop) * self.hop)
        square[: self.n_fft] = self.window**2
        total = square.reshape(-1, self.hop).sum(0)
        return np.asarray(self.window / np.tile(total, len(square) // self.hop)[: self.n_fft])

    def forward(self, x: Array) -> Array:
        """Spectra (F, M, T) of x (M, n); complex64 of float32, complex128 of float64."""
        if isinstance(x, np.ndarray):
            x = plain(x, name="x")
        if not dispatch.known(x) or x.ndim != 2 or dispatch.fourier_of(x).precision(x) not in (np.float32, np.float64):
            raise InputError(f"x is {_kind(x)}", "expected (M, n) float32 or float64")
        if not x.shape[0]:
            raise InputError(f"x has shape {tuple(x.shape)}", "it has no channels")
        return dispatch.fourier_of(x).stft(x, self.window, self.hop, self.lead, self.n_frames(x.shape[1]))

    def inverse(self, Y: Array, n: int) -> Array:
        """Signals (N, n) of spectra Y (F, N, T): sample 0 is sample 0, and n samples come back."""
        if isinstance(Y, np.ndarray):
            Y = plain(Y, name="Y")
        if not dispatch.known(Y) or Y.ndim != 3 or dispatch.fourier_of(Y).precision(Y) not in (np.complex64, np.complex128):
            raise InputError(f"Y is {_kind(Y)}", "expected (F, N, T) complex64 or complex128")
        if Y.shape[0] != self.n_bins or Y.shape[2] != self.n_frames(n):
            raise InputError(
                f"spectra of shape {tuple(Y.shape)}",
                f"an STFT of {self.n_fft}/{self.hop} has {self.n_bins} bins, and {self.n_frames(n)} frames for {n} samples",
            )
        return dispatch.fourier_of(Y).istft(Y, self.dual, self.hop)[:, self.lead : self.lead + n]


def nearest_size(samples: float) -> int:
    """The power of two, or three times one, nearest to a wished number of samples.

    Powers of two alone are a third too long or too short for a given time at 44.1 or 48 kHz.
    """
    power = 1 << round(float(np.log2(samples)))
    return min(power, 3 * (power >> 2), 3 * (power >> 1), key=lambda size: abs(size - samples))


def _kind(x: object) -> str:
    return f"{x.dtype} of shape {tuple(x.shape)}" if dispatch.known(x) else f"a {type(x).__name__}"  # type: ignore[attr-defined]
