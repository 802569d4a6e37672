"""Measure what `bss unmix` takes in memory and time, and fit the numbers in bss/pipeline/resources/cost_numbers.py.

    python tools/measure_costs.py --out costs.jsonl             # what is missing in the file is measured
    python tools/measure_costs.py --out costs.jsonl --long      # recordings that are separated block by block, too

Every run is a process of its own, on one thread, on talkers of fixtures/voices in echo that is made here. Memory is the largest
resident set of the process; time is that of the processor, which other programs on the machine change little.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from scipy.optimize import nnls
from scipy.signal import oaconvolve, resample_poly

from bss.pipeline.resources import cost_numbers
from bss.pipeline.resources.costs import expected, features, learnable, piecewise

ROOT = Path(__file__).resolve().parents[1]
ONE_THREAD = {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# microphones, talkers, rate, seconds
SHORT = [
    (2, 2, 16_000, 5), (2, 2, 16_000, 10), (2, 2, 16_000, 60), (2, 2, 16_000, 240), (4, 3, 16_000, 10), (4, 3, 16_000, 60),
    (4, 3, 16_000, 150), (8, 4, 16_000, 60), (2, 2, 48_000, 30), (2, 2, 48_000, 100), (4, 3, 48_000, 40), (6, 2, 16_000, 30),
    (3, 3, 8_000, 120), (2, 2, 44_100, 20),
]  # fmt: skip
LONG = [(2, 2, 16_000, 240), (4, 3, 16_000, 300), (2, 2, 48_000, 180), (8, 3, 16_000, 180)]
AT_ONCE = 1.25  # talkers in a conversation
IN_PIECES = 0.9  # of what a recording would take as a whole
ECHO_SECONDS = 0.25
# the largest resident set of the program alone: that of getrusage begins with the one of the program that started it
PROGRAM = """
import re, resource, sys
from bss_cli.main import main
try:
    main()
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
    print(peak, used.ru_utime + used.ru_stime, file=sys.stderr)
"""


def main() -> None:
    """Measure, and print the fits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--long", action="store_true")
    options = parser.parse_args()
    known = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    for size in LONG if options.long else SHORT:
        mode = "blocks" if options.long else "whole"
        if not any((tuple(row["size"]), row["mode"]) == (size, mode) for row in known):
            whole = expected(True, *size, threads=1).bytes
            budget = round(IN_PIECES * whole) if options.long else 100 << 30
            row = {"size": size, "mode": mode, "budget": budget, **measured(size, mode, str(budget))}
            known.append(row)
            with options.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)
    for mode in ("whole", "blocks"):
        rows = [row for row in known if row["mode"] == mode]
        if len(rows) >= 3:
            report(mode, rows)


def recording(n_mics: int, n_talkers: int, rate: int, seconds: int, *, at_once: float) -> np.ndarray:
    """(M, n) float32 talkers in echo of a quarter of a second, so many of them at once in the mean, with some noise."""
    rng = np.random.default_rng(n_mics + 10 * n_talkers)
    files = sorted((ROOT / "fixtures/voices").glob("*.flac"))
    n = rate * seconds
    x = np.zeros((n_mics, n), np.float32)
    for k in range(n_talkers):
        voice, old = soundfile.read(files[k % len(files)], dtype="float32")
        voice = talk(resample_poly(voice, rate // 50, old // 50).astype(np.float32), n, rate, rng, min(0.75, at_once / n_talkers))
        t = np.arange(round(ECHO_SECONDS * rate)) / rate
        for m in range(n_mics):
            h = rng.normal(size=t.size) * np.exp(-6.9 * t / ECHO_SECONDS) * (0.1 if k else 0.12)
            h[rng.integers(10, 30)] += 1
            x[m] += oaconvolve(voice, h.astype(np.float32))[:n]
    x += 0.003 * x.std() * rng.standard_normal(x.shape, dtype=np.float32)
    return np.asarray(0.3 * x / np.abs(x).max(), np.float32)


def talk(voice: np.ndarray, n: int, rate: int, rng: np.random.Generator, share: float) -> np.ndarray:
    """(n,) float32 pieces of a voice of a second or two in random order, with pauses: what repeats itself is no speech."""
    pause = 1.5 * rate * (1 - share) / share
    parts, length = [], 0
    while length < n:
        at = rng.integers(0, len(voice) - 2 * rate)
        parts += [voice[at : at + rng.integers(rate, 2 * rate)], np.zeros(rng.integers(0, round(2 * pause)), np.float32)]
        length += len(parts[-1]) + len(parts[-2])
    return np.concatenate(parts)[:n]


def measured(size: tuple[int, int, int, int], mode: str, max_memory: str) -> dict[str, Any]:
    """Bytes and seconds of one run, and what was decided."""
    with tempfile.TemporaryDirectory() as folder:
        x = recording(*size, at_once=size[1] if mode == "whole" else AT_ONCE)
        soundfile.write(f"{folder}/x.wav", x.T, size[2], subtype="PCM_16")
        words = ["unmix", f"{folder}/x.wav", "-o", f"{folder}/out", "-q", "--json", "--max-memory", max_memory]
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *words], env={**os.environ, **ONE_THREAD}, capture_output=True, check=True
        )
    said = json.loads(done.stdout)
    kilobytes, cpu = done.stderr.decode().splitlines()[-1].split()
    decided = {"method": said["method"], "n_sources": said["n_sources"], "n_fft": said["n_fft"], "hop": said["hop"]}
    return {"bytes": 1024 * int(kilobytes), "cpu": float(cpu), **decided, "seconds": said["seconds"]}


def report(mode: str, rows: list[dict[str, Any]]) -> None:
    """Fit bytes and seconds with terms that cannot be negative, by least relative squares."""
    sizes = [(row["size"][0], row["n_sources"], *row["size"][2:]) for row in rows]
    if mode == "whole":
        fit("bytes", np.array([features(*size)[0] for size in sizes]), np.array([row["bytes"] for row in rows]))
        speech = [k for k, row in enumerate(rows) if row["method"] == "neural"]
        fit("seconds", np.array([features(*sizes[k])[1] for k in speech]), np.array([rows[k]["cpu"] for k in speech]))
    else:
        said = [expected(False, *size, budget=row["budget"], threads=1).bytes for size, row in zip(sizes, rows, strict=True)]
        print("bytes said / measured", np.round(np.array(said) / [row["bytes"] for row in rows], 2).tolist())
        learned = [learning_seconds(size, row["budget"]) for size, row in zip(sizes, rows, strict=True)]
        fit(
            "seconds",
            np.array([piecewise(*size[2:]) for size in sizes]),
            np.array([row["cpu"] for row in rows]),
            np.array(learned),
        )


def learning_seconds(size: tuple[int, int, int, float], budget: int) -> float:
    """Seconds that learning takes."""
    seconds = learnable(budget, size[0], max(size[:2]), size[2], size[3])
    return float(features(*size[:3], seconds)[1] @ np.array(cost_numbers.COST_WHOLE_SECONDS.value))


def fit(what: str, A: np.ndarray, y: np.ndarray, known: np.ndarray | float = 0.0) -> None:
    """Print the weights w by which known + A w is y, and how good they are."""
    scaled = A / y[:, None]
    scale = scaled.max(0)
    weights = nnls(scaled / scale, 1 - known / y)[0] / scale
    print(what, [float(f"{w:.4g}") for w in weights], "said / measured", np.round((known + A @ weights) / y, 2).tolist())


if __name__ == "__main__":
    main()
