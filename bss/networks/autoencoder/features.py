"""The input of autoencoders of sound: levels of a spectrogram in dB, frame by frame or in patches of several frames.

The unit is dBFS: a sine of amplitude one has 0 dB in its bin, and nothing is below `floor_db`. Rows are these levels minus their
mean over the data, divided by one number for all bins: distances between rows remain distances in dB, and the principal
components are those of the levels. Mean and scale are stored with the weights of a model, so that its output can be turned back
into levels, and levels into sound with phases estimated from them.

Reference: D. W. Griffin and J. S. Lim, "Signal estimation from modified short-time Fourier transform", IEEE TASSP 32(2), 1984.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bss.errors import InputError, check_int
from bss.networks.corpus import Corpus
from bss.signals.stft import Stft

TABLE_BYTES = 1 << 28  # of a table of rows; of more data it holds patches further apart
GRIFFIN_LIM = 60  # iterations


@dataclass(frozen=True)
class FeatureConfig:
    """A row is `frames` frames of n_fft samples, hop apart (a quarter of n_fft: with fewer frames phases are estimated badly)."""

    rate: int = 16_000
    n_fft: int = 512
    hop: int = 128
    frames: int = 1
    floor_db: float = -100.0

    def __post_init__(self) -> None:
        check_int("rate", self.rate, 1000)
        check_int("frames", self.frames, 1)
        Stft(self.n_fft, self.hop)  # which checks them

    @property
    def inputs(self) -> int:
        """D, the length of a row."""
        return self.frames * (self.n_fft // 2 + 1)


@dataclass(frozen=True)
class Features:
    """Between sound (n,), levels in dB (F, T) and rows (R, D); `mean` (D,) and `scale` are of the data, in dB."""

    config: FeatureConfig
    mean: np.ndarray
    scale: float

    def rows(self, x: np.ndarray) -> np.ndarray:
        """(R, D) float32 of a sound x (n,): consecutive patches, the last one padded with the floor."""
        return self.normalised(patches(levels(x, self.config), self.config))

    def normalised(self, table: np.ndarray) -> np.ndarray:
        """Rows of patches (R, D) in dB."""
        return np.asarray((table - self.mean) / np.float32(self.scale), np.float32)

    def levels(self, rows: np.ndarray) -> np.ndarray:
        """(F, T) dB of rows (R, D), with T = R * frames."""
        c = self.config
        table = np.asarray(rows, np.float32) * np.float32(self.scale) + self.mean
        return np.asarray(np.maximum(table.reshape(len(rows) * c.frames, -1).T, np.float32(c.floor_db)))

    def sound(self, rows: np.ndarray, n: int | None = None, *, seed: int = 0) -> np.ndarray:
        """(n,) float32 with the levels of rows (R, D), and phases estimated from them (Griffin and Lim)."""
        try:
            import librosa
        except ImportError:
            why, hint = "phases are estimated with it", "pip install 'bss-toolkit[autoencoder]'"
            raise InputError("librosa is not installed", why, hint) from None

        c, stft = self.config, Stft(self.config.n_fft, self.config.hop)
        size = 10 ** (self.levels(rows) / 20) * stft.window.sum() / 2
        skip = stft.lead // c.hop - c.n_fft // (2 * c.hop)  # frames before the one that has sample 0 in its middle
        size = size[:, skip:]
        n = (size.shape[1] - 1) * c.hop if n is None else n
        wanted = 1 + n // c.hop
        size = np.pad(size, ((0, 0), (0, max(0, wanted - size.shape[1]))))[:, :wanted]
        y = librosa.griffinlim(size, n_iter=GRIFFIN_LIM, hop_length=c.hop, n_fft=c.n_fft, length=n, random_state=seed)
        return np.asarray(y, np.float32)


def levels(x: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """(F, T) float32 in dB of full scale of a sound x (n,)."""
    if not isinstance(x, np.ndarray) or x.ndim != 1 or not len(x):
        raise InputError("x is not a signal", "expected (n,) samples")
    stft = Stft(config.n_fft, config.hop)
    X = stft.forward(np.asarray(x, np.float32)[None])[:, 0]
    power = (X.real**2 + X.imag**2) * np.float32(4 / stft.window.sum() ** 2)
    return np.asarray(10 * np.log10(power + np.float32(10 ** (config.floor_db / 10))), np.float32)


def patches(spectrogram: np.ndarray, config: FeatureConfig, step: int = 0) -> np.ndarray:
    """(R, D) of levels (F, T): patches that begin `step` frames apart, by default one behind the other."""
    step = step or config.frames
    count = -(-spectrogram.shape[1] // step)
    missing = (count - 1) * step + config.frames - spectrogram.shape[1]
    filled = np.pad(spectrogram, ((0, 0), (0, max(0, missing))), constant_values=config.floor_db)
    if config.frames == 1:
        return np.ascontiguousarray(filled[:, ::step].T)
    view = np.lib.stride_tricks.sliding_window_view(filled, config.frames, axis=1)[:, ::step][:, :count]
    return np.asarray(view.transpose(1, 2, 0).reshape(count, -1))


def table(sounds: Corpus, config: FeatureConfig, *, limit: int = TABLE_BYTES) -> np.ndarray:
    """(R, D) float32 of patches in dB, from all clips, equally far apart, as many as fit into `limit` bytes."""
    frames = len(sounds.samples) / config.hop
    step = max(config.frames, int(np.ceil(frames * config.inputs * 4 / limit)))
    clips = zip(sounds.starts, sounds.ends, strict=True)
    return np.concatenate([patches(levels(sounds.samples[a:b], config), config, step) for a, b in clips])


def fit(patches_db: np.ndarray, config: FeatureConfig) -> Features:
    """Mean and scale of patches (R, D) in dB: the scale is the root of the mean variance of all inputs."""
    mean = patches_db.mean(0, dtype=np.float64)
    variance = float(
        np.mean([np.square(part - mean).mean() for part in np.array_split(patches_db, 1 + len(patches_db) // 10_000)])
    )
    return Features(config, mean.astype(np.float32), max(float(np.sqrt(variance)), 1e-3))
