"""The learned source model at work: each talker without what the separation has left of the others.

The model looks at every track beside the sum of all others, and says what the talker alone would be. That is the track; and with
`looks` of more than one it is first the variance of that talker in the next separation, with longer windows than a blind one
could learn from (`refine`). Whoever does not sound like speech, or would change too much, makes the model step aside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from bss.backends.cpu import threads
from bss.networks.files import Stamp, Weights, located, read, unfit
from bss.networks.source_model.inference import Mixer
from bss.networks.source_model.speech import Likeness, syllables, voiced
from bss.pipeline.refine import refine
from bss.signals.resample import resample
from bss.signals.stft import Stft

KIND = "source-model"
# Distance from speech (`likeness`) of the track that is most like it: at most 1.08 in 100 rooms (40 of them with talkers that
# nothing was trained on). Sneezes come to 0.7, clocks and fires to 1.0; voices of espeak-ng are at 0.8 to 1.4 in rooms of 10 s.
SPEECH = 1.2
# Share of frames in which such a track is voiced (`likeness.voiced`): 0.45 or more for the best track in 98 of these rooms. In
# 118 rooms with noises at most 0.34 where a track was as near to speech, but for saws; a dog at 0.34 is close to the limit.
# Noise less than 15 dB under the speech hides the voice, too; the model has not heard so much of it.
VOICED = 0.36
# Share of its rhythm that syllables are (`likeness.syllables`): 0.44 or more for the best track in the 100 rooms; 0.11 or less
# for the two saws that were as near to speech and as voiced, though others have up to 0.45.
SYLLABLES = 0.2
# dB: a track that the model would change by more than this share of it was not separated to begin with, or is no speech
CHANGE = -4.5
SEGMENT_SECONDS, OVERLAP_SECONDS = 20.0, 1.0
RANGE = 1e-5  # as in `autoencoders.source_model.features`
LIKENESS = "likeness."


@dataclass(frozen=True)
class Learned:
    """What the model made of tracks: `sources` (N, n), the linear tracks they come from, whether it stepped aside and why."""

    sources: np.ndarray
    linear: np.ndarray
    applied: bool
    why: str
    evidence: dict[str, Any]


@dataclass(frozen=True)
class Model:
    """The network, its STFT and what it knows of speech."""

    network: Mixer
    stft: Stft
    rate: int
    speech: Likeness


@lru_cache(maxsize=2)
def _held(path: Path, stamp: Stamp) -> Model:
    config, tensors = read(path, KIND)
    known = {name[len(LIKENESS) :]: tensors.pop(name).astype(np.float64) for name in list(tensors) if name.startswith(LIKENESS)}
    try:
        return Model(Mixer(config, tensors), Stft(config["n_fft"], config["hop"]), int(config["rate"]), Likeness(**known))
    except (KeyError, TypeError) as error:
        raise unfit(path, error) from None


def model(weights: Weights = None) -> Model:
    """The source model in a file, or the one that ships; read once, until the file changes."""
    return _held(*located(weights, KIND))


def look(
    mixture: np.ndarray, rate: int, tracks: np.ndarray, *, reference: int, looks: int = 1, weights: Weights = None
) -> Learned:
    """Look at separated tracks (N, n) of a mixture (M, n), both heard at microphone `reference`."""
    net = model(weights)
    at_rate = resample(tracks, rate, net.rate)
    evidence: dict[str, Any] = _evidence(net, at_rate) | {"looks": looks}
    if not any(evidence["speech"]):
        why = "no track sounds like the speech it has learned"
        return Learned(tracks, tracks, False, why, evidence)
    linear, heard = tracks, alone(tracks, rate, weights)
    for _ in range(looks - 1):
        linear = refine(mixture, rate, linear, heard, reference=reference)
        heard = alone(linear, rate, weights)
    changes = [round(_db(heard[n] - linear[n], linear[n]), 1) for n in range(len(linear))]
    evidence |= {"change_db": changes, "change_below_db": CHANGE}
    if max(changes) > CHANGE:
        why = "it would have changed a track too much to be trusted"
        return Learned(tracks, tracks, False, why, evidence)
    return Learned(heard, linear, True, "", evidence)


def _evidence(net: Model, tracks: np.ndarray) -> dict[str, Any]:
    """What tells whether each of the tracks at the model's rate is speech, and whether it is."""
    distances = [round(net.speech.distance(track), 3) for track in tracks]
    voices = [round(voiced(track), 3) for track in tracks]
    rhythms = [round(syllables(track), 3) for track in tracks]
    return {
        "speech": [d < SPEECH and v > VOICED and s > SYLLABLES for d, v, s in zip(distances, voices, rhythms, strict=True)],
        "speech_distance": distances, "speech_below": SPEECH, "voiced": voices, "voiced_above": VOICED,
        "syllables": rhythms, "syllables_above": SYLLABLES,
    }  # fmt: skip


