"""Some two thousand odd inputs, the same every time; `make fuzz` tries others."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import cases
import contract

COUNTS = {"arrays": 900, "commands": 500, "audio": 200, "scene": 200, "tensors": 200}
PARTS = 4
# what failed once, and must not again
KEPT = [
    *(("arrays", seed) for seed in (0, 1001143, 2000547, 3000400)), ("scene", 16),
    *(("commands", seed) for seed in (16, 1000587, 2000724, 3000443)),
]  # fmt: skip


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("kind", cases.KINDS)
@pytest.mark.slow
def test_nothing_breaks_a_promise(kind: str, part: int) -> None:
    found = cases.failures(kind, range(part, COUNTS[kind], PARTS))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("kind", "seed"), KEPT)
def test_what_failed_once(kind: str, seed: int) -> None:
    cases.run(kind, seed)


def test_the_contract_notices(tmp_path: Path) -> None:
    import numpy as np

    def fails(x: np.ndarray) -> np.ndarray:
        return x[5]

    def writes(x: np.ndarray) -> None:
        x[0] = 7

    for function, said in ((fails, "IndexError"), (writes, "written to"), (lambda x: x / np.zeros(3), "RuntimeWarning")):
        with pytest.raises(contract.Broken, match=said):
            contract.call(function, [np.ones(3)], {})
    with pytest.raises(contract.Broken, match="not finite"):
        contract.call(lambda x: x * np.inf, [np.ones(3)], {})

    def endless() -> None:
        while True:
            pass

    with pytest.raises(contract.Broken, match="still at work"), contract.time_limit(0.05):
        endless()
    (tmp_path / ".bss-1.part").touch()
    with pytest.raises(contract.Broken, match="is left"):
        contract._clean(tmp_path, failed=False)


def test_a_case_is_the_same_every_time() -> None:
    for kind in cases.KINDS:
        assert cases.run(kind, 3) == cases.run(kind, 3)
