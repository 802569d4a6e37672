"""The kinds of arrays that solvers take: NumPy's and torch's, for tests that hold for each of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from bss.backends import dispatch


@dataclass(frozen=True)
class Kind:
    """NumPy's arrays, or torch's tensors on the processor."""

    name: str

    def array(self, x: Any) -> Any:
        """The values of a NumPy array as one of this kind; what is no array stays what it is."""
        if self.name == "numpy" or not isinstance(x, np.ndarray):
            return x
        import torch

        return torch.as_tensor(np.ascontiguousarray(x))

    def numpy(self, x: Any) -> np.ndarray:
        """The values of an array, which must be of this kind."""
        assert dispatch.is_tensor(x) == (self.name == "torch"), f"{type(x)} is none of {self.name}"
        return np.asarray(x if self.name == "numpy" else x.resolve_conj().numpy())

    def result(self, separation: Any) -> Any:
        """The separation with NumPy's arrays: demixing and sources must be of this kind, and the loss NumPy's."""
        assert isinstance(separation.loss, np.ndarray)
        demixing = separation.demixing if separation.demixing is None else self.numpy(separation.demixing)
        sources = self.numpy(separation.sources)
        given = None if demixing is not None else sources
        found = replace(separation, demixing=demixing, observed=self.numpy(separation.observed), given=given)
        vars(found)["sources"] = sources
        return found


missing = importlib.util.find_spec("torch") is None
of_tensors = pytest.mark.skipif(missing, reason="torch is NOT installed: that solvers take tensors goes UNTESTED")


def of_every_kind(rows: list[Any], tensors: Callable[..., bool]) -> list[Any]:
    """Rows of a table of tests with a kind of array before them; tensors get those rows that `tensors` says.

    Updates, sizes and contrasts in every combination are for NumPy's arrays, which tensors are held against in
    test_backends_agree.
    """
    both = [pytest.param(Kind("numpy"), *row, id="-".join(("numpy", *map(label, row)))) for row in rows]
    of_torch = (pytest.param(Kind("torch"), *row, id="-".join(("torch", *map(label, row))), marks=of_tensors) for row in rows)
    return [*both, *(case for case, row in zip(of_torch, rows, strict=True) if tensors(*row))]


def label(value: Any) -> str:
    """Of a value in the name of a test."""
    return getattr(value, "__name__", str(value))


every_kind = [pytest.param(Kind("numpy"), id="numpy"), pytest.param(Kind("torch"), id="torch", marks=of_tensors)]
