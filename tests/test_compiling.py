"""Somebody who waits for the compiler is told so, once, and nobody else is."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from signals_for_tests import RATE

import bss
from bss.backends.cpu import compiling, kept
from bss.errors import UsageError

KERNEL = """
from bss.backends.cpu.compiling import compiled

@compiled(nogil=True)
def more(x):
    return x + 1
"""


def fresh(tmp_path: Path, name: str) -> Any:
    """A kernel of its own module, which nobody has compiled, with its cache beside it."""
    file = tmp_path / f"{name}.py"
    file.write_text(KERNEL)
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module.more


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches stay beside the modules whatever the environment says."""
    monkeypatch.setattr("numba.core.config.CACHE_DIR", "")


def compiled_names(call: Callable[[], object]) -> list[str]:
    """The kernels that were compiled during the call."""
    names: list[str] = []
    with compiling.heard(names.append):
        call()
    return names


def test_it_is_said_once_and_only_when_something_compiles(tmp_path: Path, beside: None) -> None:
    said: list[str] = []
    with compiling.announced(lambda: said.append("compiling")):
        one, two = fresh(tmp_path, "one"), fresh(tmp_path, "two")
        assert said == []
        assert (one(1), two(1), one(1)) == (2, 2, 2)
        assert said == ["compiling"]
    with compiling.announced(lambda: said.append("again")):
        assert one(1) == 2
    assert fresh(tmp_path, "three")(1) == 2
    assert said == ["compiling"]


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "index cut", "index of what"])
def test_damaged_files_are_compiled_anew(tmp_path: Path, beside: None, damage: str) -> None:
    name = f"damaged_{damage.replace(' ', '_')}"
    assert compiled_names(lambda: fresh(tmp_path, name)(1)) == ["more"]
    assert compiled_names(lambda: fresh(tmp_path, name)(1)) == []
    (file,) = (tmp_path / "__pycache__").glob("*.nbi" if "index" in damage else "*.nbc")
    data = file.read_bytes()
    half = len(data) // 2
    wrong = {"empty": b"", "flipped": data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :], "index of what": b"not this"}
    file.write_bytes(wrong.get(damage, data[:half]))
    assert compiled_names(lambda: fresh(tmp_path, name)(1)) == ["more"]
    assert compiled_names(lambda: fresh(tmp_path, name)(1)) == []


def test_a_change_of_what_a_kernel_calls_is_noticed(tmp_path: Path, beside: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiled_names(lambda: fresh(tmp_path, "changed")(1)) == ["more"]
    monkeypatch.setattr(kept, "stamp", lambda: "other sources")
    assert compiled_names(lambda: fresh(tmp_path, "changed")(1)) == ["more"]


def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of numba's own places can be written to."""
    monkeypatch.setattr(kept.Implementation, "_locator_classes", [kept.InTemporaryFolder])
    monkeypatch.setattr(kept, "temporary", [])
    kept.temporary_folder.cache_clear()


def test_without_a_place_they_are_kept_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere(monkeypatch)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert compiled_names(lambda: fresh(tmp_path, "homeless")(1)) == ["more"]
    assert compiled_names(lambda: fresh(tmp_path, "homeless")(1)) == []
    assert "NUMBA_CACHE_DIR" in compiling.not_kept()
    kept.temporary_folder.cache_clear()


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_a_temporary_folder_that_others_can_write_to_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere(monkeypatch)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    open_to_all = tmp_path / f"bss-kernels-{os.getuid()}"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    assert compiled_names(lambda: fresh(tmp_path, "exposed")(1)) == ["more"]
    assert list(open_to_all.iterdir()) == []
    assert "cannot be kept" in compiling.not_kept()
    kept.temporary_folder.cache_clear()


def test_a_full_disk_only_costs_the_next_compilation(tmp_path: Path, beside: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "temporary", [])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept.Files, "_save_data", full)
    assert fresh(tmp_path, "full")(1) == 2
    assert compiling.not_kept()


def test_who_forbids_the_compiler_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("numba.core.config.DISABLE_JIT", 1)
    with pytest.raises(UsageError, match="NUMBA_DISABLE_JIT is set"):
        fresh(tmp_path, "forbidden")


@pytest.mark.slow
def test_the_first_command_says_it_and_the_second_does_not(tmp_path: Path) -> None:
    x = np.random.default_rng(0).laplace(size=(2, 4 * RATE)).astype(np.float32)  # fewer samples need no kernels
    bss.write(tmp_path / "desk.wav", 0.1 * np.array([[1, 0.5], [0.4, 1]], np.float32) @ x, RATE)
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    words = ["unmix", "desk.wav", "--overwrite", "--method", "fastica", "--sources", "2"]  # with few kernels
    command = [sys.executable, "-c", "from bss_cli.main import main; main()", *words]
    first, second = (subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stderr.count("compiling") == 1
    assert "compiling" not in second.stderr


def test_a_lock_that_nobody_gives_back_is_waited_for_and_no_longer(
    tmp_path: Path, beside: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(kept, "MOST_SECONDS", 0.2)
    held: list[Any] = []
    lock = kept.Kept._locked

    def taken(cache: Any, sig: Any) -> Any:
        with lock(cache, sig):
            (path,) = (tmp_path / "__pycache__").glob("*.lock")
        held.append(path.open("w"))
        fcntl.flock(held[-1], fcntl.LOCK_EX)
        return lock(cache, sig)

    monkeypatch.setattr(kept.Kept, "_locked", taken)
    assert compiled_names(lambda: fresh(tmp_path, "held")(1)) == ["more"]
    for file in held:
        file.close()
