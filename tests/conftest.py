"""What several test files need: the repository, its voices, and a small recording as a newcomer would have one."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Throw compiled kernels away that are older than a source: numba looks at the file of a kernel, not at what it calls."""
    compiled_from = [ROOT / "bss" / "backends", ROOT / "bss" / "networks"]
    newest = max(source.stat().st_mtime for folder in compiled_from for source in folder.rglob("*.py"))
    for compiled in (path for folder in compiled_from for path in folder.rglob("*.nb[ic]")):
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
