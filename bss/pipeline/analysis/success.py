"""An estimate of how well a recording was separated, from the tracks: their coherence, and whether all bins are aligned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.pipeline import calibration
from bss.signals.stft import Stft

METHODS = ("auxiva", "fdica", "ilrma", "neural")  # whose tracks the calibration used
EDGES = (100, 180, 250, 350, 500, 700, 1000, 1400, 2000, 2800, 4000, 5600, 8000)  # Hz, of the bands
FRAME_SECONDS = 0.064
LONGEST_SECONDS = 60.0  # of a longer recording only the middle is analysed
FEWEST_FRAMES, FEWEST_BANDS = 16, 8
FLOOR = 1e-3  # of the mean power of a bin: a track below it is silent there
AUDIBLE = 1e-6  # of the power of the loudest track: a track below it is silent
NEIGHBOURHOODS = (470.0, 1560.0)  # Hz to either side of a bin, with which it is compared
BAND_MARGIN = 0.1  # a band is misplaced as a whole if it correlates better with the rest of the other track by this much
SOFTNESS = 0.05  # about the correlation of unrelated tracks by chance
LEAST_COHERENCE, LEAST_MISPLACED = 1e-3, 0.01  # differences below do not matter
TINY = float(np.finfo(np.float32).tiny)
GAIN = calibration.SUCCESS_GAIN.value
LOWEST, HIGHEST = calibration.SUCCESS_RANGE.value
LEARNED = calibration.SUCCESS_LEARNED.value
LOWEST_LEARNED, HIGHEST_LEARNED = calibration.SUCCESS_LEARNED_RANGE.value
LEFT = calibration.SUCCESS_LEFT.value
MIXED = calibration.SUCCESS_MIXED.value
SWAPPED = 0.5  # share misplaced above which a band counts as mixed, however little of the other talker is left in it
VERDICTS = ((11.0, "well separated"), (6.0, "mostly separated"), (2.5, "partly separated"), (-np.inf, "hardly separated"))
SHORT_SECONDS = 20.0
MAX_PLACES = 2  # frequency ranges in a sentence
DESK_COHERENCE = calibration.SUCCESS_DESK_COHERENCE.value


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
    """

    edges: np.ndarray
    powers: np.ndarray
    audible: np.ndarray
    coherence: np.ndarray
    correlation: np.ndarray
    misplaced: np.ndarray


