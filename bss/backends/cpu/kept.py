"""Where compiled kernels are kept between runs, and what happens where they cannot be kept, or what was kept is damaged."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import pickle
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

caching: Any = importlib.import_module("numba.core.caching")  # it has types for some of what is used here
HERE = Path(__file__).resolve().parent
HINT = "set NUMBA_CACHE_DIR to a folder that can be written to, and compiled kernels are kept there"
MOST_SECONDS = 120.0  # of waiting for another process that compiles the same
NO_KERNELS = ("kept.py", "compiling.py", "threads.py", "backend.py")  # of the files here
DIGEST = hashlib.sha256().digest_size
listeners: list[Callable[[str], Any]] = []  # called with the name of a kernel that is not on disk, before it is compiled
temporary: list[str] = []  # kernels that are kept where they may vanish, or not at all


@lru_cache(maxsize=1)
def stamp() -> str:
    """A digest of all kernels: numba itself looks at the file of a kernel, and not at those of what it calls."""
    digest = hashlib.sha256()
    files = [HERE.parent / "numeric.py", *sorted(HERE.rglob("*.py")), HERE.parents[1] / "networks/source_model/block.py"]
    for file in (file for file in files if file.name not in NO_KERNELS):
        digest.update(file.read_bytes() if file.exists() else b"")
    return digest.hexdigest()


@lru_cache(maxsize=1)
def temporary_folder() -> str | None:
    """A folder for compiled kernels among the temporary files, if it is ours alone: what others can write is not to be run."""
    owner = os.getuid() if hasattr(os, "getuid") else ""
    place = os.path.join(tempfile.gettempdir(), f"bss-kernels-{owner}")
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(place, 0o700)
        found = os.lstat(place)
    except OSError:
        return None
    ours = stat.S_ISDIR(found.st_mode) and (owner == "" or (found.st_uid == owner and not found.st_mode & 0o077))
    return place if ours else None


class InTemporaryFolder(caching._SourceFileBackedLocatorMixin, caching._CacheLocator):  # type: ignore[misc]
    """The last place of all."""

    def __init__(self, py_func: Any, py_file: str) -> None:
        self._py_file, self._lineno = py_file, py_func.__code__.co_firstlineno

    def get_cache_path(self) -> str:
        folder = temporary_folder()
        if folder is None:
            raise OSError("there is no temporary folder")
        return os.path.join(folder, self.get_suitable_cache_subpath(self._py_file))


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """Within it, other processes that want this lock wait; not where files cannot be locked, as on Windows."""
    try:
        fcntl: Any = importlib.import_module("fcntl")
        file = open(path, "w")  # noqa: SIM115 - it is closed below
    except (ImportError, OSError):
        yield
        return
    with file:
        _wait_for(lambda: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB))
        yield


def _wait_for(lock: Callable[[], Any]) -> None:
    """Try until the lock is there, and no longer than compiling can take: who holds it may be stopped, or stuck."""
    end = time.monotonic() + MOST_SECONDS
    while time.monotonic() < end:
        try:
            lock()
            return
        except BlockingIOError:
            time.sleep(0.05)
        except OSError:  # files cannot be locked here
            return


class Files(caching.IndexDataCacheFile):  # type: ignore[misc]
    """The files of one kernel, with a checksum: compiled code that a full disk or a crash has cut short must not be run."""

    def save(self, key: Any, data: Any) -> None:
        """Files get their names from an index that is read first: of two processes, each might overwrite the other's."""
        with locked(f"{self._index_path}.lock"):
            super().save(key, data)

    def _save_data(self, name: str, data: Any) -> None:
        dumped = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(hashlib.sha256(dumped).digest() + dumped)

    def _load_data(self, name: str) -> Any:
        data = Path(self._data_path(name)).read_bytes()
        if hashlib.sha256(data[DIGEST:]).digest() != data[:DIGEST]:
            raise pickle.UnpicklingError(f"{name} is damaged")
        return pickle.loads(data[DIGEST:])

    def throw_away(self) -> None:
        """Remove the index, which names all the rest."""
        with contextlib.suppress(OSError):
            os.unlink(self._index_path)


class Implementation(caching.CompileResultCacheImpl):  # type: ignore[misc]
    """numba's, with one place more."""

    _locator_classes = [*caching.CompileResultCacheImpl._locator_classes, InTemporaryFolder]  # noqa: RUF012 - as numba has it


class Kept(caching.FunctionCache):  # type: ignore[misc]
    """The cache of one kernel. If its files are damaged it compiles anew; of two processes one compiles, and the other waits."""

    _impl_class = Implementation

    def __init__(self, py_func: Any) -> None:
        super().__init__(py_func)
        if isinstance(self._impl.locator, InTemporaryFolder):
            temporary.append(py_func.__name__)
        self._files = self._cache_file = Files(self._cache_path, self._impl.filename_base, stamp())
        self._lock: contextlib.ExitStack | None = None

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        self._unlock()  # of a compilation that was interrupted
        found = self._load(sig, target_context)
        if found is None:
            self._lock = self._locked(sig)
            found = self._load(sig, target_context)  # another process may have compiled it meanwhile
        if found is not None:
            self._unlock()
            return found
        for listener in listeners:
            listener(self._py_func.__name__)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError:  # a full disk, or a limit: it runs all the same, and is compiled again next time
            if self._py_func.__name__ not in temporary:
                temporary.append(self._py_func.__name__)
        finally:
            self._unlock()

    def _load(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001 - pickle, numba and LLVM fail in many ways on files that are damaged: compiled anew
            self._files.throw_away()
            return None

    def _locked(self, sig: Any) -> contextlib.ExitStack:
        name = hashlib.sha256(str(sig).encode()).hexdigest()[:16]
        stack = contextlib.ExitStack()
        stack.enter_context(locked(os.path.join(self._cache_path, f"{self._impl.filename_base}.{name}.lock")))
        return stack

    def _unlock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()


class Unkept(caching.NullCache):  # type: ignore[misc]
    """The cache of a kernel that cannot be kept."""

    def __init__(self, name: str) -> None:
        self._name = name
        temporary.append(name)

    def load_overload(self, sig: Any, target_context: Any) -> None:
        for listener in listeners:
            listener(self._name)


def keep(kernel: Any) -> None:
    """Keep what `kernel` compiles to between runs, if there is any place for it."""
    try:
        kernel._cache = Kept(kernel.py_func)
    except (RuntimeError, OSError):  # numba finds no place at all: it is compiled in every run
        kernel._cache = Unkept(kernel.py_func.__name__)
