"""How the program ends: by a signal, or by a fault of its own; and what may be printed on a terminal."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from typing import NoReturn

INTERRUPTED = (129, 130, 143)  # exit codes after SIGHUP, Ctrl-C, SIGTERM


class Terminated(KeyboardInterrupt):
    """The program was told to end, by SIGTERM or SIGHUP: it cleans up as after Ctrl-C."""


def end_on_signals() -> None:
    """From now on SIGTERM and SIGHUP end the program as Ctrl-C does, so that nothing half-done is left."""

    def end(number: int, frame: object) -> None:
        raise Terminated(number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # nohup has told it to go on
            signal.signal(number, end)


def leave(code: int) -> NoReturn:
    """End the program after an interruption, without waiting for threads that are still at work.

    One of them may wait for a lock that the interrupted thread held, that of a compiler, say, and would never end.
    """
    atexit._run_exitfuncs()  # temporary folders are removed there
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more, or it is closed
            stream.flush()
    os._exit(code)


def reports_to() -> str:
    """Where faults are reported: the address in the package's metadata, if there is one."""
    from importlib import metadata

    with contextlib.suppress(metadata.PackageNotFoundError):
        for line in metadata.metadata("bss-toolkit").get_all("Project-URL") or ():
            name, _, address = line.partition(",")
            if name.strip().lower() in ("issues", "bug tracker", "repository", "homepage"):
                return str(address.strip())
    return "the developers of bss"


def printable(text: str) -> str:
    """`text` with control characters shown as what they are: names of files may hold any, and terminals obey them."""
    return "".join(c if c in "\n\t" or ord(c) >= 0xA0 or 0x20 <= ord(c) < 0x7F else f"\\x{ord(c):02x}" for c in text)
