"""The floors of docs/design.md compared with the imports of the code, including late ones. As a script it prints them.

The page is the rule: its table gives every folder a floor and lists its modules, another gives packages their homes.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = "docs/design.md"
NAMESPACE = "bss/__init__.py"
DOORS = (NAMESPACE, "bss/batch/__init__.py", "bss/estimators/__init__.py")  # of lazy public names, each with its stub
DYNAMIC = ("import_module", "__import__")


@dataclass(frozen=True)
class Place:
    """A row of the page's table of floors."""

    folder: str
    floor: int
    modules: frozenset[str]
    planned: bool


@dataclass(frozen=True)
class Rules:
    """The rules of the page, and the public names, through which an import could go up unnoticed."""

    places: dict[str, Place]
    homes: dict[str, frozenset[str]]  # package -> folders that may import it
    public: dict[str, str]  # public name -> module it lives in
    upward: frozenset[tuple[str, str]] = frozenset()  # (module, what it imports from above): the exceptions

    def place(self, module: str) -> Place | None:
        """Where `bss.solvers.instantaneous.ica` lives; None if on no floor."""
        parts = module.split(".")
        if parts[0] == "bss_cli":
            return self.places.get("cli")
        ground = self.places["bss"]
        if len(parts) == 2 and parts[1] in ground.modules:
            return ground
        return self.places.get("/".join(parts[:2])) if len(parts) > 1 else None


def table_rows(page: str, first: str) -> Iterator[list[str]]:
    """Cells of each row of the table whose header starts with `first`."""
    wanted = False
    for line in page.splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            wanted = False
        elif cells[0] == first:
            wanted = True
        elif wanted and not set(cells[0]) <= set("-: "):
            yield cells


def ticked(cell: str) -> frozenset[str]:
    """The texts in backticks, folders without their trailing slash."""
    return frozenset(name.rstrip("/") for name in re.findall(r"`([^`]+)`", cell))


def read_rules() -> Rules:
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    places = {}
    for floor, folder, modules, _, state in table_rows(page, "floor"):
        (name,) = ticked(folder)
        places[name] = Place(name, int(floor), ticked(modules), state == "planned")
    homes = {package: ticked(where) for names, where, _ in table_rows(page, "package") for package in ticked(names)}
    stub = ast.parse((ROOT / "bss/__init__.pyi").read_text(encoding="utf-8"))
    lazy = (node for node in stub.body if isinstance(node, ast.ImportFrom))
    # `from . import estimators` makes a module public
    public = {a.asname or a.name: f"bss.{node.module or a.name}" for node in lazy for a in node.names}
    upward = {(low, high) for lower, upper, _ in table_rows(page, "goes up") for low in ticked(lower) for high in ticked(upper)}
    return Rules(places, homes, public, frozenset(upward))


