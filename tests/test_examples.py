"""The example scripts run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, str(EXAMPLES / "any_recording.py"), *words]
    return subprocess.run(call, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"})


@pytest.mark.slow
def test_any_recording() -> None:
    done = run("gap", "--seconds", "3")
    assert done.returncode == 0, done.stderr
    header, right, gap = (line.split() for line in done.stdout.splitlines())
    assert header == ["recording", "tracks", "gain", "dB"]
    assert float(right[-1]) > 10
    assert gap[0] == "gap"


def test_an_unknown_case() -> None:
    done = run("fire")
    assert done.returncode == 2
    assert "there is no case fire: the cases are offset, drift" in done.stderr
