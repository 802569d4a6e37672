"""What an iteration on tensors asks of a device: one value, its loss, and no temporary as large as the recording."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from array_kinds import of_tensors
from signals_for_tests import convolutive

import bss
from bss.solvers.demixing import updates
from bss.solvers.demixing.contrasts import Known, Nmf
from bss.solvers.demixing.fdica import BinLaplace
from bss.solvers.mm import majorise_minimise

pytestmark = of_tensors
WAITS = ("_local_scalar_dense", "nonzero", "equal", "is_nonzero", "masked_select")  # the host waits for what these return


class Watch:
    """What operations on tensors did while it was on: how often the host waited, and the bytes of the largest result."""

    def __init__(self) -> None:
        self.waits, self.largest = 0, 0

    def of(self, solve: Callable[[], Any]) -> Watch:
        from torch import Tensor
        from torch.utils._python_dispatch import TorchDispatchMode

        watch = self

        class Mode(TorchDispatchMode):
            def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                result = func(*args, **(kwargs or {}))
                name = func.overloadpacket.__name__
                watch.waits += name in WAITS
                for x in (result,) if isinstance(result, Tensor) else result if isinstance(result, tuple) else ():
                    if isinstance(x, Tensor):
                        watch.largest = max(watch.largest, x.untyped_storage().nbytes())
                return result

        with Mode():
            solve()
        return self


def solvers() -> dict[str, Callable[[Any, int], Any]]:
    """A solver of X and a number of iterations, by name."""
    found: dict[str, Callable[[Any, int], Any]] = {}
    for update in updates.NAMES:
        for n in (2, 3):
            found[f"auxiva-{update}-{n}"] = lambda X, i, u=update, n=n: bss.auxiva(X, n_sources=n, update=u, n_iter=i, tol=0)
    found["bins"] = lambda X, i: majorise_minimise(X, BinLaplace(), updates.ISS, n_iter=i, tol=0)
    found["ilrma"] = lambda X, i: majorise_minimise(X, Nmf(3), updates.ISS, n_iter=i, tol=0)
    found["student-t-nmf"] = lambda X, i: majorise_minimise(X, Nmf(3, dof=9.0), updates.IP, n_iter=i, tol=0)
    found["known"] = lambda X, i: majorise_minimise(X, Known(abs(X) ** 2 + 1), updates.IP, n_iter=i, tol=0)
    found["tiss"] = lambda X, i: bss.tiss(X, n_iter=i, tol=0)
    found["tiss-nmf"] = lambda X, i: bss.tiss(X, contrast="nmf", n_iter=i, tol=0)
    found["fastmnmf"] = lambda X, i: bss.fastmnmf(X, n_sources=2, n_iter=i, tol=0)
    found["cacgmm"] = lambda X, i: bss.cacgmm(X, n_sources=2, n_iter=20 + i, tol=0)
    return found


@pytest.mark.parametrize("name", solvers())
def test_an_iteration_fetches_one_value(name: str) -> None:
    import torch

    solve, X = solvers()[name], torch.as_tensor(convolutive(3, 3, np.complex64)[0])
    few, many = (Watch().of(lambda i=i: solve(X, i)).waits for i in (3, 8))
    assert many - few == 5


@pytest.mark.parametrize("name", solvers())
def test_no_temporary_is_as_large_as_the_recording_once_more(name: str) -> None:
    import torch

    X = torch.as_tensor(convolutive(3, 3, np.complex64, n_frames=12_000)[0])
    assert Watch().of(lambda: solvers()[name](X, 2)).largest <= X.untyped_storage().nbytes()
