"""The modules loaded at start-up, and that names, folders and dependencies match the package's metadata."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import bss
from bss_cli.main import COMMANDS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "numba", "librosa", "matplotlib", "dask", "distributed", "pyroomacoustics"}
NUMERIC = {"numpy", "scipy", "soundfile"}
NAMES = sorted(
    alias.asname or alias.name
    for node in ast.parse((ROOT / "bss/__init__.pyi").read_text(encoding="utf-8")).body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
)
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh Python has loaded after `code`; the output of the code is discarded."""
    report = f"import json, sys\ntry:\n    {code}\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
    report += "print('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_loaded_by_sees_what_is_loaded() -> None:
    assert {"numpy", "json"} <= loaded_by("import numpy")


def test_import_bss_loads_nothing_heavy() -> None:
    assert loaded_by("import bss") & (HEAVY | NUMERIC) == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert loaded_by(f"from bss_cli.main import main; main({arguments})") & (HEAVY | NUMERIC) == set()


@pytest.mark.slow
def test_a_separation_at_another_rate_loads_no_librosa() -> None:
    """It takes longer to import than all else, and is needed to turn autoencoders' spectra into sound alone."""
    made = "x = np.random.default_rng(0).laplace(0, 0.05, (2, 48_000)).astype(np.float32)"
    code = f"import numpy as np, bss; {made}; bss.unmix(x, 48_000, n_sources=2, method='neural')"
    assert loaded_by(code) & {"librosa", "torch", "matplotlib"} == set()


@pytest.mark.parametrize("name", NAMES)
def test_public_name_resolves(name: str) -> None:
    assert getattr(bss, name).__name__.removeprefix("bss.") == name


def test_dir_equals_the_stub() -> None:
    assert sorted(dir(bss)) == NAMES
    assert sorted(bss.__all__) == NAMES


def test_unknown_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="unmixx"):
        bss.unmixx  # type: ignore[attr-defined]  # noqa: B018


def test_packages_listed_are_the_folders() -> None:
    folders = {".".join(p.parent.relative_to(ROOT).parts) for p in (ROOT / "bss").rglob("__init__.py")}
    commands = {".".join(["bss_cli", *p.parent.relative_to(ROOT / "cli").parts]) for p in (ROOT / "cli").rglob("__init__.py")}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == folders | commands
    without = {".".join(p.parent.relative_to(ROOT).parts) for p in (ROOT / "bss").rglob("*.py")} - folders
    assert without == set(), "folders of modules without an __init__.py"


def test_every_import_is_a_declared_dependency() -> None:
    project = PROJECT["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    declared = {re.split(r"[^A-Za-z0-9_-]", line)[0].lower().replace("-", "_") for line in lines}
    declared |= {"sklearn"} if "scikit_learn" in declared else set()  # a package named otherwise than what is imported
    own = {"bss", "bss_cli", "triton", *sys.stdlib_module_names}  # Triton comes with torch's builds for GPUs
    undeclared = {}
    for path in [p for top in ("bss", "cli") for p in (ROOT / top).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            for name in names:
                if name.split(".")[0] not in own | declared:
                    undeclared[f"{path.relative_to(ROOT)}:{node.lineno}"] = name
    assert undeclared == {}


def test_version_is_said_once() -> None:
    assert PROJECT["project"]["version"] == bss.__version__
    assert f"## [{bss.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
