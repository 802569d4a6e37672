"""Where a separation computes: names of devices, the choice, the same tracks from tensors, and a GPU that is full."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from array_kinds import of_tensors
from click.testing import CliRunner
from recordings import RATE, desk, room

import bss
from bss.errors import UsageError
from bss.pipeline.methods import registry
from bss.pipeline.methods.fdica import FDICA
from bss.pipeline.methods.shared.base import Needs
from bss.pipeline.planning.options import UnmixOptions
from bss.pipeline.resources import devices
from bss.solvers.demixing import fdica
from bss_cli.main import cli

THERE = ("cuda:0", "cuda:1")


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with two."""
    from bss.backends.torch import devices as of_torch

    monkeypatch.setattr(of_torch, "present", lambda: THERE)
    monkeypatch.setattr(of_torch, "called", lambda device: f"{device} Some GPU")
    monkeypatch.setattr(devices, "DRIVERS", (os.devnull,))


@pytest.fixture
def tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every separation computes with tensors on the processor."""
    monkeypatch.setattr(devices, "choose", lambda requested, seconds: devices.TENSORS)


# names


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "", "CPU", None, 0, "torch", "tensors"])
def test_what_is_no_name_of_a_device(name: Any) -> None:
    with pytest.raises(UsageError, match=r"device=.* is not known"):
        UnmixOptions(device=name)


@of_tensors
def test_a_device_that_is_absent_is_an_error_that_says_what_is_there(two_gpus: None) -> None:
    with pytest.raises(UsageError, match="the device cuda:7 is not there") as caught:
        UnmixOptions(device="cuda:7")
    assert caught.value.why.endswith("finds: cpu, cuda:0 Some GPU, cuda:1 Some GPU")
    assert [devices.check(name) for name in ("cuda", "cuda:1", "cpu", "auto")] == ["cuda:0", "cuda:1", "cpu", "auto"]


def test_without_torch_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="the device cuda needs torch, which is not installed") as caught:
        UnmixOptions(device="cuda")
    assert caught.value.hint == "pip install torch, or the device cpu"
    assert devices.choose("auto", 1e6) == "cpu"


@of_tensors
def test_the_command_ends_with_2_before_it_reads_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    from bss.backends.torch import devices as of_torch

    monkeypatch.setattr(of_torch, "present", lambda: ())
    done = CliRunner().invoke(cli, ["unmix", "nowhere.wav", "--device", "cuda"])
    assert done.exit_code == 2
    assert "the device cuda is not there" in done.output
    assert "finds: cpu\n" in done.output


# the choice


@of_tensors
def test_auto_takes_cuda_for_what_is_long_enough(two_gpus: None) -> None:
    assert devices.choose("auto", devices.PAYS_SECONDS) == "cuda:0"
    assert devices.choose("auto", devices.PAYS_SECONDS - 1) == "cpu"
    assert devices.choose("cuda:1", 1.0) == "cuda:1"
    assert devices.choose("cpu", 1e6) == "cpu"


def test_who_has_no_gpu_never_loads_torch() -> None:
    code = (
        "import sys; from bss.pipeline.resources import devices; devices.DRIVERS = (); "
        "assert devices.choose('auto', 1e6) == devices.choose('cpu', 1e6) == 'cpu'; assert devices.versions('cpu') == {}; "
        "import numpy, bss; bss.auxiva(numpy.ones((3, 1, 9), complex)); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


# tensors


@of_tensors
@pytest.mark.parametrize("name", [name for name in registry.NAMES[1:] if registry.by_name(name).needs.tensors])
def test_tensors_have_the_same_tracks(name: str, tensors: None, monkeypatch: pytest.MonkeyPatch) -> None:
    x = (desk(2, 3.0) if registry.by_name(name).needs.delay_free else room(2, 3.0, rt60=0.15, seed=1)).mixture
    got = bss.unmix(x, RATE, n_sources=2, method=name)
    assert got.record.device == "cpu"
    assert "torch" in got.record.versions
    monkeypatch.undo()
    want = bss.unmix(x, RATE, n_sources=2, method=name)
    assert "torch" not in want.record.versions
    assert got.method == want.method
    assert min(float(bss.si_sdr(a, b)) for a, b in zip(want.sources, got.sources, strict=True)) > 40
    assert got.filters.apply(x).dtype == np.float32


@of_tensors
def test_a_method_without_tensors_computes_on_the_processor(two_gpus: None) -> None:
    x = room(2, 2.0).mixture
    own = replace(FDICA, name="own", needs=Needs())
    got = bss.unmix(x, RATE, method=own, device="cuda")
    assert got.record.device == "cpu"
    assert "the method own computes on the processor, so cuda:0 was not used" in got.warnings


# a GPU that is full


@of_tensors
@pytest.mark.parametrize(
    "said", ["CUDA out of memory. Tried to allocate 9 GiB", "MPS backend out of memory", "CUBLAS_STATUS_ALLOC_FAILED"]
)
def test_a_gpu_that_is_full_leaves_it_to_the_processor(said: str, tensors: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    solver = fdica.fdica

    def full(X: Any, **options: Any) -> Any:
        if isinstance(X, torch.Tensor):
            raise torch.OutOfMemoryError(said) if "CUDA" in said else RuntimeError(said)
        return solver(X, **options)

    monkeypatch.setattr(fdica, "fdica", full)
    x = room(2, 2.0).mixture
    got = bss.unmix(x, RATE, n_sources=2, method="fdica")
    assert got.record.device == "cpu"
    assert "the memory of cpu is full, so the processor separated the recording instead" in got.warnings
    monkeypatch.undo()
    np.testing.assert_array_equal(got.sources, bss.unmix(x, RATE, n_sources=2, method="fdica").sources)


@of_tensors
def test_a_gpu_that_is_nearly_full_takes_smaller_pieces(tensors: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from bss.backends.torch.pieces import PIECE_BYTES, SMALLER, piece_bytes

    solver, whole = fdica.fdica, PIECE_BYTES["cpu"]

    def full(X: Any, **options: Any) -> Any:
        if piece_bytes(X.device) > whole // SMALLER:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return solver(X, **options)

    x = room(2, 2.0).mixture
    expected = bss.unmix(x, RATE, n_sources=2, method="fdica").sources
    monkeypatch.setattr(fdica, "fdica", full)
    got = bss.unmix(x, RATE, n_sources=2, method="fdica")
    assert "cpu was full, so it computed in smaller pieces, which is slower" in got.warnings
    assert not any("instead" in warning for warning in got.warnings)
    assert np.mean(np.square(got.sources - expected)) < 1e-6 * np.mean(np.square(expected))  # other sums, other rounding
    assert piece_bytes(torch.device("cpu")) == whole


@of_tensors
def test_other_errors_of_a_solver_are_not_hidden() -> None:
    def broken(X: Any) -> Any:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        devices.solve(devices.TENSORS, np.ones((3, 1, 9), complex), broken)


# kernels


@of_tensors
@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        (lambda Y, phi: 1 / 0, "division by zero"),
        (lambda Y, phi: 0 * Y[:, :, :2], "they are wrong here"),
        (lambda Y, phi: 0 * Y[:, :, :2] + 1, ""),
    ],
)
def test_kernels_that_do_not_run_are_said_and_not_used(kernel: Any, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from bss.backends.torch.kernels import available

    name = "bss.backends.torch.kernels.passes"
    fake = SimpleNamespace(weighted_covariances=kernel)
    monkeypatch.setitem(sys.modules, name, fake)
    monkeypatch.setattr("bss.backends.torch.kernels.passes", fake, raising=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert available.runs.__wrapped__(torch.device("cpu")) == (words == "")
    assert [str(w.message) for w in caught] == (
        [f"Triton's kernels are not used on cpu, which is slower: {words}"] if words else []
    )
