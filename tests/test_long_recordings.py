"""Recordings that do not fit into the memory are separated in pieces, all or nothing, and go on after they were killed."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from long_recordings import images, peak_bytes, save_long
from recordings import RATE, document, fit, listing, run, tracks, unmix

import bss
from bss.errors import InputError
from bss.pipeline.files.unfinished import NAME, Unfinished

SECONDS = 45
IN_PIECES = ("--max-memory", "450M", "-n", "2", "--effort", "fast")
MAIN = "from bss_cli.main import main; main()"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_long(tmp_path_factory.mktemp("long") / "x.wav", SECONDS)


@pytest.fixture(scope="module")
def done(recording: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in pieces."""
    out = tmp_path_factory.mktemp("done") / "out"
    unmix(recording, "-o", out, *IN_PIECES)
    return out


def truth() -> np.ndarray:
    return images(SECONDS)[:, 0]


@pytest.mark.slow
def test_pieces_are_as_good_as_the_whole(recording: str, tmp_path: Path) -> None:
    unmix(recording, "-o", tmp_path / "whole", "-n", "2")
    unmix(recording, "-o", tmp_path / "out", "-n", "2", "--max-memory", "450M")
    y, whole = tracks(tmp_path / "out"), tracks(tmp_path / "whole")
    assert y.shape == (2, SECONDS * RATE)
    assert (fit(truth(), y).max(1) > fit(truth(), whole).max(1) - 1.0).all()
    assert (fit(truth(), y).argmax(1) == fit(truth(), whole).argmax(1)).all()


def test_tracks_and_residual_are_the_microphone(done: Path) -> None:
    assert {"source1.wav", "source2.wav", "result.json"} <= set(listing(done))
    assert NAME not in listing(done)
    total = np.asarray(tracks(done).sum(0))
    if "residual.wav" in listing(done):
        total += soundfile.read(done / "residual.wav", dtype="float32")[0]
    np.testing.assert_allclose(total, images(SECONDS).sum(0)[0], atol=1e-4)


def test_the_record_is_of_the_whole_recording(done: Path, recording: str) -> None:
    found = document(done)
    assert (found["samples"], found["rate"], found["n_sources"]) == (SECONDS * RATE, RATE, 2)
    assert found["inputs"] == [recording]
    assert [row["channel"] for row in found["channel_map"]] == [1, 2]
    assert (found["gain"], found["subtype"]) == (1.0, "FLOAT")
    assert found["outputs"][:2] == ["source1.wav", "source2.wav"]


def test_from_python(recording: str, done: Path, tmp_path: Path) -> None:
    shares: list[float] = []
    result = bss.unmix_file(recording, tmp_path / "out", n_sources=2, effort="fast", max_memory="450M", progress=shares.append)
    assert result.names == ("source1", "source2")
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert result.filters.n_tracks == 2
    for name in ("source1.wav", "source2.wav"):
        assert (tmp_path / "out" / name).read_bytes() == (done / name).read_bytes()
    with pytest.raises(InputError, match="already exists"):
        bss.unmix_file(recording, tmp_path / "out", max_memory="450M")


def test_what_fits_is_what_unmix_gives(recording: str, tmp_path: Path) -> None:
    result = bss.unmix_file(recording, tmp_path / "out", end=5.0, n_sources=2)
    x, rate = bss.read(recording)
    expected = bss.unmix(x[:, : 5 * rate], rate, n_sources=2, devices=[0, 0]).sources
    np.testing.assert_array_equal(tracks(tmp_path / "out"), expected)
    assert result.record.samples == 5 * rate
    assert result.record.inputs == [recording]


def test_to_a_pipe(recording: str, done: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAIN, "unmix", recording, "-o", "-", *IN_PIECES]
    said = subprocess.run(command, capture_output=True, check=True)
    (tmp_path / "out.wav").write_bytes(said.stdout)
    y, rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert rate == RATE
    np.testing.assert_array_equal(y.T, tracks(done))


def killed(words: list[str], *, at_block: int, cwd: Path, of: str = "bss.pipeline.files.unfinished.Unfinished.write") -> None:
    """`bss` in a process that is ended by SIGKILL when it calls this function for a block, counted from 0."""
    module, cls, name = of.rsplit(".", 2)
    program = (
        "import os, signal\n"
        "from bss.pipeline.files.unfinished import Unfinished\n"
        f"from {module} import {cls}\n"
        "Unfinished.__init__.__kwdefaults__['every'] = 0.0\n"
        f"before, count = {cls}.{name}, [0]\n"
        "def limited(*arguments, **options):\n"
        f"    if count[0] == {at_block}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    count[0] += 1; return before(*arguments, **options)\n"
        f"{cls}.{name} = limited\n" + MAIN
    )
    ended = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, check=False, cwd=cwd)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()


def test_a_killed_run_is_continued_to_the_same_bytes(recording: str, done: Path, tmp_path: Path) -> None:
    words = [recording, "-o", str(tmp_path / "out"), *IN_PIECES]
    killed(["unmix", *words], at_block=1, cwd=tmp_path)
    assert listing(tmp_path / "out") == [NAME]
    refused = unmix(*words, "--resume", "--seed", "3", code=2)
    assert "different: seed (was 0, is 3)" in refused.stderr
    assert listing(tmp_path / "out") == [NAME]
    continued = unmix(*words, "--resume")
    assert "continuing an unfinished run after 30 s of the recording" in continued.stderr
    assert NAME not in listing(tmp_path / "out")
    for name in ("source1.wav", "source2.wav"):
        assert (tmp_path / "out" / name).read_bytes() == (done / name).read_bytes(), name


