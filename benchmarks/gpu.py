#!/usr/bin/env python
"""Everything that is to be known of a GPU, in one run of under six minutes: a table, and the same as JSON.

    python benchmarks/gpu.py [--device cuda] [--small] [-o build/gpu.json]

Agreement with the NumPy backend; seconds of an iteration, against those of reading the spectra twice and writing them once at the
bandwidth of a plain copy; torchiva beside it, where it is installed; `bss unmix` of an hour, from file to files; peak memory.
What needs kernels of the processor, which a fresh machine has to compile, runs beside the rest in processes of its own. What the
time does not suffice for is left out, and said.

`--device cpu --small` runs in two minutes, as a check of the script.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gpu_peers
import gpu_work
import numpy as np
import torch
from gpu_work import RATE, VOICES, Solve
from rich.console import Console
from rich.table import Table

import bss
from bss.backends.torch.kernels import available

TIMED = 5  # iterations, the first of which is left out
BUDGET = 340.0  # seconds


@dataclass(frozen=True)
class Size:
    """Spectra (F, M, T) of so many seconds, and the samples (M, n) that they are of."""

    name: str
    M: int
    seconds: float
    n_fft: int = 4096

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.n_fft // 2 + 1, self.M, int(self.seconds * RATE) // (self.n_fft // 4)


SIZES = (Size("1 h x 4", 4, 3600.0), Size("10 min x 8", 8, 600.0))
SMALL = (Size("3 s x 4", 4, 3.0, 512), Size("1 s x 8", 8, 1.0, 512))


@dataclass
class Row:
    """A measurement. `ideal` is the time of reading twice and writing once (of samples: of reading once) as fast as a copy."""

    work: str
    size: str
    seconds: float | None = None
    ideal: float | None = None
    memory: int | None = None
    note: str = ""


# ---- agreement


def agreement(device: str, seconds: float, n_fft: int, folder: Path, enough: Callable[[], bool]) -> Iterator[Row]:
    """SI-SDR of the tracks against those of NumPy's arrays, the worst of them, and how far the losses are apart."""
    x, X = gpu_work.scene(seconds, n_fft)
    for name, (samples, solver) in gpu_work.compared().items():
        given = x if samples else X
        got, loss = gpu_work.tracks(solver(torch.from_numpy(given).to(device)), given)
        while not (folder / f"{name}.npz").exists() and enough():
            time.sleep(0.5)
        if not (folder / f"{name}.npz").exists():
            yield Row(f"agreement: {name}", "", note="left out: NumPy's result was not there in time")
            continue
        want = np.load(folder / f"{name}.npz")
        Y, Z = (np.moveaxis(a, -2, 0).reshape(a.shape[-2], -1) for a in (want["Y"], got.cpu().numpy()))
        scale = (Y.conj() * Z).sum(1, keepdims=True) / (np.abs(Y) ** 2).sum(1, keepdims=True)
        error = np.maximum((np.abs(Z - scale * Y) ** 2).sum(1), 1e-30)
        db = 10 * np.log10((np.abs(scale * Y) ** 2).sum(1) / error).min()
        last = np.abs(loss[-1] - want["loss"][-1]) / max(abs(want["loss"][-1]), 1.0)
        verdict = "" if db > 40 and last < 1e-3 else "; TOO FAR"
        yield Row(f"agreement: {name}", "10 iterations", note=f"{db:.0f} dB, loss within {last:.0e}{verdict}")


# ---- speed


