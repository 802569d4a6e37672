"""The compiler's work done ahead: what a separation needs is compiled by other processes, at once or before there is anything to
separate. Two processes never compile the same kernel: one waits for the other (`backends.cpu.kept`).

    python -m bss.pipeline.resources.warming JOB...      does these jobs, and writes a line for each kernel that it compiled
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

import numpy as np

from bss.pipeline.resources.costs import processors, slowness

RATE = 16_000
WORK = 16.0  # seconds of one processor of the machine of `cost_numbers`, for what the first `bss unmix` compiles
MOST_HELPERS = 3  # more would wait for each other
# in the reverse of the order in which `bss unmix` needs them: what helps it begins at the other end
AHEAD = (("source model",), ("bins",), ("sounds",))


@dataclass(frozen=True)
class Done:
    """A job, the kernels that were compiled for it, and what went wrong, if anything did."""

    job: str
    kernels: tuple[str, ...]
    fault: str = ""


def sounds(M: int, seconds: float = 3.0) -> np.ndarray:
    """(M, n) float32: as many sounds that come and go, each with an echo, at M microphones."""
    from scipy.signal import oaconvolve

    rng, n = np.random.default_rng(0), round(seconds * RATE)
    s = rng.laplace(0, 0.05, (M, n)) * np.repeat(rng.gamma(0.5, size=(M, -(-n // 1600))), 1600, axis=1)[:, :n]
    rooms = rng.normal(size=(M, M, 1600)) * np.exp(-np.arange(1600) / 200) * 0.2
    rooms[:, :, 5] += 0.3
    rooms[np.arange(M), np.arange(M), 0] += 1
    return np.asarray(sum(oaconvolve(rooms[:, k], s[k][None], axes=1)[:, :n] for k in range(M)), np.float32)


def _ica() -> None:
    from bss.solvers.instantaneous.ica import fastica

    fastica(sounds(2), n_iter=3)


def _bins() -> None:
    from bss.signals.stft import Stft
    from bss.solvers.demixing.fdica import fdica

    fdica(Stft(512, 128).forward(sounds(2)), n_iter=3)


def _source_model() -> None:
    from bss.networks.source_model import apply

    model = apply.load()
    apply.enhance(model, apply.prepare(model, sounds(2, 1.0), RATE))


def _sync() -> None:
    from bss.signals.sync.synchronise import sync

    one = sounds(2, 12.0)[0]
    sync(np.stack([one[8000:], one[:-8000]]), RATE)


def _separated(M: int, method: str = "auto") -> Callable[[], None]:
    def job() -> None:
        from bss.pipeline.unmix import unmix

        unmix(sounds(M), RATE, method=method, n_sources=M)

    return job


def _counted(M: int) -> Callable[[], None]:
    def job() -> None:
        from bss.pipeline.unmix import unmix

        unmix(sounds(M), RATE)

    return job


# what `bss unmix`, `check` and `sync` compile, in an order in which processes side by side seldom wait for each other
JOBS: dict[str, Callable[[], None]] = {
    "source model": _source_model,
    "bins": _bins,
    "sounds": _ica,
    "recorders": _sync,
    "two microphones": _counted(2),
    "three microphones": _counted(3),
}
# what else there is to choose by --method
METHODS: dict[str, Callable[[], None]] = {
    **{f"method {name}": _separated(2, name) for name in ("fastica", "fdica", "ilrma", "auxiva")},
    **{f"method {name}": _separated(3, name) for name in ("cacgmm", "fastmnmf")},
}


def warm(jobs: Sequence[str], processes: int, progress: Callable[[float], object]) -> list[Done]:
    """Do these jobs in so many processes at once; `progress` is called with the share that is done."""
    done: list[Done] = []
    with ThreadPoolExecutor(processes) as pool:
        futures = [pool.submit(_in_a_process, job) for job in jobs]
        try:
            for future in as_completed(futures):
                done.append(future.result())
                progress(len(done) / len(jobs))
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    return done


def _command(jobs: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "bss.pipeline.resources.warming", *jobs]


def _environment() -> dict[str, str]:
    """Each process on one processor: they are as many as there are."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _in_a_process(job: str) -> Done:
    made = subprocess.run(
        _command([job]), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, env=_environment()
    )
    fault = "" if made.returncode == 0 else made.stderr.strip().rpartition("\n")[2] or f"exit code {made.returncode}"
    return Done(job, tuple(made.stdout.split()), fault)


@contextlib.contextmanager
def helpers() -> Iterator[Callable[[], int]]:
    """A function that starts processes which compile ahead of this one, and returns how many; they end with the context."""
    running: list[subprocess.Popen[bytes]] = []

    def start() -> int:
        count = max(0, min(MOST_HELPERS, processors() - 1 - round(load())))
        for number in range(count):
            jobs = [job for group in AHEAD[number::count] for job in group]
            quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            running.append(subprocess.Popen(_command(jobs), env=_environment(), **quiet))  # type: ignore[call-overload]
        return count

    try:
        yield start
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def load() -> float:
    """Processors that other programs keep busy; 0 where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def seconds_of_compiling(helpers: int) -> float:
    """How long the first `bss unmix` compiles, on this machine as it is now: other programs take their share."""
    cores = processors()
    busy = load()
    mine = min(1 + helpers, cores)
    share = min(1.0, cores / (busy + mine))
    return WORK * slowness() / (1 + 0.6 * (mine - 1)) / share


def main(jobs: Sequence[str]) -> None:
    """Do these jobs here, and write a line for each kernel that is compiled."""
    from bss.backends.cpu import compiling

    def say(kernel: str) -> None:
        sys.stdout.write(f"{kernel}\n")
        sys.stdout.flush()

    with compiling.heard(say):
        for job in jobs:
            {**JOBS, **METHODS}[job]()


if __name__ == "__main__":
    main(sys.argv[1:])
