"""How well it was separated, read from the tracks alone: what they still share, and whether their frequencies belong together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.pipeline import calibration
from bss.signals.stft import Stft

METHODS = ("auxiva", "fdica", "ilrma", "neural")  # that the numbers below were fitted on
EDGES = (100, 180, 250, 350, 500, 700, 1000, 1400, 2000, 2800, 4000, 5600, 8000)  # Hz, of the bands
FRAME_SECONDS = 0.064
LONGEST_SECONDS = 60.0  # of a longer recording the middle is looked at
FEWEST_FRAMES, FEWEST_BANDS = 16, 8
FLOOR = 1e-3  # of a bin's mean power: below it a track is silent there
HEARD = 1e-6  # of the power of the loudest track: a track below is silent
ABOUT = (470.0, 1560.0)  # Hz to either side of a bin, with which it must fit
FAR = 0.1  # of a correlation: by so much a band must fit the rest of the other track better, to be misplaced as a whole
SOFT = 0.05  # of a correlation: by about as much chance makes two tracks alike
LEAST_COHERENCE, LEAST_MISPLACED = 1e-3, 0.01  # what is below makes no difference
TINY = float(np.finfo(np.float32).tiny)
GAIN = calibration.SUCCESS_GAIN.value
LOWEST, HIGHEST = calibration.SUCCESS_RANGE.value
LEARNED = calibration.SUCCESS_LEARNED.value
LOWEST_LEARNED, HIGHEST_LEARNED = calibration.SUCCESS_LEARNED_RANGE.value
LEFT = calibration.SUCCESS_LEFT.value
MIXED = calibration.SUCCESS_MIXED.value
WRONG = 0.5  # share misplaced above which a band is taken for the other talker's, whatever is left of whom
VERDICTS = ((11.0, "well separated"), (6.0, "mostly separated"), (2.5, "partly separated"), (-np.inf, "hardly separated"))
SHORT_SECONDS = 20.0
MOST_SAID = 2  # places with who is mixed there, of a sentence
DESK_COHERENCE = calibration.SUCCESS_DESK_COHERENCE.value


@dataclass(frozen=True)
class Evidence:
    """What N tracks have in common, in each of B bands.

    Attributes
    ----------
    edges : np.ndarray
        (B + 1,) Hz.
    loudness : np.ndarray
        (B, N) power of the tracks.
    heard : np.ndarray
        (N,) whether the track is not silent.
    coherence : np.ndarray
        (B, N, N) magnitude-squared coherence, without what chance gives.
    alike : np.ndarray
        (B, N, N) correlation over time of the log powers in different bins: of one track on the diagonal, of two beside it.
    misplaced : np.ndarray
        (B, N, N) share of the power of two tracks that lies in bins which would fit as well, or better, in the other one.
    """

    edges: np.ndarray
    loudness: np.ndarray
    heard: np.ndarray
    coherence: np.ndarray
    alike: np.ndarray
    misplaced: np.ndarray


def gather(tracks: np.ndarray, rate: int) -> Evidence | None:
    """What the tracks (N, n) have in common; None of what is too short for that, or has too few frequencies."""
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
    V = _unit(np.log(powers / np.maximum(mean[:, :, None].astype(np.float32), TINY) + np.float32(FLOOR)))
    loudness = np.add.reduceat(mean, starts)
    heard = loudness.sum(0) > HEARD * max(float(loudness.sum(0).max()), TINY)
    reaches = [max(1, round(about * size / rate)) for about in ABOUT]
    return Evidence(edges, loudness, heard, _coherence(Y, starts), _alike(V, starts), _misplaced(V, mean, starts, reaches))


def _middle(n: int, rate: int) -> slice:
    length = min(n, round(LONGEST_SECONDS * rate))
    return slice((n - length) // 2, (n - length) // 2 + length)


def _unit(v: np.ndarray) -> np.ndarray:
    """Of mean zero and length one along the last axis; what is constant is zero."""
    v = v - v.mean(-1, keepdims=True)
    length = np.sqrt(np.sum(v * v, axis=-1, keepdims=True))
    return np.asarray(v / np.where(length > 1e-6, length, np.inf))


def _alike(V: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(B, N, N) mean product of activities V (F, N, T), of length one, in different bins of a band."""
    counts = np.diff([*starts, len(V)])[:, None, None]
    sums = np.add.reduceat(V, starts)
    same = np.add.reduceat(V @ V.swapaxes(1, 2), starts)
    return np.asarray((sums @ sums.swapaxes(1, 2) - same) / np.maximum(counts * (counts - 1), 1))


