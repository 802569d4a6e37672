"""What the learned source model brings, room by room: python benchmarks/source_model.py --voices DIR [--rooms 16] [--seed 0]

Every room is separated twice from the same start, as `bss unmix` does it with the source model (`neural`) and without (`ilrma`).
DIR holds a folder or a file for each talker. Then sounds that are no speech: the model has to step aside.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import bss
from bss.networks import corpus
from bss.pipeline.analysis import speech

RATE = 16_000
RT60 = (0.15, 0.25, 0.4, 0.6)
SECONDS = 10.0


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voices", nargs="+", default=["fixtures/voices"], help="folders with one folder or file per talker")
    parser.add_argument("--noise", nargs="*", default=[], help="folders with sounds that are no speech")
    parser.add_argument("--rooms", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    voices = talkers(options.voices)
    print("| talkers, microphones | without: SI-SDRi | with | gain | smallest gain | time with / without |")
    print("|---|---:|---:|---:|---:|---:|")
    for talking, mics in ((2, 2), (3, 3), (4, 4), (2, 4)):
        rows = [compared(voices, options.seed + k, talking, mics, RT60[k % 4]) for k in range(options.rooms)]
        without, with_it, slow, fast = np.array(rows).T
        gains = with_it - without
        print(
            f"| {talking}, {mics} | {without.mean():.1f} dB | {with_it.mean():.1f} dB | {gains.mean():+.1f} dB "
            f"| {gains.min():+.1f} dB | {np.median(fast) / np.median(slow):.1f} |"
        )
    print(
        "\n| no speech | applied in | what that changes | least distance from speech | most voiced | most syllables |"
        "\n|---|---:|---:|---:|---:|---:|"
    )
    for name, pairs in {**synthetic(options.seed), **recorded(options.noise)}.items():
        print_aside(name, pairs)


def talkers(folders: list[str]) -> list[np.ndarray]:
    """One array (n,) for each talker: of files where a folder holds no more than files, else of folders."""
    files = [file for folder in folders for file in corpus.audio_files(Path(folder))]
    flat = len({file.parent for file in files}) == 1
    owner = {file: file.stem if flat else file.parent.name for file in files}
    sounds = {name: [] for name in owner.values()}
    for file, name in owner.items():
        recording = bss.read([file])
        sounds[name].append(corpus.resampled(recording[0][0], recording[1], RATE))
    return [np.concatenate(parts) for parts in sounds.values()]


def compared(voices: list[np.ndarray], seed: int, talking: int, mics: int, rt60: float) -> tuple[float, float, float, float]:
    """SI-SDR improvement without and with the model, and the seconds of each."""
    rng = np.random.default_rng([seed, talking, mics])
    n = round(SECONDS * RATE)
    chosen = rng.choice(len(voices), talking, replace=False)
    drawn = [np.resize(np.roll(voices[k], -int(rng.integers(len(voices[k])))), n) for k in chosen]
    scene = bss.mix(drawn, RATE, n_mics=mics, rt60=rt60, spacing=0.05, rng=seed)
    found = []
    for method in ("ilrma" if talking == mics else "fdica", "neural"):
        clock = time.perf_counter()
        result = bss.unmix(scene.mixture, RATE, n_sources=talking, method=method, rng=0)
        seconds = time.perf_counter() - clock
        scores = bss.score(scene.images[:, 0], result.sources, mixture=scene.mixture[0])
        found.append((float(np.mean(scores.si_sdr_improvement)), seconds))
    return found[0][0], found[1][0], found[0][1], found[1][1]


def synthetic(seed: int) -> dict[str, list[np.ndarray]]:
    """Pairs of sounds (2, n) that no talker makes."""
    rng = np.random.default_rng(seed)
    n = round(SECONDS * RATE)
    t = np.arange(n) / RATE
    bursts = [rng.laplace(size=(2, n)) * (1 + np.sin(2 * np.pi * rng.uniform(0.5, 4, (2, 1)) * t)) for _ in range(4)]
    chords = [np.stack([chord(t, rng), chord(t, rng)]) for _ in range(4)]
    return {"noise that comes and goes": bursts, "chords and melodies": chords}


def chord(t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Notes of plucked strings (n,), three a second."""
    y = np.zeros_like(t)
    for start in np.arange(0, t[-1], 1 / 3):
        pitch = 220 * 2 ** (rng.choice([0, 2, 4, 5, 7, 9, 11, 12]) / 12)
        after = np.maximum(t - start, 0)
        y += (t >= start) * np.exp(-4 * after) * sum(np.sin(2 * np.pi * pitch * k * after) / k for k in range(1, 6))
    return y


def recorded(folders: list[str]) -> dict[str, list[np.ndarray]]:
    """Pairs of clips of each label."""
    if not folders:
        return {}
    sounds, n = corpus.read(folders, RATE), round(SECONDS * RATE)
    wholes = {name: sounds.only([name]).samples for name in sounds.talkers()}
    return {
        name: [np.stack([np.roll(y, -2 * k * n)[:n], np.roll(y, -(2 * k + 1) * n)[:n]]) for k in range(4)]
        for name, y in wholes.items() if len(y) >= 8 * n
    }  # fmt: skip


def print_aside(name: str, pairs: list[np.ndarray]) -> None:
    """A row: in how many of the rooms it was applied all the same, and what that did."""
    applied, distances, voiced, syllables, gains = 0, [], [], [], []
    for k, pair in enumerate(pairs):
        scene = bss.mix(list(pair.astype(np.float32)), RATE, n_mics=2, rt60=RT60[k % 4], rng=k)
        without, with_it = (bss.unmix(scene.mixture, RATE, n_sources=2, method=m, rng=0) for m in ("ilrma", "neural"))
        info = with_it.info["source_model"]
        applied += info["applied"]
        distances += info["speech_distance"]
        voiced += info["voiced"]
        syllables += info["syllables"]
        before, after = (bss.score(scene.images[:, 0], y.sources).si_sdr.mean() for y in (without, with_it))
        gains.append(float(after - before))
    print(
        f"| {name} | {applied} of {len(pairs)} | {min(gains):+.1f} to {max(gains):+.1f} dB "
        f"| {min(distances):.2f} ({speech.DISTANCE}) | {max(voiced):.2f} ({speech.VOICED}) "
        f"| {max(syllables):.2f} ({speech.SYLLABLES}) |"
    )


if __name__ == "__main__":
    main()
