"""Kinds of faults that fuzzing found, each with the right value."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import BSS, RATE, hiss, listing, run, save, spawn

import bss
from bss.pipeline.resources import costs, memory
from bss.signals.files import leftovers


def spectra(M: int = 2) -> np.ndarray:
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(9, M, 200)) + 1j * rng.normal(size=(9, M, 200))) * rng.gamma(0.3, size=(1, M, 200))
    return (X + 0.4 * X[:, ::-1]).astype(np.complex64)


@pytest.mark.parametrize("layout", ["sliced", "swapped bytes", "fortran", "read only", "not masked"])
def test_strides_and_byte_order_do_not_matter(layout: str) -> None:
    X = spectra()
    wide = np.repeat(X, 2, axis=2)
    frozen = X.copy()
    frozen.flags.writeable = False
    same = {
        "sliced": wide[..., ::2], "swapped bytes": X.astype(X.dtype.newbyteorder("S")), "fortran": np.asfortranarray(X),
        "read only": frozen, "not masked": np.ma.asarray(X),
    }[layout]  # fmt: skip
    for solver in (bss.auxiva, bss.cacgmm):
        np.testing.assert_array_equal(solver(same, n_iter=2).sources, solver(X, n_iter=2).sources)


def test_masked_samples_are_refused() -> None:
    x = np.ma.masked_greater(hiss((2, RATE), 0.1), 0.3)
    for call in (lambda: bss.denoise(x, RATE), lambda: bss.fastica(x), lambda: bss.si_sdr(x, x), lambda: bss.unmix(x, RATE)):
        with pytest.raises(bss.InputError, match="masked"):
            call()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: bss.mix(hiss((2, RATE), 0.1), RATE, rt60=None), "rt60=None"),
        (lambda: bss.mix(hiss((2, RATE), 0.1), RATE, rt60=float("nan"), instantaneous=True), "rt60=nan"),
        (lambda: bss.mix(hiss((2, RATE), 0.1), RATE, snr_db="x"), "snr_db='x'"),
        (lambda: bss.ilrma(spectra(), dof="x"), "dof='x'"),
        (lambda: bss.auxiva(spectra(), callback=2), "callback=2"),
        (lambda: bss.auxiva(spectra(), rng="x"), "rng='x'"),
        (lambda: bss.ilrma(spectra(), n_components=1 << 31), "n_components"),
        (lambda: bss.Stft(1 << 31), "n_fft"),
        (lambda: bss.unmix(hiss((2, RATE), 0.1), RATE, channels=3), "channels=3"),
        (lambda: bss.unmix(hiss((2, RATE), 0.1), RATE, per_mic="x"), "per_mic='x'"),
        (lambda: bss.unmix(hiss((2, RATE), 0.1), RATE, n_sources=10**20), "n_sources"),
        (lambda: bss.unmix(hiss((2, RATE), 0.1), 1), "rate=1"),
        (lambda: bss.denoise(hiss((2, RATE), 0.1), RATE, weights=3), "weights=3"),
    ],
)
def test_options_of_wrong_types_and_sizes(call: Any, said: str) -> None:
    with pytest.raises(bss.UsageError) as raised:
        call()
    assert raised.value.what.startswith(said)


@pytest.mark.parametrize("scale", [1e-40, 1e-20, 1e20])
def test_levels_beyond_all_reason_are_refused(scale: float) -> None:
    x = (hiss((2, RATE), 0.1) * np.float32(scale)).astype(np.float32)
    X = (spectra() * np.float32(scale)).astype(np.complex64)
    for call in (
        lambda: bss.denoise(x, RATE), lambda: bss.whiten(x), lambda: bss.mix(list(x), RATE, rt60=0), lambda: bss.cacgmm(X),
        lambda: bss.wpe(X),
    ):  # fmt: skip
        with pytest.raises(bss.InputError, match="full scale is 1"):
            call()


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-100, 1.0, 1e100, 1e200])
def test_si_sdr_has_no_scale(scale: float) -> None:
    a, noise = np.random.default_rng(0).normal(size=(2, 1000))
    want = bss.si_sdr(a, a + 0.1 * noise)
    assert bss.si_sdr(a, (a + 0.1 * noise) * scale) == pytest.approx(want, abs=1e-6)
    assert bss.si_sdr(a * scale, a + 0.1 * noise) == pytest.approx(want, abs=1e-6)


@pytest.mark.parametrize("rate", [1, 99, 2_000_000_000])
def test_implausible_rates_of_files(tmp_path: Path, rate: int) -> None:
    data = bytearray(Path(save(tmp_path / "a.wav", hiss((2, 4000), 0.1))).read_bytes())
    data[24:28] = rate.to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(data)
    done = run("check", tmp_path / "a.wav")
    assert done.exit_code == 3
    assert f"a.wav has a sample rate of {rate} Hz" in done.stderr


def test_a_rate_of_100_hz_beside_16_khz(tmp_path: Path) -> None:
    slow = save(tmp_path / "a.wav", hiss((2, 400), 0.1), 100)
    done = run("unmix", slow, save(tmp_path / "b.wav", hiss((2, 4 * RATE), 0.1)), "--dry-run")
    assert done.exit_code == 3
    assert "the recording has a sample rate of 100 Hz" in done.stderr
    assert "components" not in done.stderr


def test_samples_beyond_1e19_are_a_damaged_channel_and_no_warning(tmp_path: Path) -> None:
    x = hiss((3, 2 * RATE), 0.1) + hiss((1, 2 * RATE), 0.1, seed=1)
    x[2, 100] = 1e20
    done = run("check", "-q", save(tmp_path / "a.wav", x, subtype="FLOAT"))
    assert "Warning" not in done.stderr
    assert "contains 1 infinite sample" in done.stdout


SCENES = [
    ({"options": {"n_mics": 1_000_000_000}}, "options.n_mics is 1000000000, expected a whole number from 1 to 256"),
    ({"options": {"n_mics": 1.5}}, "options.n_mics is 1.5"),
    ({"options": {"rt60": None}}, "options.rt60 is None, expected a number"),
    ({"options": {"room": [1, None, 3]}}, "options.room[0] is 1"),
    ({"options": {"levels_db": {}}}, "options.levels_db is {}, expected a list"),
    ({"rate": 10**30}, "rate is 1000000000000000000000000000000"),
    ({"voices": [{"name": "a\0b", "file": "v.wav", "sha256": "0" * 64}]}, "voices[0].name is 'a\\x00b'"),
    ({"voices": [None]}, "voices[0] is None"),
    ({"files": {"mics": ["../a.wav"], "truth": []}}, "files.mics[0] is '../a.wav'"),
]


@pytest.mark.parametrize(("change", "said"), SCENES, ids=[said[:30] for _, said in SCENES])
def test_fields_of_a_scene_are_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    voice = save(tmp_path / "v.wav", hiss((4000,), 0.1))
    assert run("mix", voice, "--rt60", "0", "-o", tmp_path / "scene").exit_code == 0
    path = tmp_path / "scene" / "scene.json"
    document = json.loads(path.read_text())
    for key, value in change.items():
        document[key] = {**document[key], **value} if isinstance(value, dict) else value
    path.write_text(json.dumps(document))
    done = run("mix", "--scene", path, "-o", tmp_path / "again")
    assert done.exit_code == 3
    assert f"why: {said}" in done.stderr
    assert not (tmp_path / "again").exists()


def test_control_characters_in_names_are_shown(tmp_path: Path) -> None:
    name = "\x1b[31mred.wav"
    save(tmp_path / name, hiss((1, 4000), 0.1))
    done = run("unmix", tmp_path / name)
    assert "\x1b" not in done.stderr
    assert "\\x1b[31mred.wav" in done.stderr
    scored = run("score", tmp_path / name, tmp_path / name)
    assert "\x1b" not in scored.stdout
    assert "\\x1b[31mred" in scored.stdout


def test_an_output_behind_a_folder_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("mix", save(tmp_path / "v.wav", hiss((4000,), 0.1)), "--rt60", "0", "-o", "nothing/../out")
    assert done.exit_code == 0, done.stderr
    assert listing(tmp_path) == ["out", "v.wav"]
    assert "nothing" not in done.stderr


def test_what_a_killed_run_left_is_removed_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    dead = tmp_path / leftovers.temporary_name().replace(f"-{os.getpid()}-", f"-{gone.pid}-")
    alive, foreign = tmp_path / leftovers.temporary_name(), tmp_path / f".bss-{'0' * 12}-{gone.pid}-{'1' * 16}.part"
    for file in (dead, alive, foreign):
        file.touch()
    bss.write(tmp_path / "a.wav", hiss((1, 400), 0.1), RATE)
    assert listing(tmp_path) == sorted([alive.name, foreign.name, "a.wav"])
    assert "removed an unfinished file" in caplog.text


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_sigterm_leaves_nothing(tmp_path: Path) -> None:
    voice = save(tmp_path / "v.wav", hiss((4000,), 0.1))
    words = ["mix", voice, "--rt60", "0.3", "--seconds", "600", "-o", str(tmp_path / "scene")]
    process = subprocess.Popen([*BSS, *words], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "scene").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert "ended from outside" in process.communicate()[1]
    assert process.returncode == 143
    assert listing(tmp_path) == ["v.wav"]


def test_who_forbids_the_compiler_is_told_so(tmp_path: Path) -> None:
    path = save(tmp_path / "a.wav", hiss((2, 2 * RATE), 0.1))
    done = spawn("unmix", path, "--method", "fastica", env={"NUMBA_DISABLE_JIT": "1"}, cwd=tmp_path)
    assert done.returncode == 2
    assert b"NUMBA_DISABLE_JIT is set" in done.stderr


def test_a_plan_that_needs_more_memory_than_there_is() -> None:
    with pytest.raises(bss.UsageError, match="fastmnmf needs about"):
        costs.refuse_plan(6 << 30, "fastmnmf", memory.Budget(1 << 30, f"{memory.OPTION} 1G"))
    costs.refuse_plan(1 << 20, "fastmnmf", memory.Budget(1 << 30, f"{memory.OPTION} 1G"))


def test_an_internal_error_says_how_to_repeat_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("bss.signals.files.paths.expand", broken)
    monkeypatch.setattr("sys.argv", ["bss", "check", "a b.wav"])
    done = run("check", "a b.wav")
    assert done.exit_code == 1
    assert "this is a fault of bss" in done.stderr
    assert "bss check 'a b.wav' --debug" in done.stderr
