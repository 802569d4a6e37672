"""What the tracks of a separation have in common: the evidence for the estimate of success."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bss.signals.stft import Stft

EDGES = (100, 180, 250, 350, 500, 700, 1000, 1400, 2000, 2800, 4000, 5600, 8000)  # Hz, of the bands
FRAME_SECONDS = 0.064
LONGEST_SECONDS = 60.0  # of a longer recording only the middle is analysed
FEWEST_FRAMES, FEWEST_BANDS = 16, 8
FLOOR = 1e-3  # of the mean power of a bin: a track below it is silent there
AUDIBLE = 1e-6  # of the power of the loudest track: a track below it is silent
NEIGHBOURHOODS = (470.0, 1560.0)  # Hz to either side of a bin, with which it is compared
BAND_MARGIN = 0.1  # a band is misplaced as a whole if it correlates better with the rest of the other track by this much
LOCAL_SECONDS = 2.0  # within which talkers hardly move, and clocks hardly drift
QUIET_QUANTILE = 0.1  # of the frames of a track: talkers pause as often, noise does not
CLEARLY_SHARED = 0.018  # of the power, locally: what stays of stillness and echo is less
SOFTNESS = 0.05  # about the correlation of unrelated tracks by chance
LEAST_COHERENCE, LEAST_MISPLACED, LEAST_LOCAL = 1e-3, 0.01, 3e-3  # differences below do not matter
DEEPEST = 10 ** (-30 / 10)  # added to the quiet frames: a deeper floor does not matter
TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Evidence:
    """What N tracks have in common in each of B bands.

    Attributes
    ----------
    edges : np.ndarray
        (B + 1,) Hz.
    powers : np.ndarray
        (B, N) power of the tracks.
    audible : np.ndarray
        (N,) whether the track is not silent.
    coherence : np.ndarray
        (B, N, N) magnitude-squared coherence, minus its expectation for independent tracks.
    correlation : np.ndarray
        (B, N, N) correlation over time of the log powers in different bins, of the same track on the diagonal.
    misplaced : np.ndarray
        (B, N, N) share of the power of two tracks that lies in bins which would fit the other track as well or better.
    local : np.ndarray
        (N, N) share of the power of the second track that is coherent with the first within LOCAL_SECONDS. Filters for the whole
        recording remove what tracks have in common on average; where talkers move, clocks drift or a microphone fails, they
        still share sound locally.
    floor : np.ndarray
        (N,) power of the quiet frames of a track, dB relative to its mean power: high where noise is left in it.
    """

    edges: np.ndarray
    powers: np.ndarray
    audible: np.ndarray
    coherence: np.ndarray
    correlation: np.ndarray
    misplaced: np.ndarray
    local: np.ndarray
    floor: np.ndarray


def gather(tracks: np.ndarray, rate: int) -> Evidence | None:
    """What the tracks (N, n) have in common; None if they are too short or the rate is too low."""
    size = 1 << max(4, round(np.log2(FRAME_SECONDS * rate)))
    stft = Stft(size, size // 2)
    part = np.asarray(tracks[:, middle(tracks.shape[1], rate)], np.float32)
    edges = np.array([edge for edge in EDGES if edge <= rate / 2])
    if stft.n_frames(part.shape[1]) < FEWEST_FRAMES or len(edges) - 1 < FEWEST_BANDS:
        return None
    first, last = np.ceil(edges[[0, -1]] * size / rate).astype(int)
    starts = np.searchsorted(np.arange(first, last) * rate / size, edges[:-1])
    loudest = max(float(np.abs(part).max()), TINY)
    Y = stft.forward(part / np.float32(loudest))[first:last]
    powers = Y.real**2 + Y.imag**2
    mean = powers.mean(2, dtype=np.float64)
    V = _normalised(np.log(powers / np.maximum(mean[:, :, None].astype(np.float32), TINY) + np.float32(FLOOR)))
    in_band = np.add.reduceat(mean, starts)
    audible = in_band.sum(0) > AUDIBLE * max(float(in_band.sum(0).max()), TINY)
    reaches = [max(1, round(hz * size / rate)) for hz in NEIGHBOURHOODS]
    misplaced = _misplaced(V, mean, starts, reaches)
    local = _local_share(Y, max(2, round(2 * LOCAL_SECONDS * rate / size)))
    return Evidence(edges, in_band, audible, _coherence(Y, starts), _correlation(V, starts), misplaced, local, _floor(powers))


def middle(n: int, rate: int) -> slice:
    """The LONGEST_SECONDS in the middle of n samples."""
    length = min(n, round(LONGEST_SECONDS * rate))
    return slice((n - length) // 2, (n - length) // 2 + length)


def _normalised(v: np.ndarray) -> np.ndarray:
    """v with mean zero and norm one along the last axis; zero where it is constant."""
    v = v - v.mean(-1, keepdims=True)
    norm = np.sqrt(np.sum(v * v, axis=-1, keepdims=True))
    return np.asarray(v / np.where(norm > 1e-6, norm, np.inf))


def _correlation(V: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(B, N, N) mean correlation of normalised activities V (F, N, T) in different bins of a band."""
    counts = np.diff([*starts, len(V)])[:, None, None]
    sums = np.add.reduceat(V, starts)
    same = np.add.reduceat(V @ V.swapaxes(1, 2), starts)
    return np.asarray((sums @ sums.swapaxes(1, 2) - same) / np.maximum(counts * (counts - 1), 1))


