"""The source model in use: whether separated tracks are speech, and what each talker is without the others.

    model = load()
    tracks = prepare(model, separated, rate)
    measures = speech_measures(model, tracks)     # the caller decides whether that is speech
    talkers = enhance(model, tracks)

The network looks at every track beside the sum of all others, and says what the talker alone would be. Recordings of up to
SEGMENT_SECONDS are analysed once, for all that is to be known of them; of longer ones no spectra are held.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from bss.backends.cpu import threads
from bss.errors import UsageError
from bss.networks import fitting
from bss.networks.files import Stamp, Weights, located, read, unfit
from bss.networks.source_model import speech, speech_score
from bss.networks.source_model.features import features
from bss.networks.source_model.inference import Mixer
from bss.networks.source_model.speech import SpeechDistribution
from bss.signals.resample import resample
from bss.signals.stft import Stft

KIND = "source-model"
SPEECH_PREFIX = "likeness."  # of the tensors of the `SpeechDistribution`; files that were trained have it
SEGMENT_SECONDS, OVERLAP_SECONDS = 20.0, 1.0


@dataclass(frozen=True)
class Model:
    """The network, its STFT and rate, what it knows of speech, and what torch calls the device that it is to run on, if any."""

    network: Mixer
    stft: Stft
    rate: int
    speech: SpeechDistribution
    device: str | None = None


@dataclass(frozen=True)
class Tracks:
    """Separated tracks as the model takes them.

    Attributes
    ----------
    original : np.ndarray
        (N, n) float32 at `rate`.
    rate : int
        Hz.
    samples : np.ndarray
        (N, k) at the model's rate.
    spectra : np.ndarray or None
        (F, 2 N, T) of `samples` and, behind them, of what is left of their sum without each; None where they are too long.
    """

    original: np.ndarray
    rate: int
    samples: np.ndarray
    spectra: np.ndarray | None


@dataclass(frozen=True)
class SpeechMeasures:
    """What tells speech from other sounds, for each track; see `speech`."""

    distance: list[float]
    voiced: list[float]
    syllables: list[float]
    score: list[float]


@lru_cache(maxsize=2)
def _loaded(path: Path, stamp: Stamp) -> Model:
    config, tensors = read(path, KIND)
    try:
        fitting.refuse_unlike(tensors, fitting.source_model(config, speech.n_statistics()))
    except (KeyError, ValueError) as error:
        raise unfit(path, error) from None
    names = [name for name in tensors if name.startswith(SPEECH_PREFIX)]
    known = {name.removeprefix(SPEECH_PREFIX): tensors.pop(name).astype(np.float64) for name in names}
    try:
        stft = Stft(config["n_fft"], config["hop"])
        return Model(Mixer(config, tensors), stft, int(config["rate"]), SpeechDistribution(**known))
    except (KeyError, TypeError, UsageError) as error:
        raise unfit(path, error) from None


def load(weights: Weights = None, device: str | None = None) -> Model:
    """The source model in a file, or the one that ships; read once, until the file changes. `device` is torch's name of one."""
    return replace(_loaded(*located(weights, KIND)), device=device)


def prepare(model: Model, tracks: np.ndarray, rate: int) -> Tracks:
    """Tracks (N, n), all heard at one microphone, for the model."""
    original = np.asarray(tracks, np.float32)
    samples = resample(original, rate, model.rate)
    if len(segments(samples.shape[1], model.rate)) > 1:
        return Tracks(original, rate, samples, None)
    return Tracks(original, rate, samples, model.stft.forward(np.concatenate((samples, samples.sum(0) - samples))))


def speech_measures(model: Model, tracks: Tracks) -> SpeechMeasures:
    """How much each of the tracks is like speech."""
    N = len(tracks.samples)
    shared = tracks.spectra if model.stft == speech.PITCH_STFT else None
    whole = None if shared is None else speech.BAND_STFT.forward(tracks.samples)
    distance, voiced, syllables, score = [], [], [], []
    judge = speech_score.load()
    for n in range(N):  # one by one: of a long recording the spectra of one track are enough to hold
        bands = speech.BAND_STFT.forward(tracks.samples[n : n + 1])[:, 0] if whole is None else whole[:, n]
        pitch = speech.PITCH_STFT.forward(tracks.samples[n : n + 1])[:, 0] if shared is None else shared[:, n]
        distance.append(model.speech.distance(speech.statistics(bands)))
        voiced.append(speech.voiced(pitch))
        syllables.append(speech.syllables(pitch))
        score.append(judge(speech_score.numbers(bands, pitch)))
    return SpeechMeasures(distance, voiced, syllables, score)


