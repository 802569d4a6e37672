"""What several test files need: the repository, its voices, and a small recording as a newcomer would have one."""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Before anything loads NumPy or torch, here and in what the tests start. Threads that wait by spinning take the processors from
# other workers: the trainings of small networks take six times the work with two threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure(config: pytest.Config) -> None:
    """Workers of pytest-xdist share the compiled kernels."""
    if hasattr(config, "workerinput"):
        compile_each_kernel_once()


def compile_each_kernel_once() -> None:
    """While one process compiles a kernel, others wait, and then find it on disk.

    numba's index of a kernel has no place for two writers, who might each give the same file name to another signature.
    """
    fcntl = pytest.importorskip("fcntl", reason="only POSIX locks files so: run the tests without -n")
    from numba.core.caching import NullCache
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.dispatcher import Dispatcher

    compiled = Dispatcher.compile

    @functools.wraps(compiled)
    def compile_or_wait(kernel: Any, signature: Any) -> Any:
        if isinstance(kernel._cache, NullCache):  # a part of the kernel that calls it
            return compiled(kernel, signature)
        beside = Path(kernel._cache.cache_path, f"{kernel.py_func.__module__}.{kernel.py_func.__qualname__}.lock")
        with global_compiler_lock, beside.open("w") as lock:  # always in this order, as threads compile too
            fcntl.flock(lock, fcntl.LOCK_EX)
            return compiled(kernel, signature)

    Dispatcher.compile = compile_or_wait


def pytest_sessionstart(session: pytest.Session) -> None:
    """Throw compiled kernels away that are older than a source: numba looks at the file of a kernel, not at what it calls."""
    if hasattr(session.config, "workerinput"):  # the process that starts the workers has done it
        return
    compiled_from = [ROOT / "bss" / "backends", ROOT / "bss" / "networks"]
    newest = max(source.stat().st_mtime for folder in compiled_from for source in folder.rglob("*.py"))
    for compiled in (path for folder in compiled_from for path in folder.rglob("*.nb[ic]")):
        if compiled.stat().st_mtime < newest:
            compiled.unlink()


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need a program skip without it; they are among those that `-m programs` runs once more where it is there."""
    for item in items:
        for marker in item.iter_markers("needs"):
            (program,) = marker.args
            item.add_marker(pytest.mark.programs)
            if shutil.which(program) is None:
                item.add_marker(pytest.mark.skip(f"{program} is NOT installed: what bss does with it goes UNTESTED"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def voice_files() -> list[Path]:
    """The fixture voices in order."""
    files = sorted((ROOT / "fixtures/voices").glob("*.flac"))
    assert len(files) >= 6, "fixtures/voices holds six voices or more"
    return files
