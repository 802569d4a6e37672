"""The one place here that knows the inside of `bss.pipeline`: what is measured there, as arrays."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

import bss
from bss.backends.cpu.threads import limited
from bss.networks.source_model import apply
from bss.pipeline import counting, enhancement, own_mics, success
from bss.pipeline.calibration import Fitted, fitted
from bss.pipeline.choose import choose
from bss.pipeline.trial import trial
from bss.signals.stft import Stft

__all__ = ["Fitted", "fitted", "limited"]


def unmixed(x: np.ndarray, rate: int, n_sources: int, method: str) -> np.ndarray:
    """(N, n) tracks of x (M, n) by a linear method."""
    return bss.unmix(x, rate, n_sources=n_sources, method=method).sources


def success_features(tracks: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray] | None:
    """What `success` reads of tracks (N, n): (4,) of all, and (4, B, P) of bands and pairs; None where it reads nothing."""
    evidence = success.gather(tracks, rate)
    if evidence is None or not evidence.heard.all():
        return None
    read = success.features(evidence)
    return np.array(success.pooled(evidence, read)), read


def success_log_powers(x: np.ndarray, rate: int) -> list[np.ndarray]:
    """Log powers (F_b, N, T) of x (N, n) in each of the bands of `success`, as it takes them; of mean zero over time."""
    size = 1 << max(4, round(np.log2(success.FRAME_SECONDS * rate)))
    powers = np.abs(Stft(size, size // 2).forward(np.asarray(x, np.float32))) ** 2
    level = np.log(powers / np.maximum(powers.mean(2, keepdims=True), success.TINY) + success.FLOOR).astype(np.float64)
    level -= level.mean(2, keepdims=True)
    edges = [edge for edge in success.EDGES if edge <= rate / 2]
    hertz = np.arange(len(powers)) * rate / size
    return [level[(hertz >= low) & (hertz < high)] for low, high in pairwise(edges)]


def desk_coherence(tracks: np.ndarray, rate: int) -> float:
    """The most that two of the tracks (N, n) of plain ICA share; NaN where nothing can be said."""
    evidence = success.gather(tracks, rate)
    if evidence is None or evidence.heard.sum() < 2:
        return float("nan")
    shared = success.shared(evidence)
    return float(shared[np.triu_indices(len(shared), 1)].max())


def counting_powers(x: np.ndarray, rate: int) -> tuple[np.ndarray, int] | None:
    """Powers (F, M, T) of as many outputs as microphones, and how often the window was halved; None if it is too short."""
    separated = trial(x, rate)
    return None if separated is None else (separated.powers, separated.halved)


def begun(powers: np.ndarray, rise: float, above_floor: float, owned: float) -> np.ndarray:
    """(F, M) beginnings that each output owns, by that rule."""
    return counting.beginnings(powers, rise=rise, above_floor=above_floor, owned=owned)


def onset_shares(held: np.ndarray) -> np.ndarray:
    """(M,) shares of the beginnings held (F, M), in falling order; however few there are."""
    return np.sort(counting.over_bands(held, fewest=1))[::-1]


def delayed_coherence(x: np.ndarray, rate: int, n_sources: int) -> float:
    """What the outputs of plain ICA share with a delay, relative to chance; NaN where nothing can be said."""
    value = choose(x, rate, n_sources=n_sources).evidence["delayed_coherence_over_chance"]
    return float("nan") if value is None else float(value)


def mic_agreement(x: np.ndarray, rate: int) -> float:
    """Share of sources and bins in which loudness and rhythm tell the same talker; NaN where nothing can be said."""
    value = own_mics.agreement(x, rate)
    return float("nan") if value is None else float(value)


def speech_evidence(tracks: np.ndarray, rate: int) -> np.ndarray:
    """(3, N) of tracks (N, n): distance from speech, share voiced, share of syllables."""
    model = apply.load(None)
    evidence = enhancement.speech_evidence(model, apply.prepare(model, tracks, rate))
    return np.array([evidence["speech_distance"], evidence["voiced"], evidence["syllables"]])


def enhanced(tracks: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """What the source model makes of tracks (N, n), whatever they are, and by how many dB it changes each, (N,)."""
    model = apply.load(None)
    after = apply.enhance(model, apply.prepare(model, tracks, rate))
    powers = [np.sum(np.square(x, dtype=np.float64), axis=1) + 1e-20 for x in (after - tracks, tracks)]
    return after, 10 * np.log10(powers[0] / powers[1])
