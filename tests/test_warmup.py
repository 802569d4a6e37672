"""What is compiled ahead: it is what separations need, and processes that help end with what they help."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from recordings import BSS, hiss, run, save

from bss.pipeline.resources import warming

# the kernels that a process has, with the types that they were compiled for
LOADED = """
import gc
from numba.core.dispatcher import Dispatcher
for o in gc.get_objects():
    if isinstance(o, Dispatcher) and o.py_func.__module__.startswith("bss") and o._cache.cache_path:
        for types in o.signatures:
            print("kernel", o.py_func.__module__, o.py_func.__name__, types)
"""


def kernels(code: str) -> set[str]:
    """Those that are there after this code has run in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code + LOADED], capture_output=True, text=True, check=True)
    return {line for line in done.stdout.splitlines() if line.startswith("kernel ")}


@pytest.mark.slow
def test_the_jobs_compile_all_that_a_separation_needs(root: Path, tmp_path: Path) -> None:
    voices = sorted(map(str, (root / "fixtures/voices").glob("*.flac")))[:2]
    assert run("mix", *voices, "--mics", "2", "--rt60", "0.25", "--seconds", "4", "-o", tmp_path / "scene").exit_code == 0
    ahead = kernels(f"from bss.pipeline.resources import warming\nwarming.main({list(warming.JOBS)})\n")
    words = ["unmix", str(tmp_path / "scene/mics"), "-o", str(tmp_path / "out"), "-q"]
    unmix = f"from bss_cli.main import cli\ntry:\n    cli.main({words})\nexcept SystemExit as end:\n    assert end.code == 0\n"
    needed = kernels(unmix)
    assert len(needed) > 8
    assert needed - ahead == set()


def test_warmup_says_what_it_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    done = [warming.Done("bins", ("fill", "fill", "join")), warming.Done("sounds", ())]
    monkeypatch.setattr(warming, "warm", lambda jobs, processes, progress: done)
    document = json.loads(run("warmup", "--json").stdout)
    assert document["compiled"] == ["fill", "join"]
    assert "compiled 2 kernels" in run("warmup").stderr


def test_a_job_that_fails_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    made = warming.warm(["no such job"], 1, lambda share: None)
    assert made[0].fault == "KeyError: 'no such job'"
    monkeypatch.setattr(warming, "warm", lambda jobs, processes, progress: made)
    done = run("warmup")
    assert done.exit_code == 3
    assert "no such job" in done.stderr


def test_helpers_end_with_what_they_help(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def remembered(*arguments: object, **options: object) -> object:
        started.append(popen([sys.executable, "-c", "import time; time.sleep(60)"]))
        return started[-1]

    monkeypatch.setattr(warming, "processors", lambda: 5)
    monkeypatch.setattr(warming, "load", lambda: 2.2)  # they are for processors that have nothing to do
    monkeypatch.setattr(subprocess, "Popen", remembered)
    with warming.helpers() as start:
        assert start() == 2
        assert [process.poll() for process in started] == [None, None]
    assert all(process.poll() is not None for process in started)


def test_on_one_processor_nobody_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "processors", lambda: 1)
    with warming.helpers() as start:
        assert start() == 0


def test_the_time_grows_with_what_else_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "processors", lambda: 2)
    monkeypatch.setattr(warming, "slowness", lambda: 1.0)
    seconds = []
    for load in (0.0, 2.0, 8.0):
        monkeypatch.setattr(warming, "load", lambda load=load: load)
        seconds.append(warming.seconds_of_compiling(1))
    assert seconds[0] < 16 < seconds[1] < seconds[2]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_what_the_shell_reads(shell: str) -> None:
    done = run("completion", shell)
    assert done.exit_code == 0, done.stderr
    assert f"_BSS_COMPLETE={shell}_complete" in done.stdout
    assert json.loads(run("completion", shell, "--json").stdout)["script"].strip() == done.stdout.strip()


@pytest.mark.parametrize(
    ("words", "index", "found"), [("bss unm", 1, "unmix"), ("bss unmix --spa", 2, ""), ("bss unmix --subt", 2, "--subtype")]
)
def test_completion_completes(words: str, index: int, found: str) -> None:
    env = {**os.environ, "_BSS_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(index)}
    done = subprocess.run(BSS, env=env, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == (f"plain,{found}" if found else "")


def test_an_unknown_shell() -> None:
    done = run("completion", "powershell")
    assert done.exit_code == 2
    assert "one of bash, zsh, fish" in done.stderr


def test_nothing_is_compiled_ahead_where_all_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.wav", hiss((2, 8000), 0.1))
    run("check", path)  # whatever it needs is there from now on
    monkeypatch.setattr(warming, "helpers", None)
    assert run("check", path).exit_code in (0, 3)