def synchronise(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def clocked(device: str, work: Callable[[], Any], repeats: int = 3) -> float:
    """The median of some runs in seconds, after one that is not counted."""
    found = []
    for k in range(repeats + 1):
        synchronise(device)
        begin = time.perf_counter()
        work()
        synchronise(device)
        if k > 0:
            found.append(time.perf_counter() - begin)
    return float(np.median(found))


def per_iteration(device: str, solver: Solve, X: torch.Tensor, n_iter: int = TIMED) -> float:
    """Median seconds between two calls back."""
    times: list[float] = []

    def note(i: int, loss: float) -> None:
        synchronise(device)
        times.append(time.perf_counter())

    solver(X, n_iter=n_iter, callback=note)
    return float(np.median(np.diff(times)[1:]))


def measured(row: Row, device: str, work: Callable[[], float]) -> Row:
    """The row with its seconds and peak memory, or with the reason why there are none."""
    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        row.seconds = work()
    except torch.OutOfMemoryError:
        row.note = "out of memory"
    row.memory = torch.cuda.max_memory_allocated() if on_gpu else None
    return row


def copying(X: torch.Tensor, device: str) -> float:
    """Seconds of a plain copy."""
    room = torch.empty_like(X)
    return clocked(device, lambda: room.copy_(X), 5)


def speed(size: Size, device: str, enough: Callable[[], bool]) -> Iterator[Row]:
    """Of every solver, and of the peer."""
    X = gpu_work.spectra(size.shape, device)
    copy = copying(X, device)
    yield Row("copy", size.name, copy, copy, note=f"{2 * X.numel() * 8 / copy / 1e9:.0f} GB/s")
    ideal = 1.5 * copy
    works: list[tuple[str, Callable[[], float], float]] = [
        (name, lambda s=s: per_iteration(device, s, X), ideal) for name, s in gpu_work.iterative().items()
    ]
    works.append(("WPE, one round", lambda: clocked(device, lambda: bss.wpe(X, taps=5, n_iter=1), 1), ideal))
    works += [(name, lambda s=s: per_iteration(device, s, X), ideal) for name, s in gpu_peers.torchiva().items()]
    x = torch.randn((size.M, int(size.seconds * RATE)), device=device) ** 3
    reading = copy / 2 * x.numel() * 4 / (X.numel() * 8)
    works += [(f"{n}, whole", lambda s=s: clocked(device, lambda: s(x), 1), reading) for n, s in gpu_work.instantaneous().items()]
    for name, work, at_best in works:
        if enough():
            yield measured(Row(name, size.name, ideal=at_best), device, work)
        else:
            yield Row(name, size.name, note="left out: the time was up")
    if not gpu_peers.torchiva():
        yield Row("torchiva", size.name, note="not installed: pip install --no-deps torchiva")


# ---- whole


def recording(path: Path, seconds: float, mics: int) -> None:
    """A file of a conversation by the voices of the fixtures, a minute of it over and over."""
    voices = [bss.read([p])[0][0] for p in sorted(VOICES.glob("*.flac"))[:mics]]
    once = min(60.0, seconds)
    x = bss.mix(voices, RATE, n_mics=mics, rt60=0.3, spacing=0.1, seconds=once, rng=1).mixture
    bss.write(path, np.tile(x, (1, round(seconds / once))), RATE)


def unmix(path: Path, device: str, out: Path) -> subprocess.Popen[bytes]:
    """The command, begun."""
    command = [
        sys.executable,
        "-c",
        "from bss_cli.main import main; main()",
        "unmix",
        str(path),
        "-o",
        str(out),
        "-q",
        "-y",
        "--device",
        device,
        "-n",
        "4",
    ]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def whole(path: Path, name: str, device: str, out: Path, limit: float) -> Row:
    """From file to files, the kernels being compiled."""
    row = Row("bss unmix", name)
    begin = time.perf_counter()
    process = unmix(path, device, out)
    try:
        code = process.wait(max(1.0, limit))
    except subprocess.TimeoutExpired:
        process.kill()
        row.note = f"ended: it took more than {limit:.0f} s"
        return row
    row.seconds = time.perf_counter() - begin
    row.note = "" if code == 0 else f"exit code {code}"
    return row


# ---- the run


def table(rows: list[Row], title: str) -> Table:
    made = Table("work", "size", "seconds", "times the ideal", "of a copy's rate", "peak memory", "", title=title)
    for row in rows:
        ratio = row.seconds / row.ideal if row.seconds and row.ideal else None
        cells = (
            f"{row.seconds:.3g}" if row.seconds else "", f"{ratio:.2f}" if ratio else "", f"{1 / ratio:.0%}" if ratio else "",
            f"{row.memory / 2**30:.2f} GiB" if row.memory else "", row.note,
        )  # fmt: skip
        made.add_row(row.work, row.size, *cells)
    return made


def run(device: str, small: bool, folder: Path) -> Iterator[Row]:
    began = time.perf_counter()

    def left() -> float:
        return BUDGET - (time.perf_counter() - began)

    length, n_fft = (3.0, 512) if small else (10.0, 2048)
    shares_of = 1 if device == "cpu" else 6
    here = [sys.executable, gpu_work.__file__, str(folder), "--length", str(length), str(n_fft)]
    background = [subprocess.Popen([*here, "--share", str(k), str(shares_of)]) for k in range(shares_of)]
    short, long = folder / "short.wav", folder / "long.wav"
    recording(short, 5.0, 4)
    warm = unmix(short, device, folder / "short")
    seconds, name = (10.0, "10 s x 4") if small else (3600.0, "1 h x 4")
    recording(long, seconds, 4)
    if device == "cpu":  # they would take the processor from what is timed
        for process in (*background, warm):
            process.wait()
        began = time.perf_counter()
    yield Row("Triton's kernels", "", note="used" if device != "cpu" and available.installed() else "not used")
    try:
        for size in SMALL if small else SIZES:
            yield from speed(size, device, lambda: left() > 120)
        yield from agreement(device, length, n_fft, folder, lambda: left() > 60)
        warm.wait(max(1.0, left() - 30))
        yield whole(long, name, device, folder / "long", max(1.0, left()))
    except subprocess.TimeoutExpired:
        yield Row("bss unmix", name, note="left out: its kernels were not compiled in time")
    finally:
        for process in (*background, warm):
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="small arrays, short recordings")
    parser.add_argument("-o", "--output", type=Path, default=Path("build/gpu.json"))
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("torch finds no CUDA device here: --device cpu --small checks the script")
    console, rows = Console(width=160), []
    title = torch.cuda.get_device_name() if options.device.startswith("cuda") else "the processor"
    begin = time.perf_counter()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for row in run(options.device, options.small, Path(folder)):
            rows.append(row)
            console.print(f"[{time.perf_counter() - begin:5.0f} s] {row.work} {row.size} {row.seconds or ''} {row.note}")
            found = {"device": title, "torch": torch.__version__, "cuda": torch.version.cuda, "rows": [asdict(r) for r in rows]}
            options.output.write_text(json.dumps(found, indent=1))  # after each row: what is known stays if the run is ended
    console.print(table(rows, title))


if __name__ == "__main__":
    main()
