"""The image-source method: mirror images of a place in the walls of a shoebox room, and impulse responses from them.

The method is that of pyroomacoustics. It builds impulse responses with one thread per core, and the rounding of the sum
depends on that number; here its builder is called with one thread, so that the bytes of a scene do not depend on the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.errors import InputError

SPEED_OF_SOUND = 343.0
LOWEST = 10.0  # Hz: below it responses are empty
TAPS, TABLE = 81, 20  # length of the fractional-delay filters, and their table's steps per sample
EARLY = TAPS // 2  # they start this many samples before the sound arrives


@dataclass(frozen=True, eq=False)
class ImageSources:
    """The mirror images of a place in the walls of a shoebox room: `positions` (3, K), numbers of `reflections` (K,).

    The images of another place are `signs * place + shifts`, both (3, K).
    """

    positions: np.ndarray
    reflections: np.ndarray
    signs: np.ndarray
    shifts: np.ndarray

    def where(self, mask: np.ndarray) -> ImageSources:
        """Some of the images."""
        return ImageSources(self.positions[:, mask], self.reflections[mask], self.signs[:, mask], self.shifts[:, mask])

    def within(self, reach: float, mics: np.ndarray) -> ImageSources:
        """Those that can be less than `reach` metres from one of the microphones (M, 3)."""
        ring = np.linalg.norm(mics - mics[0], axis=1).max()
        return self.where(np.linalg.norm(self.positions - mics[:1].T, axis=0) < reach + ring)

    def moved(self, place: np.ndarray) -> ImageSources:
        """The same images of another place (3,)."""
        return ImageSources(self.signs * place[:, None] + self.shifts, self.reflections, self.signs, self.shifts)


def simulator() -> Any:
    """pyroomacoustics, which comes with an extra: InputError where it is not installed."""
    try:
        import pyroomacoustics
    except ImportError:
        why = "it simulates the room; mixing desks and measured impulse responses do not need it"
        raise InputError("pyroomacoustics is not installed", why, "pip install 'bss-toolkit[simulate]'") from None
    return pyroomacoustics


def image_sources(room: Sequence[float], place: np.ndarray, order: int) -> ImageSources:
    """The images of a place (3,) in a room of these sides, with up to `order` reflections."""
    pra = simulator()
    # one microphone is enough, anywhere: in a shoebox room every image is visible from everywhere
    shoebox: Any = pra.ShoeBox(np.array(room), fs=16_000, max_order=order)
    shoebox.add_source(place)
    shoebox.add_microphone_array(pra.MicrophoneArray(np.array(room)[:, None] / 2, 16_000))
    shoebox.image_source_model()
    source = shoebox.sources[0]
    positions = source.images.astype(np.float64)
    period, own = 2 * np.array(room)[:, None], np.asarray(place)[:, None]  # an image is at ±own plus some periods
    periods = (positions - own) / period
    signs = np.where(np.abs(periods - np.round(periods)) < 1e-3, 1.0, -1.0)
    return ImageSources(positions, source.orders, signs, period * np.round((positions - signs * own) / period))


def responses(images: Sequence[ImageSources], absorption: float, rate: int, length: int, mics: np.ndarray) -> np.ndarray:
    """The impulse responses from several places to microphones (M, 3) of a room: (N, M, length)."""
    from scipy.signal import sosfiltfilt

    highpass = _highpass(rate)
    rirs = np.zeros((len(images), len(mics), length))
    for n, source in enumerate(images):
        for m, rir in enumerate(_sums(source, absorption, rate, length, mics)):
            full = sosfiltfilt(highpass, rir) if len(source.reflections) > 1 else rir
            rirs[n, m] = full[EARLY : EARLY + length]
    return rirs


def raw_responses(images: ImageSources, absorption: float, rate: int, length: int, mics: np.ndarray) -> np.ndarray:
    """The impulse responses from a place, (M, length), for what goes through `highpassed` afterwards."""
    return np.stack([rir[EARLY : EARLY + length] for rir in _sums(images, absorption, rate, length, mics)]).astype(np.float64)


def highpassed(x: np.ndarray, rate: int) -> np.ndarray:
    """Images (M, n) through the filter of the responses; before and after them there is silence."""
    from scipy.signal import sosfiltfilt

    silence = round(3 * rate / LOWEST)
    padded = np.pad(x, ((0, 0), (silence, silence)))
    return np.asarray(sosfiltfilt(_highpass(rate), padded, padlen=0)[:, silence:-silence])


def _highpass(rate: int) -> Any:
    """A filter in second-order sections for responses with reflections.

    All images have the same sign, unlike real echoes: it removes the resulting drift, as Allen and Berkley do.
    """
    from scipy.signal import butter

    return butter(2, LOWEST, "highpass", fs=rate, output="sos")


def _sums(images: ImageSources, absorption: float, rate: int, length: int, mics: np.ndarray) -> list[np.ndarray]:
    """The sums over the images at every microphone, each with `EARLY` samples before the time 0."""
    libroom = simulator().libroom
    reflected = np.sqrt(1 - absorption) ** images.reflections
    rirs = []
    for mic in mics:
        distance = np.linalg.norm(images.positions - mic[:, None], axis=0)
        audible = np.flatnonzero(distance * rate / SPEED_OF_SOUND < length - 1)
        arrival = (distance[audible] / SPEED_OF_SOUND + EARLY / rate).astype(np.float32)
        rir = np.zeros(length + TAPS, np.float32)
        loudness = (reflected[audible] / distance[audible]).astype(np.float32)
        libroom.rir_builder(rir, arrival, loudness, rate, TAPS, TABLE, 1)
        rirs.append(rir)
    return rirs
