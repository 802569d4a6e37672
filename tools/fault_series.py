"""Kill every command that writes, at random moments, and fill its disk: what is there afterwards is whole, or as before.

python tools/fault_series.py [--kills 100] [--ends 50] [--sizes 20] [--only unmix] [--seed 0]

Each run overwrites results that are there already. After SIGKILL (`--kills`) every file under its final name is entirely old or
entirely new, and a next run removes what is left and says so; after SIGTERM (`--ends`) and after a limit on the size of files
(`--sizes`), which acts as a full disk does, nothing is left at all. Exit code 1 if a promise broke.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import soundfile

ROOT = Path(__file__).resolve().parents[1]
VOICES = [ROOT / "fixtures/voices" / f"{name}.flac" for name in ("edward", "fiona")]
LEFT = ".bss-"
RUN = "import sys; from bss_cli.main import main; sys.exit(main(sys.argv[1:]))"
Files = dict[str, str]


@dataclass(frozen=True)
class Command:
    """A command line that writes into the folder "out", where it starts; `also` from the second time on."""

    words: tuple[str, ...]
    also: tuple[str, ...] = ("--overwrite",)


COMMANDS = {
    "mix": Command(("mix", *map(str, VOICES), "--instantaneous", "--seconds", "3", "-o", "out")),
    "unmix": Command(("unmix", "scene/mics", "--method", "fastica", "--save-filters", "out/f.bss", "-o", "out")),
    "unmix in pieces": Command(("unmix", "scene/mics", "--sources", "2", "--max-memory", "1G", "-o", "out")),
    "denoise": Command(("denoise", "scene/mics/mic1.wav", "-o", "out")),
    "apply": Command(("apply", "filters.bss", "scene/mics", "-o", "out")),
    "batch": Command(("batch", "scene/mics", "other/mics", "--method", "fastica", "-o", "out")),
    "report": Command(("report", "tracks", "-o", "out/page.html")),
    "sync": Command(("sync", "scene/mics", "-o", "out")),
}  # fmt: skip


def state(folder: Path) -> Files:
    """What every file below a folder holds."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def start(words: tuple[str, ...], place: Path, limit: int | None = None) -> subprocess.Popen[str]:
    """Begin a command in a folder, as a process of its own; `limit` in bytes of every file."""

    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    program = [sys.executable, "-c", RUN, *words]
    return subprocess.Popen(
        program, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=limited, start_new_session=True
    )


def done(words: tuple[str, ...], place: Path) -> str:
    """Run a command to its end; what it says."""
    process = start(words, place)
    _, said = process.communicate(timeout=600)
    if process.returncode:
        raise SystemExit(f"bss {' '.join(words)}: exit code {process.returncode}\n{said}")
    return said


