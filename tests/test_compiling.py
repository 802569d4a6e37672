"""Somebody who waits for the compiler is told so, once, and nobody else is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from signals_for_tests import RATE

import bss
from bss.backends.cpu import compiling


def test_it_is_said_once_and_only_when_something_compiles() -> None:
    said: list[str] = []
    with compiling.announced(lambda: said.append("compiling")):
        one, two = numba.njit(lambda x: x + 1), numba.njit(lambda x: x + 2)
        assert said == []
        assert (one(1), two(1), one(1)) == (2, 3, 2)
        assert said == ["compiling"]
    with compiling.announced(lambda: said.append("again")):
        assert one(1) == 2
    assert numba.njit(lambda x: x + 3)(1) == 4
    assert said == ["compiling"]


@pytest.mark.slow
def test_the_first_command_says_it_and_the_second_does_not(tmp_path: Path) -> None:
    x = np.random.default_rng(0).laplace(size=(2, 2 * RATE)).astype(np.float32)
    bss.write(tmp_path / "desk.wav", 0.1 * np.array([[1, 0.5], [0.4, 1]], np.float32) @ x, RATE)
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    words = ["unmix", "desk.wav", "--overwrite", "--method", "fastica", "--sources", "2"]  # with few kernels
    command = [sys.executable, "-c", "from bss_cli.main import main; main()", *words]
    first, second = (subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stderr.count("compiling") == 1
    assert "compiling" not in second.stderr
