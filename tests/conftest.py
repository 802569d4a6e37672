"""What several test files need: the repository, its voices, and a small recording as a newcomer would have one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from array_kinds import Kind, every_kind

ROOT = Path(__file__).resolve().parents[1]
# Before anything loads NumPy or torch, here and in what the tests start. Threads that wait by spinning take the processors from
# other workers: the trainings of small networks take six times the work with two threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What takes long, begun first, so that no worker ends long after the others. Files of one line compile the same kernels, and
# go to one worker, as two would wait for each other.
LONG = (
    ("test_kernels", "test_iva", "test_iva_inputs", "test_known_variances"),
    ("test_notebooks",),
    ("test_fdica", "test_tiss", "test_mnmf"),
    ("test_autoencoders",),
    ("test_train_command",),
    ("test_source_model",),
)


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses, and before pytest-xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mark_programs(items)
    if hasattr(config, "workerinput"):
        groups = {name: number for number, names in enumerate(LONG) for name in names}
        for item in items:
            item.add_marker(pytest.mark.xdist_group(str(groups.get(item.path.stem, item.path.stem))))
        items.sort(key=lambda item: groups.get(item.path.stem, len(LONG)))


def mark_programs(items: list[pytest.Item]) -> None:
    """Tests that need a program skip without it; they are among those that `-m programs` runs once more where it is there."""
    for item in items:
        for marker in item.iter_markers("needs"):
            (program,) = marker.args
            item.add_marker(pytest.mark.programs)
            if shutil.which(program) is None:
                item.add_marker(pytest.mark.skip(f"{program} is NOT installed: what bss does with it goes UNTESTED"))


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


@pytest.fixture(params=every_kind)
def kind(request: pytest.FixtureRequest) -> Kind:
    """A kind of array, NumPy's and torch's in turn: `kind.array(x)` makes one, `kind.numpy` and `kind.result` read what comes."""
    return request.param
