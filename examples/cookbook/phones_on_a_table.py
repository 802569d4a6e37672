"""Phones on a table: each was started by hand and has a clock of its own.

    python examples/cookbook/phones_on_a_table.py

The same with files, on the command line: `bss unmix phone*.wav -o sources`; `bss sync` only puts them in step.
"""

from __future__ import annotations

from pathlib import Path

import bss
from bss.scenes.faults import Drift, Offset

VOICES = Path(__file__).resolve().parents[2] / "fixtures/voices"
RATE = 16_000


def phones() -> bss.Scene:
    """Two people, three phones 30 cm apart: the second began 0.7 s after the first, the third has a clock that is 60 ppm fast."""
    voices = [bss.read([VOICES / f"{name}.flac"])[0][0] for name in ("george", "helena")]
    faults = [Offset(0.7, mic=1), Drift(60, mic=2)]
    return bss.mix(voices, RATE, n_mics=3, spacing=0.3, rt60=0.2, seconds=9.0, faults=faults, rng=2)


def gain(scene: bss.Scene, sync: str) -> float:
    """How much better the tracks are than the first phone, in dB."""
    result = bss.unmix(scene.mixture, scene.rate, n_sources=2, sync=sync)
    for found in result.record.sync or ():
        if found.changed:
            print(f"{found.mic}: {found.offset:+.3f} s, {found.ppm:+.1f} ppm")
    return float(bss.score(scene.images[:, 0], result.sources, mixture=scene.mixture).mean["si_sdr_improvement"])


def main() -> None:
    scene = phones()
    as_they_are = gain(scene, "off")
    in_step = gain(scene, "auto")  # the default
    print(f"as they are: {as_they_are:.1f} dB")
    print(f"in step: {in_step:.1f} dB")
    print(f"gain by sync: {in_step - as_they_are:.1f} dB")


if __name__ == "__main__":
    main()
