"""What a fault of the recording costs: the same scene without and with it, separated and scored.

    python examples/any_recording.py
    python examples/any_recording.py drift walking --seed 3 --seconds 20

Needs nothing but bss and the voices of fixtures/voices.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import bss
from bss.scenes.behaviour import Conversation, Join, Move
from bss.scenes.faults import Agc, Drift, Dropout, Gap, Hum, Offset

VOICES = Path(__file__).resolve().parents[1] / "fixtures" / "voices"
RATE = 16_000


def cases(seconds: float, noise: np.ndarray) -> dict[str, dict[str, Any]]:
    """What is added to the scene in each case: arguments of `bss.mix`. Microphones and talkers count from 0."""
    middle = seconds / 2
    return {
        "offset": {"faults": [Offset(0.5)]},
        "drift": {"faults": [Drift(80)]},
        "gap": {"faults": [Gap(1, 0.01)]},
        "dropout": {"faults": [Dropout(3)]},
        "hum": {"faults": [Hum(2)]},
        "agc": {"faults": [Agc(1)]},
        "noise": {"noises": [noise], "noise_snr_db": 5.0},
        "walking": {"behaviour": [Move(0, 60.0)]},
        "joining": {"behaviour": [Join(1, middle)]},
        "conversation": {"behaviour": [Conversation(seconds / 6)]},
    }


def gain_db(scene: bss.Scene) -> tuple[float, int]:
    """How much better than microphone 0 the separated talkers are, in dB of SI-SDR, and how many tracks there are."""
    result = bss.unmix(scene.mixture, scene.rate)
    scores = bss.score(scene.images[:, 0], result.sources, mixture=scene.mixture)
    return float(scores.mean["si_sdr_improvement"]), len(result.sources)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("cases", nargs="*", default=["drift", "dropout", "walking"], help="of what cases() has")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--seconds", type=float, default=8.0)
    given = arguments.parse_args()
    voices = [bss.read([VOICES / f"{name}.flac"])[0][0] for name in ("edward", "fiona", "george")]
    known = cases(given.seconds, voices.pop())
    if unknown := [case for case in given.cases if case not in known]:
        arguments.error(f"there is no case {', '.join(unknown)}: the cases are {', '.join(known)}")

    def scene(added: Mapping[str, Any]) -> bss.Scene:
        return bss.mix(voices, RATE, n_mics=4, rt60=0.2, seconds=given.seconds, rng=given.seed, **added)

    print(f"{'recording':14} {'tracks':>6} {'gain dB':>8}")
    for case in ("as it should be", *given.cases):
        gain, tracks = gain_db(scene(known.get(case, {})))
        print(f"{case:14} {tracks:6d} {gain:8.1f}")


if __name__ == "__main__":
    main()