def test_a_run_that_is_killed_while_it_writes_its_files(recording: str, done: Path, tmp_path: Path) -> None:
    words = [recording, "-o", str(tmp_path / "out"), *IN_PIECES]
    killed(["unmix", *words], at_block=1, cwd=tmp_path, of="bss.signals.files.writing.OutputFolder.blocks")
    assert not list((tmp_path / "out").glob("source*"))
    assert "after 45 s of the recording" in unmix(*words, "--resume").stderr
    assert (tmp_path / "out/source2.wav").read_bytes() == (done / "source2.wav").read_bytes()
    assert listing(tmp_path / "out") == listing(done)


def test_a_killed_run_is_replaced_without_resume(recording: str, tmp_path: Path) -> None:
    words = [recording, "-o", str(tmp_path / "out"), *IN_PIECES]
    killed(["unmix", *words], at_block=0, cwd=tmp_path)
    again = unmix(*words)
    assert f"{tmp_path / 'out' / NAME} held an unfinished run, which is replaced" in again.stderr
    assert "source1.wav" in listing(tmp_path / "out")
    assert NAME not in listing(tmp_path / "out")


def test_ctrl_c_keeps_what_was_done(recording: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Unfinished.__init__.__kwdefaults__, "every", 0.0)  # type: ignore[arg-type]
    write = Unfinished.write

    def interrupted(self: Unfinished, block: dict[str, np.ndarray]) -> None:
        if self.store.n:
            raise KeyboardInterrupt
        write(self, block)

    monkeypatch.setattr(Unfinished, "write", interrupted)
    words = [recording, "-o", str(tmp_path / "out"), *IN_PIECES]
    stopped = unmix(*words, code=130)
    assert f"kept in {tmp_path / 'out' / NAME}: --resume continues" in stopped.stderr
    assert listing(tmp_path / "out") == [NAME]
    monkeypatch.setattr(Unfinished, "write", write)
    assert "continuing" in unmix(*words, "--resume").stderr


def test_a_disk_that_gets_full_on_the_way(recording: str, tmp_path: Path) -> None:
    """Half of a track fits: the system allows no more than 1.4 MB per file."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_400_000, 1_400_000))

    command = [sys.executable, "-c", MAIN, "unmix", recording, "-o", str(tmp_path / "out"), *IN_PIECES]
    ended = subprocess.run(command, capture_output=True, check=False, preexec_fn=limit)
    said = ended.stderr.decode()
    assert ended.returncode == 3, said
    assert (
        f"error: the tracks cannot be written to {tmp_path / 'out' / NAME}\n  why: File too large\n  try: free some space" in said
    )
    assert listing(tmp_path) == []


def test_what_was_continued_is_kept_when_it_fails(recording: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [recording, "-o", str(tmp_path / "out"), *IN_PIECES]
    killed(["unmix", *words], at_block=1, cwd=tmp_path)

    def full(self: Unfinished, *arguments: Any) -> None:
        raise InputError("the disk is full")

    monkeypatch.setattr(Unfinished, "write", full)
    assert "--resume continues" in unmix(*words, "--resume", code=3).stderr
    assert listing(tmp_path / "out") == [NAME]
    unmix(*words, code=3)
    assert listing(tmp_path / "out") == []


def test_a_file_that_is_cut_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_long(tmp_path / "x.wav", SECONDS)
    begin = Unfinished.open

    def cut(self: Unfinished, *arguments: Any) -> None:
        os.truncate(path, os.stat(path).st_size // 2)
        begin(self, *arguments)

    monkeypatch.setattr(Unfinished, "open", cut)
    failed = unmix(path, "-o", tmp_path / "out", *IN_PIECES, code=3)
    assert f"error: {path} changed while it was being read" in failed.stderr
    assert listing(tmp_path) == ["x.wav"]


def test_a_dry_run_says_what_it_takes(recording: str, tmp_path: Path) -> None:
    told = unmix(recording, "-o", tmp_path / "out", *IN_PIECES, "--dry-run")
    assert " of memory and " in told.stderr
    assert "in pieces" in told.stderr
    found = json.loads(run("unmix", recording, *IN_PIECES, "--dry-run", "--json").stdout)
    assert found["dry_run"] is True
    assert found["in_memory"] is False
    assert 200e6 < found["memory_bytes"] < 450e6
    assert 1 < found["seconds"] < 300
    assert listing(tmp_path) == []


def test_progress_for_programs(recording: str, tmp_path: Path) -> None:
    told = unmix(recording, "-o", tmp_path / "out", *IN_PIECES, "--progress", "json", "-q")
    lines = [json.loads(line) for line in told.stderr.splitlines() if line.startswith("{")]
    shares = [line["fraction"] for line in lines if line["step"] == "separating"]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert 0 < shares[1] < 1
    assert set(lines[1]) == {"step", "fraction", "elapsed", "left"}


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    peaks = []
    for times in (3, 9):
        path = save_long(tmp_path / f"{times}.wav", 60, times=times)
        words = ["unmix", path, "-o", str(tmp_path / f"out{times}"), "--max-memory", "500M", "-n", "2", "-q", "--effort", "fast"]
        peaks.append(peak_bytes(*words))
    assert max(peaks) < 500 << 20
    assert peaks[1] < 1.05 * peaks[0]
