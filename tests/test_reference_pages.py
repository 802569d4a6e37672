"""The API reference has a page for every public name, and no other."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections import Counter
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from types import ModuleType

import pytest

import bss
import bss.estimators

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    """The hook of mkdocs."""
    spec = importlib.util.spec_from_file_location("reference_pages", ROOT / "tools/reference_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_has_a_page(pages: ModuleType) -> None:
    doors = ("batch", "estimators")
    names = {*dir(bss), *(f"{door}.{name}" for door in doors for name in dir(getattr(bss, door)))} - {*doors}
    assert pages.public_names().keys() == names


def test_a_page_is_of_that_name(pages: ModuleType) -> None:
    for name, target in pages.public_names().items():
        module, _, attribute = target.rpartition(".")
        shown = getattr(import_module(module), attribute)
        assert shown is attrgetter(name)(bss)
        assert pages.text_of(name, target).startswith(f"::: {target}\n")


def test_the_navigation_lists_every_page_once(pages: ModuleType) -> None:
    listed = [
        page for chapter in pages.navigation() for entries in chapter.values() for entry in entries for page in entry.values()
    ]
    assert Counter(listed) == Counter(pages.page_of(name) for name in pages.public_names())
    (_, rest) = next(iter(pages.navigation()[-1].items()))
    functions = [name for entry in rest for name in entry if name[0].islower()]
    assert functions == [], "a function belongs into a chapter"


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path, pages: ModuleType) -> None:
    for package in ("mkdocs", "mkdocstrings"):
        pytest.importorskip(
            package, reason=f"{package} is NOT installed: that the site builds goes UNTESTED here; see `make docs`"
        )
    program = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {folder.name for folder in (tmp_path / "reference").iterdir()} == pages.public_names().keys()
    text = (tmp_path / "reference/estimators.FastICA/index.html").read_text(encoding="utf-8")
    for word in ("bss.estimators.FastICA", "whiten_solver", "inverse_transform", "Hyvärinen"):
        assert word in text
