"""What several test files need: the repository, its voices, and a small recording as a newcomer would have one."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from array_kinds import Kind, every_kind

ROOT = Path(__file__).resolve().parents[1]
# Before anything loads NumPy or torch, here and in what the tests start. Threads that wait by spinning take the processors from
# other workers: the trainings of small networks take six times the work with two threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What takes long, begun first, so that no worker ends long after the others. Files of one line compile the same kernels, and
# go to one worker, as two would wait for each other.
LONG = (
    ("test_kernels", "test_iva", "test_iva_inputs", "test_known_variances"),
    ("test_notebooks",),
    ("test_fdica", "test_tiss", "test_mnmf"),
    ("test_autoencoders",),
    ("test_train_command",),
    ("test_source_model",),
)


def pytest_configure(config: pytest.Config) -> None:
    """Workers of pytest-xdist share the compiled kernels."""
    if hasattr(config, "workerinput"):
        compile_each_kernel_once()


def compile_each_kernel_once() -> None:
    """While one process compiles a kernel for some types, others that want the same wait, and then find it on disk."""
    try:
        import fcntl
    except ImportError as error:
        raise pytest.UsageError("workers lock the kernels' files as only POSIX can: run the tests without -n") from error
    from numba.core.caching import IndexDataCacheFile, NullCache
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.dispatcher import Dispatcher

    compiled, saved = Dispatcher.compile, IndexDataCacheFile.save

    def locked(path: Path, call: Callable[..., Any], *arguments: Any) -> Any:
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return call(*arguments)

    def compile_or_wait(kernel: Any, types: Any) -> Any:
        if isinstance(kernel._cache, NullCache):  # a part of the kernel that calls it
            return compiled(kernel, types)
        of_types = hashlib.sha256(f"{kernel.py_func.__module__}.{kernel.py_func.__qualname__}{types}".encode()).hexdigest()
        with global_compiler_lock:  # this one first, always: threads compile too
            return locked(Path(kernel._cache.cache_path, f"{of_types[:16]}.lock"), compiled, kernel, types)

    def save(index: Any, key: Any, data: Any) -> None:
        """numba gives files their names by the index that it read, so of two processes each might overwrite the other's."""
        locked(Path(f"{index._index_path}.lock"), saved, index, key, data)

    Dispatcher.compile, IndexDataCacheFile.save = compile_or_wait, save


def pytest_sessionstart(session: pytest.Session) -> None:
    """Throw compiled kernels away that are older than a source: numba looks at the file of a kernel, not at what it calls."""
    if hasattr(session.config, "workerinput"):  # the process that starts the workers has done it
        return
    compiled_from = [ROOT / "bss" / "backends" / "cpu", ROOT / "bss" / "networks"]
    sources = [ROOT / "bss" / "backends" / "numeric.py", *(f for folder in compiled_from for f in folder.rglob("*.py"))]
    newest = max(source.stat().st_mtime for source in sources)
    for compiled in (path for folder in compiled_from for path in folder.rglob("*.nb[ic]")):
        if compiled.stat().st_mtime < newest:
            compiled.unlink()


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses, and before pytest-xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mark_programs(items)
    if hasattr(config, "workerinput"):
        groups = {name: number for number, names in enumerate(LONG) for name in names}
        for item in items:
            item.add_marker(pytest.mark.xdist_group(str(groups.get(item.path.stem, item.path.stem))))
        items.sort(key=lambda item: groups.get(item.path.stem, len(LONG)))


def mark_programs(items: list[pytest.Item]) -> None:
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


@pytest.fixture(params=every_kind)
def kind(request: pytest.FixtureRequest) -> Kind:
    """A kind of array, NumPy's and torch's in turn: `kind.array(x)` makes one, `kind.numpy` and `kind.result` read what comes."""
    return request.param
