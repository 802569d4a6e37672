"""The promises of docs/design.md to users, by their numbers."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from recordings import RATE, desk, room, run, save, save_each

import bss

METHODS = ("fastica", "infomax", "auxiva", "fdica", "ilrma", "neural", "cacgmm")


def clicks(n: int) -> np.ndarray:
    """(2, n) an otherwise quiet recording of two talkers with a click at its first and its last sample."""
    scene = desk(2, 2.0, snr_db=60.0)
    x = 0.2 * scene.mixture[:, :n]
    x[:, 0] += [0.5, 0.3]
    x[:, -1] -= [0.5, 0.3]
    return np.asarray(x, np.float32)


# 1: length and alignment


@pytest.mark.parametrize("n", [16_000, 15_999, 16_001, 12_347])
@pytest.mark.parametrize("method", METHODS)
def test_1_as_long_as_the_input_and_sample_0_is_sample_0(method: str, n: int) -> None:
    x = clicks(n)
    result = bss.unmix(x, RATE, method=method)
    assert result.sources.shape == (2, n)
    total = sum(result.tracks().values())
    assert np.argmax(total) == 0
    assert np.argmin(total) == n - 1
    # in one track more than in the other, and nowhere but at its place
    for y, at in ((result.sources, 0), (-result.sources, n - 1)):
        track = y[np.argmax(y[:, at])]
        assert np.argmax(track) == at


@pytest.mark.parametrize("shift", [1, 777])
def test_1_what_comes_later_stays_later(shift: int) -> None:
    """The same recording with `shift` samples of silence before it: the tracks move by as much."""
    x = desk(2, 1.0, snr_db=60.0).mixture
    late = np.concatenate([np.zeros((2, shift), np.float32), x], axis=1)
    first, second = bss.unmix(x, RATE), bss.unmix(late, RATE)
    np.testing.assert_allclose(second.sources[:, shift:], first.sources, atol=2e-3 * np.abs(x).max())


def test_1_what_is_cut_or_added_is_said(tmp_path: Path) -> None:
    x = desk(2, 1.0).mixture
    files = [save(tmp_path / "a.wav", x[0]), save(tmp_path / "b.wav", x[1, :-300])]
    done = run("unmix", *files, "-o", tmp_path / "out", "--end", "99")
    assert done.exit_code == 0, done.stderr
    assert "b.wav: padded with 300 samples" in done.stderr
    assert "the requested end, 99 s, is after the end of the recording, 1.000 s" in done.stderr
    assert soundfile.info(tmp_path / "out/source1.wav").frames == x.shape[1]


# 2: finite


def extremes() -> dict[str, np.ndarray]:
    scene = room(2, 1.0)
    x, silent = scene.mixture, np.zeros((2, RATE // 2), np.float32)
    half = x.copy()
    half[0, RATE // 2 :] = 0.0
    return {
        "digital silence at both ends": np.concatenate([silent, x, silent], axis=1),
        "a microphone that drops out": half,
        "clipped hard": np.clip(20 * x, -1, 1),
        "an offset": x + np.float32(0.4),
        "samples as large as those of 16 bit integers": 32768 * x,
        "very quiet": 2e-3 * x,
        "one channel 60 dB down": x * np.array([[1.0], [1e-3]], np.float32),
        "single clicks in silence": np.where(np.arange(RATE) % 997 == 3, x, 0).astype(np.float32),
        "square waves": np.sign(np.sin(np.outer([0.011, 0.017], np.arange(RATE)))).astype(np.float32) * np.float32(0.5),
        "one sine each": np.sin(np.outer([0.11, 0.173], np.arange(RATE))).astype(np.float32),
        "twice the same noise and a little of its own": np.float32(0.1)
        * np.random.default_rng(0).standard_normal((2, RATE)).cumsum(0).astype(np.float32),
    }


EXTREMES = extremes()


@pytest.mark.parametrize("kind", EXTREMES)
@pytest.mark.parametrize("method", METHODS)
def test_2_every_output_is_finite(kind: str, method: str) -> None:
    x = EXTREMES[kind]
    result = bss.unmix(x, RATE, method=method)
    for track in result.tracks().values():
        assert np.isfinite(track).all()
    at_reference = [source.mic == result.record.reference for source in result.record.sources]  # not those it hardly hears
    elsewhere = [name for name, here in zip(result.names, at_reference, strict=True) if not here]
    total = sum(track for name, track in result.tracks().items() if name not in elsewhere)
    reference = x[int(result.info["reference"].split()[1]) - 1]
    np.testing.assert_allclose(total, reference, atol=(1e-3 if all(at_reference) else 0.04) * np.abs(x).max())


# 3: levels


def worst(result: Any, heard: np.ndarray) -> float:
    """How far the tracks are from summing to what the microphone heard, relative to its peak."""
    total = np.sum(list(result.tracks().values()), axis=0, dtype=np.float64)
    return float(np.abs(total - heard).max() / np.abs(heard).max())


LEVELS: list[tuple[str, Callable[[], np.ndarray], dict[str, Any], bool]] = [
    ("a desk", lambda: desk(3, 2.0).mixture, {}, False),
    ("a desk, Infomax", lambda: desk(3, 2.0).mixture, {"method": "infomax"}, False),
    ("a desk, fewer talkers", lambda: desk(2, 2.0, n_mics=4).mixture, {"n_sources": 2}, True),
    ("a room", lambda: room(2, 2.0).mixture, {}, True),
    ("a room, AuxIVA", lambda: room(3, 2.0).mixture, {"method": "auxiva"}, False),
    ("a room, fewer talkers", lambda: room(2, 2.0, n_mics=3).mixture, {"n_sources": 2}, True),
    ("a room, OverIVA", lambda: room(2, 2.0, n_mics=3).mixture, {"n_sources": 2, "method": "auxiva"}, True),
    ("a room, one talker of two", lambda: room(2, 2.0).mixture, {"n_sources": 1}, True),
    ("a room, more talkers", lambda: room(3, 2.0, n_mics=2).mixture, {"n_sources": 3}, True),
]


@pytest.mark.parametrize("reference", [0, 1])
@pytest.mark.parametrize(("make", "options", "left"), [row[1:] for row in LEVELS], ids=[row[0] for row in LEVELS])
def test_3_sources_and_residual_sum_to_the_reference_microphone(
    make: Callable[[], np.ndarray], options: dict[str, Any], left: bool, reference: int
) -> None:
    x = make()
    result = bss.unmix(x, RATE, reference_mic=reference, **options)
    assert (result.residual is not None) == left
    assert worst(result, x[reference]) < 2e-5


def test_3_the_files_sum_to_the_microphone_and_the_gain_is_written_down(tmp_path: Path) -> None:
    x = room(2, 2.0, n_mics=3).mixture
    for loud, options in ((1.0, []), (1.9, [])):
        files = save_each(tmp_path / f"mics{loud}", loud * x, subtype="PCM_24")
        done = run("unmix", *files, "-o", tmp_path / f"out{loud}", "-n", "2", *options)
        assert done.exit_code == 0, done.stderr
        document = json.loads((tmp_path / f"out{loud}/result.json").read_text())
        tracks = sum(soundfile.read(tmp_path / f"out{loud}" / name)[0] for name in document["outputs"])
        np.testing.assert_allclose(tracks / document["gain"], soundfile.read(files[0])[0], atol=1e-5)


# 4: same bytes

SOLVE = """
import hashlib, sys
import numpy as np
import bss
from bss.backends.cpu.threads import limited
x = np.load(sys.argv[1])
for method in sys.argv[3:]:
    with limited(int(sys.argv[2])):
        result = bss.unmix(x, 16_000, method=method)
    print(method, hashlib.sha256(b"".join(track.tobytes() for track in result.tracks().values())).hexdigest())
