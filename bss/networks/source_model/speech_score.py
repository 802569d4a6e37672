"""Whether a separated sound is a talker, in one number: log odds by a small network over what is measured on its track.

The distribution of `speech` knows what clean speech is like, and nothing of what else there is: speech with noise left in it is
as far from it as a dog. This one has learned from both, as they come out of a separation: `tools/fit_speech_score.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from bss.networks.files import Stamp, located, read, unfit
from bss.networks.source_model import speech

KIND = "speech-score"
AROUND_SECONDS = 1.0  # of which the level is taken: longer than a pause in a sentence
LOUD, QUIETER = 0.95, 10**-1.5  # quantile of these levels, and the share of it (-15 dB) below which nothing sounds
FURTHEST = 4.0  # standard deviations, to which a number is clipped: sounds unlike all that was learned from decide nothing alone


@dataclass(frozen=True)
class SpeechScore:
    """One hidden layer of H units over D numbers.

    Attributes
    ----------
    mean, scale : np.ndarray
        (D,) of the numbers.
    hidden, hidden_bias : np.ndarray
        (H, D) and (H,).
    output, output_bias : np.ndarray
        (H,) and ().
    """

    mean: np.ndarray
    scale: np.ndarray
    hidden: np.ndarray
    hidden_bias: np.ndarray
    output: np.ndarray
    output_bias: np.ndarray

    def __call__(self, numbers: np.ndarray) -> float:
        """Log odds that the sound with these numbers (D,) is a talker: 0 where it may as well be another sound."""
        z = np.clip((numbers - self.mean) / self.scale, -FURTHEST, FURTHEST)
        return float(self.output @ np.tanh(self.hidden @ z + self.hidden_bias) + self.output_bias)


def numbers(bands: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """(D,) what is measured on a track where it sounds: its spectra (F, T) of speech.BAND_STFT and of speech.PITCH_STFT.

    Of a track with one sentence in a minute of silence, the silence tells nothing.
    """
    sounds = sounding(bands)
    bands, pitch = bands[:, sounds], pitch[:, : len(sounds)][:, sounds[: pitch.shape[1]]]
    return np.concatenate([speech.statistics(bands), [speech.voiced(pitch), speech.syllables(pitch)]])


def sounding(bands: np.ndarray) -> np.ndarray:
    """(T,) whether there is about as much to hear in the second about a frame of the spectra (F, T) as there ever is."""
    power = np.asarray(np.sum(bands.real**2 + bands.imag**2, axis=0, dtype=np.float64))
    frames = min(round(AROUND_SECONDS * speech.RATE / speech.BAND_STFT.hop), len(power))
    level = np.convolve(power, np.full(frames, 1 / frames), "same")
    return np.asarray(level >= QUIETER * np.quantile(level, LOUD))


@lru_cache(maxsize=1)
def _loaded(path: Path, stamp: Stamp) -> SpeechScore:
    _, tensors = read(path, KIND)
    try:
        return SpeechScore(**{name: tensor.astype(np.float64) for name, tensor in tensors.items()})
    except TypeError as error:
        raise unfit(path, error) from None


def load() -> SpeechScore:
    """The one that ships."""
    return _loaded(*located(None, KIND))
