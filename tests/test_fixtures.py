"""The fixtures match their README and the script that generates them."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import bss
from bss.scenes.acoustics import rooms

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
SUMS = [line.split() for line in (FIXTURES / "SHA256SUMS").read_text().splitlines()]


def test_checksums() -> None:
    assert {name for _, name in SUMS} == {p.relative_to(FIXTURES).as_posix() for p in FIXTURES.rglob("*.flac")}
    for digest, name in SUMS:
        assert hashlib.sha256((FIXTURES / name).read_bytes()).hexdigest() == digest, name


def test_size_and_readme() -> None:
    assert sum(p.stat().st_size for p in FIXTURES.rglob("*") if p.is_file()) < 3_000_000
    readme = (FIXTURES / "README.md").read_text(encoding="utf-8")
    for file in (FIXTURES / "voices").iterdir():
        assert f"`{file.name}`" in readme
    assert "CC0" in readme


def test_voices(voice_files: list[Path]) -> None:
    """Equally loud, of similar length, not clipped, and all different."""
    spectra = []
    for file in voice_files:
        x, rate = bss.read(file)
        assert (len(x), rate) == (1, 16_000), file.name
        assert 10 <= x.shape[1] / rate <= 12, file.name
        assert np.sqrt(np.mean(x**2)) == pytest.approx(0.06, rel=0.02), file.name
        assert np.abs(x).max() < 0.95, file.name
        frames = x[0, : x.shape[1] // 512 * 512].reshape(-1, 512)
        spectrum = np.log(np.mean(np.abs(np.fft.rfft(frames * np.hanning(512))) ** 2, axis=0)[2:200])
        spectra.append(spectrum - spectrum.mean())
    for (i, a), (j, b) in combinations(enumerate(spectra), 2):
        assert np.sqrt(np.mean((a - b) ** 2)) > 0.5, (voice_files[i].name, voice_files[j].name)


def test_room_is_as_described() -> None:
    about = json.loads((FIXTURES / "room/room.json").read_text())
    mics, talkers = np.array(about["mics"]), np.array(about["talkers"])
    times = np.linalg.norm(talkers[:, None] - mics, axis=-1) / rooms.SPEED_OF_SOUND
    layout = rooms.lay_out(tuple(about["room"]), 4, 4, 0.05, np.random.default_rng(0))
    responses = rooms.respond(layout, about["rt60"], about["rate"])
    for k in range(4):
        rirs, rate = bss.read(FIXTURES / f"room/talker{k + 1}.flac")
        assert (rate, len(rirs)) == (16_000, 4)
        assert rooms.decay_time(rirs[0], rate) == pytest.approx(0.3, rel=0.15)
        np.testing.assert_allclose(np.abs(rirs).argmax(1) / rate, times[k], atol=1 / rate)
        np.testing.assert_allclose(rirs, about["gain"] * responses.rirs[k], atol=1e-4)


@pytest.mark.needs("espeak-ng")
def test_script_makes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other versions of espeak-ng sound slightly different, but have the same length."""
    spec = importlib.util.spec_from_file_location("make_fixtures", FIXTURES / "make.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.main(tmp_path)
    assert "MB in" in capsys.readouterr().out
    assert [name for _, name in SUMS] == [line.split()[1] for line in (tmp_path / "SHA256SUMS").read_text().splitlines()]
    for _, name in SUMS:
        made, shipped = bss.read(tmp_path / name)[0], bss.read(FIXTURES / name)[0]
        assert made.shape[1] == pytest.approx(shipped.shape[1], rel=0.1), name
