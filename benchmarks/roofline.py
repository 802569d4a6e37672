"""How near each kernel is to what this machine can do: bytes moved, operations counted, time, and the nearer of two limits.

    python benchmarks/roofline.py [--quick] [--threads N]

The limits are measured first: float32 multiply-adds from registers, and reading and writing arrays as large as the kernel's (so
that a kernel whose data stay in the cache is held against the cache). What is counted is in `operations.py`; work in double
precision is held against half the rate. "per bin" is the share of the time that does not grow with the frames, from the line
through the times with all frames and with a tenth of them.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Iterator
from functools import lru_cache

import numba
import numpy as np
import operations as work
from threadpoolctl import threadpool_limits

from bss.backends.cpu import backend, threads
from bss.backends.cpu.outputs import aligned
from bss.networks.source_model import block

LANES, STEPS = 8, 16
RATE = 16_000
LONG, SHORT = (2049, 1024), (257, 128)  # bins and hop of the STFTs in use: 4096 for separation, 512 for dereverberation


def best(function: Callable[[], object], seconds: float, most: int = 300) -> float:
    """The shortest of the runs that fit into so many seconds, at least three, after one that compiles."""
    function()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or (len(times) < most and time.perf_counter() < end):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


@numba.njit(nogil=True, fastmath={"contract"})  # and no more: or the chain is folded into one step
def multiply_add(first, step, x, rounds):  # type: ignore[no-untyped-def]
    """STEPS times p := a p + b for every float of x, LANES vectors side by side, which hide each other's latency."""
    a, b = np.float32(0.999), np.float32(0.001)
    for c in range(first, x.shape[0], step):
        for _ in range(rounds):
            for t in range(x.shape[2]):
                p, q, r, s = x[c, 0, t], x[c, 1, t], x[c, 2, t], x[c, 3, t]
                u, v, w, y = x[c, 4, t], x[c, 5, t], x[c, 6, t], x[c, 7, t]
                for _ in range(STEPS):
                    p, q, r, s = p * a + b, q * a + b, r * a + b, s * a + b
                    u, v, w, y = u * a + b, v * a + b, w * a + b, y * a + b
                x[c, 0, t], x[c, 1, t], x[c, 2, t], x[c, 3, t] = p, q, r, s
                x[c, 4, t], x[c, 5, t], x[c, 6, t], x[c, 7, t] = u, v, w, y


@numba.njit(nogil=True)
def copy(first, step, a, b, rounds):  # type: ignore[no-untyped-def]
    """b := a, some times over."""
    for _ in range(rounds):
        for c in range(first, a.shape[0], step):
            for t in range(a.shape[1]):
                b[c, t] = a[c, t]


@numba.njit(nogil=True)
def scale(first, step, a, factor, rounds):  # type: ignore[no-untyped-def]
    """a := a factor, some times over: what a kernel does that works in place."""
    for _ in range(rounds):
        for c in range(first, a.shape[0], step):
            for t in range(a.shape[1]):
                a[c, t] *= factor


def multiply_adds() -> float:
    """float32 multiply-adds per second; exits where they are not vectorised, of which nothing could be concluded."""
    x, rounds = aligned((threads.CHUNKS, LANES, 64), np.float32), 64
    elapsed = best(lambda: threads.run(multiply_add, x, rounds), 0.5)
    assembly = "".join(multiply_add.inspect_asm().values())
    if not re.search(r"vfmadd\w+ps\s.*[yz]mm|fmla\s+v\d+\.4s", assembly):
        raise SystemExit("the compiler did not vectorise the multiply-adds: their rate would not be this machine's")
    return x.size * STEPS * rounds / elapsed


