"""Batches on a Dask cluster: one in this program, and one of programs of their own, of which a worker is killed."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import batch_work
import pytest
from recordings import BSS, desk, run, save, save_each

import bss
from bss.batch.workers import cluster

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("distributed") is None, reason="distributed is NOT installed: clusters go UNTESTED"
    ),
    # of Dask and tornado, when a cluster ends
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
OPTIONS = {"method": "fastica", "n_sources": 2}
HERE = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    for k in range(8):
        save_each(tmp_path / f"all/r{k}", desk(2, 1.0, seed=k % 2).mixture)
    save(tmp_path / "all/mono/x.wav", desk(2, 1.0).mixture[:1])
    return tmp_path / "all"


def free_port() -> int:
    with contextlib.closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def answers(port: int) -> bool:
    with contextlib.closing(socket.socket()) as found:
        return found.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextlib.contextmanager
def programs(n_workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of a scheduler, and its workers: each a program of its own."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    dask = [sys.executable, "-m", "distributed.cli"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": HERE}
    scheduler = [
        *dask[:2],
        "distributed.cli.dask_scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-dashboard",
    ]
    worker = [*dask[:2], "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    started = [subprocess.Popen(scheduler, **quiet)]  # type: ignore[call-overload]
    try:
        started += [subprocess.Popen(worker, **quiet) for _ in range(n_workers)]  # type: ignore[call-overload]
        wait_for(lambda: answers(port))
        yield address, started[1:]
    finally:
        for program in reversed(started):
            program.kill()
            program.wait()


def test_a_local_cluster_does_what_processes_do(recordings: Path, tmp_path: Path) -> None:
    from distributed import Client, LocalCluster

    told: list[str] = []
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True) as local,
        Client(local, set_as_default=False) as client,
    ):
        batch = bss.batch.run(
            [recordings], tmp_path / "out", options=OPTIONS, client=client, on_done=lambda outcome: told.append(outcome.recording)
        )
        again = bss.batch.run([recordings], tmp_path / "out", options=OPTIONS, client=client, skip_done=True)
        (zero,) = (answer for _, answer in cluster.each(client, batch_work.divided_by, [0]))
    assert (len(batch.of("done")), len(batch.of("failed")), batch.exit_code) == (8, 1, 4)
    assert sorted(told) == sorted(outcome.recording for outcome in batch.outcomes)
    assert len(again.of("skipped")) == 8
    assert "ZeroDivisionError" in zero.what
    alone = bss.unmix_file(recordings / "r0", tmp_path / "alone", method="fastica", n_sources=2)
    assert (tmp_path / "out/r0/source1.wav").read_bytes() == (alone.folder / "source1.wav").read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals")
def test_a_worker_that_is_killed_loses_nothing(recordings: Path, tmp_path: Path) -> None:
    words = ["batch", str(recordings), "-o", str(tmp_path / "out"), "--method", "fastica", "--sources", "2", "--json"]
    with programs(2) as (address, workers):
        with subprocess.Popen(
            [*BSS, *words, "--scheduler", address], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=HERE
        ) as process:
            assert process.stderr is not None
            while b"[2/9]" not in (line := process.stderr.readline()):
                assert line, "it ended by itself"
            workers[0].kill()
            said, rest = process.communicate(timeout=120)
        assert process.returncode == 4, rest
    found = json.loads(said)
    assert (found["done"], found["failed"]) == (8, 1)
    assert len(list((tmp_path / "out").glob("*/result.json"))) == 8


def test_a_function_that_ends_every_worker_fails_alone() -> None:
    with programs(5) as (address, _), cluster.connected(address) as client:
        wait_for(lambda: cluster.n_workers(client) == 5)
        found = dict(cluster.each(client, batch_work.die_if_negative, [-1]))
    assert "workers that worked on it died" in found[0].what
    assert found[0].exit_code == 1


def test_no_scheduler_and_no_package(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["batch", recordings, "-o", tmp_path / "out", "--scheduler"]
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    done = run(*words, f"tcp://127.0.0.1:{free_port()}")
    assert done.exit_code == 3
    assert "no Dask scheduler answers at tcp://127.0.0.1" in done.stderr
    assert run(*words, "nonsense").exit_code == 3
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    done = run(*words, "tcp://127.0.0.1:1")
    assert done.exit_code == 2
    assert "pip install 'bss-toolkit[batch]'" in done.stderr
