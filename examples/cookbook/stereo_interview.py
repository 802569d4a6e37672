"""An interview on a stereo recorder: a track for each of the two, and the times at which they speak, for a transcript.

    python examples/cookbook/stereo_interview.py

The same with a file, on the command line: `bss unmix interview.wav --sources 2 -o sources`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import bss
from bss.scenes.behaviour import Conversation

VOICES = Path(__file__).resolve().parents[2] / "fixtures/voices"
RATE = 16_000


def interview() -> bss.Scene:
    """Two people who take turns and interrupt each other, in front of a recorder with capsules 17 cm apart."""
    voices = [bss.read([VOICES / f"{name}.flac"])[0][0] for name in ("diane", "george")]
    return bss.mix(voices, RATE, spacing=0.17, rt60=0.25, seconds=16.0, behaviour=[Conversation(3.0)], rng=3)


def main() -> None:
    scene = interview()
    with tempfile.TemporaryDirectory() as folder:
        bss.write(f"{folder}/interview.wav", scene.mixture, scene.rate)  # one file of two channels

        done = bss.unmix_file(f"{folder}/interview.wav", f"{folder}/sources", n_sources=2)  # of any length

        turns = sorted((start, stop, name) for name, track in zip(done.names, done.record.sources, strict=True)
                       for start, stop in track.active_spans)  # fmt: skip
        for start, stop, name in turns:
            print(f"{start:6.2f} to {stop:6.2f} s  {name}")
        tracks = [f"{folder}/sources/{name}.wav" for name in done.names]
        sources = bss.read(tracks)[0]
    scores = bss.score(scene.images[:, 0], sources, mixture=scene.mixture)
    print(f"mean gain: {scores.mean['si_sdr_improvement']:.1f} dB")


if __name__ == "__main__":
    main()
