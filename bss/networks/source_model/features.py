"""The input of the source model's network, written once for NumPy arrays in use and for torch tensors in training."""

from __future__ import annotations

from typing import Any

FEATURES = 4  # log power of the track and of the others, cosine and sine of the phase between them
RANGE = 1e-5  # powers count from 50 dB under the mean of the recording


def features(Y: Any, R: Any, xp: Any) -> Any:
    """(..., FEATURES, F, T) of spectra Y, R (..., F, T) of a track and of the others, all arrays of the module `xp`.

    Powers are relative to the mean of the recording, so that loudness does not matter.
    """
    p, q = Y.real**2 + Y.imag**2, R.real**2 + R.imag**2
    level = (p + q).mean((-2, -1), keepdims=True) + xp.finfo(p.dtype).tiny
    p, q = p / level, q / level
    cross = Y * R.conj() / level
    size = xp.sqrt(p * q) + RANGE
    return xp.stack((xp.log(p + RANGE) / 4, xp.log(q + RANGE) / 4, cross.real / size, cross.imag / size), -3)