def _misplaced(V: np.ndarray, power: np.ndarray, starts: np.ndarray, reaches: list[int]) -> np.ndarray:
    """(B, N, N) share of the power (F, N) in bins whose activity V (F, N, T) fits better if swapped, by itself or its band.

    A bin is compared with those about it, which tells single bins; a band with all others, which tells a wrong step between
    bands.
    """
    F = len(V)
    until = np.concatenate([np.zeros_like(V[:1]), np.cumsum(V, axis=0)])
    fit = np.zeros((F, V.shape[1], V.shape[1]), V.dtype)
    for reach in reaches:
        lowest, highest = np.maximum(np.arange(F) - reach, 0), np.minimum(np.arange(F) + reach + 1, F)
        fit += V @ _unit(until[highest] - until[lowest] - V).swapaxes(1, 2)
    bands = _unit(np.add.reduceat(V, starts))
    whole = _better(bands @ _unit(bands.sum(0) - bands).swapaxes(1, 2)) + FAR
    better = np.minimum(_better(fit), np.repeat(whole, np.diff([*starts, F]), axis=0))
    weight = power[:, :, None] + power[:, None]
    swapped = np.add.reduceat(weight / (1 + np.exp(better / SOFT)), starts)
    return np.asarray(swapped / np.maximum(np.add.reduceat(weight, starts), TINY))


def _better(fit: np.ndarray) -> np.ndarray:
    """(K, N, N) by how much two tracks fit better (K, N, N) as they are than swapped."""
    own = np.einsum("knn->kn", fit)
    return np.asarray((own[:, :, None] + own[:, None] - fit - fit.swapaxes(1, 2)) / 2)


