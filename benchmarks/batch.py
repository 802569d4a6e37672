"""`bss batch` beside a loop of `bss unmix` over the same recordings, some of them broken.

The loop is cut in two, one half before the batch and one after it, so that a machine that becomes slower treats both alike.

    python benchmarks/batch.py --n 40 --broken 3 --jobs 2
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VOICES = Path(__file__).resolve().parents[1] / "fixtures/voices"
BSS = [sys.executable, "-c", "from bss_cli.main import main; main()"]


def make(folder: Path, n: int, broken: int, seconds: float) -> list[Path]:
    """Recordings of two talkers and two microphones in a room; the last ones are broken in different ways."""
    mix = [*BSS, "batch", "mix", str(VOICES), "-o", str(folder), "--talkers", "2", "--rt60", "0.2", "--seconds", str(seconds)]
    subprocess.run([*mix, "--seeds", f"0-{n - 1}", "-q"], check=True)
    recordings = sorted(path for path in folder.iterdir() if path.is_dir())
    for k, recording in enumerate(recordings[n - broken :]):
        second = recording / "mics/mic2.wav"
        if k % 3 == 0:
            second.write_text("no audio")
        elif k % 3 == 1:
            second.unlink()  # one microphone is left
        else:
            second.write_bytes(b"")
    return recordings


def loop(recordings: list[Path], out: Path) -> tuple[float, int]:
    """Seconds, and how many failed."""
    began, failed = time.perf_counter(), 0
    for recording in recordings:
        done = subprocess.run([*BSS, "unmix", str(recording / "mics"), "-o", str(out / recording.name), "-q"], check=False)
        failed += done.returncode != 0
    return time.perf_counter() - began, failed


def main() -> None:
    """Print both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--n", type=int, default=40)
    parser.add_argument("--broken", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--keep", type=Path, default=None, help="folder for recordings and results, instead of a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = options.keep or Path(temporary)
        recordings = make(place / "corpus", options.n, options.broken, options.seconds)
        loop(recordings[:1], place / "warm")  # kernels are compiled once per machine
        half = len(recordings) // 2
        first, failed_first = loop(recordings[:half], place / "loop")
        began = time.perf_counter()
        batch = [*BSS, "batch", str(place / "corpus"), "-o", str(place / "batch"), "--jobs", str(options.jobs)]
        code = subprocess.run(batch, check=False).returncode
        together = time.perf_counter() - began
        second, failed_second = loop(recordings[half:], place / "loop")
    alone = first + second
    print(f"{len(recordings)} recordings of {options.seconds:g} s, {failed_first + failed_second} failed one by one")
    print(f"loop of bss unmix: {alone:.0f} s ({first:.0f} + {second:.0f}); bss batch --jobs {options.jobs}: {together:.0f} s")
    print(f"{alone / together:.2f} times as fast, exit code {code}")


if __name__ == "__main__":
    main()