class Series:
    """One command, its results before any fault, and what was found."""

    def __init__(self, name: str, place: Path, rng: random.Random) -> None:
        self.name, self.command, self.place, self.rng = name, COMMANDS[name], place, rng
        self.words = (*self.command.words, *self.command.also)
        self.out, self.kept = place / "out", place / "kept"
        shutil.rmtree(self.out, ignore_errors=True)
        done(self.command.words, place)
        began = time.monotonic()
        done(self.words, place)  # once more, as it is then: kernels are compiled
        self.seconds = time.monotonic() - began
        self.broken: list[str] = []
        self.left = 0

    def mark(self) -> Files:
        """Results that can be told from new ones: their bytes are followed by a word."""
        for path in self.out.rglob("*"):
            if path.is_file():
                path.write_bytes(path.read_bytes().removesuffix(b"old") + b"old")
        return state(self.out)

    def fault(self, what: str, end: Callable[[subprocess.Popen[str]], None], *, limit: int | None = None) -> int:
        """Run into a fault, and look at what is there."""
        before = self.mark()
        process = start(self.words, self.place, limit)
        end(process)
        _, said = process.communicate(timeout=600)
        after = state(self.out)
        parts = [name for name in after if Path(name).name.startswith(LEFT)]
        gone = [name for name in before if name not in after and not Path(name).name.startswith(LEFT)]
        if gone:
            self.broken.append(f"{what}: {gone} is gone")
        for name in (name for name in after if name not in before and name not in parts):
            self.broken.append(f"{what}: {name} appeared")
        for name in (name for name, now in after.items() if name in before and before[name] != now):
            self.whole(what, self.out / name)
        if parts and what != "SIGKILL":
            self.broken.append(f"{what}: {parts} left\n{said[-400:]}")
        if process.returncode > 0 and "Traceback" in said:
            self.broken.append(f"{what}: {said[-600:]}")
        self.left += len(parts)
        return process.returncode

    def whole(self, what: str, path: Path) -> None:
        """A new file must be one that can be read to its end."""

        data = path.read_bytes()
        try:
            if path.suffix in (".wav", ".flac"):
                with soundfile.SoundFile(path) as file:
                    if len(file.read()) != len(file) or not len(file):
                        raise ValueError("cut short")
            elif path.suffix == ".json":
                json.loads(data)
            elif path.suffix == ".html" and not data.rstrip().endswith(b"</html>"):
                raise ValueError("cut short")
        except (ValueError, RuntimeError) as error:
            self.broken.append(f"{what}: {path.name} is not whole: {error}")

    def killed(self, number: int) -> None:
        """SIGKILL to the process and what it started, at random moments."""
        for _ in range(number):
            self.fault("SIGKILL", lambda process: self.after_a_while(process, signal.SIGKILL))
        said = done(self.words, self.place)
        parts = [name for name in state(self.out) if Path(name).name.startswith(LEFT)]
        if parts:
            self.broken.append(f"the next run leaves {parts}")
        self.said = "removed" in said

    def ended(self, number: int) -> None:
        """SIGTERM to the process alone."""
        for _ in range(number):
            code = self.fault("SIGTERM", lambda process: self.after_a_while(process, signal.SIGTERM))
            if code not in (0, 143, -signal.SIGTERM):  # the last: before the program has begun to listen
                self.broken.append(f"SIGTERM: exit code {code}")

    def filled(self, number: int) -> None:
        """Limits from nothing to somewhat more than the largest result."""
        largest = max(path.stat().st_size for path in self.out.rglob("*") if path.is_file())
        for k in range(number):
            limit = int(largest * 1.1 * k / max(1, number - 1))
            code = self.fault(f"no file above {limit} bytes", lambda process: None, limit=limit)
            if code not in (0, 1, 3, 4) or (code == 1):
                self.broken.append(f"no file above {limit} bytes: exit code {code}")

    def after_a_while(self, process: subprocess.Popen[str], number: int) -> None:
        time.sleep(self.rng.uniform(0, 1.05 * self.seconds))
        if process.poll() is None:
            (os.killpg if number == signal.SIGKILL else os.kill)(process.pid, number)


def prepare(place: Path) -> None:
    """A scene, another, filters, and tracks: what the commands are given."""
    voices = [str(voice) for voice in VOICES]
    for folder, seed in (("scene", "0"), ("other", "1")):
        done(("mix", *voices, "--instantaneous", "--seconds", "3", "--seed", seed, "-o", folder), place)
    done(("unmix", "scene/mics", "--method", "fastica", "--save-filters", "filters.bss", "-o", "tracks"), place)


def series(name: str, place: Path, a: argparse.Namespace) -> list[str]:
    """All faults of one command; what broke."""
    one = Series(name, place, random.Random(f"{a.seed} {name}"))
    one.killed(a.kills)
    one.ended(a.ends)
    one.filled(a.sizes)
    said = " (said by the next run)" if one.said else ""
    print(f"{name}: {a.kills} SIGKILL, {one.left} files left{said}, {a.ends} SIGTERM, {a.sizes} full disks;"
          f" {len(one.broken)} broken promises; a run takes {one.seconds:.1f} s", flush=True)  # fmt: skip
    for line in one.broken:
        print(f"  {line}", flush=True)
    return one.broken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--ends", type=int, default=50)
    parser.add_argument("--sizes", type=int, default=20)
    parser.add_argument("--only", choices=COMMANDS, action="append")
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bss-faults-") as folder:
        prepare(Path(folder))
        broken = [line for name in a.only or COMMANDS for line in series(name, Path(folder), a)]
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
