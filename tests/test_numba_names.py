"""numba's own names, which it may change without notice: the cache of compiled kernels is made of them."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import numba
import pytest
from numba.core import caching
from test_imports import PROJECT

ROOT = Path(__file__).resolve().parents[1]
NAMES = {
    "_SourceFileBackedLocatorMixin": ("get_source_stamp", "from_function"),
    "_CacheLocator": ("get_cache_path", "get_suitable_cache_subpath", "ensure_cache_path"),
    "IndexDataCacheFile": ("save", "load", "_save_data", "_load_data", "_data_path", "_open_for_write", "_dump"),
    "CompileResultCacheImpl": ("_locator_classes", "locator", "filename_base"),
    "FunctionCache": ("_impl_class", "load_overload", "save_overload"),
    "NullCache": ("load_overload", "save_overload"),
}


@pytest.mark.parametrize("name", NAMES)
def test_numba_has_what_the_cache_is_made_of(name: str) -> None:
    kind: Any = getattr(caching, name)
    assert [own for own in NAMES[name] if not hasattr(kind, own)] == []


def test_all_names_that_are_used_are_listed() -> None:
    tree = ast.parse((ROOT / "bss/backends/cpu/kept.py").read_text(encoding="utf-8"))
    used = {
        node.attr for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "caching"
    }  # fmt: skip
    assert used == set(NAMES)


def test_attributes_that_constructors_set() -> None:
    @numba.njit(cache=True)
    def kernel(x: float) -> float:
        return x

    cache = kernel._cache
    assert isinstance(cache, caching.FunctionCache)
    for name in ("_py_func", "_impl", "_cache_path", "_cache_file"):
        assert hasattr(cache, name), name
    assert hasattr(cache._cache_file, "_index_path")
    assert list(inspect.signature(caching.IndexDataCacheFile).parameters) == ["cache_path", "filename_base", "source_stamp"]


def test_the_version_has_an_upper_bound() -> None:
    (line,) = [line for line in PROJECT["project"]["dependencies"] if line.startswith("numba")]
    most = tuple(int(k) for k in line.split("<")[1].split("."))
    assert tuple(int(k) for k in numba.__version__.split(".")[:2]) < most
