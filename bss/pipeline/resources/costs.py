"""What a separation will take in memory and time, from its size: known before anything is read but the headers."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.errors import BssError, InputError, UsageError
from bss.pipeline.planning.options import UnmixOptions
from bss.pipeline.planning.windows import LONG_SECONDS, PLENTY
from bss.pipeline.resources import cost_numbers
from bss.pipeline.resources.memory import OPTION, Budget, hard_limit, installed, written
from bss.pipeline.stream.survey import MOST_SECONDS, PIECE_SECONDS
from bss.signals.files.blocks import Blocks

SECOND_LOOK_SECONDS = 30  # as `methods.neural` has it, which is not loaded to tell a cost
SPARSE_SECONDS = PLENTY * LONG_SECONDS / 4  # from here on windows overlap by three quarters, before by seven eighths
FEWEST_LEARNED_SECONDS = 20  # of a recording in pieces: fewer separate badly
LIKELY_TALKERS = 4  # at most, before they are counted
IN_PIECES = 1.05  # of what learning takes: what blocks take beside what was learned
TRIALS = 20


@dataclass(frozen=True)
class Cost:
    """Bytes and seconds to expect, and whether the recording is separated as a whole or in pieces."""

    bytes: int
    seconds: float
    whole: bool

    @property
    def sentence(self) -> str:
        """For the user."""
        how = "the whole recording in memory" if self.whole else "in pieces"
        return f"about {written(self.bytes)} of memory and {duration(self.seconds)}, {how}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"memory_bytes": self.bytes, "seconds": round(self.seconds, 1), "in_memory": self.whole}


def features(n_mics: int, n_sources: int, rate: int, seconds: float, looks: int = 1) -> np.ndarray:
    """(2, 5) the quantities that bytes (first row) and seconds of one thread (second row) of a separation as a whole are sums of,
    each times a weight: samples of signals, seconds that the source model looks at, and values of spectra."""
    n = rate * seconds
    values = overlap(seconds) * n  # of the spectrum of a channel, twice
    return np.array([
        [1, n * n_mics, n * n_sources, values * n_mics, values * n_sources],
        [1, n * n_mics, looks * seconds * n_sources, values * n_mics * n_sources, values * n_mics**2],
    ])  # fmt: skip


def piecewise(rate: int, seconds: float) -> np.ndarray:
    """(2,) the same of the seconds that applying what was learned takes, in pieces.

    The source model takes most of it, where somebody speaks: in a conversation of any number that is about one talker at a time.
    """
    return np.array([seconds, rate * seconds])


def overlap(seconds: float) -> int:
    """Samples of the window per sample of the hop."""
    return 4 if seconds >= SPARSE_SECONDS else 8


def bytes_of(n_mics: int, n_sources: int, rate: int, seconds: float) -> int:
    """Memory of a separation as a whole that is to be expected."""
    return round(float(features(n_mics, n_sources, rate, seconds)[0] @ np.array(cost_numbers.COST_WHOLE_BYTES.value)))


def learnable(budget: int, n_mics: int, n_sources: int, rate: int, seconds: float) -> float:
    """Seconds to learn from, of a recording of so many: as many pieces as fit into so many bytes; 0 if none does."""
    most = min(seconds, MOST_SECONDS)
    choices = [*np.arange(PIECE_SECONDS, most, PIECE_SECONDS).tolist(), most]
    return max((float(s) for s in choices if IN_PIECES * bytes_of(n_mics, n_sources, rate, s) <= budget), default=0.0)


def expected(
    whole: bool, n_mics: int, n_sources: int, rate: int, seconds: float, *, budget: int | None = None, threads: int | None = None
) -> Cost:
    """The cost of a separation on this machine, at the usual effort; in pieces, within a budget of bytes.

    In pieces, learning takes the most memory: that is a separation as a whole of some of the recording.
    """
    learned = seconds
    if not whole:
        learned = min(seconds, MOST_SECONDS) if budget is None else learnable(budget, n_mics, n_sources, rate, seconds)
    size = bytes_of(n_mics, n_sources, rate, learned)
    looks = 2 if whole and seconds >= SECOND_LOOK_SECONDS else 1
    work = float(features(n_mics, n_sources, rate, learned, looks)[1] @ np.array(cost_numbers.COST_WHOLE_SECONDS.value))
    if not whole:
        work += float(piecewise(rate, seconds) @ np.array(cost_numbers.COST_PIECES_SECONDS.value))
    shared = cost_numbers.COST_PARALLEL.value
    return Cost(size, work * slowness() * (1 - shared + shared / (threads or processors())), whole)


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def slowness() -> float:
    """Time that this machine takes for a piece of work, beside that on which the costs were measured."""
    return unit() / cost_numbers.COST_UNIT.value


def unit() -> float:
    """Seconds that the processor takes for some Fourier transforms, at its best of a few trials."""
    from scipy.fft import rfft

    x = np.random.default_rng(0).standard_normal((64, 8192), dtype=np.float32)
    best = float("inf")
    for _ in range(TRIALS):
        before = time.process_time()
        rfft(x, axis=1, workers=1)
        best = min(best, time.process_time() - before)
    return best


def talkers_at_most(n_mics: int, options: UnmixOptions) -> int:
    """How many sounds are separated, before they are counted."""
    used = n_mics if options.channels is None else len(options.channels)
    return max(options.n_sources or 0, used)


def cost_of(blocks: Blocks, options: UnmixOptions, budget: Budget, *, n_sources: int | None = None) -> Cost:
    """What this recording will take with this budget; unless `n_sources` are known, for as many as is likely."""
    n_mics = blocks.n_mics if options.channels is None else len(options.channels)
    likely = min(talkers_at_most(blocks.n_mics, options), max(options.n_sources or 0, LIKELY_TALKERS))
    size = (n_mics, n_sources or likely, blocks.rate, blocks.n / blocks.rate)
    return expected(fits(blocks, options, budget), *size, budget=budget.bytes)


def fits(blocks: Blocks, options: UnmixOptions, budget: Budget) -> bool:
    """Whether the recording can be separated as a whole within the budget."""
    n_sources = talkers_at_most(blocks.n_mics, options)
    return bytes_of(blocks.n_mics, n_sources, blocks.rate, blocks.n / blocks.rate) <= budget.bytes


def least(blocks: Blocks, options: UnmixOptions) -> int:
    """Bytes in which the recording can be separated, if in pieces."""
    n_mics = blocks.n_mics if options.channels is None else len(options.channels)
    return round(IN_PIECES * bytes_of(n_mics, talkers_at_most(n_mics, options), blocks.rate, FEWEST_LEARNED_SECONDS))


def refuse(blocks: Blocks, options: UnmixOptions, budget: Budget) -> None:
    """Raise unless the recording can be separated in pieces within the budget.

    Raises
    ------
    UsageError
        The budget is what was asked for.
    InputError
        It is what the machine has.
    """
    needed = least(blocks, options)
    if needed <= budget.bytes:
        return
    kind: type[BssError] = UsageError if budget.asked else InputError
    n_mics = blocks.n_mics if options.channels is None else len(options.channels)
    raise kind(
        f"{n_mics} microphones at {blocks.rate} Hz cannot be separated in {written(budget.bytes)} of memory ({budget.source})",
        f"even in pieces about {written(needed)} are needed, for the program itself and what it learns from",
        f"{OPTION} {written(needed)}, or fewer microphones with --channels",
    )


def refuse_plan(needed: int, method: str, budget: Budget) -> None:
    """Raise where the method that was chosen needs more memory than there is, before it begins.

    Raises
    ------
    UsageError, InputError
        As `refuse`.
    """
    most = budget.bytes if budget.asked else hard_limit() or installed()
    if needed <= most:
        return
    kind: type[BssError] = UsageError if budget.asked else InputError
    source = budget.source if budget.asked else "all that this process may take"
    raise kind(
        f"{method} needs about {written(needed)} of memory, and there are {written(most)} ({source})",
        "it would end half-way",
        f"a shorter part with --start and --end, fewer talkers, fewer microphones with --channels, or {OPTION} {written(needed)}",
    )


def duration(seconds: float) -> str:
    """A time in words.

    Examples
    --------
    >>> duration(3.2), duration(75), duration(3700)
    ('4 s', '1 min 15 s', '1 h 2 min')
    """
    whole = int(np.ceil(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole < 600 else f"{round(whole / 60)} min"
    return f"{whole // 3600} h {round(whole % 3600 / 60)} min"
