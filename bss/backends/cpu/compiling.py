"""What somebody waits for the first time: the compiler. Its work is kept on disk afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba

from bss.backends.cpu import kept
from bss.errors import UsageError


def compiled(**options: Any) -> Callable[[Any], Any]:
    """`numba.njit` for what Python calls, kept on disk between runs.

    Raises
    ------
    UsageError
        numba is not allowed to compile.
    """
    settings: Any = numba.config
    if settings.DISABLE_JIT:
        raise UsageError(
            "NUMBA_DISABLE_JIT is set",
            "the kernels of bss need numba's compiler; as plain Python a second of sound would take hours",
            "unset NUMBA_DISABLE_JIT",
        )

    def wrap(function: Any) -> Any:
        dispatcher = numba.njit(**options)(function)
        kept.keep(dispatcher)
        return dispatcher

    return wrap


@contextmanager
def heard(listener: Callable[[str], Any]) -> Iterator[None]:
    """Within it, `listener` is called with the name of every kernel that is not on disk, before it compiles."""
    kept.listeners.append(listener)
    try:
        yield
    finally:
        kept.listeners.remove(listener)


@contextmanager
def announced(say: Callable[[], Any]) -> Iterator[None]:
    """Within it, `say` is called once, before the first kernel compiles that is not on disk."""
    said = False

    def once(name: str) -> None:
        nonlocal said
        if not said:
            said = True
            say()

    with heard(once):
        yield


def not_kept() -> str:
    """Why kernels will be compiled again, and what to do about it; empty if they are kept."""
    if not kept.temporary:
        return ""
    folder = kept.temporary_folder()
    where = "cannot be kept" if folder is None else f"are kept in {folder}, as no other place for them can be written to"
    return f"compiled kernels {where}; {kept.HINT}"
