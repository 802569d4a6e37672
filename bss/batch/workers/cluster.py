"""Work on the workers of a Dask cluster; the only module that loads `distributed`."""

from __future__ import annotations

import contextlib
import importlib.util
import secrets
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bss.batch.separate import Task
from bss.batch.workers.failures import Failure, attempt, failure_of
from bss.errors import InputError, UsageError
from bss.pipeline.resources import memory

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_SECONDS = 10.0
OF_WORKER = 0.7  # of its limit: at 0.8 Dask gives a worker no more work, at 0.95 it ends it


@contextlib.contextmanager
def connected(address: str) -> Iterator[Client]:
    """A client of the scheduler at an address such as tcp://10.0.0.1:8786.

    Raises
    ------
    UsageError
        `distributed` is not installed.
    InputError
        No scheduler answers.
    """
    if importlib.util.find_spec("distributed") is None:
        raise UsageError(
            "a Dask cluster needs the package distributed", "it is not installed", "pip install 'bss-toolkit[batch]'"
        )
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:  # an address that is none is a ValueError
        hint = "its address, as dask scheduler prints it: tcp://HOST:8786"
        raise InputError(f"no Dask scheduler answers at {address}", str(error).split("\n")[0], hint) from None
    with client:
        yield client


def n_workers(client: Client) -> int:
    """How many workers there are now."""
    return len(client.nthreads())


def each(
    client: Client, function: Callable[[Any], Any], items: Sequence[Any], *, threads: int = 1, max_memory: int | str | None = None
) -> Generator[tuple[int, Any], None, None]:
    """The position of every item and what `function` made of it on a worker, or a Failure, as they end.

    Where a worker dies, Dask gives its items to others, as often as `distributed.scheduler.allowed-failures` says. Closing the
    iterator, or an exception such as Ctrl-C, cancels what has not begun; what has begun ends with whole results.

    Parameters
    ----------
    client : distributed.Client
    function : callable
        Of a module that the workers have.
    items : sequence
        What can be pickled.
    threads : int
        Of each item.
    max_memory : int or str, optional
        Of each item; by default the limit of the worker, divided by the items that it does at once.
    """
    from distributed import as_completed

    given = None if max_memory is None else memory.budget(max_memory).bytes
    batch = secrets.token_hex(4)
    futures = [
        client.submit(_work, function, item, threads, given, key=f"bss-{batch}-{k}", pure=False) for k, item in enumerate(items)
    ]
    position = {future.key: k for k, future in enumerate(futures)}
    try:
        for future in as_completed(futures, loop=client.loop):
            yield position[future.key], _answer(future)
            future.release()
    finally:
        client.cancel(futures)


def _answer(future: Future[Any]) -> Any:
    if future.status == "finished":
        return future.result()
    if future.status != "error":
        return Failure("the cluster gave it up", f"Dask calls it {future.status}", "whether the scheduler still runs")
    from distributed import KilledWorker

    error = future.exception()
    if isinstance(error, KilledWorker):
        return Failure(
            "the workers that worked on it died", str(error).split(". ")[0],
            "workers with more memory, or a lower --max-memory (in Python max_memory=)", exit_code=1,
        )  # fmt: skip
    if isinstance(error, ModuleNotFoundError):
        return Failure(f"a worker has no {error.name}", str(error), "the same version of bss-toolkit on all workers")
    return failure_of(error)


def _work(function: Callable[[Any], Any], item: Any, threads: int, max_memory: int | None) -> Any:
    """On a worker: one item, with its share of threads and memory."""
    from bss.backends.cpu import threads as limits

    if isinstance(item, Task):
        item = replace(item, bytes=max_memory or _share())
    with limits.limited(threads):
        return attempt(function, item)


def _share() -> int:
    """Bytes that an item may take on this worker."""
    from distributed import get_worker

    worker = get_worker()
    limit = worker.memory_manager.memory_limit or memory.SHARE * memory.installed()
    return min(memory.MOST, int(OF_WORKER * limit / worker.state.nthreads))
