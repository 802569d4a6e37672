"""`bss sync`, and recorders out of step before `bss unmix`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from recordings import RATE, room, run, save_each
from test_sync import late, recording

import bss


def test_files_in_step_and_a_document(tmp_path: Path) -> None:
    x = 0.2 * recording()
    files = save_each(tmp_path / "mics", np.stack([x[0], late(x[1], 41.3, 1.284)]), subtype="FLOAT")
    done = run("sync", *files, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    second = document["mics"][1]
    assert second["ppm"] == pytest.approx(41.3, abs=0.5)
    assert second["offset"] == pytest.approx(1.284, abs=3e-3)
    assert "starts 1.28" in done.stderr
    assert "ppm" in done.stderr
    y, rate = bss.read([tmp_path / "out" / name for name in document["outputs"]])
    assert rate == RATE
    assert y.shape == x.shape
    assert np.abs(y[0] - x[0]).max() < 1e-6
    assert bss.sync(y, RATE).messages == ()


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    files = save_each(tmp_path / "mics", 0.2 * recording())
    done = run("sync", *files, "-o", tmp_path / "out", "--dry-run")
    assert done.exit_code == 0
    assert "all recordings are in step" in done.stderr
    assert not (tmp_path / "out").exists()


def test_nothing_in_common_is_refused(tmp_path: Path) -> None:
    files = save_each(tmp_path / "mics", 0.2 * np.concatenate([recording(1, 1), recording(1, 1, seed=9)]))
    done = run("sync", *files, "-o", tmp_path / "out")
    assert done.exit_code == 3
    assert "no other recording shares any sound" in done.stderr
    assert not (tmp_path / "out").exists()


def test_one_file_is_refused(tmp_path: Path) -> None:
    bss.write(tmp_path / "both.wav", 0.2 * recording(), RATE)
    done = run("sync", tmp_path / "both.wav", "-o", tmp_path / "out")
    assert done.exit_code == 3
    assert "only one file" in done.stderr


def test_unmix_puts_in_step_and_keeps_the_length() -> None:
    x = room(2, 9.0, rt60=0.2).mixture
    shift = RATE // 2
    late_one = np.concatenate([x[1, shift:], np.zeros(shift, np.float32)])
    result = bss.unmix(np.stack([x[0], late_one]), RATE, n_sources=2, effort="fast")
    assert result.sources.shape == x.shape
    assert not result.sources[:, : shift - 400].any(), "what only one microphone heard cannot be separated"
    assert result.residual is not None
    np.testing.assert_array_equal(result.residual[: shift - 400], x[0, : shift - 400])
    entry = result.record.sync
    assert entry is not None
    assert [mic.changed for mic in entry] == [False, True]
    assert entry[1].offset == pytest.approx(0.5, abs=3e-3)
    assert result.method != "fastica"
    aligned = bss.unmix(x, RATE, n_sources=2, effort="fast").sources
    inside = slice(shift + 400, x.shape[1] - shift)
    alike = np.corrcoef(np.concatenate([result.sources, aligned])[:, inside])[:2, 2:]
    assert np.sort(np.abs(alike).max(1))[0] > 0.9


def test_what_is_in_step_gives_the_same_bytes() -> None:
    x = room(2, 4.0).mixture
    plain, off = (bss.unmix(x, RATE, n_sources=2, effort="fast", sync=mode) for mode in ("auto", "off"))
    assert (plain.sources == off.sources).all()
