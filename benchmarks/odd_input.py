"""What becomes of recordings that are not ten seconds of two people who talk at once, equally loud: a Markdown table.

    python benchmarks/odd_input.py [--rooms 8] [--seed 1000]

Two of the fixture voices, or one and chords, in simulated rooms with 0.3 s of reverberation and two microphones 5 cm apart, by
`bss.unmix` with the number of talkers given. Gain: improvement of SI-SDR over microphone 1, at the better assignment, mean over
the rooms.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import bss
from bss.metrics.assignment import assign
from bss.pipeline.analysis.recording import Analysis
from bss.signals.resample import resample

VOICES = Path(__file__).resolve().parents[1] / "fixtures/voices"
RATE, SECONDS = 16_000, 9.7
FADE = 0.02  # seconds in which a voice that stops or begins does so
Talkers = Callable[[np.random.Generator], list[np.ndarray]]


def voices(rng: np.random.Generator, n: int = 2) -> list[np.ndarray]:
    """n different fixture voices, as long as each other."""
    paths = rng.permutation(np.array(sorted(VOICES.glob("*.flac"))))[:n]
    return [bss.read(path)[0][0][: round(SECONDS * RATE)] for path in paths]


def gated(x: np.ndarray, on: np.ndarray) -> np.ndarray:
    """x, with silence where `on`, a row of equally long spans, is 0."""
    mask = np.repeat(on.astype(np.float64), -(-x.size // len(on)))[: x.size]
    ramp = np.hanning(round(2 * FADE * RATE))
    return np.asarray(x * np.convolve(mask, ramp / ramp.sum(), mode="same"), np.float32)


def by_turns(rng: np.random.Generator) -> list[np.ndarray]:
    """One speaks when the other does not, a second and a half each."""
    on = np.arange(6) % 2
    first, second = voices(rng)
    return [gated(first, on), gated(second, 1 - on)]


def half_silent(rng: np.random.Generator) -> list[np.ndarray]:
    """Each is silent in half of the seconds, drawn for each alone."""
    return [gated(voice, rng.permutation(np.arange(10) % 2)) for voice in voices(rng)]


def chords(rng: np.random.Generator) -> np.ndarray:
    """(n,) plucked chords of three notes with eight harmonics each, two a second, in four-four of I, vi, IV and V."""
    n = round(SECONDS * RATE)
    out, step = np.zeros(n), RATE // 2
    roots = 110 * 2 ** ((np.array([0, 9, 5, 7]) + rng.integers(0, 12)) / 12)
    for k, start in enumerate(range(0, n, step)):
        t = np.arange(min(2 * step, n - start)) / RATE
        root, third = roots[k // 4 % 4], 3 if k // 4 % 4 == 1 else 4
        for semitones in (0, third, 7):
            for harmonic in range(1, 9):
                tone = np.sin(2 * np.pi * harmonic * root * 2 ** (semitones / 12) * t + rng.uniform(0, 2 * np.pi))
                out[start : start + t.size] += tone / harmonic * np.exp(-3 * t * np.sqrt(harmonic))
    return np.asarray(0.1 * out / np.abs(out).max(), np.float32)


def with_music(rng: np.random.Generator) -> list[np.ndarray]:
    """A voice, and chords."""
    return [*voices(rng, 1), chords(rng)]


@dataclass(frozen=True)
class Case:
    """A row of the table: who sounds, and what else is unusual."""

    name: str
    talkers: Talkers = voices
    rate: int = RATE
    seconds: float | None = None
    mix: dict[str, Any] = field(default_factory=dict)


CASES = (
    Case("two talkers at once, 9.7 s, 16 kHz"),
    Case("each silent half of the time, by chance", half_silent),
    Case("each silent half of the time, by turns", by_turns),
    Case("5 s", seconds=5.0),
    Case("2 s", seconds=2.0),
    Case("the second talker 10 dB softer", mix={"levels_db": [0.0, -10.0]}),
    Case("the second talker 20 dB softer", mix={"levels_db": [0.0, -20.0]}),
    Case("a talker, and music (chords)", with_music),
    Case("8 kHz", rate=8_000),
    Case("48 kHz (voices with nothing above 8 kHz)", rate=48_000),
)


@dataclass(frozen=True)
class Outcome:
    """Of a room: the gain of each talker, what was expected of it, and the number of talkers that would have been counted."""

    gains: np.ndarray
    predicted: float | None
    counted: int
    method: str


def outcome(case: Case, seed: int) -> Outcome:
    """Make one room of a case, and separate it."""
    rng = np.random.default_rng(seed)
    dry = [np.asarray(resample(voice[None], RATE, case.rate))[0] for voice in case.talkers(rng)]
    if case.seconds is not None:  # the middle, where everybody speaks
        length = round(case.seconds * case.rate)
        dry = [voice[(voice.size - length) // 2 :][:length] for voice in dry]
    scene = bss.mix(dry, case.rate, n_mics=2, rng=rng, **case.mix)
    result = bss.unmix(scene.mixture, case.rate, n_sources=2)
    truth = scene.images[:, 0]
    scores = np.asarray(bss.si_sdr(truth[:, None], result.sources[None]))
    gains = scores[[0, 1], assign(scores)] - np.asarray(bss.si_sdr(truth, scene.mixture[:1]))
    success = result.info["success"]
    predicted = None if success is None else success["predicted_si_sdr_gain_db"]
    return Outcome(gains, predicted, Analysis(scene.mixture, case.rate).count().n_sources, result.method)


def row(case: Case, outcomes: list[Outcome]) -> str:
    """A line of the table."""
    gains = np.array([found.gains for found in outcomes])
    known = [found.predicted for found in outcomes if found.predicted is not None]
    expected = f"{np.mean(known):.1f}" if known else "none"
    counted = sum(found.counted == 2 for found in outcomes)
    first, second = gains.mean(0)
    mean, worst = gains.mean(), gains.mean(1).min()
    return f"| {case.name} | {mean:.1f} | {first:.1f}, {second:.1f} | {worst:.1f} | {expected} | {counted} of {len(outcomes)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", type=int, default=8, help="rooms for each row")
    parser.add_argument("--seed", type=int, default=1000, help="of the first room")
    options = parser.parse_args()
    print("| recording | gain in dB | of talker 1, 2 | worst room | expected | two talkers counted in |")
    print("|---|---|---|---|---|---|")
    for case in CASES:
        print(row(case, [outcome(case, options.seed + k) for k in range(options.rooms)]), flush=True)


if __name__ == "__main__":
    main()
