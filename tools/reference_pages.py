"""The pages of the API reference, one for each public name, made from docstrings while mkdocs builds the site.

mkdocs calls `on_config` and `on_files` (`hooks` in mkdocs.yml); pages made here cannot fall behind the names.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parents[1]
NAMESPACES = {"bss": "bss/__init__.pyi", "bss.estimators": "bss/estimators/__init__.pyi", "bss.batch": "bss/batch/__init__.pyi"}
CHAPTERS = {  # of the navigation; what is in none is under "Errors and results"
    "Main job": ("unmix", "unmix_file", "Live", "sync", "denoise", "dereverberate", "load_filters", "read", "write"),
    "Many recordings": (
        "batch.run", "batch.Batch", "batch.Outcome", "batch.Recording", "batch.Input", "batch.read_manifest", "batch.Failure",
    ),
    "Scores": ("score", "score_files", "score_blind", "si_sdr"),
    "Simulation": ("mix", "Scene"),
    "Solvers": (
        "fastica", "infomax", "picard_o", "jade", "auxiva", "overiva", "ilrma", "fdica", "tiss", "cacgmm", "fastmnmf", "wpe",
        "whiten", "projection_back", "minimal_distortion", "Stft",
    ),
    "Estimators": ("estimators.FastICA", "estimators.Infomax", "estimators.PicardO", "estimators.Jade"),
}  # fmt: skip


def public_names() -> dict[str, str]:
    """Every public name without its leading `bss.`, and the module that it lives in; namespaces give the names in them."""
    names = {}
    for namespace, stub in NAMESPACES.items():
        prefix = namespace.removeprefix("bss").removeprefix(".")
        for node in ast.parse((ROOT / stub).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    name = alias.asname or alias.name
                    names[f"{prefix}.{name}" if prefix else name] = f"{namespace}.{node.module}.{alias.name}"
    return names


def page_of(name: str) -> str:
    """The address of a name's page below the documentation's folder."""
    return f"reference/{name}.md"


def text_of(name: str, target: str) -> str:
    """The page: a directive that mkdocstrings replaces by signature and docstring."""
    lines = [f"::: {target}", "    options:", f"      heading: bss.{name}"]
    if name.startswith("estimators."):  # what they share is written once, in their base
        lines.append("      inherited_members: [fit, fit_transform, transform, inverse_transform]")
    return "\n".join(lines) + "\n"


def navigation() -> list[dict[str, list[dict[str, str]]]]:
    """The chapters with their pages; each public name is in one of them."""
    rest = sorted(set(public_names()) - {name for chapter in CHAPTERS.values() for name in chapter})
    chapters = {**CHAPTERS, "Errors and results": tuple(rest)}
    return [{title: [{name: page_of(name)} for name in names]} for title, names in chapters.items()]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the reference at the end of the navigation."""
    config.nav = [*(config.nav or []), {"Reference": navigation()}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    from mkdocs.structure.files import File

    for name, target in public_names().items():
        files.append(File.generated(config, page_of(name), content=text_of(name, target)))
    return files
