"""Every solver on NumPy's arrays and on torch tensors: seconds, and whether they agree.

    python benchmarks/backends.py [--device cpu] [--seconds 10] [--mics 2 4] [--only auxiva] [--repeats 3]

On the processor both use one thread, and the least of the repeats counts, as processor time where tensors are there, too, and
as wall time where they are on a GPU. The last column is the least SI-SDR of a track against its twin: from the same start, so
few iterations on, it should be above 40 dB, except for solvers that run until they converge.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from solvers_old_new import RATE, SAMPLED, SPECTRAL, recording

import bss
from bss.backends import dispatch
from bss.backends.cpu import threads

STFT = bss.Stft(2048, 512)
UPDATES = {f"auxiva {name}": {"solver": "auxiva", "update": name, "n_iter": 10, "tol": 0} for name in ("iss2", "ip2")}
ROWS: dict[str, dict[str, Any]] = {**SPECTRAL, **UPDATES, **SAMPLED}


def main() -> None:
    """Print a table for each number of microphones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="where tensors are: cpu, cuda:0, mps")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--mics", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--only", default="", help="rows whose name begins so")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with threads.limited(1):
        for mics in options.mics:
            x = recording(mics, options.seconds)
            print(f"\n{mics} microphones, {options.seconds:g} s at {RATE} Hz, tensors on {options.device}\n")
            print("| solver | NumPy, s | torch, s | torch / NumPy | tracks alike, dB |\n|---|---:|---:|---:|---:|")
            for name in (name for name in ROWS if name.startswith(options.only)):
                print(row(name, x, options.device, options.repeats), flush=True)


def row(name: str, x: np.ndarray, device: str, repeats: int) -> str:
    """A row of the table: the solver of that name on x (M, n)."""
    chosen = dict(ROWS[name])
    solve: Callable[..., Any] = getattr(bss, chosen.pop("solver"))
    given = x if name in SAMPLED else STFT.forward(x)
    tensor = torch.as_tensor(given).to(device)
    seconds, want = timed(lambda: solve(given, **chosen), "cpu", repeats)
    seconds_of_tensors, got = timed(lambda: solve(tensor, **chosen), device, repeats)
    alike = least_si_sdr(signals(want, x.shape[1]), signals(got, x.shape[1]))
    return f"| {name} | {seconds:.3f} | {seconds_of_tensors:.3f} | {seconds_of_tensors / seconds:.1f} | {alike:.0f} |"


def timed(solve: Callable[[], Any], device: str, repeats: int) -> tuple[float, Any]:
    """The least seconds of some solves after one that compiles, and what the last found."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    found, least = done(solve, device), np.inf
    for _ in range(repeats):
        begun = clock()
        found = done(solve, device)
        least = min(least, clock() - begun)
    return float(least), found


def done(solve: Callable[[], Any], device: str) -> Any:
    """What a solve found, when the device has done it."""
    found = solve()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return found


def signals(found: Any, n: int) -> np.ndarray:
    """(N, n) tracks of a separation or dereverberation, at the level of the recording where it has a demixing."""
    Y = getattr(found, "spectra", None)
    if Y is None:
        Y = (found if found.demixing is None else bss.projection_back(found, found.observed)).sources
    Y = dispatch.of(Y).host(Y)
    return Y if Y.ndim == 2 else STFT.inverse(np.ascontiguousarray(Y), n)


def least_si_sdr(want: np.ndarray, got: np.ndarray) -> float:
    """Of tracks (N, n) in the same order, dB, at most 200: digits that are all the same."""
    return min(200.0, min(float(bss.si_sdr(a, b)) for a, b in zip(want, got, strict=True)))


if __name__ == "__main__":
    main()
