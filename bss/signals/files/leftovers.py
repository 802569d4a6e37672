"""Files that are being written, and what is left of them where a program was killed: who writes stands in their names."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

NAME = re.compile(r"\.bss-([0-9a-f]{12})-(\d{1,10})-[0-9a-f]{16}\.part")


@lru_cache(maxsize=1)
def here() -> str:
    """A name for all processes that this one can see: the machine, since it was started, and the container."""
    words = [platform.node()]
    for place, read in (("/proc/sys/kernel/random/boot_id", Path.read_text), ("/proc/self/ns/pid", os.readlink)):
        with suppress(OSError):
            words.append(str(read(Path(place))))
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]


def temporary_name() -> str:
    """The name of a new file that this process is about to write."""
    return f".bss-{here()}-{os.getpid()}-{secrets.token_hex(8)}.part"


def remove(folders: Iterable[Path]) -> None:
    """Remove what processes have left in these folders that are certainly gone, and say so."""
    for folder in folders:
        gone = [file for file in folder.glob(".bss-*.part") if _is_of_the_dead(file.name)]
        for file in gone:
            with suppress(OSError):
                file.unlink()
        if gone:
            what = "an unfinished file" if len(gone) == 1 else f"{len(gone)} unfinished files"
            logging.getLogger("bss").warning("removed %s from %s, left by a run that was killed", what, folder)


def _is_of_the_dead(name: str) -> bool:
    """Whether a file of this name is of a process of this machine and container that does not run any more."""
    match = NAME.fullmatch(name)
    if match is None or os.name != "posix" or match[1] != here():
        return False
    try:
        os.kill(int(match[2]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # it is somebody else's, and runs
        return False
    return False
