"""`bss.batch.run`: what is done, skipped, failed and tried again, and that results are those of `bss.unmix_file`."""

from __future__ import annotations

import inspect
import json
import os
import shutil
from pathlib import Path
from typing import Any

import batch_work
import numpy as np
import pytest
from recordings import RATE, desk, listing, save, save_each

import bss
from bss.batch import separate as one
from bss.batch.batches import Batch, Outcome, before, tasks_of
from bss.batch.recordings import Input, Recording
from bss.batch.workers.failures import Failure
from bss.pipeline.files.unfinished import NAME

OPTIONS = {"method": "fastica", "n_sources": 2}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings, one that is none, and what became of them in out/."""
    place = tmp_path_factory.mktemp("batch")
    for k in range(2):
        save_each(place / f"all/good{k}", desk(2, 1.0, seed=k).mixture)
    save(place / "all/mono/x.wav", desk(2, 1.0).mixture[:1])
    told: list[Outcome] = []
    batch = bss.batch.run(
        [place / "all"], place / "out", options=OPTIONS, jobs=1, on_done=told.append, after=batch_work.note
    )  # fmt: skip
    assert sorted(told, key=lambda outcome: outcome.recording) == list(batch.outcomes)
    assert [outcome.state for outcome in batch.outcomes] == ["done", "done", "failed"]
    assert batch.exit_code == 4
    return place


def test_results_are_those_of_one_by_one(made: Path, tmp_path: Path) -> None:
    alone = bss.unmix_file(made / "all/good0", tmp_path / "alone", method="fastica", n_sources=2)
    for name in alone.names:
        assert (made / f"out/good0/{name}.wav").read_bytes() == (alone.folder / f"{name}.wav").read_bytes()
    assert listing(made / "out/good0") == ["note.txt", *listing(alone.folder)]
    assert (made / "out/good0/note.txt").read_text() == "2 talkers"


def test_what_failed_says_why_and_leaves_nothing(made: Path) -> None:
    (failed,) = bss.batch.run([made / "all/mono"], made / "other", options=OPTIONS, jobs=1).outcomes
    assert failed.failure is not None
    assert "channel" in failed.failure.what
    assert failed.failure.exit_code == 3
    assert not (made / "other").exists()


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """The same recordings and results, to be changed; times are kept, and results name files relative to nothing."""
    shutil.copytree(made / "out", tmp_path / "out")
    return tmp_path


def states(made: Path, copy: Path, options: dict[str, Any] = OPTIONS, **again: bool) -> list[str]:
    """What would become of the recordings."""
    again = {"skip_done": True, "overwrite": False, **again}
    tasks = tasks_of([made / "all"], copy / "out", options=options)
    found = before(tasks, **again)
    return [found[k].state if k in found else "to do" for k in range(len(tasks))]


def test_what_is_done_is_skipped(made: Path, copy: Path) -> None:
    assert states(made, copy) == ["skipped", "skipped", "to do"]
    assert states(made, copy, overwrite=True) == ["skipped", "skipped", "to do"]


def test_other_options_are_in_the_way_or_made_anew(made: Path, copy: Path) -> None:
    other = {**OPTIONS, "subtype": "float"}
    assert states(made, copy, other) == ["failed", "failed", "to do"]
    assert states(made, copy, other, overwrite=True) == ["to do"] * 3
    (first, *_) = before(tasks_of([made / "all"], copy / "out", options=other), skip_done=True, overwrite=False).values()
    assert first.failure is not None
    assert "other options (subtype)" in first.failure.why


def test_tracks_of_an_earlier_run_are_said(made: Path, copy: Path) -> None:
    shutil.copy(copy / "out/good0/source1.wav", copy / "out/good0/source3.wav")
    task = tasks_of([made / "all/good0"], copy / "out", options=OPTIONS)[0]
    assert one.separate(task).notes == (f"source3.wav in {copy}/out/good0 are from an earlier run",)


@pytest.mark.parametrize(("begun", "skip_done", "resume"), [(True, True, True), (False, True, False), (True, False, False)])
def test_an_unfinished_long_recording_is_continued(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bool, skip_done: bool, resume: bool
) -> None:
    if begun:
        (tmp_path / "good0" / NAME).mkdir(parents=True)
    asked: list[bool] = []

    def separate_blocks(*arguments: Any, resume: bool, **options: Any) -> bss.UnmixedFiles:
        asked.append(resume)
        raise bss.InputError("enough")

    monkeypatch.setattr(one, "separate_blocks", separate_blocks)
    tasks = tasks_of([made / "all/good0"], tmp_path, options=OPTIONS, resume=skip_done)
    assert before(tasks, skip_done=skip_done, overwrite=False) == {}
    with pytest.raises(bss.InputError, match="enough"):
        one.separate(tasks[0])
    assert asked == [resume]


def test_files_that_changed_are_noticed(made: Path, copy: Path) -> None:
    file = sorted((made / "all/good0").iterdir())[0]
    times = os.stat(file)
    try:
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns + 1_000_000_000))
        assert states(made, copy) == ["failed", "skipped", "to do"]
    finally:
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert states(made, copy) == ["skipped", "skipped", "to do"]


def test_tracks_that_are_gone_are_noticed(made: Path, copy: Path) -> None:
    (copy / "out/good0/source2.wav").unlink()
    assert states(made, copy, overwrite=True) == ["to do", "skipped", "to do"]


def test_a_result_of_something_else_is_not_skipped(made: Path, copy: Path) -> None:
    (copy / "out/good0/result.json").write_text("{}")
    document = json.loads((copy / "out/good1/result.json").read_text())
    del document["options"]["batch"]
    (copy / "out/good1/result.json").write_text(json.dumps(document))
    assert states(made, copy) == ["failed", "failed", "to do"]


def test_results_are_not_replaced_unasked(made: Path) -> None:
    with pytest.raises(bss.InputError, match="already exists"):
        bss.batch.run([made / "all"], made / "out", options=OPTIONS)


def test_a_result_whose_worker_died_afterwards_is_taken(made: Path, copy: Path) -> None:
    task = tasks_of([made / "all/good0"], copy / "out", options=OPTIONS)[0]
    document = json.loads((copy / "out/good0/result.json").read_text())
    document["options"]["batch"]["run"] = task.run
    (copy / "out/good0/result.json").write_text(json.dumps(document))
    before = os.stat(copy / "out/good0/source1.wav").st_mtime_ns
    assert one.separate(task).record.n_sources == 2
    assert os.stat(copy / "out/good0/source1.wav").st_mtime_ns == before


def test_what_a_killed_worker_was_writing_is_removed(tmp_path: Path) -> None:
    for name in (".bss-1.part", "linear/.bss-2.part", ".bss-unfinished/.bss-3.part", "source1.wav"):
        (tmp_path / "a" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / name).touch()
    one.sweep(tmp_path / "a")
    left = sorted(p.relative_to(tmp_path / "a").as_posix() for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert left == [".bss-unfinished/.bss-3.part", "source1.wav"]


def test_channels_and_gains_of_files(tmp_path: Path) -> None:
    scene = desk(2, 1.0)
    save(tmp_path / "a.wav", np.stack([0 * scene.mixture[0], scene.mixture[0]]))
    save(tmp_path / "b.wav", 0.5 * scene.mixture[1:2])
    save_each(tmp_path / "plain", scene.mixture)
    inputs = (Input(str(tmp_path / "a.wav"), (1,)), Input(str(tmp_path / "b.wav"), None, 20 * np.log10(2.0)))
    options = {**OPTIONS, "subtype": "float"}
    for task in tasks_of([Recording("x", inputs), Recording.of("y", tmp_path / "plain")], tmp_path / "out", options=options):
        one.separate(task)
    for name in ("source1.wav", "source2.wav"):
        found, wanted = (bss.read(tmp_path / f"out/{of}/{name}")[0] for of in ("x", "y"))
        np.testing.assert_allclose(found, wanted, atol=2e-3 * np.abs(wanted).max())
    record = json.loads((tmp_path / "out/x/result.json").read_text())
    assert record["used"] == [f"{tmp_path}/a.wav[2]", f"{tmp_path}/b.wav"]
    assert any("gain of +6.0 dB" in repair for repair in record["repairs"])


def test_a_channel_that_is_not_there_names_the_row(tmp_path: Path) -> None:
    save(tmp_path / "a.wav", desk(2, 1.0).mixture)
    (tmp_path / "table.csv").write_text("recording,file,channel\nm,a.wav,1-3\n")
    with pytest.raises(bss.InputError, match=r"table\.csv, row 2: .*a\.wav has 2 channels, but channel 3"):
        one.separate(tasks_of(tmp_path / "table.csv", tmp_path / "out")[0])


def test_own_options_go_first() -> None:
    (task,) = tasks_of([Recording.of("x", "a.wav", n_sources=3)], "out", options=OPTIONS)
    assert dict(task.options) == {"method": "fastica", "n_sources": 3}


@pytest.mark.parametrize(
    ("codes", "n", "code"), [([], 2, 0), ([3], 2, 4), ([3, 3], 2, 3), ([1, 1], 2, 1), ([1, 3], 2, 3), ([2], 1, 2)]
)
def test_exit_codes(codes: list[int], n: int, code: int) -> None:
    failed = [Outcome("x", "failed", Path("x"), None, Failure("what", exit_code=k)) for k in codes]
    assert Batch((*failed, *[Outcome("y", "done", Path("y"))] * (n - len(codes)))).exit_code == code


def test_a_cluster_has_workers_of_its_own(made: Path, tmp_path: Path) -> None:
    with pytest.raises(bss.UsageError, match="jobs and client"):
        bss.batch.run([made / "all"], tmp_path, jobs=2, client=object())  # type: ignore[arg-type]


def test_run_is_documented_as_every_public_function() -> None:
    doc = inspect.getdoc(bss.batch.run) or ""
    for name in inspect.signature(bss.batch.run).parameters:
        assert f"\n{name} : " in doc
    assert all(f"\n{heading}\n---" in doc for heading in ("Parameters", "Returns", "Raises", "Examples"))


def test_rate_is_kept(made: Path) -> None:
    assert bss.read(made / "out/good0/source1.wav")[1] == RATE
