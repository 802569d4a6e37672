"""The public names, pinned: a name that comes or goes changes this list, and every name keeps the house's form."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import re
import typing
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import bss

FUNCTIONS = [
    "auxiva", "cacgmm", "denoise", "dereverberate", "fastica", "fastmnmf", "fdica", "ilrma", "infomax", "jade", "load_filters",
    "minimal_distortion", "mix",
    "overiva", "picard_o", "projection_back", "read",
    "score", "score_blind", "score_files", "si_sdr", "sync", "tiss", "unmix", "unmix_file",
    "whiten", "wpe", "write",
]  # fmt: skip
VALUES = [
    "BlindScores",
    "Dereverberated",
    "Filters",
    "JointSeparation",
    "Scene",
    "ScoredFiles",
    "Scores",
    "Separation",
    "Stft",
    "Unmixed",
    "UnmixedFiles",
    "Whitening",
]
DOORS = {  # names of more names
    "batch": ["Batch", "Failure", "Input", "Outcome", "Recording", "read_manifest", "run"],
    "estimators": ["FastICA", "Infomax", "Jade", "PicardO"],
}
MACHINES = ["Live"]  # with a state: what comes in changes it
ERRORS = ["BssError", "InputError", "SolverError", "UsageError"]
SOLVERS = ["auxiva", "cacgmm", "fastica", "fastmnmf", "fdica", "ilrma", "infomax", "jade", "overiva", "picard_o", "tiss"]
SHAPE = re.compile(r"\(AXIS(?:, ?AXIS)*,?\)".replace("AXIS", r"(?:[FMNTKn]|n_i|1 or F|\.\.\.)"))
ARRAYS = {"mixture"}  # may be left out and is no option all the same: the data of the call


def sections(doc: str) -> set[str]:
    """The numpydoc headings of a docstring."""
    lines = inspect.cleandoc(doc).splitlines()
    return {a for a, b in itertools.pairwise(lines) if b and set(b) == {"-"} and len(b) == len(a)}


def shapeless(doc: str) -> bool:
    """Whether a docstring never says the shape of an array in the house's letters."""
    return SHAPE.search(doc) is None


def loose_options(function: Callable[..., Any]) -> list[str]:
    """Parameters with a default that can be given by position, and the ones that swallow anything."""
    loose = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    swallow = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    parameters = inspect.signature(function).parameters.values()
    options = [p for p in parameters if p.default is not p.empty and p.name not in ARRAYS]
    return [p.name for p in parameters if p.kind in swallow or (p.kind in loose and p in options)]


def test_the_names_are_these() -> None:
    assert sorted(dir(bss)) == sorted(FUNCTIONS + VALUES + MACHINES + ERRORS + [*DOORS])
    for door, names in DOORS.items():
        assert sorted(dir(getattr(bss, door))) == names


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_caught_by_its_name_and_as_any_error_of_bss(name: str) -> None:
    error = getattr(bss, name)
    assert issubclass(error, bss.BssError)
    assert (error.__module__, error.__name__) == ("bss.errors", name)


def test_the_errors_are_those_that_a_call_raises() -> None:
    with pytest.raises(bss.UsageError):
        bss.unmix(np.ones((2, 100), np.float32), 16_000, effort="none")
    with pytest.raises(bss.InputError):
        bss.unmix(np.ones((1, 100), np.float32), 16_000)


@pytest.mark.parametrize("name", FUNCTIONS + VALUES + MACHINES + ERRORS)
def test_docstring_opens_with_one_line(name: str) -> None:
    doc = inspect.getdoc(getattr(bss, name))
    assert doc, f"{name} has no docstring"
    first, *rest = doc.splitlines()
    assert first.endswith((".", ")")), first
    assert not rest or rest[0] == "", "the first line is a sentence of its own"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_documents_shapes_errors_and_an_example(name: str) -> None:
    doc = inspect.getdoc(getattr(bss, name)) or ""
    assert sections(doc) >= {"Parameters", "Returns", "Raises", "Examples"} - ({"Returns"} if name == "write" else set())
    assert ">>>" in doc.split("Examples")[1]
    assert not shapeless(doc)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_parameter_is_documented(name: str) -> None:
    doc = inspect.getdoc(getattr(bss, name)) or ""
    body = doc.split("Parameters\n----------\n")[1].split("\n\n")[0] if "Parameters\n---" in doc else ""
    described = {n.strip() for line in re.findall(r"^(\w[^:\n]*)", body, re.M) for n in line.split(",")}
    assert described == set(inspect.signature(getattr(bss, name)).parameters)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_options_are_keyword_only(name: str) -> None:
    assert loose_options(getattr(bss, name)) == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_is_fully_typed(name: str) -> None:
    function = getattr(bss, name)
    hints = typing.get_type_hints(function)
    assert set(inspect.signature(function).parameters) | {"return"} == set(hints)


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers_share_their_options_and_result(name: str) -> None:
    function = getattr(bss, name)
    assert {"n_sources", "n_iter", "tol", "rng", "callback"} <= set(inspect.signature(function).parameters)
    assert issubclass(typing.get_type_hints(function)["return"], bss.Separation)


@pytest.mark.parametrize("name", VALUES)
def test_values_are_frozen(name: str) -> None:
    cls = getattr(bss, name)
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen  # type: ignore[attr-defined]


def test_the_checks_above_can_fail() -> None:
    def bad(x, n_iter=3, *, tol=0.1, **rest):  # type: ignore[no-untyped-def]
        """Do it

        Parameters: some.
        """

    assert loose_options(bad) == ["n_iter", "rest"]
    assert sections(bad.__doc__ or "") == set()
    assert shapeless(bad.__doc__ or "")
    assert shapeless("an array (rows, columns)")
    assert not shapeless("spectra (F, N, T) of the sources")
    assert not shapeless("signals (n,)")
