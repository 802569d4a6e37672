"""What computed a result: versions that a repeat may depend on."""

from __future__ import annotations

import platform
from importlib.metadata import version


def versions() -> dict[str, str]:
    """Versions of bss, Python and the packages whose numbers end up in a result, and the machine's kind."""
    packages = {name: version(name) for name in ("numpy", "scipy", "soundfile", "librosa")}
    from bss import __version__

    return {"bss": __version__, "python": platform.python_version(), **packages, "machine": platform.machine()}