"""


def test_4_two_processes_and_any_number_of_threads_give_the_same_samples(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", room(3, 2.0).mixture)
    said = {}
    for name, threads in (("first", "1"), ("again", "1"), ("two", "2"), ("three", "3")):
        words = [sys.executable, "-c", SOLVE, str(tmp_path / "x.npy"), threads, *METHODS]
        said[name] = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()[1::2]
    assert len(set(said["first"])) == len(METHODS)
    assert dict(zip(METHODS, said["first"], strict=True)) == dict(zip(METHODS, said["again"], strict=True))
    for name in ("two", "three"):
        assert dict(zip(METHODS, said["first"], strict=True)) == dict(zip(METHODS, said[name], strict=True)), name


def digest(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob("*.wav"))}


def test_4_files_too_whatever_the_threads(tmp_path: Path) -> None:
    files = save_each(tmp_path / "mics", room(2, 2.0).mixture)
    for threads in ("1", "2"):
        done = run("unmix", *files, "-o", tmp_path / threads, "--threads", threads, "--subtype", "float")
        assert done.exit_code == 0, done.stderr
    assert digest(tmp_path / "1") == digest(tmp_path / "2") != {}


def test_4_the_seed_is_what_changes_the_bytes(tmp_path: Path) -> None:
    files = save_each(tmp_path / "mics", room(2, 2.0).mixture)
    for seed in ("0", "1"):
        done = run("unmix", *files, "-o", tmp_path / seed, "--seed", seed, "--subtype", "float", "--method", "ilrma")
        assert done.exit_code == 0
    assert digest(tmp_path / "0") != digest(tmp_path / "1")


def test_4_no_global_random_state_and_no_global_settings() -> None:
    np.random.seed(3)  # noqa: NPY002 - the state of other people's programs
    before, errors, environment = np.random.get_state()[1].copy(), np.geterr(), dict(os.environ)  # type: ignore[index]  # noqa: NPY002
    bss.unmix(room(2, 1.0).mixture, RATE)
    bss.unmix(desk(2, 1.0).mixture, RATE)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # type: ignore[index]  # noqa: NPY002
    assert (np.geterr(), dict(os.environ)) == (errors, environment)


# 5: inputs


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", METHODS)
def test_5_arrays_are_not_written_to(method: str, dtype: Any) -> None:
    x = room(2, 1.0).mixture.astype(dtype)
    kept = x.copy()
    x.flags.writeable = False
    result = bss.unmix(x, RATE, method=method)
    np.testing.assert_array_equal(x, kept)
    assert not any(np.shares_memory(track, x) for track in result.tracks().values())


def test_5_files_are_not_written_to(tmp_path: Path) -> None:
    scene = room(2, 1.0)
    mics, out = tmp_path / "mics", tmp_path / "out"
    save_each(mics, scene.mixture)
    save_each(tmp_path / "truth", scene.images[:, 0])
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.rglob("*.wav")}
    for words in (
        ("check", mics), ("unmix", mics, "-o", out), ("unmix", mics, "-o", out, "--overwrite"), ("unmix", mics, "-o", mics),
        ("score", tmp_path / "truth", out, "--mixture", mics),
        ("mix", mics / "mic1.wav", mics / "mic2.wav", "-o", tmp_path / "mixed"),
    ):  # fmt: skip
        done = run(*words)
        assert done.exit_code == 0, done.stderr
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in before} == before