def _misplaced(V: np.ndarray, power: np.ndarray, starts: np.ndarray, reaches: list[int]) -> np.ndarray:
    """(B, N, N) share of the power (F, N) in bins whose activity V (F, N, T) fits better if swapped, by itself or with its band.

    Comparing a bin with its neighbourhood detects single bins that are swapped; comparing a band with all other bands detects
    that the alignment failed between bands.
    """
    F = len(V)
    cumulative = np.concatenate([np.zeros_like(V[:1]), np.cumsum(V, axis=0)])
    fit = np.zeros((F, V.shape[1], V.shape[1]), V.dtype)
    for reach in reaches:
        lowest, highest = np.maximum(np.arange(F) - reach, 0), np.minimum(np.arange(F) + reach + 1, F)
        fit += V @ _normalised(cumulative[highest] - cumulative[lowest] - V).swapaxes(1, 2)
    bands = _normalised(np.add.reduceat(V, starts))
    whole = _advantage(bands @ _normalised(bands.sum(0) - bands).swapaxes(1, 2)) + BAND_MARGIN
    advantage = np.minimum(_advantage(fit), np.repeat(whole, np.diff([*starts, F]), axis=0))
    weight = power[:, :, None] + power[:, None]
    swapped = np.add.reduceat(weight / (1 + np.exp(advantage / SOFTNESS)), starts)
    return np.asarray(swapped / np.maximum(np.add.reduceat(weight, starts), TINY))


def _advantage(fit: np.ndarray) -> np.ndarray:
    """(K, N, N) by how much two tracks fit better as they are than swapped, from the fit (K, N, N) of every pair."""
    own = np.einsum("knn->kn", fit)
    return np.asarray((own[:, :, None] + own[:, None] - fit - fit.swapaxes(1, 2)) / 2)


