"""Noise out of recordings and tracks, by the learned denoiser: any rate, any length, any number of channels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from bss.checks import check_recording
from bss.errors import InputError, UsageError, check_int
from bss.networks.denoiser.inference import Recurrent
from bss.networks.denoiser.stream import Denoising, Model
from bss.networks.files import Stamp, Weights, located, read, unfit
from bss.signals.decode import Reader
from bss.signals.paths import label

KIND = "denoiser"
BLOCK_SECONDS = 16.0
Progress = Callable[[float], Any]


def denoise(
    x: np.ndarray, rate: int, *, strength: float = 1.0, weights: Weights = None, progress: Progress | None = None
) -> np.ndarray:
    """Take noise out of speech.

    Every channel is treated by itself, by a small recurrent network that looks 32 ms ahead, and by three tenths a Wiener
    filter. It works at 16 kHz; what a recording has above 8 kHz is lowered as much as the band below that is. Echo stays: it
    is not noise.

    Parameters
    ----------
    x : (M, n) or (n,) float
        Channels, or the tracks of `unmix`; full scale is 1.
    rate : int
        Hz.
    strength : float
        From 0, nothing, to 1, all that the network takes for noise. Between, the result is a mixture of x and of that: noise
        goes down by at most -20 log10(1 - strength) dB, so 0.5 lowers it by up to 6 dB, 0.9 by up to 20 dB.
    weights : path, optional
        A denoiser that `bss train denoiser` made; by default the one that ships with bss.
    progress : callable, optional
        Called with the share that is done, 0 to 1.

    Returns
    -------
    (M, n) or (n,) float
        As long as x, sample by sample in the same place, of its dtype; speech has the level it had.

    Raises
    ------
    InputError
        Not floating samples, not finite, wrong axes; weights that are no denoiser.
    UsageError
        A strength that is not between 0 and 1; a rate that is no whole number of Hz.

    References
    ----------
    P. Vincent et al., "Extracting and composing robust features with denoising autoencoders", ICML 2008. J.-M. Valin, "A
    hybrid DSP/deep learning approach to real-time full-band speech enhancement", MMSP 2018.

    Examples
    --------
    >>> import numpy as np, bss
    >>> noise = 0.01 * np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    >>> quiet = bss.denoise(noise, 16_000)
    >>> quiet.shape, bool(np.std(quiet[8000:]) < 0.5 * np.std(noise[8000:]))
    ((32000,), True)
    """
    rate, strength = check_int("rate", rate, 1), check_strength(strength)
    mono = np.ndim(x) == 1
    x = check_recording(np.asarray(x)[None] if mono else x)
    y = np.empty_like(x)
    went = 0
    for part in denoised(_slices(x, rate), rate, strength=strength, weights=weights):
        y[:, went : went + part.shape[1]] = part
        went += part.shape[1]
        if progress is not None:
            progress(went / x.shape[1])
    return y[0] if mono else y


def denoised(blocks: Iterable[np.ndarray], rate: int, *, strength: float = 1.0, weights: Weights = None) -> Iterator[np.ndarray]:
    """`denoise` of a recording that comes in blocks (M, k), in blocks (M, j): as many samples, however they are cut.

    The samples are taken to be finite. With a strength of 0 blocks come back as they are.
    """
    stream: Denoising | None = None
    for x in blocks:
        if strength == 0:
            yield x
            continue
        if stream is None:
            stream = Denoising(model(weights), len(x), rate, strength)
        with threadpool_limits(1, user_api="blas"):  # products of a frame are too small to be shared
            part = stream.push(x)
        yield part
    if stream is not None:
        yield stream.end()


def denoised_file(reader: Reader, *, strength: float = 1.0, weights: Weights = None) -> Iterator[np.ndarray]:
    """`denoised` of an open audio file; InputError where its samples are not finite."""
    return denoised(_read_blocks(reader), reader.info.rate, strength=strength, weights=weights)


def check_strength(strength: float) -> float:
    """`strength` as a float within [0, 1], or UsageError."""
    try:
        number = float(strength)
    except (TypeError, ValueError):
        raise UsageError(f"strength={strength!r} is not a number", hint="a number from 0 to 1") from None
    if not 0 <= number <= 1:
        raise UsageError(
            f"strength={strength} is not between 0 and 1", hint="1 for all that can go, 0.9 to lower noise by 20 dB at most"
        )
    return number


@lru_cache(maxsize=4)
def _held(path: Path, stamp: Stamp) -> Model:
    config, tensors = read(path, KIND)
    try:
        return Model(Recurrent(config, tensors), int(config["rate"]))
    except KeyError as error:
        raise unfit(path, error) from None


def model(weights: Weights = None) -> Model:
    """The denoiser in a file, or the one that ships; read once, until the file changes."""
    return _held(*located(weights, KIND))


def _slices(x: np.ndarray, rate: int) -> Iterator[np.ndarray]:
    step = max(1, round(BLOCK_SECONDS * rate))
    return (x[:, first : first + step] for first in range(0, x.shape[1], step))


def _read_blocks(reader: Reader) -> Iterator[np.ndarray]:
    info = reader.info
    step = max(1, round(BLOCK_SECONDS * info.rate))
    for first in range(0, info.frames, step):
        block = np.empty((info.channels, min(step, info.frames - first)), np.float32)
        reader.fill(block, first)
        if not np.isfinite(block).all():
            channel, sample = np.argwhere(~np.isfinite(block))[0]
            raise InputError(
                f"channel {channel + 1} of {label(info.path)} holds NaN or infinite samples, the first at {first + sample}",
                "what is remembered of them would spoil all that follows", "cut the recording before it",
            )  # fmt: skip
        yield block
