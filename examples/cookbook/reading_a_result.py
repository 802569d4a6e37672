"""Reading a result: what a separation found and how well it went, from Python, and a page to listen to it.

    python examples/cookbook/reading_a_result.py [FOLDER]

FOLDER holds a result.json of `bss unmix`; without it a small one is made. The page needs the extra `report`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import bss
from bss.pipeline import record as records
from bss.scenes.faults import Dropout

VOICES = Path(__file__).resolve().parents[2] / "fixtures/voices"
RATE = 16_000


def made(folder: Path) -> None:
    """Tracks, result.json and report.html of two people and three microphones, of which the last dies after six seconds."""
    voices = [bss.read([VOICES / f"{name}.flac"])[0][0] for name in ("edward", "fiona")]
    scene = bss.mix(voices, RATE, n_mics=3, rt60=0.2, seconds=10.0, faults=[Dropout(2, start=6.0)], rng=0)
    result = bss.unmix(scene.mixture, RATE, n_sources=2)
    result.save(folder)
    page = result.report(folder / "report.html", mixture=scene.mixture)
    print(f"a page to listen to: {page.stat().st_size / 1e6:.1f} MB")
    gain = bss.score(scene.images[:, 0], result.sources, mixture=scene.mixture).mean["si_sdr_improvement"]
    print(f"measured gain: {gain:.1f} dB")


def show(folder: Path) -> None:
    record = records.read(folder / "result.json")  # dataclasses; docs/results.md says what each field means
    seconds = record.samples / record.rate
    print(f"{seconds:.1f} s, {len(record.channels)} microphones, {record.n_sources} talkers, {record.method}")
    for finding in record.findings:
        print(f"fault: {finding.message}")
    for warning in record.warnings:
        print(f"warning: {warning}")
    for k, track in enumerate(record.sources, start=1):
        level = "silent" if track.level_dbfs is None else f"{track.level_dbfs:.1f} dBFS"
        print(f"source{k}: {level}, at {track.dominant_mic}, speaks {len(track.active_spans)} times")
    if record.success is not None and record.success.predicted_si_sdr_gain_db is not None:
        print(f"in words: {record.success.sentence}")
        print(f"predicted gain: {record.success.predicted_si_sdr_gain_db:.1f} dB")


def main() -> None:
    if sys.argv[1:]:
        show(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        made(Path(folder))
        show(Path(folder))


if __name__ == "__main__":
    main()
