"""How the processors and the memory of this machine are divided among recordings that are separated side by side."""

from __future__ import annotations

from dataclasses import dataclass

from bss.backends.cpu.threads import available
from bss.errors import UsageError, check_int
from bss.pipeline.resources import memory

LEAST_BYTES = 1 << 30  # of a job, if nothing else is asked for: with less, even short recordings are separated in pieces
MOST_SHARE = 0.8  # of the machine's memory that may be asked for


@dataclass(frozen=True)
class Shares:
    """`jobs` processes with `threads` threads each, and `bytes` of memory for each; `notes` are for the user."""

    jobs: int
    threads: int
    bytes: int
    notes: tuple[str, ...] = ()


def divided(
    n_items: int, *, jobs: int | None = None, threads: int | None = None, max_memory: int | str | None = None,
    cores: int | None = None,
) -> Shares:  # fmt: skip
    """Jobs, threads of each, and memory of each, so that jobs x threads are the processors, and all memory is within bounds.

    Parameters
    ----------
    n_items : int
        Recordings.
    jobs, threads : int, optional
        Processes, and threads of each. By default there is a process for each processor.
    max_memory : int or str, optional
        Bytes, or a size such as "2G", for EACH recording. By default all together take a quarter of the machine's memory, and
        each at most 4 GiB.
    cores : int, optional
        Processors, by default those that this process may use.

    Raises
    ------
    UsageError
        jobs, threads or max_memory is invalid, or so many jobs of that size are more than the machine has.

    Examples
    --------
    >>> shares = divided(100, max_memory="50M", cores=4)
    >>> shares.jobs, shares.threads, shares.bytes
    (4, 1, 52428800)
    >>> divided(3, cores=16).threads
    5
    """
    cores = cores or available()
    if threads is not None:
        check_int("threads", threads, 1)
    wanted = check_int("jobs", jobs, 1) if jobs is not None else max(1, cores // (threads or 1))
    wanted = max(1, min(wanted, n_items))
    each, notes = memory.budget(max_memory), []
    if each.note:
        notes.append(each.note)
    total, source = _total(asked=each.source.startswith((memory.OPTION, memory.VARIABLE)))
    least = each.bytes if each.source.startswith((memory.OPTION, memory.VARIABLE)) else min(LEAST_BYTES, each.bytes)
    fit = max(1, total // least)
    if wanted > fit and jobs is not None and max_memory is not None:
        raise UsageError(
            f"{wanted} jobs of {memory.written(each.bytes)} each are more than {memory.written(total)}, {source}",
            "the system would end processes",
            f"--jobs {fit}, or --max-memory {memory.written(total // wanted)} (jobs=, max_memory=)",
        )  # fmt: skip
    if wanted > fit and jobs is None:
        notes.append(f"{fit} of {wanted} processors are used, as each recording may take {memory.written(least)}: {source}")
        wanted = fit
    return Shares(wanted, threads or max(1, cores // wanted), min(each.bytes, total // wanted), tuple(notes))


def _total(*, asked: bool) -> tuple[int, str]:
    """Bytes for all jobs together, and where that comes from."""
    share = MOST_SHARE if asked else memory.SHARE
    bounds = [(round(share * memory.installed()), f"{100 * share:.0f} % of the memory of this machine")]
    bounds += [(round(memory.OF_GROUP * limit), "what the control group allows") for limit in memory.group_limits()]
    return min(bounds)
