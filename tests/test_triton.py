"""The kernels for GPUs: the same numbers as their plain twins, by Triton's interpreter, and code that a compiler takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="no torch: tensors are not tested")
pytest.importorskip("triton", reason="no Triton: its kernels are not tested (pip install triton)")

TESTS = Path(__file__).parent
COMPILED = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from bss.backends.torch.kernels import spectra, steering

floats = dict.fromkeys(("Y", "phi", "A", "B", "H", "least", "sums", "losses"), "*fp32")
numbers = dict.fromkeys(("core", "tail", "spread"), "fp32") | dict.fromkeys(("F", "T", "stretch", "phi_bin"), "i32")
sizes = dict(M=3, N=2, K=3, ROWS=4, SOURCES=2, COLUMNS=4, BLOCK=64, BINS=32)
kernels = [(spectra.covariance_sums, dict(WEIGHTS=w, HEAVY=h)) for w, h in ((0, False), (1, False), (2, False), (2, True))]
kernels += [(spectra.spectral_sums, {})] + [(spectra.demix_rows, dict(SUMS=s)) for s in (0, 1, 2)]
kernels += [(steering.steer, {})]
for kernel, variant in kernels:
    constants = {name: value for name, value in {**sizes, **variant}.items() if name in kernel.arg_names}
    doubles = dict.fromkeys(("V", "loads", "A", "det"), "*fp64") if kernel is steering.steer else {}
    kinds = {name: {**floats, **numbers, **doubles}.get(name, "constexpr") for name in kernel.arg_names}
    options = {"num_warps": 4, "enable_fp_fusion": True}
    made = triton.compile(ASTSource(kernel, kinds, constants), target=GPUTarget("cuda", 90, 32), options=options)
    print(kernel.__name__, len(made.asm["cubin"]))
"""


def run(*arguments: str, **environment: str) -> str:
    """What a Python with these arguments says; it has to end well."""
    env = {**os.environ, "PYTHONPATH": str(TESTS.parent), "PYTHONWARNINGS": "error", **environment}
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=env, cwd=TESTS, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_kernels_agree_with_their_plain_twins() -> None:
    assert run("triton_twins.py", TRITON_INTERPRET="1").strip() == "all kernels agree"


@pytest.mark.slow
def test_kernels_compile_for_a_gpu() -> None:
    lines = run("-c", COMPILED, TRITON_INTERPRET="0").splitlines()
    assert len(lines) == 9
    assert all(int(line.split()[1]) > 1000 for line in lines)
