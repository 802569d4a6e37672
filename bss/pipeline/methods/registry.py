"""The methods by name. Importing this module loads no solver, so that the command line can list the names quickly."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from bss.errors import check_choice

if TYPE_CHECKING:
    from bss.pipeline.methods.shared.base import Method

# name: module in this folder, and the value in it
_PLACES = {
    "fastica": ("instantaneous", "FASTICA"),
    "infomax": ("instantaneous", "INFOMAX"),
    "picard-o": ("instantaneous", "PICARD_O"),
    "jade": ("instantaneous", "JADE"),
    "auxiva": ("auxiva", "AUXIVA"),
    "fdica": ("fdica", "FDICA"),
    "ilrma": ("ilrma", "ILRMA"),
    "neural": ("moving_talkers.moving", "NEURAL"),
    "fastmnmf": ("fastmnmf", "FASTMNMF"),
    "cacgmm": ("cacgmm", "CACGMM"),
}
NAMES = ("auto", *_PLACES)


def by_name(name: str) -> Method:
    """The method of that name.

    Raises
    ------
    UsageError
        There is no such method.
    """
    module, value = _PLACES[check_choice("method", name, tuple(_PLACES))]
    method: Method = getattr(import_module(f"bss.pipeline.methods.{module}"), value)
    return method


def resolve(method: str | Method) -> Method:
    """The method of that name, or the method itself."""
    return by_name(method) if isinstance(method, str) else method