def gather(tracks: np.ndarray, rate: int) -> Evidence | None:
    """What the tracks (N, n) have in common; None if they are too short or the rate is too low."""
    size = 1 << max(4, round(np.log2(FRAME_SECONDS * rate)))
    stft = Stft(size, size // 2)
    part = np.asarray(tracks[:, _middle(tracks.shape[1], rate)], np.float32)
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
    return Evidence(edges, in_band, audible, _coherence(Y, starts), _correlation(V, starts), misplaced)


def _middle(n: int, rate: int) -> slice:
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


def estimate(tracks: np.ndarray, rate: int, *, n_mics: int, enhanced: bool = False) -> dict[str, Any] | None:
    """How well the tracks (N, n) of talkers in a room are separated, as a dict for result.json; None without enough evidence.

    Parameters
    ----------
    tracks : np.ndarray
        (N, n) outputs of the blind separation; silent ones are left out.
    rate : int
        Hz.
    n_mics : int
        M, for the advice.
    enhanced : bool
        Whether the source model is applied to these tracks afterwards.
    """
    evidence = gather(tracks, rate)
    if evidence is None or evidence.audible.sum() < 2:
        return None
    audible = np.flatnonzero(evidence.audible)
    pairs = [(int(audible[i]) + 1, int(audible[j]) + 1) for i, j in zip(*np.triu_indices(len(audible), 1), strict=True)]
    values = features(evidence)
    left = np.tensordot(LEFT[:4], values, 1) + LEFT[4]  # (B, P)
    gain = predicted_gain(evidence, values)
    if enhanced:
        gain = min(max(float(np.dot(LEARNED, [1.0, gain, gain**2])), LOWEST_LEARNED), HIGHEST_LEARNED)
    mixed = (left > MIXED) | (np.exp(values[0]) > SWAPPED)
    worst = np.argsort(-mixed.sum(0), kind="stable")
    ranges = {pairs[k]: _ranges(mixed[:, k], evidence.edges) for k in worst}
    advice = _advice(short=tracks.shape[1] < SHORT_SECONDS * rate, few=n_mics <= len(tracks))
    sentence = _sentence(gain, {pair: place for pair, place in ranges.items() if place}, advice)
    return {"predicted_si_sdr_gain_db": round(gain, 1), "sentence": sentence, "bands": _bands(evidence, values, left, pairs)}


def predicted_gain(evidence: Evidence, values: np.ndarray) -> float:
    """Predicted gain of SI-SDR over the microphone in dB, mean over talkers, from features (4, B, P)."""
    gain = float(np.dot(GAIN[:4], pooled(evidence, values)) + GAIN[4])
    return min(max(gain, LOWEST), HIGHEST)


def pooled(evidence: Evidence, values: np.ndarray) -> list[float]:
    """Features (4, B, P) averaged over bands and pairs: the share misplaced weighted by power, the others by amplitude."""
    audible = np.flatnonzero(evidence.audible)
    powers = evidence.powers[:, audible]
    first, second = np.triu_indices(len(audible), 1)
    power = powers[:, first] + powers[:, second]
    misplaced = np.mean(np.sum(power * (np.exp(values[0]) - LEAST_MISPLACED), axis=0) / np.maximum(power.sum(0), TINY))
    weight = np.sqrt(powers.sum(1))
    others = weight @ values[1:].mean(2).T / max(float(weight.sum()), TINY)
    return [np.log(misplaced + LEAST_MISPLACED), *others]


def estimate_desk(tracks: np.ndarray, rate: int) -> dict[str, Any] | None:
    """The same for tracks of plain ICA, without a number: they are separated unless there is echo, which leaves them coherent."""
    evidence = gather(tracks, rate)
    if evidence is None or evidence.audible.sum() < 2:
        return None
    audible = np.flatnonzero(evidence.audible)
    coherence = mean_coherence(evidence)
    pairs = [(i, j) for i, j in zip(*np.triu_indices(len(audible), 1), strict=True) if coherence[i, j] > DESK_COHERENCE]
    sentence = "well separated"
    if pairs:
        who = _talkers([(int(audible[i]) + 1, int(audible[j]) + 1) for i, j in pairs])
        sentence = f"{who} are still mixed: plain ICA cannot undo delays and echo. Try the method auto or ilrma."
    return {"predicted_si_sdr_gain_db": None, "sentence": sentence, "bands": []}


def mean_coherence(evidence: Evidence) -> np.ndarray:
    """(P, P) coherence of the P audible tracks, mean over the bands."""
    audible = np.flatnonzero(evidence.audible)
    return np.asarray(evidence.coherence[:, audible][:, :, audible].mean(0))


def _bands(evidence: Evidence, values: np.ndarray, left: np.ndarray, pairs: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """For each band and pair of talkers what is left of the other, and the features."""
    names = ("log_misplaced", "apart", "together", "log_coherence")
    return [
        {
            "hz": [int(evidence.edges[b]), int(evidence.edges[b + 1])],
            "pairs": [
                {
                    "talkers": list(pair),
                    "left_db": round(float(left[b, k]), 1),
                    **{name: round(float(value), 3) for name, value in zip(names, values[:, b, k], strict=True)},
                }
                for k, pair in enumerate(pairs)
            ],
        }
        for b in range(len(left))
    ]


def _ranges(mixed: np.ndarray, edges: np.ndarray) -> str:
    """The frequencies at which a pair is mixed, in words; gaps of one band are filled, single bands are ignored."""
    joined = mixed.copy()
    joined[1:-1] |= mixed[:-2] & mixed[2:]
    bounds = np.flatnonzero(np.diff(np.concatenate([[0], joined.astype(np.int8), [0]])))
    return " and ".join(_range(int(a), int(b), edges) for a, b in bounds.reshape(-1, 2) if b - a > 1)


def _range(first: int, end: int, edges: np.ndarray) -> str:
    """The frequencies of the bands from `first` up to, but not including, `end`."""
    low, high = first == 0, end == len(edges) - 1
    if low and high:
        return "at all frequencies"
    if low:
        return f"below {edges[end]} Hz"
    return f"above {edges[first]} Hz" if high else f"from {edges[first]} to {edges[end]} Hz"


def _sentence(gain: float, mixed: dict[tuple[int, int], str], advice: str) -> str:
    """The verdict, who is mixed at which frequencies (`mixed`, the worst first), and advice."""
    verdict = next(words for least, words in VERDICTS if gain >= least)
    together: dict[str, list[tuple[int, int]]] = {}
    for pair, place in mixed.items():
        together.setdefault(place, []).append(pair)
    details = [f"{_talkers(pairs)} are still mixed {place}" for place, pairs in together.items()]
    if not details and gain >= VERDICTS[0][0]:
        return verdict
    if details and gain >= VERDICTS[0][0]:
        verdict = VERDICTS[1][1]
    if len(details) > MAX_PLACES:
        details = [*details[:MAX_PLACES], "others are partly mixed"]
    return f"{verdict}: {', '.join(details)}. {advice}" if details else f"{verdict}. {advice}"


def _talkers(pairs: list[tuple[int, int]]) -> str:
    """The talkers of the pairs: "talkers 2 and 3"; if three are all mixed with each other "talkers 1, 2 and 3"."""
    everybody = sorted({n for pair in pairs for n in pair})
    if len(pairs) == len(everybody) * (len(everybody) - 1) // 2:
        return f"talkers {', '.join(map(str, everybody[:-1]))} and {everybody[-1]}"
    return "talkers " + ", ".join(f"{a} and {b}" for a, b in pairs)


def _advice(*, short: bool, few: bool) -> str:
    """What would help, as a sentence."""
    if short:
        return "A longer recording or microphones closer to the talkers would help."
    return f"Microphones closer to the talkers{' or more microphones' if few else ''} would help."
