"""The one place here that knows the inside of `bss.pipeline`: what is measured there, as arrays."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

import bss
from bss.backends.cpu.threads import limited
from bss.networks.source_model import apply
from bss.pipeline.analysis import counting, speech, success, success_enhanced, success_evidence
from bss.pipeline.analysis.recording import Analysis
from bss.pipeline.calibration import fitted
from bss.pipeline.methods import close_mics
from bss.pipeline.methods.moving_talkers import moving
from bss.signals.stft import Stft

__all__ = ["fitted", "limited"]


def unmixed(x: np.ndarray, rate: int, n_sources: int, method: str) -> np.ndarray:
    """(N, n) tracks of x (M, n) by a linear method, from all channels as they are."""
    return bss.unmix(x, rate, n_sources=n_sources, method=method, sync="off", channels=range(len(x))).sources


def enhanced_read(x: np.ndarray, rate: int, n_sources: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Tracks (N, n) of x as everybody gets them, and (6,) what their success is told from; None without the source model."""
    result = bss.unmix(x, rate, n_sources=n_sources)
    model, channels = result.record.source_model, result.record.channels
    if model is None or not model.applied or result.linear is None or len(result.sources) != n_sources:
        return None
    evidence = success_evidence.gather(result.linear, rate)
    if evidence is None or evidence.audible.sum() < 2:
        return None
    before = success.unlimited_gain(evidence, success_evidence.features(evidence))
    microphone = x[channels.index(result.record.reference)]
    read = success_enhanced.features(result.sources, microphone, rate)
    return result.sources, np.array([before, *read, float(result.method == moving.NAME)])


def success_features(tracks: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray] | None:
    """What `success` reads of tracks (N, n): (7,) of all, and (4, B, P) of bands and pairs; None where it reads nothing."""
    evidence = success_evidence.gather(tracks, rate)
    if evidence is None or not evidence.audible.all():
        return None
    read = success_evidence.features(evidence)
    return np.array(success_evidence.pooled(evidence, read)), read


def success_log_powers(x: np.ndarray, rate: int) -> list[np.ndarray]:
    """Log powers (F_b, N, T) of x (N, n) in each of the bands of `success`, as it takes them; of mean zero over time."""
    size = 1 << max(4, round(np.log2(success_evidence.FRAME_SECONDS * rate)))
    powers = np.abs(Stft(size, size // 2).forward(np.asarray(x, np.float32))) ** 2
    mean = np.maximum(powers.mean(2, keepdims=True), success_evidence.TINY)
    level = np.log(powers / mean + success_evidence.FLOOR).astype(np.float64)
    level -= level.mean(2, keepdims=True)
    edges = [edge for edge in success_evidence.EDGES if edge <= rate / 2]
    hertz = np.arange(len(powers)) * rate / size
    return [level[(hertz >= low) & (hertz < high)] for low, high in pairwise(edges)]


def desk_coherence(tracks: np.ndarray, rate: int) -> float:
    """The most that two of the tracks (N, n) of plain ICA share; NaN where nothing can be said."""
    evidence = success_evidence.gather(tracks, rate)
    if evidence is None or evidence.audible.sum() < 2:
        return float("nan")
    shared = success_evidence.mean_coherence(evidence)
    return float(shared[np.triu_indices(len(shared), 1)].max())


def counting_powers(x: np.ndarray, rate: int) -> tuple[np.ndarray, int] | None:
    """Powers (F, M, T) of as many outputs as microphones, and how often the window was halved; None if it is too short."""
    separated = Analysis(np.ascontiguousarray(x, np.float32), rate).subset
    return None if separated is None else (separated.powers, separated.halvings)


def begun(powers: np.ndarray, rise: float, above_floor: float, owned: float) -> np.ndarray:
    """(F, M) number of onsets that each output has to itself, by that rule."""
    return counting.onsets(powers, rise=rise, above_floor=above_floor, owned=owned)


def onset_shares(held: np.ndarray) -> np.ndarray:
    """(M,) shares of the onsets, from their numbers (F, M), in descending order."""
    return np.sort(counting.band_averaged_shares(held, fewest=1))[::-1]


def delayed_coherence(x: np.ndarray, rate: int, n_sources: int) -> float:
    """What the outputs of plain ICA share with a delay, relative to chance; NaN where nothing can be said."""
    value = Analysis(np.ascontiguousarray(x, np.float32), rate).delays(n_sources).delayed_coherence
    return float("nan") if value is None else float(value)


def mic_agreement(x: np.ndarray, rate: int) -> float:
    """Share of sources and bins in which loudness and rhythm point to the same talker; NaN where nothing can be said."""
    value = close_mics.agreement(Analysis(np.ascontiguousarray(x, np.float32), rate).subset)
    return float("nan") if value is None else float(value)


def speech_evidence(tracks: np.ndarray, rate: int) -> np.ndarray:
    """(3, N) of tracks (N, n): distance from speech, share voiced, share of syllables."""
    model = apply.load(None)
    evidence = speech.speech_evidence(model, apply.prepare(model, tracks, rate))
    return np.array([evidence["speech_distance"], evidence["voiced"], evidence["syllables"]])


def enhanced(tracks: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """What the source model makes of tracks (N, n), whatever they are, and by how many dB it changes each, (N,)."""
    model = apply.load(None)
    after = apply.enhance(model, apply.prepare(model, tracks, rate))
    powers = [np.sum(np.square(x, dtype=np.float64), axis=1) + 1e-20 for x in (after - tracks, tracks)]
    return after, 10 * np.log10(powers[0] / powers[1])
