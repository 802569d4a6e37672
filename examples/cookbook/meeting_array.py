"""A meeting: one array of microphones on the table, and nobody says how many people talk.

    python examples/cookbook/meeting_array.py

The same with files, on the command line: `bss unmix meeting.flac -o sources`.
"""

from __future__ import annotations

from pathlib import Path

import bss

VOICES = Path(__file__).resolve().parents[2] / "fixtures/voices"
RATE = 16_000


def meeting() -> bss.Scene:
    """Three people around four microphones that are 5 cm apart, in a room with 0.3 s of reverberation."""
    voices = [bss.read([VOICES / f"{name}.flac"])[0][0] for name in ("edward", "fiona", "carlos")]
    return bss.mix(voices, RATE, n_mics=4, rt60=0.3, seconds=14.0, rng=2)


def main() -> None:
    scene = meeting()

    result = bss.unmix(scene.mixture, scene.rate)

    counting = result.record.counting
    assert counting is not None  # n_sources was not given
    print(f"talkers: {len(result.sources)} ({'sure' if counting.sure else f'from {counting.fewest} to {counting.most}'})")
    print(f"method: {result.method}, as {result.reason}")
    for name, track in zip(result.names, result.record.sources, strict=True):
        print(f"{name}: loudest at {track.dominant_mic}, speaks {100 * track.active_share:.0f} % of the time")
    scores = bss.score(scene.images[:, 0], result.sources, mixture=scene.mixture)
    print(f"mean gain: {scores.mean['si_sdr_improvement']:.1f} dB")


if __name__ == "__main__":
    main()
