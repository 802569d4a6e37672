"""Where a separation computes: on the processor with NumPy's arrays, or on a GPU with tensors.

Spectra go to the device when a solver begins, and what it learned of them, the demixing, comes back once. Nothing here loads
torch unless a GPU was asked for, or is likely to be there and worth it.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from bss.backends import dispatch
from bss.backends.operations import Array
from bss.errors import BssError, UsageError, check_choice
from bss.solvers.result import Separation

NAMES = ("auto", "cpu", "cuda", "mps")
CPU = "cpu"
TENSORS = "tensors"  # on the processor: what tests take for a GPU
# The solvers of `auto` take some 0.03 s on two cores for a second of a microphone; loading torch takes 2 s, and starting CUDA
# about 3 s more. A GPU is taken where the processor would need twice these 5 s. An estimate: there was no GPU to measure on.
PAYS_SECONDS = 360.0
DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # NVIDIA's, Windows' for Linux, AMD's


class DeviceFull(BssError):
    """The memory of the device did not suffice."""

    exit_code = 1


def check(name: str) -> str:
    """The name of a device, "cuda" being "cuda:0"; "auto" and "cpu" are always there.

    Raises
    ------
    UsageError
        There is no such device.
    """
    if not (isinstance(name, str) and re.fullmatch(r"cuda:\d+", name)):
        check_choice("device", name, NAMES)
    if name in ("auto", CPU):
        return name
    if importlib.util.find_spec("torch") is None:
        raise UsageError(f"the device {name} needs torch, which is not installed", "", "pip install torch, or the device cpu")
    from bss.backends.torch import devices

    there, wanted = devices.present(), "cuda:0" if name == "cuda" else name
    if wanted not in there:
        found = ", ".join(("cpu", *map(devices.called, there)))
        raise UsageError(f"the device {name} is not there", f"torch {devices.versions()['torch']} finds: {found}", "cpu, or auto")
    return wanted


def choose(requested: str, microphone_seconds: float) -> str:
    """The device for a recording: the requested one, or CUDA where there is one and the recording is long enough to pay."""
    if requested != "auto":
        return check(requested)
    if microphone_seconds < PAYS_SECONDS or not _driver() or importlib.util.find_spec("torch") is None:
        return CPU
    from bss.backends.torch import devices

    return next((name for name in devices.present() if name.startswith("cuda")), CPU)


def _driver() -> bool:
    """Whether a driver of a GPU that torch calls CUDA is likely to be there; cheaper to ask than torch."""
    return os.name == "nt" or any(os.path.exists(path) for path in DRIVERS)


def called(device: str) -> str:
    """The device as it stands in result.json."""
    if device in (CPU, TENSORS):
        return CPU
    from bss.backends.torch import devices

    return devices.called(device)


def versions(device: str) -> dict[str, str]:
    """Of what computes on the device, beside the versions of every result."""
    if device == CPU:
        return {}
    from bss.backends.torch import devices

    return devices.versions()


def solve(device: str, X: np.ndarray, solver: Callable[[Any], Separation]) -> Separation:
    """What a solver finds of X (F, M, T) or (M, n) on a device, with NumPy's arrays.

    Raises
    ------
    DeviceFull
        The memory of the device does not suffice.
    """
    if device == CPU:
        return solver(X)
    with memory(device):
        return at_home(solver(on(device, X)), X)


def on(device: str, X: np.ndarray) -> Array:
    """The array where a solver of the device wants it."""
    if device == CPU:
        return X
    from bss.backends.torch import devices

    tensor: Any = devices.tensor(X, CPU if device == TENSORS else device)
    return tensor  # type: ignore[no-any-return]


def torch_name(device: str) -> str | None:
    """What torch calls a device that it computes on; None of the one that NumPy's arrays are on."""
    return None if device == CPU else CPU if device == TENSORS else device


@contextmanager
def memory(device: str) -> Iterator[None]:
    """Within it, an error that says that the memory of the device is full is a DeviceFull."""
    try:
        yield
    except Exception as error:
        if device == CPU:
            raise
        from bss.backends.torch import devices

        if not devices.is_full(error):
            raise
        devices.release()
        raise DeviceFull(f"the memory of {called(device)} is full", str(error).partition("\n")[0], "the device cpu") from error


def smaller_pieces() -> AbstractContextManager[None]:
    """Within it, solvers on a device make smaller temporaries."""
    from bss.backends.torch import pieces

    return pieces.smaller_pieces()


def at_home(separation: Separation, X: np.ndarray) -> Separation:
    """The separation of X with NumPy's arrays."""
    backend = dispatch.of(separation.observed)
    demixing, given = (None if v is None else backend.host(v) for v in (separation.demixing, separation.given))
    found = replace(separation, demixing=demixing, observed=X, given=given)
    if "mixing" in vars(separation):
        vars(found)["mixing"] = backend.host(separation.mixing)
    return found


def beside(separation: Separation, X: Array) -> Separation:
    """The separation with its arrays where X, what it was learned from, is now."""
    if separation.observed is X or not dispatch.is_tensor(X):
        return separation
    return replace(separation, demixing=dispatch.of(X).array(separation.demixing, like=X), observed=X)
