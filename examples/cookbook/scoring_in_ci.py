"""Scoring in CI: a build fails where a separation has become worse than it was.

    python examples/cookbook/scoring_in_ci.py
    pytest examples/cookbook/scoring_in_ci.py

The first shows the command that a build runs, whose exit code is 5 below the threshold; the second is the same as a test.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import bss

VOICES = Path(__file__).resolve().parents[2] / "fixtures/voices"
RATE = 16_000
LEAST_DB = 12.0  # a few dB under what it is today, as other machines round differently


def separated(folder: Path) -> bss.Scene:
    """A scene in folder/scene, and its tracks in folder/sources; the same scene every time, by its seed."""
    voices = [bss.read([VOICES / f"{name}.flac"])[0][0] for name in ("edward", "fiona")]
    scene = bss.mix(voices, RATE, n_mics=2, rt60=0.2, seconds=8.0, rng=0)
    scene.save(folder / "scene")
    bss.unmix(scene.mixture, RATE).save(folder / "sources")
    return scene


def test_separation_has_not_become_worse(tmp_path: Path) -> None:
    separated(tmp_path)
    scored = bss.score_files(tmp_path / "scene/truth", tmp_path / "sources", mixture=tmp_path / "scene/mics")
    assert scored.scores.mean["si_sdr"] >= LEAST_DB
    assert not scored.without_score  # a talker who was lost


def gate(folder: Path, estimates: str) -> int:
    """The exit code of `bss score --fail-under`."""
    bss_program = [sys.executable, "-c", "from bss_cli.main import main; main()"]  # `bss`, of this environment
    words = ["score", f"{folder}/scene/truth", f"{folder}/{estimates}", "--fail-under", str(LEAST_DB)]
    return subprocess.run([*bss_program, *words], check=False).returncode


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        separated(Path(place))
        good, bad = gate(Path(place), "sources"), gate(Path(place), "scene/mics")  # what would come of no separation
    print(f"exit code of the tracks: {good}")
    print(f"exit code of the microphones: {bad}")


if __name__ == "__main__":
    main()
