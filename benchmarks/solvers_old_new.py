"""Solvers of two or more checkouts, in turn in one run: whether a change of the code makes any of them slower.

    python benchmarks/solvers_old_new.py --old ../before [--only auxiva] [--repeats 5]

Every version is a process of its own, on one thread; each solve is done by all of them before the next. The least processor time
of the repeats counts, as a machine that others use makes every other time longer.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RATE, N_FFT = 16_000, 4096
HERE = Path(__file__).resolve().parents[1]
SPECTRAL: dict[str, dict[str, Any]] = {  # name of the row: solver and options
    "auxiva iss": {"solver": "auxiva", "update": "iss", "n_iter": 10, "tol": 0},
    "auxiva ip": {"solver": "auxiva", "update": "ip", "n_iter": 10, "tol": 0},
    "overiva ip": {"solver": "overiva", "n_sources": 1, "n_iter": 10, "tol": 0},
    "ilrma": {"solver": "ilrma", "n_iter": 20, "tol": 0},
    "fdica": {"solver": "fdica", "n_iter": 10, "tol": 0},
    "fastmnmf": {"solver": "fastmnmf", "n_iter": 5, "tol": 0},
    "cacgmm": {"solver": "cacgmm", "n_iter": 5, "tol": 0},
    "tiss": {"solver": "tiss", "n_iter": 3, "tol": 0},
    "wpe": {"solver": "wpe", "n_iter": 1},
}
SAMPLED: dict[str, dict[str, Any]] = {
    "fastica": {"solver": "fastica", "tol": 1e-7},
    "infomax": {"solver": "infomax"},
    "picard_o": {"solver": "picard_o"},
    "jade": {"solver": "jade"},
}
ROWS = {**SPECTRAL, **SAMPLED}


def recording(n_mics: int, seconds: float) -> np.ndarray:
    """(M, n) as many talkers as microphones, with pauses and some echo."""
    rng = np.random.default_rng(n_mics)
    n = round(seconds * RATE)
    loudness = np.repeat(rng.gamma(0.3, size=(n_mics, -(-n // 800))), 800, axis=1)[:, :n]
    s = rng.laplace(size=(n_mics, n)) * loudness
    x = (rng.normal(size=(n_mics, n_mics)) + 2 * np.eye(n_mics)) @ s
    for delay in (37, 411, 1203):
        x[:, delay:] += 0.3 * rng.normal(size=(n_mics, n_mics)) @ s[:, : n - delay]
    return np.asarray(x / np.abs(x).max(), np.float32)


def work(seconds: float) -> None:
    """Answer every line "row microphones" on the input with the processor time of that solve."""
    import bss

    try:
        from bss.backends.cpu import threads
    except ModuleNotFoundError:  # as they were named before
        from bss.kernels import threads

    data: dict[tuple[int, bool], np.ndarray] = {}
    for line in sys.stdin:
        name, _, mics = line.strip().rpartition(" ")
        options = dict(ROWS[name])
        solver: Callable[..., Any] = getattr(bss, options.pop("solver"))
        key = (int(mics), name in SPECTRAL)
        if key not in data:
            x = recording(key[0], seconds)
            data[key] = bss.Stft(N_FFT, N_FFT // 4).forward(x) if key[1] else x
        with threads.limited(1):
            start = time.process_time()
            result = solver(data[key], **options)
            _ = getattr(result, "demixing", None)
            print(time.process_time() - start, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", type=Path, action="append", default=[], help="root of another checkout; may be given again")
    parser.add_argument("--only", default="", help="rows whose name holds this, or one of these, by commas")
    parser.add_argument("--mics", default="2,4")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(given.seconds)
        return
    roots = [*given.old, HERE]
    workers = [worker(root, given.seconds) for root in roots]
    print("| solver | microphones |" + "".join(f" {root.name} |" for root in roots) + " ratios to the last |")
    print("|---|---|" + "---|" * (len(roots) + 1))
    for name in ROWS:
        if not any(part in name for part in given.only.split(",")):
            continue
        for mics in given.mics.split(","):
            times = [[ask(w, f"{name} {mics}") for w in workers] for _ in range(given.repeats + 1)][1:]  # the first compiles
            least = np.min(times, axis=0)
            cells = "".join(f" {1e3 * t:.0f} ms |" for t in least)
            print(f"| {name} | {mics} |{cells} " + " ".join(f"{t / least[-1]:.3f}" for t in least[:-1]) + " |", flush=True)


def worker(root: Path, seconds: float) -> subprocess.Popen[str]:
    """A process that imports bss from a checkout."""
    start = "import runpy, sys; sys.path[0] = sys.argv.pop(1); runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    command = [sys.executable, "-c", start, str(root.resolve()), __file__, "--worker", "--seconds", str(seconds)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(process: subprocess.Popen[str], line: str) -> float:
    """The answer to one line."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("no pipes")
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return float(process.stdout.readline())


if __name__ == "__main__":
    main()
