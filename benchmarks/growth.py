"""How the time of a whole solve grows with the seconds of audio and with the number of microphones, as exponents.

    python benchmarks/growth.py [--quick]

Exponent p: t is proportional to x^p, by least squares on logarithms over all sizes, and between the last two. Below 1 it costs
less than its share to do more at once, because starting costs something; 2 is twice the microphones in four times the time.
As many sources as microphones, made here: noise with the loudness of syllables through short random echoes, or, for FastICA,
through a mixing desk.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
from scipy.signal import oaconvolve

import bss

RATE, N_FFT, HOP, N_ITER = 16_000, 4096, 1024, 20
ECHO = 0.05  # seconds
SYLLABLE = 0.1


def talkers(n: int, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """(n, samples) float32 noise, darker than white, whose loudness changes with every syllable and often pauses."""
    samples, syllable = int(RATE * seconds), int(RATE * SYLLABLE)
    s = rng.standard_normal((n, samples), np.float32)
    s[:, 1:] += 0.9 * s[:, :-1]
    loudness = np.sqrt(rng.gamma(0.4, 1.0, (n, samples // syllable + 1))).astype(np.float32)
    s *= np.repeat(loudness, syllable, axis=1)[:, :samples]
    return s


def room(m: int, seconds: float) -> np.ndarray:
    """(m, samples): every talker reaches every microphone by a path of its own, which decays by 60 dB in ECHO."""
    rng = np.random.default_rng(m)
    s = talkers(m, seconds, rng)
    taps = int(RATE * ECHO)
    decay = 10.0 ** (-3 * np.arange(taps) / taps)
    x = np.zeros_like(s)
    for i in range(m):
        for j in range(m):
            path = rng.standard_normal(taps) * decay * 0.3
            path[int(rng.integers(1, 12))] += 1.0 if i == j else 0.6  # the direct sound, a little late
            x[i] += oaconvolve(s[j], path.astype(np.float32))[: x.shape[1]]
    return np.asarray(x * np.float32(0.1 / x.std()), np.float32)


def desk(m: int, seconds: float) -> np.ndarray:
    """(m, samples): every talker in every channel, without delay."""
    rng = np.random.default_rng(m)
    return np.asarray(rng.normal(size=(m, m)).astype(np.float32) @ talkers(m, seconds, rng))


def exponent(x: Sequence[float], t: Sequence[float]) -> float:
    """The slope of log t over log x, by least squares."""
    u = np.log(np.asarray(x, float))
    u -= u.mean()
    return float(u @ np.log(np.asarray(t, float)) / (u @ u))


def best(function: Callable[[], object], budget: float) -> float:
    """The shortest of up to five runs, fewer when they take longer than `budget` seconds together."""
    times: list[float] = []
    while not times or (len(times) < 5 and sum(times) < budget):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def solves(m: int, seconds: float, budget: float) -> tuple[dict[str, float], str]:
    """Seconds of every solve of one recording, and the method that `bss.unmix` chose for it."""
    found: dict[str, float] = {}
    x = desk(m, seconds)
    found["fastica, to the end"] = best(lambda: bss.fastica(x), budget)
    x = room(m, seconds)
    chosen = set()
    found["bss.unmix, to the end"] = best(lambda: chosen.add(bss.unmix(x, RATE, n_sources=m).method), budget)
    stft = bss.Stft(N_FFT, HOP)
    X = stft.forward(x)
    found["STFT and its inverse"] = best(lambda: stft.inverse(stft.forward(x), x.shape[1]), budget)
    found[f"auxiva, {N_ITER} iterations"] = best(lambda: bss.auxiva(X, n_iter=N_ITER, tol=0), budget)
    found[f"ilrma, {N_ITER} iterations"] = best(lambda: bss.ilrma(X, n_iter=N_ITER, tol=0), budget)
    return found, " ".join(chosen)


def rows(against: str, unit: str, sizes: Sequence[float], solved: Sequence[tuple[dict[str, float], str]]) -> list[str]:
    """Lines of the table, one for each solve. An exponent over different methods says nothing: those of `unmix` are named."""
    times, methods = [found for found, _ in solved], [method for _, method in solved]
    lines = []
    for what in times[0]:
        t = [found[what] for found in times]
        measured = ", ".join(f"{size:g}{unit}: {seconds:.3g}" for size, seconds in zip(sizes, t, strict=True))
        last = exponent(sizes[-2:], t[-2:])
        named = f" ({', '.join(dict.fromkeys(methods))})" if "unmix" in what else ""
        lines.append(f"| {what}{named} | {against} | {measured} | {exponent(sizes, t):.2f} | {last:.2f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="up to 20 seconds and 4 microphones")
    a = parser.parse_args()
    lengths = (5.0, 10.0, 20.0) if a.quick else (10.0, 100.0, 1000.0)
    microphones = (2, 3, 4) if a.quick else (2, 4, 8, 16)
    budget = 0.2 if a.quick else 3.0
    solves(2, 5.0, 0.0)  # compiles what is not yet compiled
    by_length = [solves(2, seconds, budget) for seconds in lengths]
    by_size = [solves(m, 10.0, budget) for m in microphones]
    print("| what | against | seconds at each | exponent | between the last two |\n|---|---|---|---:|---:|")
    print("\n".join(rows("seconds of audio, 2 microphones", " s", lengths, by_length)))
    print("\n".join(rows("microphones, 10 s", "", microphones, by_size)))


if __name__ == "__main__":
    main()