def _coherence(Y: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(B, N, N) coherence of Y (F, N, T), minus that with one track shifted by half of the recording."""
    counts = np.diff([*starts, len(Y)])[:, None, None]
    own = np.sqrt(np.maximum(np.einsum("fnt,fnt->fn", Y, Y.conj()).real, TINY))
    Y = Y / own[:, :, None]
    coherence, chance = (np.abs(Y @ Z.conj().swapaxes(1, 2)) ** 2 for Z in (Y, np.roll(Y, Y.shape[2] // 2, axis=2)))
    return np.asarray(np.add.reduceat(coherence - chance, starts) / counts)


def _local_share(Y: np.ndarray, length: int) -> np.ndarray:
    """(N, N) share of the power of the second track that is coherent with the first in blocks of `length` frames of Y (F, N, T).

    What every block shares by chance is subtracted: its coherence with the block before. Bins count by amplitude.
    """
    F, N, T = Y.shape
    count = max(1, T // length)
    blocks = Y[:, :, : count * length].reshape(F, N, count, -1).transpose(0, 2, 1, 3)  # (F, K, N, length)
    own = np.einsum("fknt,fknt->fkn", blocks, blocks.conj()).real
    blocks = blocks / np.sqrt(np.maximum(own, TINY))[..., None]
    coherence, chance = (np.abs(blocks @ Z.conj().swapaxes(2, 3)) ** 2 for Z in (blocks, np.roll(blocks, 1, axis=1)))
    in_bin = own.sum(1, dtype=np.float64)  # (F, N)
    weight = own / np.maximum(np.sqrt(in_bin) * np.sqrt(in_bin).sum(0), TINY)[:, None]
    return np.asarray(np.einsum("fkn,fkmn->mn", weight, coherence - chance))


def _floor(powers: np.ndarray) -> np.ndarray:
    """(N,) power of the quiet frames of tracks relative to their mean, in dB, from powers (F, N, T)."""
    total = powers.sum(0, dtype=np.float64)
    quiet = np.quantile(total, QUIET_QUANTILE, axis=1)
    return np.asarray(10 * np.log10(quiet / np.maximum(total.mean(1), TINY) + DEEPEST))


def features(evidence: Evidence) -> np.ndarray:
    """(4, B, P) of the P pairs of audible tracks: log share misplaced, apart, together, log coherence.

    "together" is the mean correlation within a track, "apart" by how much it exceeds that between the two.
    """
    audible, correlation = np.flatnonzero(evidence.audible), evidence.correlation
    first, second = (audible[index] for index in np.triu_indices(len(audible), 1))
    together = (correlation[:, first, first] + correlation[:, second, second]) / 2
    apart = together - (correlation[:, first, second] + correlation[:, second, first]) / 2
    coherence = np.log(np.maximum(evidence.coherence[:, first, second], 0) + LEAST_COHERENCE)
    misplaced = np.log(evidence.misplaced[:, first, second] + LEAST_MISPLACED)
    return np.stack([misplaced, apart, together, coherence])


def pooled(evidence: Evidence, values: np.ndarray) -> list[float]:
    """Seven features: those of `features` (4, B, P), log of the local share and by how much above CLEARLY_SHARED, the floor.

    The share misplaced is averaged by power, the next three by amplitude; the floor is in dB.
    """
    audible = np.flatnonzero(evidence.audible)
    powers = evidence.powers[:, audible]
    first, second = np.triu_indices(len(audible), 1)
    power = powers[:, first] + powers[:, second]
    misplaced = np.mean(np.sum(power * (np.exp(values[0]) - LEAST_MISPLACED), axis=0) / np.maximum(power.sum(0), TINY))
    weight = np.sqrt(powers.sum(1))
    others = weight @ values[1:].mean(2).T / max(float(weight.sum()), TINY)
    shared = (evidence.local + evidence.local.T)[audible[first], audible[second]] / 2
    local = np.log(max(float(shared.mean()), 0) + LEAST_LOCAL)
    above = max(local - np.log(CLEARLY_SHARED), 0.0)
    return [np.log(misplaced + LEAST_MISPLACED), *others, local, above, evidence.floor[audible].mean()]


def mean_coherence(evidence: Evidence) -> np.ndarray:
    """(P, P) coherence of the P audible tracks, mean over the bands."""
    audible = np.flatnonzero(evidence.audible)
    return np.asarray(evidence.coherence[:, audible][:, :, audible].mean(0))
