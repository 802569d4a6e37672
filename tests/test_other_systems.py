"""What Windows and macOS do not have: what bss does without it, tested where it is there."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from bss.backends.cpu import kept
from bss.errors import InputError
from bss.pipeline.resources import memory
from bss.signals.files import leftovers, writing
from bss.signals.files.writing import output_folder
from bss_cli.support import ending


def test_without_sighup_sigterm_ends_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "SIGHUP")
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        ending.end_on_signals()
        with pytest.raises(ending.Terminated):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_without_resource_there_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    assert memory.address_space_left() is None


def test_without_fcntl_nobody_waits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with kept.locked(str(tmp_path / "lock")), kept.locked(str(tmp_path / "lock")):
        assert list(tmp_path.iterdir()) == []


def test_without_owners_kernels_have_a_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(os, "getuid")
    monkeypatch.setattr(kept.tempfile, "gettempdir", lambda: str(tmp_path))
    kept.temporary_folder.cache_clear()
    try:
        assert kept.temporary_folder() == str(tmp_path / "bss-kernels-")
    finally:
        kept.temporary_folder.cache_clear()


def test_where_processes_cannot_be_asked_for_nothing_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    name = leftovers.temporary_name().replace(f"-{os.getpid()}-", "-2147483646-")
    assert leftovers._is_of_the_dead(name)
    monkeypatch.setattr(leftovers.os, "name", "nt")
    assert not leftovers._is_of_the_dead(name)


def test_a_file_that_somebody_has_open_is_not_replaced_on_windows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")

    def refused(source: Path, target: Path) -> None:
        raise PermissionError(13, "The process cannot access the file because it is being used by another process")

    def work() -> None:
        with output_folder(tmp_path, ["a.txt"], overwrite=True) as out:
            out.text("a.txt", "new")
            monkeypatch.setattr(writing.os, "replace", refused)

    with pytest.raises(InputError, match="used by another process"):
        work()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]
