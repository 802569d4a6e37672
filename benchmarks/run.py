#!/usr/bin/env python
"""bss beside the peers that are installed: the same spectra or samples, the same iterations, one process, one Markdown table.

    python benchmarks/run.py [--seconds 10] [--repeats 5] [-o TABLE.md]

Peers: pyroomacoustics and scikit-learn come with the project; `pip install ssspy python-picard` adds theirs.
"""

from __future__ import annotations

import argparse
import platform
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import bss

VOICES = Path(__file__).resolve().parents[1] / "fixtures" / "voices"
RATE, N_FFT, HOP, N_ITER = 16_000, 4096, 1024, 50
Row = tuple[str, str, float, float]


def spectra(n: int, seconds: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spectra (F, M, T) of n talkers in a room, the microphones (M, n) and the talkers as microphone 1 hears them (N, n)."""
    voices = [bss.read([path])[0][0] for path in sorted(VOICES.glob("*.flac"))[:n]]
    scene = bss.mix(voices, RATE, n_mics=n, rt60=0.25, spacing=0.1, seconds=seconds, rng=0)
    return bss.Stft(N_FFT, HOP).forward(scene.mixture), scene.mixture, scene.images[:, 0]


def convolutive() -> dict[str, dict[str, Callable[[np.ndarray], np.ndarray]]]:
    """Work -> library -> function of X (F, M, T) that returns sources (F, N, T)."""
    import pyroomacoustics as pra

    def ours(solver: Callable[..., bss.Separation]) -> Callable[[np.ndarray], np.ndarray]:
        return lambda X: bss.projection_back(solver(X, n_iter=N_ITER, tol=0), X).sources

    def theirs(solver: Callable[..., np.ndarray], **options: object) -> Callable[[np.ndarray], np.ndarray]:
        return lambda X: solver(X.transpose(2, 0, 1), n_iter=N_ITER, proj_back=True, **options).transpose(1, 2, 0)

    work = {
        "AuxIVA": {"bss": ours(bss.auxiva), "pyroomacoustics": theirs(pra.bss.auxiva)},
        "ILRMA": {"bss": ours(bss.ilrma), "pyroomacoustics": theirs(pra.bss.ilrma, n_components=2)},
    }
    if find_spec("ssspy"):
        from ssspy.bss.ilrma import GaussILRMA
        from ssspy.bss.iva import AuxLaplaceIVA

        work["AuxIVA"]["ssspy"] = lambda X: AuxLaplaceIVA(spatial_algorithm="ISS", record_loss=False)(
            X.transpose(1, 0, 2).astype(complex), n_iter=N_ITER
        ).transpose(1, 0, 2)
        work["ILRMA"]["ssspy"] = lambda X: GaussILRMA(
            n_basis=2, spatial_algorithm="IP", rng=np.random.default_rng(0), record_loss=False
        )(X.transpose(1, 0, 2).astype(complex), n_iter=N_ITER).transpose(1, 0, 2)
    return work


def instantaneous() -> dict[str, dict[str, Callable[[np.ndarray], np.ndarray]]]:
    """Work -> library -> function of x (M, n) that returns a demixing (M, M)."""
    from sklearn.decomposition import FastICA

    work: dict[str, dict[str, Callable[[np.ndarray], np.ndarray]]] = {
        "FastICA": {
            "bss": lambda x: bss.fastica(x).demixing,
            "scikit-learn": lambda x: FastICA(len(x), whiten="unit-variance", random_state=0).fit(x.T).components_,
        },
        "Infomax": {"bss": lambda x: bss.infomax(x).demixing},
    }
    if find_spec("picard"):
        from picard import picard

        def quasi_newton(x: np.ndarray) -> np.ndarray:
            K, W, _ = picard(x.astype(float), ortho=False, random_state=0)
            return np.asarray(W @ K)

        work["Infomax"]["picard"] = quasi_newton
    return work


def best(function: Callable[[np.ndarray], np.ndarray], data: np.ndarray, repeats: int) -> tuple[float, np.ndarray]:
    """The shortest of some runs, after one that compiles and imports; and the result."""
    result, times = function(data), []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function(data)
        times.append(time.perf_counter() - start)
    return min(times), result


def room_rows(n: int, seconds: float, repeats: int) -> list[Row]:
    X, mixture, truth = spectra(n, seconds)
    before = np.mean([bss.si_sdr(t, mixture[0]) for t in truth])
    rows = []
    for work, libraries in convolutive().items():
        for library, function in libraries.items():
            elapsed, Y = best(function, X, repeats)
            y = bss.Stft(N_FFT, HOP).inverse(np.ascontiguousarray(Y), mixture.shape[1])
            gain = float(np.mean(bss.score(truth, np.asarray(y, np.float32)).si_sdr) - before)
            rows.append((f"{work}, {n} microphones, {seconds:g} s, {N_ITER} iterations", library, elapsed, gain))
    return rows


def desk_rows(m: int, seconds: float, repeats: int) -> list[Row]:
    rng = np.random.default_rng(0)
    n = int(RATE * seconds)
    loudness = np.repeat(rng.gamma(0.5, 1.0, (m, n // 1600 + 1)), 1600, axis=1)[:, :n]
    s = rng.laplace(size=(m, n)) * np.sqrt(loudness)
    A = rng.normal(size=(m, m))
    x = (A @ (s / s.std(1, keepdims=True))).astype(np.float32)
    rows = []
    for work, libraries in instantaneous().items():
        for library, function in libraries.items():
            elapsed, W = best(function, x, repeats)
            power = (np.asarray(W, float) @ A) ** 2
            interference = np.mean((power.sum(1) - power.max(1)) / power.max(1))
            rows.append((f"{work}, {m} channels, {seconds:g} s", library, elapsed, -10 * float(np.log10(interference))))
    return rows


def table(rows: list[Row]) -> str:
    """Markdown: the ratio is the peer's time over that of bss for the same work."""
    ours = {work: elapsed for work, library, elapsed, _ in rows if library == "bss"}
    lines = ["| work | library | seconds | times as long as bss | dB |", "|---|---|---|---|---|"]
    for work, library, elapsed, db in rows:
        lines.append(f"| {work} | {library} | {elapsed:.3f} | {elapsed / ours[work]:.1f} | {db:.1f} |")
    return "\n".join(lines)


def machine() -> str:
    """The processor, its count, and the versions that matter."""
    from bss.backends.cpu import threads

    info = Path("/proc/cpuinfo")
    models = (
        [line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line] if info.exists() else []
    )
    found = []
    for package in ("numpy", "numba", "pyroomacoustics", "scikit-learn", "ssspy", "python-picard"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} not installed")
    processor = models[0] if models else platform.processor()
    return (
        f"{processor}, {threads.count()} threads, Python {platform.python_version()}, bss {bss.__version__}, {', '.join(found)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the rooms' recordings")
    parser.add_argument("--long", type=float, default=120.0, help="length of the desk's recordings")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path)
    a = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = [row for n in (2, 4) for row in room_rows(n, a.seconds, a.repeats)]
    rows += [row for m in (4, 8) for row in desk_rows(m, a.long, a.repeats)]
    what = f"dB: SI-SDR improvement in rooms, signal to interference on the desk; best of {a.repeats} runs."
    text = f"{table(rows)}\n\n{machine()}. {what}\n"
    print(text)
    if a.output:
        a.output.parent.mkdir(parents=True, exist_ok=True)
        a.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