def read_sources() -> dict[str, str]:
    """Path below the root -> source, of every module of bss/ and cli/."""
    paths = [p for top in ("bss", "cli") for p in sorted((ROOT / top).rglob("*.py"))]
    return {p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf-8") for p in paths}


def module_of(path: str) -> str:
    """`cli/mix.py` -> `bss_cli.mix`; `bss/solvers/__init__.py` -> `bss.solvers`."""
    parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
    return ".".join(["bss_cli", *parts[1:]] if parts[0] == "cli" else parts)


def imports(path: str, source: str) -> Iterator[tuple[int, str, str]]:
    """(line, module, name) of every import anywhere in the file; the name is empty for `import module`."""
    package = module_of(path).split(".")
    if not path.endswith("__init__.py"):
        package.pop()
    for node in ast.walk(ast.parse(source, path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in DYNAMIC:
            yield from ((node.lineno, str(a.value), "") for a in node.args[:1] if isinstance(a, ast.Constant))


def resolve(module: str, name: str, known: set[str], rules: Rules) -> str:
    """The module that an import refers to, after resolving lazy public names."""
    if f"{module}.{name}" in known:
        return f"{module}.{name}"
    if module == "bss" and name:
        return "" if name == "__version__" else rules.public.get(name, f"bss.{name}")
    return module


def violations(sources: dict[str, str], rules: Rules) -> list[str]:
    """Every breach of the page's rules, as `path:line: what`."""
    known = {module_of(path) for path in sources}
    breaches = []
    for path, source in sources.items():
        if path.endswith("__init__.py") and path not in DOORS:
            body = ast.parse(source).body
            if len(body) != 1 or ast.get_docstring(ast.parse(source)) is None:
                breaches.append(f"{path}:1: contains more, or less, than a docstring")
        home = None if path in DOORS else rules.place(module_of(path))
        if home is None and path not in DOORS:
            breaches.append(f"{path}:1: is on no floor of {PAGE}")
            continue
        for line, module, name in imports(path, source):
            if (module_of(path), resolve(module, name, known, rules)) in rules.upward:
                continue
            breach = _breach(home, module, name, known, rules)
            if breach:
                breaches.append(f"{path}:{line}: {breach}")
    return breaches


def _breach(home: Place | None, module: str, name: str, known: set[str], rules: Rules) -> str:
    """What is wrong with one import from `home`, None being that of a namespace; empty if nothing is."""
    top = module.split(".")[0]
    if home is None:
        return "" if top == "lazy_loader" else f"the public namespace imports {module}; it may import only lazy_loader"
    if top in rules.homes and home.folder not in rules.homes[top]:
        return f"imports {top}, whose home is {' '.join(sorted(rules.homes[top]))}"
    if top in ("cli", "tests", "benchmarks", "fixtures"):
        return f"imports {top}, which is not installed under that name"
    if top not in ("bss", "bss_cli"):
        return ""
    if module == "bss" and not name:
        return "" if home.folder == "cli" else "imports the whole public namespace; name the module"
    target = resolve(module, name, known, rules)
    place = rules.place(target) if target else home
    if place is None:
        return f"imports {target}, which is on no floor"
    if place.floor > home.floor:
        return f"floor {home.floor} imports {target} of floor {place.floor}"
    if place.floor == home.floor and place.folder != home.folder:
        return f"{home.folder} imports {target} of the same floor"
    return ""


def table(sources: dict[str, str], rules: Rules) -> str:
    """The floors as the code has them: folder, modules, lines, and the folders it imports."""
    known = {module_of(path) for path in sources}
    lines = [f"{'floor':5} {'folder':18} {'modules':>7} {'lines':>6}  imports"]
    for place in sorted(rules.places.values(), key=lambda p: (-p.floor, p.folder)):
        mine = {p: s for p, s in sources.items() if p != NAMESPACE and rules.place(module_of(p)) == place}
        reached = {
            target.folder
            for path, source in mine.items()
            for _, module, name in imports(path, source)
            if module.split(".")[0] in ("bss", "bss_cli")
            and (target := rules.place(resolve(module, name, known, rules))) not in (None, place)
        }
        size = sum(s.count("\n") for s in mine.values())
        modules = sum(not p.endswith("__init__.py") for p in mine)
        words = "(planned)" if place.planned else " ".join(sorted(reached))
        lines.append(f"{place.floor:5} {place.folder + '/':18} {modules:7} {size:6}  {words}".rstrip())
    return "\n".join(lines)


def circles(sources: dict[str, str], rules: Rules) -> list[list[str]]:
    """Groups of modules that import each other, directly or through others, late imports included; each group sorted."""
    known = {module_of(path) for path in sources if path != NAMESPACE}
    reached = {
        module_of(path): {resolve(module, name, known, rules) for _, module, name in imports(path, source)} & known
        for path, source in sources.items()
        if path != NAMESPACE
    }
    while True:  # the transitive closure
        wider = {module: near.union(*(reached[other] for other in near)) for module, near in reached.items()}
        if wider == reached:
            break
        reached = wider
    groups = {tuple(sorted(o for o in near if module in reached[o])) for module, near in reached.items() if module in near}
    return sorted(map(list, groups))


RULES = read_rules()
SOURCES = read_sources()


def test_imports_go_down_only() -> None:
    assert violations(SOURCES, RULES) == []


@pytest.mark.parametrize(("low", "high"), sorted(RULES.upward))
def test_an_exception_is_needed_and_is_for_one_module(low: str, high: str) -> None:
    path = low.replace(".", "/") + ".py"
    assert [b for b in violations(SOURCES, replace(RULES, upward=frozenset())) if b.startswith(f"{path}:")]
    assert violations({"bss/pipeline/result.py": f"import {high}"}, RULES) != []


KNOWN_CIRCLES: list[list[str]] = []


def test_no_modules_import_each_other() -> None:
    assert circles(SOURCES, RULES) == KNOWN_CIRCLES


CIRCLES = [  # what, sources, the circle
    ("at the top", {"a": "from bss.solvers import b", "b": "from bss.solvers.a import f"}, ["a", "b"]),
    ("late", {"a": "import bss.solvers.b", "b": "def f():\n    from .a import g"}, ["a", "b"]),
    ("for types", {"a": "from . import b", "b": "if TYPE_CHECKING:\n    from bss.solvers.a import f"}, ["a", "b"]),
    ("through a third", {"a": "from . import b", "b": "from . import c", "c": "from . import a"}, ["a", "b", "c"]),
    ("onto itself", {"a": "from bss.solvers.a import f", "b": ""}, ["a"]),
    ("none", {"a": "from . import b, c", "b": "from . import c", "c": "import numpy"}, []),
]


@pytest.mark.parametrize(("sources", "circle"), [c[1:] for c in CIRCLES], ids=[c[0] for c in CIRCLES])
def test_circle_is_caught(sources: dict[str, str], circle: list[str]) -> None:
    files = {f"bss/solvers/{name}.py": source for name, source in sources.items()}
    expected = [[f"bss.solvers.{name}" for name in circle]] if circle else []
    assert circles(files, RULES) == expected


def test_circle_by_a_public_name_is_caught() -> None:
    files = {
        "bss/pipeline/result.py": "from bss import unmix",
        "bss/pipeline/unmix.py": "from bss.pipeline.result import Unmixed",
    }
    assert circles(files, RULES) == [["bss.pipeline.result", "bss.pipeline.unmix"]]


@pytest.mark.parametrize("place", RULES.places.values(), ids=lambda p: p.folder)
def test_page_lists_the_modules_that_exist(place: Place) -> None:
    folder = ROOT / place.folder
    files = folder.glob("*.py" if place.folder == "bss" else "**/*.py")
    there = {f.relative_to(folder).as_posix().removesuffix(".py") for f in files if f.name != "__init__.py"}
    assert there == place.modules
    assert folder.is_dir() != place.planned


def test_page_has_all_floors() -> None:
    assert sorted({p.floor for p in RULES.places.values()}) == list(range(7))
    assert {"numba", "torch", "click"} <= RULES.homes.keys()
    assert RULES.public["unmix"] == "bss.pipeline.unmix"


BREACHES = [  # what, where, source, what the message says
    ("up, at the top", "bss/signals/stft.py", "from bss.solvers.instantaneous import ica", "floor 2 imports bss.solvers"),
    ("up, late", "bss/backends/cpu/backend.py", "def f():\n    import bss.pipeline.unmix", ":2: floor 1 imports bss.pipeline"),
    (
        "up, for types",
        "bss/errors.py",
        "if TYPE_CHECKING:\n    from bss.signals.stft import Stft",
        ":2: floor 0 imports",
    ),
    ("up, relative", "bss/solvers/instantaneous/ica.py", "from ...pipeline import choose", "floor 3 imports bss.pipeline"),
    ("up, dynamic", "bss/metrics/score.py", "import_module('bss.pipeline.unmix')", "floor 3 imports bss.pipeline"),
    ("up, by a public name", "bss/solvers/demixing/iva.py", "from bss import unmix", "floor 3 imports bss.pipeline.unmix"),
    ("the whole namespace", "bss/pipeline/unmix.py", "import bss", "whole public namespace"),
    ("sideways", "bss/scenes/mixing.py", "from bss.metrics.si_sdr import si_sdr", "of the same floor"),
    ("sideways, by a public name", "bss/metrics/score.py", "from bss import whiten", "of the same floor"),
    (
        "the commands",
        "bss/pipeline/unmix.py",
        "from bss_cli.support.common import Output",
        "floor 4 imports bss_cli.support.common",
    ),
    ("the commands by their folder", "cli/mix.py", "from cli.common import Output", "not installed"),
    ("numba away from home", "bss/solvers/instantaneous/ica.py", "def f():\n    from numba import njit", "imports numba"),
    ("torch away from home", "bss/pipeline/planning/choose.py", "import torch.nn.functional as F", "imports torch"),
    ("printing in the library", "bss/pipeline/planning/choose.py", "import rich.console", "imports rich"),
    ("a folder on no floor", "bss/utils/misc.py", "", "is on no floor"),
    ("a module on no floor", "bss/helpers.py", "", "is on no floor"),
    ("an import of nothing", "bss/solvers/instantaneous/ica.py", "from bss.utils import misc", "which is on no floor"),
    (
        "a re-export",
        "bss/solvers/__init__.py",
        '"""Solvers."""\nfrom bss.solvers.instantaneous.ica import fastica',
        "a docstring",
    ),
    ("an empty package file", "bss/solvers/__init__.py", "", "a docstring"),
    ("an eager namespace", "bss/__init__.py", "from bss.solvers.instantaneous.ica import fastica", "only lazy_loader"),
    ("an eager namespace inside", "bss/estimators/__init__.py", "from bss.estimators.ica import FastICA", "only lazy_loader"),
    (
        "scikit-learn away from home",
        "bss/solvers/instantaneous/ica.py",
        "from sklearn.base import BaseEstimator",
        "imports sklearn",
    ),
]


@pytest.mark.parametrize(("path", "source", "said"), [b[1:] for b in BREACHES], ids=[b[0] for b in BREACHES])
def test_breach_is_caught(path: str, source: str, said: str) -> None:
    breaches = violations({path: source}, RULES)
    assert len(breaches) == 1
    assert said in breaches[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "bss/solvers/instantaneous/ica.py",
            "from bss.backends.dispatch import of\nimport bss.errors\nimport numpy as np",
        ),
        ("bss/solvers/demixing/iva.py", "from .contrasts import laplace\nfrom bss.solvers.demixing import updates"),
        ("bss/backends/cpu/backend.py", "import numba\nfrom . import numbers"),
        ("bss/pipeline/result.py", "from bss import __version__\nfrom bss.signals.files import audio"),
        ("cli/mix.py", "import click\nfrom bss_cli.support.common import command\ndef mix():\n    import bss"),
        ("bss/checks.py", "from bss.errors import InputError"),
        ("bss/solvers/__init__.py", '"""Solvers."""'),
    ],
)
def test_what_is_allowed_passes(path: str, source: str) -> None:
    assert violations({path: source}, RULES) == []


if __name__ == "__main__":
    print(table(SOURCES, RULES))
    breaches = violations(SOURCES, RULES)
    print("\n".join(breaches) or f"\n{len(SOURCES)} files, no import goes up, sideways, or away from a package's home.")
    sys.exit(bool(breaches))
