"""Recordings with a known truth: rooms, simulated and measured, mixing desks, and talkers with a close microphone each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import oaconvolve

import bss
from bss.errors import BssError
from bss.networks import corpus
from bss.scenes.acoustics.rooms import Layout, respond
from bss.scenes.behaviour import Behaviour, Conversation, Join, Move
from bss.scenes.faults import Drift

RATE = 16_000
RT60 = (0.15, 0.25, 0.4, 0.6)
Named = tuple[tuple[str, tuple[str, ...]], ...]  # names of talkers, of sounds or of rooms, each with its files


@dataclass(frozen=True)
class Sources:
    """Files that scenes are made of, of talkers, of other sounds and of measured rooms; the length of scenes, and their seed."""

    voices: Named
    noise: Named
    rooms: Named
    seconds: float
    seed: int


@dataclass(frozen=True)
class Recording:
    """What microphones hear, (M, n), and what they hear of each talker, (N, M, n)."""

    mixture: np.ndarray
    images: np.ndarray


def named(folders: Sequence[Path]) -> Named:
    """Audio files by who or what is heard: the folder they are in; of files in one folder the name up to a double underscore."""
    files = [file for folder in folders for file in corpus.audio_files(folder)]
    flat = len({file.parent for file in files}) == 1
    files_of: dict[str, list[str]] = {}
    for file in files:
        files_of.setdefault(file.stem.split("__")[0] if flat else file.parent.name, []).append(str(file.resolve()))
    return tuple((name, tuple(where)) for name, where in sorted(files_of.items()))


def sounds(folders: Sequence[Path]) -> Named:
    """Files of sounds that are no speech, by kind; kinds of different folders are different."""
    labels: dict[str, list[str]] = {}
    for file in (file for folder in folders for file in corpus.audio_files(folder)):
        labels.setdefault(f"{file.parent.name}/{corpus.label(file)}", []).append(str(file.resolve()))
    return tuple((name, tuple(where)) for name, where in sorted(labels.items()))


def measured_rooms(folders: Sequence[Path]) -> Named:
    """Impulse responses, a file (L, M) for each place, by room: the file name up to its last underscore."""
    places: dict[str, list[str]] = {}
    for file in (file for folder in folders for file in corpus.audio_files(folder)):
        places.setdefault(file.stem.rsplit("_", 1)[0], []).append(str(file.resolve()))
    return tuple((name, tuple(where)) for name, where in sorted(places.items()) if len(where) >= 4)


def sound(files: Sequence[str], seconds: float, rng: np.random.Generator) -> np.ndarray:
    """(n,) of one talker or sound: its files from a random place on, without digital silence, as often as it takes."""
    parts = []
    for file in rng.permutation(np.array(files)):
        x, rate = bss.read([str(file)])
        parts.append(corpus.without_silence(corpus.resampled(x[0], rate, RATE), RATE))
        if sum(map(len, parts)) >= seconds * RATE:
            break
    whole = np.concatenate(parts)
    return np.resize(np.roll(whole, -int(rng.integers(len(whole)))), round(seconds * RATE))


def voices(sources: Sources, n: int, seconds: float, rng: np.random.Generator) -> list[np.ndarray]:
    """That many different talkers."""
    if len(sources.voices) < n:
        raise SystemExit(f"there are {len(sources.voices)} talkers in --voices, and scenes take four")
    chosen = rng.choice(len(sources.voices), n, replace=False)
    return [sound(sources.voices[k][1], seconds, rng) for k in chosen]


def noises(sources: Sources, k: int, seconds: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Two sounds of one kind, kind k of those there are."""
    files = sources.noise[k % len(sources.noise)][1]
    return [sound(files, seconds, rng) for _ in range(2)]


def room(
    dry: Sequence[np.ndarray], n_mics: int, rng: np.random.Generator, *, rt60: float, spacing: float = 0.05, snr_db: float = 30.0
) -> Recording:
    """Talkers (n,) in a simulated room."""
    try:
        scene = bss.mix(list(dry), RATE, n_mics=n_mics, rt60=rt60, spacing=spacing, snr_db=snr_db, rng=rng)
    except BssError:  # an array too large for the room
        scene = bss.mix(list(dry), RATE, n_mics=n_mics, rt60=rt60, spacing=0.05, snr_db=snr_db, rng=rng)
    return Recording(scene.mixture, scene.images)


FAULTS = ("move", "drift", "noise", "babble", "echo", "crowd", "turns")  # what remains, in part, once all is repaired


def faulty(sources: Sources, k: int, rng: np.random.Generator) -> Recording:
    """Two talkers and two or three microphones with a fault that filters for the whole recording cannot repair; kind k of FAULTS.

    "crowd" is a third talker whose image is not among the images, "echo" lasts for 0.8 s, and in "turns" nothing is wrong.
    """
    kind, n_mics = FAULTS[k % len(FAULTS)], 2 + k // len(FAULTS) % 2
    dry = voices(sources, 3 if kind == "crowd" else 2, 2 * sources.seconds, rng)
    last, much = n_mics - 1, float(rng.uniform(0.2, 1.0))
    faults = [Drift(80 * much, last)] if kind == "drift" else []
    behaviour: dict[str, list[Behaviour]] = {"move": [Move(0, 90 * much)], "turns": [Conversation()]}
    count = {"noise": 1, "babble": 6}.get(kind, 0)
    sounds_around = [
        noises(sources, int(rng.integers(1000)), 2 * sources.seconds, rng)[0] for _ in range(count if sources.noise else 0)
    ]
    rt60 = 0.8 if kind == "echo" else float(rng.choice(RT60))
    scene = bss.mix(
        dry, RATE, n_mics=n_mics, rt60=rt60, noises=sounds_around, noise_snr_db=12 * much, faults=faults,
        behaviour=behaviour.get(kind, []), rng=rng,
    )  # fmt: skip
    return Recording(scene.mixture, scene.images[:2])


