"""The learned denoiser on recordings and tracks of any rate, length and number of channels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from bss.checks import LARGEST, check_rate, check_recording, plain, refuse_level
from bss.errors import UsageError
from bss.networks import fitting
from bss.networks.denoiser import deepfilternet
from bss.networks.denoiser.deepfilternet import DeepFiltering
from bss.networks.denoiser.inference import DenoiserNetwork
from bss.networks.denoiser.stream import Denoising, Model
from bss.networks.files import Stamp, Weights, located, read, unfit

KIND = "denoiser"
BLOCK_SECONDS = 16.0
Progress = Callable[[float], Any]


def denoise(
    x: np.ndarray, rate: int, *, strength: float = 1.0, weights: Weights = None, progress: Progress | None = None
) -> np.ndarray:
    """Take noise out of speech.

    Every channel is treated by itself, by a small recurrent network that looks 32 ms ahead, mixed with a Wiener filter of three
    tenths of the weight. Both work at 16 kHz; what a recording has above 8 kHz is lowered as much as the band just below. Echo
    stays: it is not noise.

    Parameters
    ----------
    x : (M, n) or (n,) float
        Channels, or the tracks of `unmix`; full scale is 1.
    rate : int
        Hz.
    strength : float
        How much of the noise to remove: 0 for nothing, 1 for all that the network takes for noise. In between the result is a
        mixture of both, and noise is lowered by at most -20 log10(1 - strength) dB: 0.5 by up to 6 dB, 0.9 by up to 20 dB.
    weights : path or str, optional
        A denoiser trained by `bss train denoiser`, or "deepfilternet3" where the extra `deepfilternet` is installed (a network of
        others, which is ahead of this one and takes ten times as long); by default the one that ships with bss.
    progress : callable, optional
        Called with the share done, 0 to 1.

    Returns
    -------
    (M, n) or (n,) float
        As long as x, each sample in its place, of the same dtype; speech keeps its level.

    Raises
    ------
    InputError
        Samples that are not floating point, or not finite; wrong axes; weights that are not those of a denoiser; a denoiser
        that is not installed.
    UsageError
        A strength that is not between 0 and 1; a rate that is not a whole number of Hz.

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
    rate, strength = check_rate(rate), check_strength(strength)
    mono = np.ndim(x) == 1
    x = check_recording(plain(x, name="x")[None] if mono else x)
    refuse_level(float(max(x.max(), -x.min())), LARGEST[4], "x")  # the network computes in single precision whatever comes
    y = np.empty_like(x)
    step, done = block_length(rate), 0
    blocks = (x[:, first : first + step] for first in range(0, x.shape[1], step))
    for part in denoised(blocks, rate, strength=strength, weights=weights):
        y[:, done : done + part.shape[1]] = part
        done += part.shape[1]
        if progress is not None:
            progress(done / x.shape[1])
    return y[0] if mono else y


def denoised(blocks: Iterable[np.ndarray], rate: int, *, strength: float = 1.0, weights: Weights = None) -> Iterator[np.ndarray]:
    """`denoise` of a recording in blocks (M, k), as blocks (M, j) of as many samples in all, however they are cut.

    The samples must be finite. With a strength of 0 the blocks are returned as they are.
    """
    stream: Denoising | DeepFiltering | None = None
    for x in blocks:
        if strength == 0:
            yield x
            continue
        if stream is None:
            stream = started(weights, len(x), rate, strength)
        with threadpool_limits(1, user_api="blas"):  # products of a frame are too small to be shared
            part = stream.push(x)
        yield part
    if stream is not None:
        yield stream.end()


def started(weights: Weights, channels: int, rate: int, strength: float) -> Denoising | DeepFiltering:
    """A denoiser before its first sample."""
    if weights == deepfilternet.NAME:
        return DeepFiltering(channels, rate, strength)
    return Denoising(load(weights), channels, rate, strength)


def check_model(weights: Weights) -> None:
    """InputError or UsageError where there is no such denoiser."""
    if weights == deepfilternet.NAME:
        deepfilternet.library()
    else:
        load(weights)


def check_strength(strength: float) -> float:
    """`strength` as a float within [0, 1], or UsageError."""
    try:
        number = float(strength)
    except (TypeError, ValueError):
        raise UsageError(f"strength={strength!r} is not a number", hint="a number from 0 to 1") from None
    if not 0 <= number <= 1:
        raise UsageError(
            f"strength={strength} is not between 0 and 1", hint="1 removes all it can, 0.9 lowers noise by 20 dB at most"
        )
    return number


@lru_cache(maxsize=4)
def _loaded(path: Path, stamp: Stamp) -> Model:
    config, tensors = read(path, KIND)
    try:
        fitting.refuse_unlike(tensors, fitting.denoiser(config))
        return Model(DenoiserNetwork(config, tensors), int(config["rate"]))
    except (KeyError, ValueError) as error:
        raise unfit(path, error) from None


def load(weights: Weights = None) -> Model:
    """The denoiser in a file, or the one that ships; read once, until the file changes."""
    return _loaded(*located(weights, KIND))


def block_length(rate: int) -> int:
    """Samples of the blocks that a recording is cut into."""
    return max(1, round(BLOCK_SECONDS * rate))
