"""How far a command is: lines elsewhere than on a terminal, objects for programs, nothing with -q."""

from __future__ import annotations

import json

import pytest

from bss_cli.support import progress
from bss_cli.support.common import Output


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in a list that can be written to."""
    now = [100.0]
    monkeypatch.setattr("bss_cli.support.progress.time.monotonic", lambda: now[0])
    return now


def test_a_line_every_ten_seconds(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Output().progress("separating") as update:
        for second in range(41):
            clock[0] = 100.0 + second
            update(second / 200)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "separating: 5 % after 10 s, about 3 min 10 s left",
        "separating: 10 % after 20 s, about 3 min 0 s left",
        "separating: 15 % after 30 s, about 2 min 50 s left",
        "separating: 20 % after 40 s, about 2 min 40 s left",
    ]


def test_nothing_where_the_work_is_short_or_silence_was_asked_for(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Output().progress("separating") as update:
        clock[0] += 9
        update(1.0)
    with Output(quiet=True).progress("separating") as update:
        clock[0] += 99
        update(0.5)
    assert capsys.readouterr().err == ""


def test_before_anything_is_done_nothing_is_known(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Output().progress("reading") as update:
        clock[0] += 11
        update(0.0)
    assert capsys.readouterr().err == "reading: 0 % after 11 s\n"


@pytest.mark.parametrize("quiet", [False, True])
def test_objects_for_programs(clock: list[float], capsys: pytest.CaptureFixture[str], quiet: bool) -> None:
    out = Output(quiet=quiet, progress_style="json")
    with out.progress("separating") as update:
        for seconds, share in ((100.3, 0.1), (102.0, 0.25), (102.2, 0.3), (104.0, 0.5)):
            clock[0] = seconds
            update(share)
        clock[0] = 106.0
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["fraction"], line["elapsed"], line["left"]) for line in lines] == [
        (0.0, 0.0, None), (0.25, 2.0, 6.0), (0.5, 4.0, 4.0), (1.0, 6.0, 0.0),
    ]  # fmt: skip
    assert {line["step"] for line in lines} == {"separating"}


def test_work_that_fails_does_not_end_with_all_of_it(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        with Output(progress_style="json").progress("separating") as update:
            clock[0] += 1
            update(0.5)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        work()
    assert json.loads(capsys.readouterr().err.splitlines()[-1])["fraction"] == 0.5


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress, "bar", lambda label, console: shown.append(label) or progress.objects(label))
    with Output().progress("separating"):
        pass
    assert shown == ["separating"]
