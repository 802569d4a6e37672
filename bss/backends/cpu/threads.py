"""Threads for compiled kernels: a pool of our own, so that solves may run side by side from several Python threads.

Work is cut into CHUNKS parts whatever the number of threads, and partial sums are added in the order of the parts: the same
input gives the same bytes on 1 thread and on 16.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any

CHUNKS = 16
CALLS = 4  # of a kernel, for every thread
_limit: ContextVar[int | None] = ContextVar("bss_threads", default=None)
_lock = threading.Lock()


def available() -> int:
    """Processors that this process may use: its affinity, and the quota of its control group where there is one."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")
    try:
        allowed, period = quota.read_text().split()
    except (OSError, ValueError):  # no such control group: no quota
        return count
    if allowed == "max":
        return count
    return max(1, min(count, -(-int(allowed) // int(period))))


def count() -> int:
    """Threads that kernels use here: the limit set by `limited`, or all that are available."""
    return _limit.get() or _available()


@lru_cache(maxsize=1)
def _available() -> int:
    return available()


@contextmanager
def limited(threads: int | None) -> Iterator[None]:
    """Within it, kernels called from this thread, and BLAS, use at most so many threads; None leaves all."""
    from threadpoolctl import threadpool_limits

    token = _limit.set(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        _limit.reset(token)


@lru_cache(maxsize=8)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="bss")


def run(kernel: Callable[..., Any], *arguments: Any) -> None:
    """Call kernel(first, step, *arguments) on every thread; it handles the chunks first, first + step, ... of CHUNKS.

    There are more calls than threads, and a thread that is done takes the next: another program, or a pool of threads that
    spins for a while after its last work, may hold one processor up.
    """
    threads = min(count(), CHUNKS)
    if threads == 1:
        kernel(0, 1, *arguments)
        return
    parts = min(CALLS * threads, CHUNKS)
    waiting = iter(range(parts))  # shared: next() is one step for the interpreter

    def work() -> None:
        for first in waiting:
            kernel(first, parts, *arguments)

    with _lock:
        pool = _pool(threads - 1)
    futures = [pool.submit(work) for _ in range(1, threads)]
    work()
    for future in futures:
        if not future.cancel():  # one that has not begun finds nothing left
            future.result()
