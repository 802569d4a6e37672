"""`bss.batch.run`: many recordings, side by side."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bss.batch import separate as one, settings
from bss.batch.manifest import read_manifest
from bss.batch.recordings import MANIFESTS, Recording, found_in, refuse_same_names
from bss.batch.separate import After, Separated, Task
from bss.batch.workers import processes
from bss.batch.workers.failures import Failure
from bss.batch.workers.shares import Shares, divided
from bss.errors import InputError, UsageError
from bss.pipeline.record import RunRecord
from bss.signals.files.writing import output_folder

if TYPE_CHECKING:
    from distributed import Client

DONE, SKIPPED, FAILED = "done", "skipped", "failed"
Place = str | os.PathLike[str]
Recordings = Place | Sequence[Place | Recording]


@dataclass(frozen=True)
class Outcome:
    """What became of one recording.

    Attributes
    ----------
    recording : str
        Its name.
    state : {"done", "skipped", "failed"}
        Skipped: it was done before, of the same files with the same options.
    folder : Path
        With the tracks and result.json, unless it failed.
    record : RunRecord or None
        The contents of result.json.
    failure : Failure or None
        Why it failed.
    seconds : float
        That it took.
    notes : tuple of str
        Warnings that are not in the record.
    """

    recording: str
    state: str
    folder: Path
    record: RunRecord | None = None
    failure: Failure | None = None
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Batch:
    """What became of all recordings, in the order in which they were given."""

    outcomes: tuple[Outcome, ...]

    def of(self, state: str) -> tuple[Outcome, ...]:
        """Those that are "done", "skipped" or "failed"."""
        return tuple(outcome for outcome in self.outcomes if outcome.state == state)

    @property
    def exit_code(self) -> int:
        """Of the command: 0; 4 if some failed; if all failed, the code that they share, or 3.

        So 4 means that there are results, and that trying the rest again may be worth it.
        """
        return exit_code([outcome.failure for outcome in self.outcomes if outcome.failure is not None], len(self.outcomes))


def exit_code(failures: Sequence[Failure], n_items: int) -> int:
    """As of `Batch.exit_code`, of any items."""
    if len(failures) < n_items:
        return 4 if failures else 0
    codes = {failure.exit_code for failure in failures}
    return codes.pop() if len(codes) == 1 else 3


def run(
    recordings: Recordings,
    out: Place,
    *,
    options: Mapping[str, Any] | None = None,
    jobs: int | None = None,
    threads: int | None = None,
    max_memory: int | str | None = None,
    client: Client | None = None,
    skip_done: bool = False,
    overwrite: bool = False,
    on_done: Callable[[Outcome], object] | None = None,
    after: After | None = None,
) -> Batch:
    """Separate many recordings, each into a folder of its own; one that fails does not stop the others.

    Recordings are separated by processes on this machine, or by the workers of a Dask cluster. Where a worker dies, its recording
    is tried once more. In a script, call this below ``if __name__ == "__main__":``, as each worker loads the script.

    Parameters
    ----------
    recordings : path, or sequence of paths and Recording
        A manifest (.csv, .json; see `read_manifest`); folders, each a recording of M microphones (M, n), or a folder of such
        folders; audio files, each a recording of several channels; `Recording`.
    out : path
        For a folder for each recording, named after it, with what `unmix_file` writes.
    options : mapping, optional
        Keywords of `unmix_file`, for all recordings; a recording's own go before them.
    jobs : int, optional
        Recordings at the same time; by default one for each processor, as far as the memory allows.
    threads : int, optional
        Threads for each; by default the processors divided by `jobs`, and 1 on a cluster.
    max_memory : int or str, optional
        Bytes, or a size such as "2G", for each recording; by default all together take a quarter of the machine's memory.
        On a cluster, by default the worker's limit divided by its threads.
    client : distributed.Client, optional
        Of the cluster whose workers, which must see the same files, do the work; needs the extra `batch`.
    skip_done : bool
        Skip recordings that were done before, of the same files (by size and time) with the same options, and continue long ones
        that were ended in the middle.
    overwrite : bool
        Replace existing results.
    on_done : callable, optional
        Called here with the `Outcome` of each recording as it ends.
    after : callable, optional
        Called by the worker with the `UnmixedFiles` of each recording that was separated: a function of a module.

    Returns
    -------
    Batch
        With an `Outcome` for each recording.

    Raises
    ------
    InputError
        The manifest is invalid, there are no recordings, two have the same name, or `out` holds results and neither `skip_done`
        nor `overwrite` is set. What is wrong with one recording is in its outcome instead.
    UsageError
        An option is invalid.

    Examples
    --------
    >>> import bss, tempfile, numpy as np
    >>> s = np.random.default_rng(0).laplace(0, 0.05, size=(2, 16_000)).astype(np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bss.write(folder + "/monday/x.wav", np.array([[1.0, 0.6], [0.5, 1.0]], np.float32) @ s, 16_000)
    ...     bss.write(folder + "/tuesday/x.wav", s[0], 16_000)
    ...     batch = bss.batch.run([folder + "/*day"], folder + "/out", jobs=1, options={"method": "fastica"})
    ...     [(outcome.recording, outcome.state) for outcome in batch.outcomes], batch.exit_code
    ([('monday', 'done'), ('tuesday', 'failed')], 4)
    """
    tasks = tasks_of(recordings, out, options=options, after=after, resume=skip_done)
    if client is not None and jobs is not None:
        raise UsageError("jobs and client cannot be combined", "a cluster has workers of its own", "one of them")
    shares = divided(len(tasks), jobs=jobs, threads=threads, max_memory=max_memory)
    outcomes = before(tasks, skip_done=skip_done, overwrite=overwrite)
    for outcome in outcomes.values():
        _tell(on_done, outcome)
    left = [k for k in range(len(tasks)) if k not in outcomes]
    if client is None:
        ended = _locally([tasks[k] for k in left], shares)
    else:
        from bss.batch.workers import cluster

        ended = cluster.each(client, one.separate, [tasks[k] for k in left], threads=threads or 1, max_memory=max_memory)
    with closing(ended):  # workers end before an error, or Ctrl-C, goes on from here
        for position, answer in ended:
            k = left[position]
            outcomes[k] = _outcome(tasks[k], answer)
            _tell(on_done, outcomes[k])
    return Batch(tuple(outcomes[k] for k in range(len(tasks))))


def tasks_of(
    recordings: Recordings, out: Place, *, options: Mapping[str, Any] | None = None, after: After | None = None,
    resume: bool = False,
) -> list[Task]:  # fmt: skip
    """What is to be done, checked; nothing is read but the manifest."""
    found = _found(recordings)
    refuse_same_names(found)
    common = {**(options or {})}
    settings.checked(common)
    if isinstance(common.get("weights"), str | os.PathLike):
        common["weights"] = os.path.abspath(common["weights"])
    batch = secrets.token_hex(8)
    tasks = [
        Task(
            recording,
            str(Path(out, recording.name).absolute()),
            {**common, **recording.options},
            batch,
            after=after,
            resume=resume,
        )
        for recording in found
    ]
    for task in tasks:
        settings.checked(task.options)
    return tasks


def _found(recordings: Recordings) -> list[Recording]:
    several = [recordings] if isinstance(recordings, str | os.PathLike) else list(recordings)
    if len(several) == 1 and not isinstance(several[0], Recording) and Path(several[0]).suffix.lower() in MANIFESTS:
        return read_manifest(os.fspath(several[0]))
    found: list[Recording] = []
    places: list[Place] = []  # folders and files together, as their names depend on each other
    for item in several:
        if isinstance(item, Recording):
            found.append(item)
        else:
            places.append(item)
    found += found_in(places)
    if not found:
        raise InputError("there are no recordings", hint="a manifest, or folders")
    return found


def before(tasks: Sequence[Task], *, skip_done: bool, overwrite: bool) -> dict[int, Outcome]:
    """The recordings, by position, that are not to be separated: they are done, or their folder is in the way.

    Raises
    ------
    InputError
        There are results, and it was not said what to do about them.
    """
    outcomes: dict[int, Outcome] = {}
    for k, task in enumerate(tasks):
        folder = Path(task.folder)
        taken = one.occupied(folder)
        if not taken or (overwrite and not skip_done):
            continue
        if not skip_done:
            raise InputError(
                f"{folder / taken} already exists", "bss replaces files only on request",
                "--skip-done to do what is left, --overwrite to replace it (in Python skip_done=True, overwrite=True), or another"
                " output",
            )  # fmt: skip
        found, why = one.already(task)
        if found is not None:
            outcomes[k] = Outcome(task.recording.name, SKIPPED, folder, found)
        elif not overwrite:
            hint = "--overwrite, with --skip-done, makes it anew (in Python overwrite=True)"
            failure = Failure(f"{folder / taken} already exists", why or "it is of an unfinished run, or another program", hint)
            outcomes[k] = Outcome(task.recording.name, FAILED, folder, None, failure)
    return outcomes


def _locally(tasks: Sequence[Task], shares: Shares) -> Generator[tuple[int, Any], None, None]:
    if not tasks:
        return
    # the output is checked once, here, so that a disk that cannot be written to is one error
    for folder in {Path(task.folder).parent for task in tasks}:
        with output_folder(folder, []):
            pass
    mine = [Task(t.recording, t.folder, t.options, t.run, shares.bytes, t.resume, t.after) for t in tasks]
    try:
        yield from processes.each(one.separate, mine, jobs=shares.jobs, threads=shares.threads)
    finally:
        for task in tasks:  # only where a worker had to be killed is something left
            one.sweep(Path(task.folder))


def _outcome(task: Task, answer: Any) -> Outcome:
    folder = Path(task.folder)
    if isinstance(answer, Failure):
        one.sweep(folder)
        return Outcome(task.recording.name, FAILED, folder, None, answer)
    assert isinstance(answer, Separated)
    return Outcome(task.recording.name, DONE, folder, answer.record, None, answer.seconds, answer.notes)


def _tell(on_done: Callable[[Outcome], object] | None, outcome: Outcome) -> None:
    if on_done is not None:
        on_done(outcome)