@lru_cache(maxsize=64)
def bandwidth(megabytes: float) -> dict[str, float]:
    """Bytes per second, read and written, of arrays that take so much in all: a copy, and in place."""
    half = max(256, int(megabytes * 2**20 / 8 / threads.CHUNKS) // 16 * 16)
    rounds = max(1, int(64 / megabytes))  # or small arrays would show what it takes to wake a thread
    a, b = aligned((threads.CHUNKS, half), np.float32), aligned((threads.CHUNKS, half), np.float32)
    whole = aligned((threads.CHUNKS, 2 * half), np.float32)
    copied = best(lambda: threads.run(copy, a, b, rounds), 0.3)
    scaled = best(lambda: threads.run(scale, whole, np.float32(1), rounds), 0.3)
    return {"copy": 2 * rounds * a.nbytes / copied, "in place": 2 * rounds * whole.nbytes / scaled}


def stream(moved: float) -> float:
    """The most bytes per second of arrays that take half of `moved`, which is what is read and written once; 256 MB at most."""
    megabytes = float(2 ** min(8, round(np.log2(max(moved / 2 / 2**20, 0.25)))))
    return max(bandwidth(megabytes).values())


Case = tuple[str, Callable[[], object], work.Work]
Row = tuple[float, str, str]  # share of the nearer limit, kernel, line of the table


def recording(F: int, M: int, T: int) -> np.ndarray:
    """(F, M, T) complex64: as many sources, loud now and then, through a random mixing in every bin."""
    rng = np.random.default_rng(0)
    S = rng.normal(size=(F, M, T)) + 1j * rng.normal(size=(F, M, T))
    S *= np.sqrt(rng.gamma(0.3, size=(1, M, T)))
    return ((rng.normal(size=(F, M, M)) + 1j * rng.normal(size=(F, M, M))) @ S).astype(np.complex64)


def convolutive(M: int, F: int, T: int) -> Iterator[Case]:
    """One iteration of everything that works on long spectra."""
    X, rng = recording(F, M, T), np.random.default_rng(0)
    eye = np.broadcast_to(np.eye(M), (F, M, M))

    def frames() -> backend.Outputs:
        return backend.outputs(X, eye, M, float(np.sqrt(np.mean(np.abs(X) ** 2))))

    K, N, even = work.N_COMPONENTS, M + 1, np.full((M + 1, T), 1 / (M + 1))
    B, H = rng.uniform(0.1, 1, (M, F, K)), rng.uniform(0.1, 1, (M, K, T))
    R = np.array([np.eye(M) + np.outer(a, a.conj()) for a in np.exp(1j * rng.uniform(0, 6, (F * N, M)))]).reshape(F, N, M, M)
    phi = 1 / np.sqrt(frames().power())
    for update in ("iss", "ip"):
        f = frames()
        yield f"AuxIVA {update.upper()}: frame_update", lambda f=f, u=update: f.update(phi, u), work.sweep(F, M, T, update)
    low = backend.low_rank(frames(), B, H)
    yield "ILRMA ISS: low_rank_update", lambda: low.update("iss"), work.lowrank(F, M, T)
    directions = backend.fast_mnmf(frames(), B, H, np.eye(M) + 0.1)
    yield "FastMNMF2 ISS: diagonaliser_update", lambda: directions.update("iss"), work.diagonal(F, M, T)
    bins = backend.laplace_per_bin(frames())
    yield "FD-ICA ISS: bin_update", lambda: bins.update("iss"), work.binwise(F, M, T)
    masks = backend.angular_mixture(frames(), R, 1e-3)
    yield f"cACGMM, {N} talkers: angular_em", lambda: masks.step(even), work.angular(F, M, T, N)
    full = backend.full_rank(frames(), np.ones((F, N, T)), R, noise=0.05)
    yield f"full rank, {N} talkers: full_rank_em", full.step, work.full_rank(F, M, T, N)


def late_echo(M: int, F: int, T: int) -> Iterator[Case]:
    """One round of what takes delayed frames out, on short windows."""
    X = recording(F, M, T)
    how = {"delay": 3, "n_iter": 1, "context": 0, "power": None, "level": 1.0}
    yield "WPE, 10 taps: wpe_bins", lambda: backend.prediction_filters(X, taps=10, **how), work.prediction(F, M, T, 10)
    f = backend.outputs(X, np.broadcast_to(np.eye(M), (F, M, M)), M, 1.0)
    sweep, phi = backend.joint_prediction(f, X, 5, 2), np.ones((M, T))
    yield "T-ISS, 5 taps: prediction_update", lambda: sweep.update(phi), work.past(F, M, T, 5)


def instantaneous(M: int, n: int) -> Iterator[Case]:
    """One pass of everything that works on samples."""
    x = np.random.default_rng(0).laplace(size=(M, n)).astype(np.float32)
    W, mean = np.eye(M), np.zeros(M)
    for kind in work.NONLINEAR:
        yield f"ICA {kind}: ica_sums", lambda kind=kind: backend.ica_pass(x, W, mean, kind), work.ica(M, n, kind)
    yield "whitening: moment_sums", lambda: backend.moments(x), work.moments(M, n)
    yield "JADE: fourth_sums", lambda: backend.fourth_moments(x, W, mean), work.fourth(M, n)


def network(C: int, T: int, K: int) -> Iterator[Case]:
    """One block of the source model, on as many tracks side by side as there are threads."""
    tracks = threads.count()
    x, mean = np.ones((tracks, C, T, K), np.float32), np.empty((tracks, C, K), np.float32)
    mix, taps, narrow = (np.zeros(shape, np.float32) for shape in ((8, K, K), (C, 3 * C), (C, C)))  # so that x stays as it is
    ones, offset = np.ones(C, np.float32), np.zeros((C, K), np.float32)

    def bands(first: int, step: int) -> None:
        for k in range(first, tracks, step):
            block.mix_bands(x[k], mix, ones, ones, mean[k])

    def times(first: int, step: int) -> None:
        for k in range(first, tracks, step):
            block.mix_times(x[k], taps, ones, ones, offset, narrow, 0 * ones, 4)

    def run(kernel: Callable[[int, int], None]) -> None:
        with threadpool_limits(1, user_api="blas"):
            threads.run(kernel)

    yield "source model: mix_bands", lambda: run(bands), work.mix_bands(tracks, C, T, K)
    yield "source model: mix_times", lambda: run(times), work.mix_times(tracks, C, T, K)


def row(size: str, full: Case, tenth: Case | None, share: float, peak: float, seconds: float) -> Row:
    """One kernel, of which `tenth` has a share of the frames."""
    name, run, todo = full
    elapsed = best(run, seconds)
    bytes_share, adds_share = work.shares(todo, elapsed, stream(todo.moved), peak)
    still = "" if tenth is None else f"{100 * work.standing(elapsed, best(tenth[1], seconds), share):.0f} %"
    limit = "bytes" if bytes_share > adds_share else "multiply-adds"
    line = (
        f"| {name} | {size} | {1e3 * elapsed:.2f} | {todo.moved / 1e6:.1f} | {todo.operations / 1e6:.0f} "
        f"| {todo.moved / elapsed / 1e9:.1f} | {100 * bytes_share:.0f} % | {todo.operations / elapsed / 1e9:.1f} "
        f"| {100 * adds_share:.0f} % | {limit} | {still} |"
    )
    return max(bytes_share, adds_share), name, line


def table(a: argparse.Namespace, peak: float) -> Iterator[Row]:
    """One row after the other: two and four microphones in a room, then four channels of a desk, then tracks."""
    seconds = 0.05 if a.quick else 0.5
    for M in (2,) if a.quick else (2, 4):
        for family, (F, hop) in ((convolutive, LONG), (late_echo, SHORT)):
            T = 10 * RATE // hop + 1
            few = max(1, round(T / 160)) * 16  # about a tenth, and no block to fill up
            tenths = family(M, F, few)
            for full in family(M, F, T):
                tenth = next(tenths)
                if a.only in full[0]:
                    yield row(f"{M} x {M}, {F} bins, {T} frames", full, tenth, few / T, peak, seconds)
    n = RATE * (20 if a.quick else 600)
    for full in instantaneous(4, n):
        if a.only in full[0]:
            yield row(f"4 x {n / RATE:g} s", full, None, 0, peak, seconds)
    for full in network(96, 314, 128):
        if a.only in full[0]:
            yield row(f"{threads.count()} tracks of 10 s", full, None, 0, peak, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two microphones and short runs: to see that it works")
    parser.add_argument("--threads", type=int, help="all by default")
    parser.add_argument("--only", default="", help="kernels whose name holds this")
    a = parser.parse_args()
    for count in sorted({1, threads.count()}):
        with threads.limited(count):
            streams = ", ".join(
                f"{size:g} MB {', '.join(f'{how} {rate / 1e9:.0f}' for how, rate in bandwidth(size).items())}"
                for size in (1.0, 8.0, 256.0)
            )
            print(f"{count} threads: {multiply_adds() / 1e9:.0f} G float32 multiply-adds/s; GB/s of arrays of {streams}")
        bandwidth.cache_clear()
    head = (
        "kernel",
        "size",
        "ms",
        "MB",
        "M operations",
        "GB/s",
        "of bandwidth",
        "G operations/s",
        "of multiply-adds",
        "nearer",
        "per bin",
    )
    print(f"\n| {' | '.join(head)} |\n|---|---|{'---:|' * 7}---|---:|")
    rows = []
    with threads.limited(a.threads):
        for row_ in table(a, 2 * multiply_adds()):
            rows.append(row_)
            print(row_[2], flush=True)
    print("\nFarthest from their limits:")
    worst: dict[str, float] = {}
    for share, name, _ in sorted(rows):
        worst.setdefault(work.known_as(name), share)
    for kernel in list(worst)[:3]:
        print(f"- {kernel}, {100 * worst[kernel]:.0f} %: {work.WHY.get(kernel, 'not looked into; the last column may say it')}")


if __name__ == "__main__":
    main()
