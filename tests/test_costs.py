"""What a separation will take: known from its size, and right."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from long_recordings import peak_bytes, save_long
from recordings import ROOT

from bss.errors import InputError, UsageError
from bss.pipeline.calibration import Fitted
from bss.pipeline.methods import neural
from bss.pipeline.planning.options import UnmixOptions
from bss.pipeline.resources import cost_numbers, costs
from bss.pipeline.resources.memory import Budget
from bss.signals.files.blocks import ArrayBlocks

NUMBERS = {name: value for name, value in vars(cost_numbers).items() if isinstance(value, Fitted)}


class Long(ArrayBlocks):
    """A recording of any length, without its samples."""

    def __init__(self, n_mics: int, rate: int, seconds: float) -> None:
        super().__init__(np.empty((n_mics, 0), np.float32), rate)
        self.length = round(rate * seconds)

    @property
    def n(self) -> int:
        return self.length


@pytest.mark.parametrize("name", NUMBERS)
def test_a_fitted_number_says_what_it_is(name: str) -> None:
    number = NUMBERS[name]
    assert all((number.unit, number.meaning, number.data, number.error))
    assert date.fromisoformat(number.date) <= date.fromisoformat(number.checked.split(",")[0])
    code = (ROOT / "bss/pipeline/resources/costs.py").read_text(encoding="utf-8")
    assert f"cost_numbers.{name}" in code
    assert (np.array(number.value) >= 0).all()


@pytest.mark.parametrize("whole", [True, False])
def test_more_takes_more(whole: bool) -> None:
    def cost(*size: Any) -> costs.Cost:
        return costs.expected(whole, *size, threads=1)

    base = cost(2, 2, 16_000, 60)
    assert cost(4, 2, 16_000, 60).bytes > base.bytes
    assert cost(2, 2, 48_000, 60).bytes > base.bytes
    assert cost(2, 2, 16_000, 600).seconds > 3 * base.seconds
    if not whole:
        assert cost(2, 2, 16_000, 36_000).bytes == cost(2, 2, 16_000, 3600).bytes


def test_a_second_look_is_in_the_time_where_it_is_taken() -> None:
    assert costs.SECOND_LOOK_SECONDS == neural.LONG_SECONDS
    shorter, longer = (costs.expected(True, 2, 2, 16_000, s, threads=1).seconds for s in (29.9, 30))
    assert longer > 1.3 * shorter


def test_more_threads_take_less_time() -> None:
    one, four = (costs.expected(True, 2, 2, 16_000, 60, threads=k).seconds for k in (1, 4))
    assert 0.25 * one < four < one


def test_what_fits_is_separated_as_a_whole() -> None:
    options, budget = UnmixOptions(), Budget(1 << 30, "--max-memory 1G")
    assert costs.fits(Long(2, 16_000, 60), options, budget)
    assert not costs.fits(Long(2, 16_000, 3600), options, budget)
    assert not costs.fits(Long(8, 48_000, 60), options, budget)
    found = costs.cost_of(Long(2, 16_000, 3600), options, budget)
    assert not found.whole
    assert found.bytes <= budget.bytes
    assert found.to_dict() == {"memory_bytes": found.bytes, "seconds": round(found.seconds, 1), "in_memory": False}
    assert found.sentence.endswith(", in pieces")
    costs.refuse(Long(2, 16_000, 3600), options, budget)


def test_too_little_memory_is_refused_with_what_is_enough() -> None:
    blocks = Long(4, 16_000, 3600)
    with pytest.raises(
        UsageError, match=r"4 microphones at 16000 Hz cannot be separated in 100M .*\(--max-memory 100M\)"
    ) as raised:
        costs.refuse(blocks, UnmixOptions(), Budget(100 << 20, "--max-memory 100M"))
    enough = raised.value.hint.split()[1].rstrip(",")
    from bss.pipeline.resources.memory import budget

    costs.refuse(blocks, UnmixOptions(), budget(enough))
    with pytest.raises(InputError, match="a quarter of the memory of this machine"):
        costs.refuse(blocks, UnmixOptions(), Budget(100 << 20, "a quarter of the memory of this machine"))
    fewer = UnmixOptions(channels=(0, 1))
    assert costs.least(blocks, fewer) < costs.least(blocks, UnmixOptions())


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "budget"), [(10, "2G"), (45, "450M")])
def test_the_memory_is_what_was_said(tmp_path: Path, seconds: int, budget: str) -> None:
    path = save_long(tmp_path / "x.wav", seconds)
    words = ["unmix", path, "-n", "2", "--json", "-q", "--max-memory", budget, "-o", str(tmp_path / "out")]
    command = [sys.executable, "-c", "from bss_cli.main import main; main()", *words]
    said = json.loads(subprocess.run([*command, "--dry-run"], capture_output=True, check=True).stdout)
    assert said["memory_bytes"] / 1.3 < peak_bytes(*words) < 1.3 * said["memory_bytes"]
    assert said["in_memory"] is (seconds == 10)


def test_durations_and_rates() -> None:
    assert costs.duration(0.2) == "1 s"
    assert costs.duration(600) == "10 min"
    assert costs.processors() >= 1
    assert 0.02 < costs.slowness() < 50
