"""Levels: talkers and noises at the levels asked for, recorded with one gain common to everything."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bss.errors import InputError, UsageError
from bss.scenes import clocks
from bss.scenes.acoustics.heard import Heard
from bss.scenes.clocks import Clock, Timeline

PEAK = 0.5  # the loudest sample of a scene: 6 dB of headroom


def record(
    sound: Heard, snr_db: float, noise_snr_db: float, levels: np.ndarray, rng: np.random.Generator, timeline: Timeline,
    own_clocks: Sequence[Clock],
) -> tuple[np.ndarray, float]:  # fmt: skip
    """Scale the images to their levels in place, with one gain common to all; returns the files (M, n) and that gain."""
    images, span = sound.images, timeline.span
    image_rms = np.array([_rms(image[0, span]) for image in images])
    if image_rms.min() < 1e-6:  # the voices have an RMS of 1
        raise UsageError("the recording ends before every talker reaches microphone 1", hint="more seconds, or a smaller spacing")
    scale = 10 ** (levels / 20) / image_rms
    # images of two talkers can cancel in the mixture and exceed it: no file may clip
    loudest = max(float(np.abs(image).max() * k) for image, k in zip(images, scale, strict=True))
    mixture = np.zeros(images.shape[1:])
    for image, k in zip(images, scale, strict=True):
        mixture += k * image
    level = _rms(mixture[0, span])
    ambient = _ambient(sound.noises, level * 10 ** (-noise_snr_db / 20), span)
    noise = rng.normal(scale=level * 10 ** (-snr_db / 20), size=(len(mixture), timeline.n))
    right = clocks.all_right(own_clocks)
    mixture += ambient
    files = mixture if right else clocks.record(mixture, own_clocks, timeline)
    gain = PEAK / max(loudest, float(np.abs(files + noise).max()))
    images *= (gain * scale).astype(np.float32)[:, None, None]
    noise *= gain
    mixture = ambient
    mixture *= gain
    if right:
        mixture += noise
    for image in images:
        mixture += image  # the rounded images, so that with the noise they sum to the mixture
    if not right:
        mixture = clocks.record(mixture, own_clocks, timeline)
        mixture += noise
    return mixture.astype(np.float32), gain


def _ambient(noises: np.ndarray, level: float, span: slice) -> np.ndarray:
    """The noises (K, M, n) together, equally loud at microphone 1, where they have an RMS of `level`: (M, n)."""
    ambient = np.zeros(noises.shape[1:])
    for k, noise in enumerate(noises):
        rms = _rms(noise[0, span])
        if rms < 1e-6:
            raise UsageError(f"noise {k + 1} does not reach microphone 1", "the recording ends before", "more seconds")
        ambient += noise / rms
    return ambient * (level / _rms(ambient[0, span])) if len(noises) else ambient


def _rms(x: np.ndarray) -> float:
    return math.sqrt(np.mean(np.square(x, dtype=np.float64)))


def to_unit_rms(signals: np.ndarray, span: slice, kind: str) -> np.ndarray:
    """Scale `signals` (N, n) in place to an RMS of 1 within `span`; returns their previous RMS."""
    rms = np.array([_rms(signal[span]) for signal in signals])
    for k in np.flatnonzero(rms < 1e-10):
        why = f"every {'talker' if kind == 'voice' else 'noise'} is scaled to a level, which silence does not have"
        raise InputError(f"{kind} {k + 1} is silent in the part used", why, f"another {kind}, or more seconds")
    signals /= rms.astype(np.float32)[:, None]
    return rms
