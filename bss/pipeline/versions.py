"""The versions of the software that computed a result."""

from __future__ import annotations

import platform
from importlib.metadata import version


def versions() -> dict[str, str]:
    """Versions of bss, Python and the packages that affect results, and the machine type."""
    packages = {name: version(name) for name in ("numpy", "scipy", "numba", "soundfile", "soxr")}
    from bss import __version__

    return {"bss": __version__, "python": platform.python_version(), **packages, "machine": platform.machine()}
