"""Filters once: learned from one recording of a room, applied to others, too short to learn from, in no time.

    python examples/cookbook/filters_once.py

On the command line: `bss unmix monday/*.wav -o monday --save-filters room.filters`, then
`bss apply room.filters tuesday/*.wav -o tuesday`.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import bss

VOICES = Path(__file__).resolve().parents[2] / "fixtures/voices"
RATE = 16_000


def session(names: tuple[str, str], seconds: float) -> bss.Scene:
    """Two people in the same two seats of the same room, before the same microphones: all drawn by the seed."""
    voices = [bss.read([VOICES / f"{name}.flac"])[0][0] for name in names]
    return bss.mix(voices, RATE, n_mics=2, rt60=0.2, seconds=seconds, rng=5)


def main() -> None:
    monday, tuesday = session(("edward", "fiona"), 10.0), session(("george", "helena"), 2.0)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        bss.unmix(monday.mixture, RATE, n_sources=2).filters.save(f"{folder}/room.filters")
        learning = time.perf_counter() - began

        began = time.perf_counter()
        filters = bss.load_filters(f"{folder}/room.filters")
        tracks = filters.apply(tuesday.mixture, rate=RATE)  # (N, n), in the order of Monday's tracks
        applying = time.perf_counter() - began

    def gain(sources: object) -> float:
        return float(bss.score(tuesday.images[:, 0], sources, mixture=tuesday.mixture).mean["si_sdr_improvement"])

    print(f"learning took {learning:.2f} s, applying {applying:.3f} s (kernels compile on the first run)")
    print(f"separated anew, the short recording gains {gain(bss.unmix(tuesday.mixture, RATE, n_sources=2).sources):.1f} dB")
    print(f"mean gain: {gain(tracks):.1f} dB")


if __name__ == "__main__":
    main()
