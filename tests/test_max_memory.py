"""How much memory a separation may take, and that it takes no more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recordings import run, save

from bss.errors import UsageError
from bss.pipeline.resources import memory


@pytest.mark.parametrize(
    ("text", "size"),
    [("2G", 2 << 30), ("500m", 500 << 20), ("1.5GiB", 3 << 29), ("64 MB", 64 << 20), ("12345678", 12345678), ("1T", 1 << 40)],
)
def test_sizes(text: str, size: int) -> None:
    assert memory.size_of(text) == size
    assert memory.budget(text).bytes == min(size, *(round(0.8 * limit) for limit in memory.group_limits()), 1 << 50)


@pytest.mark.parametrize("text", ["", "much", "-1G", "0", "2X", "1G2", "nan"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="is not a size") as raised:
        memory.budget(text)
    assert "--max-memory 2G" in raised.value.hint


def test_the_order_of_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "group_limits", list)
    monkeypatch.setattr(memory, "installed", lambda: 6 << 30)
    monkeypatch.delenv(memory.VARIABLE, raising=False)
    assert memory.budget() == memory.Budget(3 << 29, "a quarter of the memory of this machine")
    monkeypatch.setattr(memory, "installed", lambda: 64 << 30)
    assert memory.budget().bytes == 4 << 30
    monkeypatch.setenv(memory.VARIABLE, "700M")
    assert memory.budget() == memory.Budget(700 << 20, "BSS_MAX_MEMORY 700M")
    assert not memory.budget().asked
    assert memory.budget("1G") == memory.Budget(1 << 30, "--max-memory 1G")
    assert memory.budget(800 << 20) == memory.Budget(800 << 20, "--max-memory 800M")
    assert memory.budget("1G").asked
    monkeypatch.setenv(memory.VARIABLE, "lots")
    with pytest.raises(UsageError, match="BSS_MAX_MEMORY lots is not a size"):
        memory.budget()
    with pytest.raises(UsageError, match="max_memory=-5 is not a size"):
        memory.budget(-5)


def test_the_control_group_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "group_limits", lambda: [2 << 30, 1 << 30])
    monkeypatch.setattr(memory, "installed", lambda: 64 << 30)
    monkeypatch.delenv(memory.VARIABLE, raising=False)
    assert memory.budget() == memory.Budget(round(0.8 * (1 << 30)), "the limit of this process, by its control group or ulimit")
    assert memory.budget("500M").note == ""
    found = memory.budget("8G")
    assert found.bytes == round(0.8 * (1 << 30))
    assert found.note == "--max-memory 8G is more than this process may take: 820M are used"


def group(folder: Path, text: str, limits: dict[str, str]) -> list[int]:
    (folder / "cgroup").write_text(text)
    for name, limit in limits.items():
        (folder / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "fs" / name).write_text(limit + "\n")
    return memory.group_limits(folder / "cgroup", folder / "fs")


def test_groups_of_version_2(tmp_path: Path) -> None:
    limits = {"user/job/memory.max": "3000000000", "user/memory.max": "max", "memory.max": "9000000000"}
    assert group(tmp_path, "0::/user/job\n", limits) == [3_000_000_000, 9_000_000_000]


def test_groups_of_version_1(tmp_path: Path) -> None:
    limits = {"memory/docker/memory.limit_in_bytes": "1073741824", "memory/memory.limit_in_bytes": "9223372036854771712"}
    assert group(tmp_path, "12:cpu,cpuacct:/x\n11:memory:/docker\n1:name=systemd:/x\n", limits) == [1 << 30]


def test_groups_seen_from_inside_a_container(tmp_path: Path) -> None:
    """Whose path is one that only the host has."""
    assert group(tmp_path, "0::/../outside/7f3a\n", {"memory.max": "500000000"}) == [500_000_000]
    assert memory.group_limits(tmp_path / "none", tmp_path) == []


@pytest.mark.parametrize(
    ("words", "code", "source"), [([], 3, "BSS_MAX_MEMORY 50M"), (["--max-memory", "60M"], 2, "--max-memory 60M")]
)
def test_the_command_says_where_a_limit_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, source: str
) -> None:
    monkeypatch.setenv(memory.VARIABLE, "50M")
    path = save(tmp_path / "x.wav", np.zeros((2, 16_000)))
    done = run("unmix", path, *words)
    assert done.exit_code == code
    assert f"of memory ({source})" in done.stderr
