"""A run that is killed is continued, and gives the bytes of one that was not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from recordings import RATE, listing, save

from bss.errors import InputError, UsageError
from bss.pipeline.files.unfinished import NAME, Unfinished, job_of

JOB = {"files": [["a.wav", 1, 2]], "n_sources": 2}


def tracks(k: int) -> dict[str, np.ndarray]:
    """Block k of two tracks."""
    x = np.random.default_rng(k).standard_normal((2, 1000)).astype(np.float32)
    return {"source1": x[0], "source2": x[1]}


def run(sink: Unfinished, stop: int = 10) -> None:
    """A separation whose state is the number of the next block."""
    first = int(sink.resume) if sink.resume is not None else 0
    sink.open(["source1", "source2"], RATE)
    for k in range(first, stop):
        sink.write(tracks(k))
        sink.checkpoint(lambda: str(k + 1).encode())  # noqa: B023 - called at once


def content(sink: Unfinished) -> np.ndarray:
    return np.stack([sink.store.read(name, 0, sink.store.n) for name in ("source1", "source2")])


def whole() -> np.ndarray:
    return np.concatenate([np.stack(list(tracks(k).values())) for k in range(10)], axis=1)


@pytest.mark.parametrize("every", [0.0, 0.003])
@pytest.mark.parametrize("stop", [1, 4, 10])
def test_what_was_done_is_not_done_again(tmp_path: Path, stop: int, every: float) -> None:
    first = Unfinished(tmp_path, JOB, every=every)
    assert first.begin() == ""
    run(first, stop)
    first.store.write(tracks(99))  # after the last state
    again = Unfinished(tmp_path, JOB, every=every)
    assert "continuing an unfinished run after " in again.continued()
    run(again)
    np.testing.assert_array_equal(content(again), whole())
    again.remove()
    assert listing(tmp_path) == []


def test_a_run_without_a_state_begins_anew(tmp_path: Path) -> None:
    sink = Unfinished(tmp_path, JOB)
    assert "there is no unfinished run" in sink.continued()
    run(sink)
    np.testing.assert_array_equal(content(sink), whole())


def test_what_is_left_of_an_earlier_run_is_mentioned_and_replaced(tmp_path: Path) -> None:
    first = Unfinished(tmp_path, JOB)
    first.begin()
    run(first)
    again = Unfinished(tmp_path, JOB)
    assert again.begin() == f"{tmp_path / NAME} held an unfinished run, which is replaced; --resume would have continued it"
    assert listing(tmp_path / NAME) == []


def test_another_run_is_not_continued(tmp_path: Path) -> None:
    first = Unfinished(tmp_path, JOB)
    first.begin()
    run(first, 3)
    other = Unfinished(tmp_path, {**JOB, "n_sources": 3, "per_mic": True})
    with pytest.raises(UsageError, match="cannot be continued by this one") as raised:
        other.continued()
    assert raised.value.why == "different: n_sources (was 2, is 3), per_mic (was null, is true)"
    renamed = Unfinished(tmp_path, JOB)
    renamed.continued()
    with pytest.raises(InputError, match="has other tracks"):
        renamed.open(["source1"], RATE)


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    first = Unfinished(tmp_path, JOB)
    first.begin()
    run(first, 3)
    state = tmp_path / NAME / "state"
    for damaged in (state.read_bytes() + b"x", b"not a state", b"{}\n"):
        state.write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be read"):
            Unfinished(tmp_path, JOB).continued()


def test_a_job_is_its_files_and_options(tmp_path: Path) -> None:
    path = Path(save(tmp_path / "a.wav", np.zeros((2, 100))))
    job = job_of([path], {"method": "auto"})
    assert job == job_of([path], {"method": "auto", "resume": True, "threads": 1})
    os.utime(path, (1, 1))
    assert job != job_of([path], {"method": "auto"})
    assert {"version", "files", "method"} == set(job)
