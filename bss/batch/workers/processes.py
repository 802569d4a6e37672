"""Work on local processes: as many as there are jobs, each with its share of the processors.

A process is replaced when it dies, and the item it was at is tried once more: the pools of the standard library give all
items up then, and do not say which one it was.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from bss.batch.workers.failures import Failure, attempt
from bss.errors import BssError

ATTEMPTS = 2  # for an item whose process died
GRACE_SECONDS = 15.0  # for a process that is to end, to clean up; a compiled kernel is not interrupted
# what libraries with threads of their own read when they are loaded
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
Work = Callable[[Any], Any]


def each(function: Work, items: Sequence[Any], *, jobs: int, threads: int) -> Generator[tuple[int, Any], None, None]:
    """The position of every item and what `function` made of it, or a Failure, as they end.

    Closing the iterator, or an exception such as Ctrl-C, ends the processes.

    Parameters
    ----------
    function : callable
        Of a module, so that it can be named to other processes.
    items : sequence
        What can be pickled.
    jobs, threads : int
        Processes, and threads of each.
    """
    waiting = deque((k, 1) for k in range(len(items)))
    workers = [_Worker(function, threads) for _ in range(min(jobs, len(items)))]
    try:
        left = len(items)
        while left:
            for worker in workers:
                if worker.idle and waiting:
                    worker.give(*waiting.popleft(), items)
            for worker in _heard(workers):
                ended = worker.answer()
                if ended is None:
                    continue
                k, tried, answer = ended
                if answer is _DIED and tried < ATTEMPTS:
                    waiting.append((k, tried + 1))
                    continue
                left -= 1
                yield k, worker.last_words() if answer is _DIED else answer
    finally:
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.join()


def _heard(workers: Sequence[_Worker]) -> list[_Worker]:
    """The workers that have something to say, or died."""
    found = multiprocessing.connection.wait([worker.pipe for worker in workers])
    return [worker for worker in workers if worker.pipe in found]


class _Died:
    """Stands for the answer of a process that gave none."""


_DIED = _Died()


class _Worker:
    """A process and the pipe to it; the process is replaced when it dies."""

    def __init__(self, function: Work, threads: int) -> None:
        self._function, self._threads = function, threads
        self._item: tuple[int, int] | None = None
        self._code: int | None = None
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._ready = False
        self._process = context.Process(target=_serve, args=(theirs, self._function, self._threads), daemon=True)
        with _without_interrupts():
            self._process.start()
        theirs.close()  # so that its end is noticed here

    @property
    def idle(self) -> bool:
        """Whether it waits for an item."""
        return self._ready and self._item is None

    def give(self, k: int, tried: int, items: Sequence[Any]) -> None:
        """Begin with item k. Where the process has just died, that is noticed as if it died at once."""
        self._item = (k, tried)
        with contextlib.suppress(BrokenPipeError):
            self.pipe.send(items[k])

    def answer(self) -> tuple[int, int, Any] | None:
        """(item, attempt, result) of what it was at; None if it has only begun, or died without an item."""
        try:
            said = self.pipe.recv()
        except (EOFError, OSError):  # also in the middle of an answer
            return self._replaced()
        if not self._ready:  # the first thing that it says
            self._ready = True
            return None
        assert self._item is not None
        (k, tried), self._item = self._item, None
        return k, tried, said

    def _replaced(self) -> tuple[int, int, Any] | None:
        self._process.join()
        self._code = self._process.exitcode
        self.pipe.close()
        if not self._ready:
            raise BssError(
                f"a worker process ended before it began ({_ended(self._code)})",
                "what it printed stands above. A script is loaded once more by each worker, so it must not begin the batch again",
                'in a script, bss.batch.run below `if __name__ == "__main__":`',
            )
        item, self._item = self._item, None
        self._start()
        return None if item is None else (*item, _DIED)

    def last_words(self) -> Failure:
        """Why there is no result."""
        return Failure(
            f"the process that worked on it died, twice ({_ended(self._code)})",
            "most often the machine had no memory left, or somebody ended the process",
            "fewer --jobs, or a lower --max-memory (in Python jobs=, max_memory=)", exit_code=1,
        )  # fmt: skip

    def stop(self) -> None:
        """Tell it to end: at once if it waits, and without leaving parts of results if it works."""
        self.pipe.close()
        if self._item is not None or not self._ready:
            self._process.terminate()

    def join(self) -> None:
        """Wait until it has ended."""
        self._process.join(GRACE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"by signal {-code}, {signal.Signals(-code).name}"
    return f"exit code {code}"


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """A process that is started within it does not hear Ctrl-C, which its parent tells it; here it is late by a moment."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Any, function: Work, threads: int) -> None:
    """The life of a worker: an item, its result, the next; until the pipe is closed."""
    for variable in VARIABLES:
        os.environ[variable] = str(threads)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    from bss.backends.cpu import threads as limits

    try:
        with limits.limited(threads):
            pipe.send(os.getpid())
            while True:
                pipe.send(attempt(function, pipe.recv()))
    except (EOFError, BrokenPipeError, ConnectionResetError):  # there is no more to do
        return
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGTERM)


def _leave(number: int, frame: Any) -> None:
    """As Ctrl-C: files that are being written are removed, and what a long run needs to be continued is kept."""
    raise KeyboardInterrupt


def _leave_with_parent() -> None:
    """A worker whose parent was killed does not go on writing where the next batch may begin."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    if hasattr(signal, "pthread_kill"):  # which wakes it, too, if it waits
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    else:
        signal.raise_signal(signal.SIGTERM)
