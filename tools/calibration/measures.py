"""What is measured of scene k of a group: arrays, which the cache keeps. Everything follows from the seed, the group and k."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import bss
from bss.metrics.assignment import assign
from calibration import inside, scenes
from calibration.scenes import RATE, RT60, Recording, Sources

TALKERS_AND_MICS = ((2, 2), (3, 3), (2, 2), (4, 4), (2, 4), (3, 3), (2, 2), (3, 4))
PARTS = (2.0, 3.0, 5.0)  # seconds
WEIGHT_BEFORE = 0.4  # of a separation before ILRMA, beside the one behind it
CLEAN_DB = -20.0  # of what is left of another talker: below it is the error of the regression
Arrays = dict[str, np.ndarray]


def improvement(truth: np.ndarray, tracks: np.ndarray, microphone: np.ndarray) -> tuple[float, np.ndarray]:
    """dB of SI-SDR, the mean over talkers (N, n), and the track of each."""
    merit = np.asarray(bss.si_sdr(truth[:, None], tracks[None]))
    order = assign(merit)
    return float(np.mean(merit[np.arange(len(truth)), order] - bss.si_sdr(truth, microphone[None]))), order


def left_of_others(truth: np.ndarray, tracks: np.ndarray) -> np.ndarray:
    """(B, P) dB of the other talker against the one who is meant, in bands and pairs of tracks, talker k being track k.

    By the regression, in every bin, of the log power of the tracks on those of the talkers: where a track is the recording, both
    have the same share in it.
    """
    first, second = np.triu_indices(len(truth), 1)
    left = []
    for Y, S in zip(inside.success_log_powers(tracks, RATE), inside.success_log_powers(truth, RATE), strict=True):
        C = S @ S.swapaxes(1, 2)
        load = (1e-9 * np.trace(C, axis1=1, axis2=2)[:, None, None] + 1e-12) * np.eye(len(truth))
        share = np.maximum(np.linalg.solve(C + load, S @ Y.swapaxes(1, 2)), 0).mean(0)  # of talker i in track j
        own = np.diag(share)
        left.append((share[first, second] + share[second, first]) / np.maximum(own[first] + own[second], 1e-9))
    return np.asarray(10 * np.log10(np.maximum(left, 10 ** (CLEAN_DB / 10))))


def rooms(sources: Sources, k: int, rng: np.random.Generator) -> Arrays:
    """Separations of a room: features of `success` and the truth; and what the source model would do."""
    n, m = TALKERS_AND_MICS[k % len(TALKERS_AND_MICS)]
    recording = _room(sources, k, scenes.voices(sources, n, sources.seconds, rng), m, rng)
    size = round(min(PARTS[k % 3], sources.seconds) * RATE)
    start = int(rng.integers(recording.mixture.shape[1] - size + 1))
    part = Recording(*(np.ascontiguousarray(a[..., start : start + size]) for a in (recording.mixture, recording.images)))
    jobs = [(recording, "fdica"), (part, "fdica")]
    if n == m:
        jobs += [(recording, "ilrma"), (part, "ilrma")]
    if k % 4 == 0:
        jobs += [(recording, "auxiva")]
    runs, left, per_band = [], [], []
    for what, method in jobs:
        tracks = inside.unmixed(what.mixture, RATE, n, method)
        gain, order = improvement(what.images[:, 0], tracks, what.mixture[0])
        read = inside.success_features(tracks[order], RATE)
        if read is None:
            continue
        weight = WEIGHT_BEFORE if n == m and method == "fdica" else 1.0
        runs.append([weight, float(what is recording and method != "auxiva"), gain, *read[0]])
        per_band.append(read[1].reshape(4, -1).T)
        left.append(left_of_others(what.images[:, 0], tracks[order]).ravel())
        if what is recording and method == "fdica":
            first, features = tracks, read[0]
        if what is recording and method in ("fdica", "ilrma"):
            without = gain
    change = _model(recording, first, without)
    bands = np.column_stack([np.concatenate(left), np.concatenate(per_band)])
    return {"runs": np.array(runs), "bands": bands, "linear": features, **change}


def faulty(sources: Sources, k: int, rng: np.random.Generator) -> Arrays:
    """The same of a recording with a fault, separated as if it had none."""
    recording = scenes.faulty(sources, k, rng)
    tracks = inside.unmixed(recording.mixture, RATE, len(recording.images), "fdica")
    gain, order = improvement(recording.images[:, 0], tracks, recording.mixture[0])
    read = inside.success_features(tracks[order], RATE)
    if read is None:
        return {}
    return {"runs": np.array([[1.0, 1.0, gain, *read[0]]]), "linear": read[0], **_model(recording, tracks, gain)}


def whole(sources: Sources, k: int, rng: np.random.Generator) -> Arrays:
    """What people record, separated as they get it, told the number of talkers: gain, and what it is to be told from."""
    recording = scenes.of_life(sources, k, rng)
    read = inside.enhanced_read(recording.mixture, RATE, len(recording.images))
    if read is None:
        return {}
    gain, _ = improvement(recording.images[:, 0], read[0], recording.mixture[0])
    return {"whole": np.array([gain, *read[1]])}


def noise(sources: Sources, k: int, rng: np.random.Generator) -> Arrays:
    """Two sounds that are no speech, in a room: what the source model would do."""
    recording = scenes.room(scenes.noises(sources, k, sources.seconds, rng), 2, rng, rt60=RT60[k % 4])
    tracks = inside.unmixed(recording.mixture, RATE, 2, "fdica")
    gain, _ = improvement(recording.images[:, 0], tracks, recording.mixture[0])
    return _model(recording, tracks, gain)


def _model(recording: Recording, tracks: np.ndarray, without: float) -> Arrays:
    """Evidence (3, N) of speech, the gain without and with the source model, and by how much it changes a track at most."""
    after, change = inside.enhanced(tracks, RATE)
    gain, _ = improvement(recording.images[:, 0], after, recording.mixture[0])
    return {"speech": inside.speech_evidence(tracks, RATE), "model": np.array([without, gain, change.max()])}


def counting(sources: Sources, k: int, rng: np.random.Generator) -> Arrays:
    """As many outputs as four microphones, of 1 to 4 talkers: shares of the beginnings, by the rule and by others like it."""
    n = 1 + k % 4
    recording = _room(sources, k // 4, scenes.voices(sources, n, sources.seconds, rng), 4, rng, measured=k % 8 == 7)
    powers, halved = inside.counting_powers(recording.mixture, RATE)
    short = inside.counting_powers(np.ascontiguousarray(recording.mixture[:, : 2 * RATE]), RATE)
    steady = rng.standard_normal((4, 5 * RATE)) + 0.5 * rng.standard_normal((1, 5 * RATE))
    hiss = inside.counting_powers(steady.astype(np.float32), RATE)
    rules = onset_rules()
    return {
        "talkers": np.array(n),
        "halved": np.array(halved),
        "shares": np.stack([inside.onset_shares(inside.begun(powers, *rule)) for rule in rules]),
        "begun": np.array([0 if x is None else inside.begun(x[0], *rules[0]).sum() for x in (short, hiss)]),
    }


def onset_rules() -> list[tuple[float, float, float]]:
    """Rise, level above the floor and share owned: as they are, then with one of them smaller or larger."""
    rise, above, owned = (inside.fitted()[f"COUNTING_{name}"].value for name in ("RISE", "ABOVE_FLOOR", "OWNED"))
    rises = [(1 + (rise - 1) * factor, above, owned) for factor in (0.4, 0.7, 1.4, 2.0)]
    levels = [(rise, above * factor, owned) for factor in (0.5, 0.7, 1.4, 2.0)]
    shares = [(rise, above, 1 - (1 - owned) * factor) for factor in (0.4, 0.7, 1.3, 1.6)]
    return [(rise, above, owned), *rises, *levels, *shares]


def choice(sources: Sources, k: int, rng: np.random.Generator) -> Arrays:
    """What outputs of plain ICA share: with a delay, and all in all; at a mixing desk where k is even, else in a room."""
    n = 2 + k // 2 % 3
    dry = scenes.voices(sources, n, float(rng.choice([0.5, 1.0, 2.0, 5.0, 12.0])), rng)
    snr_db = float(rng.uniform(15, 60))
    if k % 2 == 0:
        recording = scenes.desk(dry, n, rng, snr_db=snr_db)
    else:
        spacing = float(np.exp(rng.uniform(np.log(0.01), 0.0)))
        recording = _room(sources, k // 2, dry, n, rng, rt60=float(rng.choice([0.0, *RT60])), spacing=spacing, snr_db=snr_db)
    delayed = inside.delayed_coherence(recording.mixture, RATE, n)
    long = recording.mixture.shape[1] >= 2 * RATE
    shared = inside.desk_coherence(inside.unmixed(recording.mixture, RATE, n, "fastica"), RATE) if long else np.nan
    return {"desk": np.array(k % 2 == 0), "delayed": np.array(delayed), "shared": np.array(shared)}


def close_mics(sources: Sources, k: int, rng: np.random.Generator) -> Arrays:
    """How far loudness and rhythm agree on who is who: with a close microphone for each talker where k is even, else an array."""
    n = 2 + k // 2 % 2
    dry = scenes.voices(sources, n, sources.seconds, rng)
    close = k % 2 == 0
    recording = scenes.close_mics(dry, rng, rt60=RT60[k // 4 % 4]) if close else _room(sources, k // 2, dry, n, rng)
    return {"close": np.array(close), "agreement": np.array(inside.mic_agreement(recording.mixture, RATE))}


def _room(
    sources: Sources,
    k: int,
    dry: list[np.ndarray],
    m: int,
    rng: np.random.Generator,
    *,
    measured: bool | None = None,
    **options: float,
) -> Recording:
    """Of eight rooms three are measured ones, where there are any; of the others each third has microphones 50 cm apart."""
    if sources.rooms and (k % 8 in (2, 5, 7) if measured is None else measured):
        return scenes.measured_room(sources, dry, m, rng)
    return scenes.room(dry, m, rng, **{"rt60": RT60[k // 2 % 4], "spacing": 0.5 if k % 3 == 0 else 0.05, **options})


GROUPS: dict[str, Callable[[Sources, int, np.random.Generator], Arrays]] = {
    "rooms": rooms, "noise": noise, "counting": counting, "choice": choice, "close_mics": close_mics, "faulty": faulty,
    "whole": whole,
}  # fmt: skip
# scenes, for each of --rooms
PER_ROOM = {"rooms": 1.0, "noise": 1.0, "counting": 1.25, "choice": 2.0, "close_mics": 1.0, "faulty": 1.0, "whole": 1.0}


def measure(group: str, k: int, sources: Sources) -> Arrays:
    """Scene k of a group, on one thread: the processes share the machine."""
    rng = np.random.default_rng([sources.seed, list(GROUPS).index(group), k])
    with inside.limited(1):
        return GROUPS[group](sources, k, rng)