def _coherence(Y: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(B, N, N) coherence of Y (F, N, T) beyond that of tracks of which one is shifted by half of the recording."""
    counts = np.diff([*starts, len(Y)])[:, None, None]
    own = np.sqrt(np.maximum(np.einsum("fnt,fnt->fn", Y, Y.conj()).real, TINY))
    Y = Y / own[:, :, None]
    found, chance = (np.abs(Y @ Z.conj().swapaxes(1, 2)) ** 2 for Z in (Y, np.roll(Y, Y.shape[2] // 2, axis=2)))
    return np.asarray(np.add.reduceat(found - chance, starts) / counts)


def features(found: Evidence) -> np.ndarray:
    """(4, B, P) of the P pairs of tracks that are heard: log share misplaced, apart, together, log coherence."""
    heard = np.flatnonzero(found.heard)
    first, second = heard[np.triu_indices(len(heard), 1)[0]], heard[np.triu_indices(len(heard), 1)[1]]
    together = (found.alike[:, first, first] + found.alike[:, second, second]) / 2
    apart = together - (found.alike[:, first, second] + found.alike[:, second, first]) / 2
    coherence = np.log(np.maximum(found.coherence[:, first, second], 0) + LEAST_COHERENCE)
    misplaced = np.log(found.misplaced[:, first, second] + LEAST_MISPLACED)
    return np.stack([misplaced, apart, together, coherence])


def estimate(tracks: np.ndarray, rate: int, *, n_mics: int, learned: bool = False) -> dict[str, Any] | None:
    """How well the tracks (N, n) of talkers in a room are separated, as result.json holds it; None where nothing can tell.

    Parameters
    ----------
    tracks : np.ndarray
        (N, n) what was separated; where one is silent it is left out.
    rate : int
        Hz.
    n_mics : int
        M, for what may help.
    learned : bool
        Whether the source model goes on from these tracks.
    """
    found = gather(tracks, rate)
    if found is None or found.heard.sum() < 2:
        return None
    heard = np.flatnonzero(found.heard)
    pairs = [(int(heard[i]) + 1, int(heard[j]) + 1) for i, j in zip(*np.triu_indices(len(heard), 1), strict=True)]
    read = features(found)
    left = np.tensordot(LEFT[:4], read, 1) + LEFT[4]  # (B, P)
    gain = predicted_gain(found, read)
    if learned:
        gain = min(max(float(np.dot(LEARNED, [1.0, gain, gain**2])), LOWEST_LEARNED), HIGHEST_LEARNED)
    mixed = (left > MIXED) | (np.exp(read[0]) > WRONG)
    worst = np.argsort(-mixed.sum(0), kind="stable")
    where = {pairs[k]: _places(mixed[:, k], found.edges) for k in worst}
    ways = _ways(short=tracks.shape[1] < SHORT_SECONDS * rate, few=n_mics <= len(tracks))
    sentence = _sentence(gain, {pair: place for pair, place in where.items() if place}, ways)
    return {"predicted_si_sdr_gain_db": round(gain, 1), "sentence": sentence, "bands": _bands(found, read, left, pairs)}


def predicted_gain(found: Evidence, read: np.ndarray) -> float:
    """dB of SI-SDR, the mean over talkers, that the tracks have gained over the microphone."""
    gain = float(np.dot(GAIN[:4], pooled(found, read)) + GAIN[4])
    return min(max(gain, LOWEST), HIGHEST)


def pooled(found: Evidence, read: np.ndarray) -> list[float]:
    """The four features `read` (4, B, P) of all bands and pairs: the log share misplaced by power, the others by loudness."""
    heard = np.flatnonzero(found.heard)
    loudness = found.loudness[:, heard]
    first, second = np.triu_indices(len(heard), 1)
    power = loudness[:, first] + loudness[:, second]
    misplaced = np.mean(np.sum(power * (np.exp(read[0]) - LEAST_MISPLACED), axis=0) / np.maximum(power.sum(0), TINY))
    weight = np.sqrt(loudness.sum(1))
    others = weight @ read[1:].mean(2).T / max(float(weight.sum()), TINY)
    return [np.log(misplaced + LEAST_MISPLACED), *others]


def estimate_desk(tracks: np.ndarray, rate: int) -> dict[str, Any] | None:
    """The same of a mixing desk, without a number: plain ICA undoes it unless there is echo, which leaves tracks coherent."""
    found = gather(tracks, rate)
    if found is None or found.heard.sum() < 2:
        return None
    heard = np.flatnonzero(found.heard)
    coherence = shared(found)
    pairs = [(i, j) for i, j in zip(*np.triu_indices(len(heard), 1), strict=True) if coherence[i, j] > DESK_COHERENCE]
    sentence = "well separated"
    if pairs:
        who = _talkers([(int(heard[i]) + 1, int(heard[j]) + 1) for i, j in pairs])
        sentence = f"{who} still mixed: plain ICA cannot undo delays and echo; the method auto or ilrma would help"
    return {"predicted_si_sdr_gain_db": None, "sentence": sentence, "bands": []}


def shared(found: Evidence) -> np.ndarray:
    """(P, P) mean coherence over the bands, between the tracks that are heard."""
    heard = np.flatnonzero(found.heard)
    return np.asarray(found.coherence[:, heard][:, :, heard].mean(0))


def _bands(found: Evidence, read: np.ndarray, left: np.ndarray, pairs: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """For each band and pair of talkers what is left, and what that was read from."""
    names = ("log_misplaced", "apart", "together", "log_coherence")
    return [
        {
            "hz": [int(found.edges[b]), int(found.edges[b + 1])],
            "pairs": [
                {
                    "talkers": list(pair),
                    "left_db": round(float(left[b, k]), 1),
                    **{name: round(float(value), 3) for name, value in zip(names, read[:, b, k], strict=True)},
                }
                for k, pair in enumerate(pairs)
            ],
        }
        for b in range(len(left))
    ]


def _places(mixed: np.ndarray, edges: np.ndarray) -> str:
    """Where a pair is mixed, in words; one band between two does not part them, one alone says nothing."""
    joined = mixed.copy()
    joined[1:-1] |= mixed[:-2] & mixed[2:]
    turns = np.flatnonzero(np.diff(np.concatenate([[0], joined.astype(np.int8), [0]])))
    return " and ".join(_place(int(a), int(b), edges) for a, b in turns.reshape(-1, 2) if b - a > 1)


def _place(first: int, end: int, edges: np.ndarray) -> str:
    """Bands from first to before end."""
    low, high = first == 0, end == len(edges) - 1
    if low and high:
        return "at all frequencies"
    if low:
        return f"below {edges[end]} Hz"
    return f"above {edges[first]} Hz" if high else f"from {edges[first]} to {edges[end]} Hz"


def _sentence(gain: float, mixed: dict[tuple[int, int], str], ways: str) -> str:
    """The verdict; who is mixed where, of `mixed`, the worst first; and what would help."""
    verdict = next(words for least, words in VERDICTS if gain >= least)
    together: dict[str, list[tuple[int, int]]] = {}
    for pair, place in mixed.items():
        together.setdefault(place, []).append(pair)
    said = [f"{_talkers(pairs)} still mixed {place}" for place, pairs in together.items()]
    if not said and gain >= VERDICTS[0][0]:
        return verdict
    if said and gain >= VERDICTS[0][0]:
        verdict = VERDICTS[1][1]
    if len(said) > MOST_SAID:
        said = [*said[:MOST_SAID], "others in part"]
    return "; ".join([verdict, *([", ".join(said)] if said else []), ways])


def _talkers(pairs: list[tuple[int, int]]) -> str:
    """Who: "talkers 2 and 3"; of three who are all mixed with each other "talkers 1, 2 and 3"."""
    everybody = sorted({n for pair in pairs for n in pair})
    if len(pairs) == len(everybody) * (len(everybody) - 1) // 2:
        return f"talkers {', '.join(map(str, everybody[:-1]))} and {everybody[-1]}"
    return "talkers " + ", ".join(f"{a} and {b}" for a, b in pairs)


def _ways(*, short: bool, few: bool) -> str:
    """What would help."""
    closer = "microphones closer to the talkers"
    if short:
        return f"a longer recording or {closer} would help"
    return f"{closer} or more microphones would help" if few else f"{closer} would help"