def alone(tracks: np.ndarray, rate: int, weights: Weights = None) -> np.ndarray:
    """(N, n) float32: each of the tracks without the others. What is above 8 kHz stays as it is."""
    net = model(weights)
    at_rate = resample(np.asarray(tracks, np.float32), rate, net.rate)
    total = at_rate.sum(0)
    found = np.zeros_like(at_rate)
    pieces = segments(at_rate.shape[1], net.rate)
    jobs = [(n, piece) for n in range(len(at_rate)) for piece in pieces]
    done: list[np.ndarray | None] = [None] * len(jobs)

    def work(first: int, step: int) -> None:
        for k in range(first, len(jobs), step):
            n, piece = jobs[k]
            done[k] = _alone(net, at_rate[n, piece], total[piece] - at_rate[n, piece])

    with threadpool_limits(1, user_api="blas"):  # the threads are over tracks and segments
        threads.run(work)
    for (n, piece), y in zip(jobs, done, strict=True):
        assert y is not None  # every job was done
        found[n, piece] += y * _fade(piece, at_rate.shape[1], net.rate)
    if rate == net.rate:
        return found
    correction = resample(found - at_rate, net.rate, rate)[:, : tracks.shape[1]]
    return np.asarray(tracks + correction, np.float32)


def _alone(net: Model, y: np.ndarray, others: np.ndarray) -> np.ndarray:
    """One track (n,) of one segment."""
    spectra = net.stft.forward(np.stack((y, others)))
    Y, R = spectra[:, 0], spectra[:, 1]
    own_real, own_imag, leak_real, leak_imag = net.network(features(Y, R))
    S = Y + (own_real + 1j * own_imag) * Y + (leak_real + 1j * leak_imag) * R
    return np.asarray(net.stft.inverse(S[:, None].astype(np.complex64), len(y))[0])


def features(Y: np.ndarray, R: np.ndarray) -> np.ndarray:
    """(4, F, T) float32 of spectra Y, R (F, T): what `autoencoders.source_model.features` gives the network in training."""
    p, q = Y.real**2 + Y.imag**2, R.real**2 + R.imag**2
    level = np.float32((p + q).mean() + np.finfo(np.float32).tiny)
    p, q = p / level, q / level
    cross = Y * R.conj() / level
    size = np.sqrt(p * q) + np.float32(RANGE)
    return np.stack((np.log(p + np.float32(RANGE)) / 4, np.log(q + np.float32(RANGE)) / 4, cross.real / size, cross.imag / size))


def segments(n: int, rate: int) -> list[slice]:
    """Slices of about SEGMENT_SECONDS, equally long, that overlap by OVERLAP_SECONDS: memory does not grow with the recording."""
    overlap = round(OVERLAP_SECONDS * rate)
    count = max(1, -(-(n - overlap) // (round(SEGMENT_SECONDS * rate) - overlap)))
    length = -(-(n + (count - 1) * overlap) // count)
    return [slice(k * (length - overlap), min(k * (length - overlap) + length, n)) for k in range(count)]


def _fade(piece: slice, n: int, rate: int) -> np.ndarray:
    """Weights of a segment that sum to one with those of its neighbours."""
    weight = np.ones(piece.stop - piece.start, np.float32)
    overlap = round(OVERLAP_SECONDS * rate)
    ramp = ((np.arange(overlap) + 0.5) / overlap).astype(np.float32)
    if piece.start > 0:
        weight[:overlap] = ramp
    if piece.stop < n:
        weight[-overlap:] *= ramp[::-1]
    return weight


def _db(part: np.ndarray, whole: np.ndarray) -> float:
    """Power of one signal over another in dB; far below where both are silent."""
    tiny = np.finfo(np.float64).tiny
    return float(10 * np.log10((np.vdot(part, part) + tiny) / (np.vdot(whole, whole) + 1e3 * tiny)))
