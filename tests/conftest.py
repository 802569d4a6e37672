"""What several test files need: the repository, its voices, and a small recording as a newcomer would have one."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Throw compiled kernels away that are older than a source: numba looks at the file of a kernel, not at what it calls."""
    kernels = ROOT / "bss" / "kernels"
    newest = max(source.stat().st_mtime for source in kernels.glob("*.py"))
    for compiled in (kernels / "__pycache__").glob("*.nb[ic]"):
        if compiled.stat().st_mtime < newest:
            compiled.unlink()


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
