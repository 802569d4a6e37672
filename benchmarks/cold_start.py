"""What a newcomer waits for: the first `bss unmix` on a machine, the second, and where the seconds of the first go.

    python benchmarks/cold_start.py [--quick]

"First" is with an empty cache of compiled kernels in a folder of its own (NUMBA_CACHE_DIR); the caches of whoever runs this are
left alone. Python's byte code and the file cache are warm, as they are after an install: PYTHONDONTWRITEBYTECODE is not passed
on, with which Python would compile the package's own modules in every run. A third run, with a cache that is empty
again, listens to the compiler, which makes it slower: its shares count, and not its seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

RATE, SECONDS, MICS = 16_000, 10, 2
VOICES = Path(__file__).resolve().parents[1] / "fixtures" / "voices"
PARTS = ("nopython_type_inference", "native_lowering")
# what of a pass there is to say to people
MEANING = {"nopython_type_inference": "types", "native_lowering": "LLVM", "": "the rest"}


class Stopwatch:
    """Seconds of nested work, each counted once: (kernel, function, part) -> seconds that nothing within it took."""

    def __init__(self) -> None:
        self.own: dict[tuple[str, str, str], float] = defaultdict(float)
        self._open: list[list[Any]] = []  # (function or None, part), start, seconds of what is within it

    def on_start(self, function: str | None, part: str, now: float) -> None:
        """A function begins to be compiled, or a part of the work on the one that is being compiled."""
        self._open.append([(function, part), now, 0.0])

    def on_end(self, now: float) -> None:
        """What began last has ended."""
        (_, part), start, within = self._open[-1]
        functions = [function for (function, _), _, _ in self._open if function]
        self._open.pop()
        self.own[functions[0], functions[-1], part] += now - start - within
        if self._open:
            self._open[-1][2] += now - start

    def by(self, *columns: int) -> dict[Any, float]:
        """Sums over what is not in `columns` of (kernel, function, part), most first."""
        sums: dict[Any, float] = defaultdict(float)
        for key, seconds in self.own.items():
            sums[tuple(key[c] for c in columns) if len(columns) > 1 else key[columns[0]]] += seconds
        return dict(sorted(sums.items(), key=lambda item: -item[1]))


def listen() -> Stopwatch:
    """A stopwatch that hears of everything that numba compiles from now on in this process."""
    from numba.core import event

    watch = Stopwatch()

    class Listener(event.Listener):
        def on_start(self, e: event.Event) -> None:
            if "dispatcher" in e.data:
                function = e.data["dispatcher"].py_func
                watch.on_start(f"{function.__module__.split('.')[-1]}.{function.__name__}", "", time.perf_counter())
            else:  # a pass is called "native_lowering [function]"
                watch.on_start(None, e.data["name"].split(" ")[0], time.perf_counter())

        def on_end(self, e: event.Event) -> None:
            watch.on_end(time.perf_counter())

    listener = Listener()
    event.register("numba:compile", listener)
    event.register("numba:run_pass", listener)
    return watch


def traced(arguments: list[str], report: Path) -> None:
    """`bss` with these arguments in this process; what was compiled goes to `report`."""
    watch = listen()
    from bss_cli.main import main as bss_main

    try:
        bss_main(arguments)
    finally:
        report.write_text(json.dumps([[*key, seconds] for key, seconds in watch.own.items()]))


def recording(folder: Path) -> Path:
    """Two talkers in a room, ten seconds, at two microphones."""
    import bss

    voices = [bss.read([path])[0][0] for path in sorted(VOICES.glob("*.flac"))[:MICS]]
    scene = bss.mix(voices, RATE, n_mics=MICS, rt60=0.25, spacing=0.1, seconds=SECONDS, rng=0)
    bss.write(folder / "room.wav", scene.mixture, RATE)
    return folder / "room.wav"


def seconds(command: list[str], cache: Path | None = None) -> tuple[float, bool]:
    """Wall-clock seconds of a whole process, and whether it said that it compiles."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if cache is not None:
        environment["NUMBA_CACHE_DIR"] = str(cache)
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    elapsed = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return elapsed, "compiling for this machine" in done.stderr


def processes(folder: Path, method: str, runs: int) -> list[tuple[str, float, str]]:
    """Rows: what was run, seconds, what it said of compiling. Everything but the first `unmix` is the best of some runs."""
    bss_command = str(Path(sys.executable).with_name("bss"))
    room = str(recording(folder))
    unmix = [bss_command, "unmix", room, "--method", method, "-o", str(folder / "tracks"), "--overwrite"]
    rows = []
    for name, command in {
        "Python, importing nothing": [sys.executable, "-c", "pass"],
        "`import bss`": [sys.executable, "-c", "import bss"],
        "`bss --help`": [bss_command, "--help"],
    }.items():
        rows.append((name, min(seconds(command)[0] for _ in range(runs + 1)), ""))
    cache = folder / "kernels"
    first, said = seconds(unmix, cache)
    rows.append((f"first `bss unmix`, {SECONDS} s, {MICS} microphones", first, "says so" if said else "SAYS NOTHING"))
    if not any(cache.rglob("*.nbi")):
        raise SystemExit(f"nothing was kept in {cache}: the kernels were compiled elsewhere, and this was no first run")
    later = [seconds(unmix, cache) for _ in range(runs)]
    rows.append(("second", min(t for t, _ in later), "SAYS SO AGAIN" if any(said for _, said in later) else ""))
    return rows


def compiled(folder: Path, method: str) -> Stopwatch:
    """What the first `bss unmix` compiles."""
    report = folder / "compiled.json"
    unmix = ["unmix", str(folder / "room.wav"), "--method", method, "-o", str(folder / "tracks"), "--overwrite"]
    seconds([sys.executable, __file__, "--report", str(report), *unmix], folder / "kernels again")
    watch = Stopwatch()
    for kernel, function, part, elapsed in json.loads(report.read_text()):
        watch.own[kernel, function, part if part in PARTS else ""] += elapsed
    return watch


def compiler_rows(watch: Stopwatch, most: int) -> list[tuple[str, float, str]]:
    """Rows: kernels with what they call for the first time, then the functions in which most of it happens."""
    by_kernel, by_part, parts = watch.by(0), watch.by(2), watch.by(0, 2)
    by_function, both = watch.by(1), watch.by(0, 1)
    shares = ", ".join(f"{MEANING[part]} {100 * t / sum(by_part.values()):.0f} %" for part, t in by_part.items())
    rows = [("compiler, all kernels", sum(by_kernel.values()), shares)]
    for kernel, elapsed in by_kernel.items():
        own = both[kernel, kernel]
        llvm = parts.get((kernel, "native_lowering"), 0.0)
        rows.append((f"compiler, `{kernel}` and what it calls first", elapsed, f"itself {own:.1f} s; LLVM {llvm:.1f} s"))
    for function in [name for name in by_function if name not in by_kernel][:most]:
        rows.append((f"compiler, of it `{function}`", by_function[function], ""))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one run of each, and nothing of the compiler")
    parser.add_argument("--method", default="auto", help="of `bss unmix`")
    parser.add_argument("--report", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)  # a file, and what `bss` is to do
    a = parser.parse_args()
    if a.report:
        return traced(a.report[1:], Path(a.report[0]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = processes(folder, a.method, 1 if a.quick else 3)
        if not a.quick:
            rows += compiler_rows(compiled(folder, a.method), 8)
    print("| what | seconds | |\n|---|---:|---|")
    for what, elapsed, remark in rows:
        print(f"| {what} | {elapsed:.2f} | {remark} |")
    return None


if __name__ == "__main__":
    main()