KINDS = ("still", "turns", "noise", "babble", "move", "echo", "soft", "still", "join")  # what people record


def of_life(sources: Sources, k: int, rng: np.random.Generator) -> Recording:
    """Two to four talkers and as many microphones or up to two more, for 0.5 to 4 times the length of other scenes; kind k.

    "soft" is the second talker; in "move" one walks, or both do; in "join" the last one is silent for the first half.
    """
    kind, much = KINDS[k % len(KINDS)], float(rng.uniform(0.2, 1.0))
    n = 2 + k // len(KINDS) % 3 if kind in ("still", "turns", "join") else 2
    n_mics = n + int(rng.integers(3)) + (kind == "noise")
    seconds = sources.seconds * float(rng.choice([1.0, 2.0, 4.0] if kind in ("turns", "move", "join") else [0.5, 1.0, 2.0, 3.0]))
    dry = voices(sources, n, seconds, rng)
    walks: list[Behaviour] = [Move(t, 90 * much) for t in range(1 + k // len(KINDS) % 2)]
    behaviour = {"move": walks, "turns": [Conversation()], "join": [Join(n - 1, 0.5 * seconds)]}
    count = {"noise": 1, "babble": 6}.get(kind, 0) if sources.noise else 0
    around = [noises(sources, int(rng.integers(1000)), seconds, rng)[0] for _ in range(count)]
    scene = bss.mix(
        dry, RATE, n_mics=n_mics, rt60=0.8 if kind == "echo" else float(rng.choice(RT60)), noises=around, noise_snr_db=12 * much,
        behaviour=behaviour.get(kind, []), levels_db=[0, -15 * much] if kind == "soft" else None, rng=rng,
    )  # fmt: skip
    return Recording(scene.mixture, scene.images[:n])


def desk(dry: Sequence[np.ndarray], n_mics: int, rng: np.random.Generator, *, snr_db: float) -> Recording:
    """Talkers (n,) mixed without delays."""
    scene = bss.mix(list(dry), RATE, n_mics=n_mics, instantaneous=True, snr_db=snr_db, rng=rng)
    return Recording(scene.mixture, scene.images)


def measured_room(sources: Sources, dry: Sequence[np.ndarray], n_mics: int, rng: np.random.Generator) -> Recording:
    """Talkers (n,), equally loud, at places of a measured room, 30 dB over the noise."""
    _, places = sources.rooms[int(rng.integers(len(sources.rooms)))]
    chosen = rng.choice(len(places), len(dry), replace=False)
    heard = [bss.read([places[place]]) for place in chosen]
    mics = np.sort(rng.choice(min(len(rirs) for rirs, _ in heard), n_mics, replace=False))
    images = []
    for voice, (rirs, rate) in zip(dry, heard, strict=True):
        image = np.stack([oaconvolve(voice, corpus.resampled(rirs[m], rate, RATE))[: len(voice)] for m in mics])
        images.append(image / np.sqrt(np.mean(image[0] ** 2)))
    return _recorded(np.stack(images), rng)


def close_mics(dry: Sequence[np.ndarray], rng: np.random.Generator, *, rt60: float) -> Recording:
    """Talkers (n,) in a row, 1.5 m apart, each 30 cm from a microphone."""
    n = len(dry)
    mics = np.array([[2.0 + 1.5 * k, 2.5, 1.2] for k in range(n)]) + rng.uniform(-0.2, 0.2, (n, 3))
    turn = rng.uniform(0, 2 * np.pi, n)
    talkers = mics + 0.3 * np.stack([np.cos(turn), np.sin(turn), 0.3 * np.ones(n)], axis=1)
    rirs = respond(Layout((3.5 + 1.5 * n, 5.0, 3.0), mics, talkers), rt60, RATE).rirs
    images = [[oaconvolve(voice / voice.std(), rir)[: len(voice)] for rir in row] for voice, row in zip(dry, rirs, strict=True)]
    return _recorded(np.array(images), rng)


def _recorded(images: np.ndarray, rng: np.random.Generator) -> Recording:
    """The mixture of images (N, M, n), with noise 30 dB below the talkers at microphone 1; no sample above 0.5."""
    mixture = images.sum(0)
    noise = 10 ** (-30 / 20) * np.sqrt(np.mean(mixture[0] ** 2)) * rng.standard_normal(mixture.shape)
    gain = 0.5 / max(np.abs(images).max(), np.abs(mixture + noise).max())
    return Recording((gain * (mixture + noise)).astype(np.float32), (gain * images).astype(np.float32))