def enhance(model: Model, tracks: Tracks) -> np.ndarray:
    """(N, n) float32: each of the tracks without the others. What is above half the model's rate stays as it is."""
    samples = tracks.samples
    enhanced = _by_threads(model, tracks) if model.device is None else _on_device(model, tracks, model.device)
    if tracks.rate == model.rate:
        return enhanced
    correction = resample(enhanced - samples, model.rate, tracks.rate)[:, : tracks.original.shape[1]]
    return np.asarray(tracks.original + correction, np.float32)


def _on_device(model: Model, tracks: Tracks, device: str) -> np.ndarray:
    """(N, k) the talkers at the model's rate: all tracks of a segment at once."""
    from bss.networks.source_model import tensors  # imported here, as it loads torch

    network, samples = tensors.TensorMixer(model.network, device), tracks.samples
    total, enhanced = samples.sum(0), np.zeros_like(samples)
    for piece in segments(samples.shape[1], model.rate):
        own = samples[:, piece]
        y = tensors.talkers(network, model.stft, tracks.spectra, np.concatenate((own, total[piece] - own)))
        enhanced[:, piece] += y * crossfade(piece, samples.shape[1], model.rate)
    return enhanced


def _by_threads(model: Model, tracks: Tracks) -> np.ndarray:
    """(N, k) the talkers at the model's rate, track by track and segment by segment."""
    samples = tracks.samples
    N, k = samples.shape
    total = samples.sum(0)
    jobs = [(n, piece) for n in range(N) for piece in segments(k, model.rate)]
    done: list[np.ndarray | None] = [None] * len(jobs)

    def work(first: int, step: int) -> None:
        for j in range(first, len(jobs), step):
            n, piece = jobs[j]
            if tracks.spectra is not None:
                Y, R = tracks.spectra[:, n], tracks.spectra[:, N + n]
            else:
                own = samples[n, piece]
                Y, R = model.stft.forward(np.stack((own, total[piece] - own))).swapaxes(0, 1)
            done[j] = _talker(model, Y, R, piece.stop - piece.start)

    with threadpool_limits(1, user_api="blas"):  # the threads are over tracks and segments
        threads.run(work)
    enhanced = np.zeros_like(samples)
    for (n, piece), y in zip(jobs, done, strict=True):
        assert y is not None  # every job was done
        enhanced[n, piece] += y * crossfade(piece, k, model.rate)
    return enhanced


def _talker(model: Model, Y: np.ndarray, R: np.ndarray, n: int) -> np.ndarray:
    """(n,) what the network makes of a segment with the spectra Y of a track and R of the others, both (F, T)."""
    own_real, own_imag, leak_real, leak_imag = model.network(features(Y, R, np))
    S = Y + (own_real + 1j * own_imag) * Y + (leak_real + 1j * leak_imag) * R
    return np.asarray(model.stft.inverse(S[:, None].astype(np.complex64), n)[0])


def segments(n: int, rate: int) -> list[slice]:
    """Slices of about SEGMENT_SECONDS, equally long, that overlap by OVERLAP_SECONDS: memory does not grow with the recording."""
    overlap = round(OVERLAP_SECONDS * rate)
    count = max(1, -(-(n - overlap) // (round(SEGMENT_SECONDS * rate) - overlap)))
    length = -(-(n + (count - 1) * overlap) // count)
    return [slice(k * (length - overlap), min(k * (length - overlap) + length, n)) for k in range(count)]


def crossfade(piece: slice, n: int, rate: int) -> np.ndarray:
    """Weights of a segment that sum to one with those of its neighbours."""
    weight = np.ones(piece.stop - piece.start, np.float32)
    overlap = round(OVERLAP_SECONDS * rate)
    ramp = ((np.arange(overlap) + 0.5) / overlap).astype(np.float32)
    if piece.start > 0:
        weight[:overlap] = ramp
    if piece.stop < n:
        weight[-overlap:] *= ramp[::-1]
    return weight
