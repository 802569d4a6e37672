"""An estimate of how well a recording was separated, from the tracks: their coherence, and whether all bins are aligned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bss.pipeline import calibration
from bss.pipeline.analysis import success_enhanced
from bss.pipeline.analysis.success_evidence import Evidence, features, gather, mean_coherence, pooled

METHODS = ("auxiva", "fdica", "ilrma", "neural")  # whose tracks the calibration used
GAIN = calibration.SUCCESS_GAIN.value
LOWEST, HIGHEST = calibration.SUCCESS_RANGE.value
LEARNED = calibration.SUCCESS_LEARNED.value
LOWEST_LEARNED, HIGHEST_LEARNED = calibration.SUCCESS_LEARNED_RANGE.value
LEFT = calibration.SUCCESS_LEFT.value
MIXED = calibration.SUCCESS_MIXED.value
SWAPPED = 0.5  # share misplaced above which a band counts as mixed, however little of the other talker is left in it
VERDICTS = ((11.0, "well separated"), (6.0, "mostly separated"), (2.5, "partly separated"), (-np.inf, "hardly separated"))
UNKNOWN = "unknown: the tracks do not sound like speech, and it can be estimated for speech only. Listen to them."
SHORT_SECONDS = 20.0
MAX_PLACES = 2  # frequency ranges in a sentence
DESK_COHERENCE = calibration.SUCCESS_DESK_COHERENCE.value


def estimate(
    tracks: np.ndarray,
    rate: int,
    *,
    n_mics: int,
    enhanced: tuple[np.ndarray, np.ndarray] | None = None,
    speech: bool = True,
    moving: bool = False,
) -> dict[str, Any] | None:
    """How well the tracks (N, n) of talkers in a room are separated, as a dict for result.json; None without enough evidence.

    Parameters
    ----------
    tracks : np.ndarray
        (N, n) outputs of the blind separation; silent ones are left out.
    rate : int
        Hz.
    n_mics : int
        M, for the advice.
    enhanced : (np.ndarray, np.ndarray), optional
        Where the source model is applied to these tracks: (N, n) what it makes of them, and (n,) the microphone.
    speech : bool
        Whether any of the tracks sounds like speech; if not, there is no number.
    moving : bool
        Whether the filters follow the talkers.
    """
    evidence = gather(tracks, rate)
    if evidence is None or evidence.audible.sum() < 2:
        return None
    audible = np.flatnonzero(evidence.audible)
    pairs = [(int(audible[i]) + 1, int(audible[j]) + 1) for i, j in zip(*np.triu_indices(len(audible), 1), strict=True)]
    values = features(evidence)
    left = np.tensordot(LEFT[:4], values, 1) + LEFT[4]  # (B, P)
    if enhanced is None:
        gain = predicted_gain(evidence, values)
    else:
        gain = enhanced_gain([unlimited_gain(evidence, values), *success_enhanced.features(*enhanced, rate), float(moving)])
    mixed = (left > MIXED) | (np.exp(values[0]) > SWAPPED)
    worst = np.argsort(-mixed.sum(0), kind="stable")
    ranges = {pairs[k]: _ranges(mixed[:, k], evidence.edges) for k in worst}
    advice = _advice(short=tracks.shape[1] < SHORT_SECONDS * rate, few=n_mics <= len(tracks))
    sentence = _sentence(gain, {pair: place for pair, place in ranges.items() if place}, advice)
    if not speech:
        return {"predicted_si_sdr_gain_db": None, "sentence": UNKNOWN, "bands": _bands(evidence, values, left, pairs)}
    return {"predicted_si_sdr_gain_db": round(gain, 1), "sentence": sentence, "bands": _bands(evidence, values, left, pairs)}


def predicted_gain(evidence: Evidence, values: np.ndarray) -> float:
    """Predicted gain of SI-SDR over the microphone in dB, mean over talkers, from features (4, B, P)."""
    return min(max(unlimited_gain(evidence, values), LOWEST), HIGHEST)


def unlimited_gain(evidence: Evidence, values: np.ndarray) -> float:
    """The same without limits."""
    return float(np.dot(GAIN[:-1], pooled(evidence, values)) + GAIN[-1])


def enhanced_gain(values: Sequence[float]) -> float:
    """Predicted gain behind the source model in dB, from what the gain before it would be, `success_enhanced.features`, and
    whether the filters follow the talkers."""
    gain = float(np.dot(LEARNED[:-1], values) + LEARNED[-1])
    return min(max(gain, LOWEST_LEARNED), HIGHEST_LEARNED)


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
