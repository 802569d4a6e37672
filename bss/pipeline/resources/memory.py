"""How much memory a separation may take: what was asked for, or what the machine and its control groups leave."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bss.errors import UsageError

VARIABLE = "BSS_MAX_MEMORY"
OPTION = "--max-memory"
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?", re.IGNORECASE)
SHARE = 0.25  # of the machine, which others use, too
MOST = 4 << 30  # more makes no separation better
OF_GROUP = 0.8  # of the limit of a control group, beyond which the system ends a process: what is read from disk counts there


@dataclass(frozen=True)
class Budget:
    """Bytes that the program may take, and where that comes from, for messages; `note` is a warning."""

    bytes: int
    source: str
    note: str = ""

    @property
    def asked(self) -> bool:
        """Whether it was set by an option."""
        return self.source.startswith(OPTION)


def size_of(text: str, source: str = OPTION) -> int:
    """Bytes in a size such as 2G, 500M or 1.5GiB.

    Raises
    ------
    UsageError
        It is no size.

    Examples
    --------
    >>> size_of("1.5G"), size_of("500MB"), size_of("1000000")
    (1610612736, 524288000, 1000000)
    """
    match = SIZE.fullmatch(text.strip())
    size = 0.0 if match is None else float(match[1]) * UNITS[match[2].upper()]
    if not 0 < size < 1 << 60:
        raise UsageError(f"{source} {text} is not a size", hint=f"{source} 2G, or {source} 500M")
    return round(size)


def written(size: float) -> str:
    """A number of bytes as a size, rounded up.

    Examples
    --------
    >>> written(900 * 2**20), written(1.23 * 2**30)
    ('900M', '1.3G')
    """
    if size < 1000 * UNITS["M"]:
        return f"{-(-int(size) // UNITS['M'])}M"
    return f"{-(-int(10 * size) // UNITS['G']) / 10:g}G"


def budget(asked: str | int | None = None) -> Budget:
    """What was `asked` for, else BSS_MAX_MEMORY, else a quarter of the machine's memory and 4 GiB at most.

    A limit of the control group is respected in any case.

    Raises
    ------
    UsageError
        What was asked for is no size.
    """
    given, source = (asked, OPTION) if asked is not None else (os.environ.get(VARIABLE) or None, VARIABLE)
    most = hard_limit()
    if given is not None:
        size = given if isinstance(given, int) else size_of(given, source)
        if size <= 0:
            raise UsageError(f"max_memory={given} is not a size", hint='bytes, or text such as "2G"')
        if most is not None and size > most:
            note = f"{source} {written(size)} is more than this process may take: {written(most)} are used"
            return Budget(most, f"{source} and the limit of this process", note)
        return Budget(size, f"{source} {given if isinstance(given, str) else written(given)}")
    size = min(MOST, round(SHARE * installed()))
    if most is not None and size > most:
        return Budget(most, "the limit of this process, by its control group or ulimit")
    return Budget(
        size, "a quarter of the memory of this machine" if size < MOST else "4G, the most that is used unless asked for"
    )


def hard_limit() -> int | None:
    """Bytes beyond which the system refuses memory, or ends this process: of its control groups, or set by `ulimit -v`."""
    limits = [round(OF_GROUP * limit) for limit in group_limits()]
    address_space = address_space_left()
    if address_space is not None:
        limits.append(address_space)
    return min(limits, default=None)


def address_space_left(statm: Path = Path("/proc/self/statm")) -> int | None:
    """Bytes that this process may still map; None where there is no limit, or where the system does not tell."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        mapped = int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError, ValueError, AttributeError):
        return None
    return None if limit == resource.RLIM_INFINITY else max(limit - mapped, 1)


def installed() -> int:
    """Bytes of memory of this machine; 8 GiB where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 << 30


def group_limits(groups: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """Bytes that the control groups of this process, and those above them, allow it (Linux; version 1 and 2)."""
    return [limit for file in _limit_files(groups, mount) if (limit := _limit(file)) is not None]


def _limit_files(groups: Path, mount: Path) -> Iterator[Path]:
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            root, name = mount, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = mount / "memory", "memory.limit_in_bytes"
        else:
            continue
        # inside a container the path may be that outside of it, and the limit then stands at the root
        place = root / path.strip("/")
        while True:
            yield place / name
            if place == root:
                break
            place = place.parent


def _limit(file: Path) -> int | None:
    """The limit in a file; None where there is none, which version 1 says with a number that no machine has."""
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() and int(text) < 1 << 60 else None
