"""What workers do in tests: functions that other processes can import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bss.errors import InputError

if TYPE_CHECKING:  # workers begin faster without
    from bss.pipeline.files.unmix_file import UnmixedFiles


def square(x: int) -> int:
    """An item that works, fails, or takes its worker with it."""
    if x < 0:
        raise InputError(f"{x} is negative", "why", "hint")
    return x * x


def die_once(place: str) -> str:
    """Ends its process the first time that it is called with a folder, as the system does when there is no memory left."""
    mark = Path(place, "died")
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def die_if_negative(x: int) -> int:
    """Ends its process whenever it meets a number below zero."""
    if x < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def divided_by(x: int) -> float:
    """Has a fault for zero."""
    return 1 / x


def sleep_in(place: str) -> None:
    """Says which process it is, and sleeps; what it leaves is removed when it is ended."""
    mark = Path(place, str(os.getpid()))
    mark.touch()
    try:
        time.sleep(60)
    finally:
        mark.unlink()


def note(result: UnmixedFiles) -> None:
    """Something more from a result."""
    (result.folder / "note.txt").write_text(f"{len(result.names)} talkers", encoding="utf-8")
