"""A few of the faults of `make faults`, and that the series notices what it looks for."""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import fault_series


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults")
    fault_series.prepare(folder)
    return folder


@pytest.fixture(scope="module")
def one(place: Path) -> fault_series.Series:
    return fault_series.Series("mix", place, random.Random(0))


@pytest.mark.slow
def test_faults_break_no_promise(place: Path) -> None:
    assert fault_series.series("apply", place, argparse.Namespace(kills=3, ends=2, sizes=3, seed=0)) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("harm", "said"),
    [("half", "is not whole"), ("more", "appeared"), ("unlink", "is gone"), ("part", "left")],
)
def test_the_series_notices(one: fault_series.Series, harm: str, said: str) -> None:
    one.broken.clear()

    def end(process: subprocess.Popen[str]) -> None:
        process.wait(300)
        path = one.out / "mics/mic1.wav"
        if harm == "unlink":
            path.unlink()
        elif harm == "half":
            path.write_bytes(path.read_bytes()[:30])
        elif harm == "more":
            (one.out / "more.wav").touch()
        else:
            (one.out / ".bss-0.part").touch()

    one.fault("SIGTERM", end)
    assert any(said in line for line in one.broken), one.broken
