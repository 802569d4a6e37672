"""Work on local processes: results, failures, workers that die, and the division of the machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import batch_work
import pytest

from bss.batch.workers import processes, shares
from bss.batch.workers.failures import Failure, failure_of
from bss.errors import BssError, UsageError

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals")
GIB = 1 << 30


def all_of(function: Any, items: list[Any], jobs: int = 1) -> list[Any]:
    found = dict(processes.each(function, items, jobs=jobs, threads=1))
    return [found[k] for k in range(len(items))]


def test_items_come_with_their_positions_and_failures_as_values() -> None:
    found = all_of(batch_work.square, [3, -1, 4], jobs=2)
    assert (found[0], found[2]) == (9, 16)
    assert (found[1].what, found[1].why, found[1].hint, found[1].exit_code) == ("-1 is negative", "why", "hint", 3)
    assert found[1].sentence == "-1 is negative: why. Try: hint"


@posix
def test_an_item_whose_worker_dies_is_tried_again(tmp_path: Path) -> None:
    assert all_of(batch_work.die_once, [str(tmp_path)]) == ["alive"]


@posix
def test_an_item_that_always_ends_its_worker_fails_alone() -> None:
    found = all_of(batch_work.die_if_negative, [1, -2, 3])
    assert (found[0], found[2]) == (1, 3)
    assert isinstance(found[1], Failure)
    assert "signal 9, SIGKILL" in found[1].what
    assert found[1].exit_code == 1


def test_threads_of_libraries_are_limited() -> None:
    (found,) = all_of(os.getenv, ["OMP_NUM_THREADS"])
    assert found == "1"


@posix
def test_closing_ends_the_workers_which_clean_up(tmp_path: Path) -> None:
    working = processes.each(batch_work.sleep_in, [str(tmp_path)], jobs=1, threads=1)
    import threading

    def stop_when_begun() -> None:
        while not any(tmp_path.iterdir()):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=stop_when_begun)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        list(working)
    thread.join()
    assert list(tmp_path.iterdir()) == []


@posix
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\nimport batch_work\n"
        "from bss.batch.workers import processes\n"
        f"list(processes.each(batch_work.sleep_in, [{str(tmp_path)!r}], jobs=1, threads=1))"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        while not any(tmp_path.iterdir()):
            time.sleep(0.05)
            assert parent.poll() is None
        parent.kill()
    deadline = time.monotonic() + 30
    while any(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []


def test_a_script_that_begins_again_in_its_workers_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("from bss.batch.workers import processes\nlist(processes.each(abs, [1], jobs=1, threads=1))\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'bss.batch.run below `if __name__ == "__main__":`' in done.stderr


@pytest.mark.parametrize(
    ("error", "what", "code"),
    [
        (UsageError("a", "b", "c"), "a", 2),
        (OSError(28, "No space left", "x.wav"), "x.wav: No space left", 3),
        (MemoryError(), "not enough memory", 1),
        (ZeroDivisionError("zero"), "internal error: ZeroDivisionError: zero", 1),
    ],
)
def test_errors_become_values(error: Exception, what: str, code: int) -> None:
    failure = failure_of(error)
    assert (failure.what, failure.exit_code) == (what, code)
    assert isinstance(error, BssError) or failure.traceback


@pytest.mark.parametrize(
    ("arguments", "jobs", "threads", "size"),
    [
        ({"n_items": 100}, 16, 1, 1 * GIB),  # a quarter of 64 GiB for all together
        ({"n_items": 2}, 2, 8, 4 * GIB),  # 4 GiB at most for each
        ({"n_items": 100, "threads": 8}, 2, 8, 4 * GIB),
        ({"n_items": 100, "jobs": 3}, 3, 5, 4 * GIB),
        ({"n_items": 100, "jobs": 16}, 16, 1, 1 * GIB),
        ({"n_items": 100, "max_memory": "8G"}, 6, 2, 8 * GIB),  # 80 % of 64 GiB
        ({"n_items": 100, "max_memory": "1G"}, 16, 1, 1 * GIB),
    ],
)
def test_the_machine_is_divided(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], jobs: int, threads: int, size: int
) -> None:
    monkeypatch.delenv("BSS_MAX_MEMORY", raising=False)
    monkeypatch.setattr("bss.pipeline.resources.memory.installed", lambda: 64 * GIB)
    monkeypatch.setattr("bss.pipeline.resources.memory.group_limits", list)
    found = shares.divided(**arguments, cores=16)
    assert (found.jobs, found.threads, found.bytes) == (jobs, threads, size)
    assert found.jobs * found.threads <= 16
    assert found.jobs * found.bytes <= 0.8 * 64 * GIB


def test_a_machine_with_little_memory_has_fewer_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bss.pipeline.resources.memory.installed", lambda: 8 * GIB)
    monkeypatch.setattr("bss.pipeline.resources.memory.group_limits", lambda: [round(1.25 * GIB)])
    found = shares.divided(100, cores=16)
    assert (found.jobs, found.threads) == (1, 16)
    assert "control group" in found.notes[0]
    with pytest.raises(UsageError, match=r"4 jobs of 1G each are more than 1G"):
        shares.divided(100, jobs=4, max_memory="1000M", cores=16)


@pytest.mark.parametrize("arguments", [{"jobs": 0}, {"threads": 0}, {"max_memory": "much"}])
def test_invalid_shares_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        shares.divided(3, **arguments)
