"""`bss.dereverberate`, `bss denoise --dereverb`, `bss unmix --dereverb`: late echo goes, in blocks of any size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from recordings import RATE, document, hiss, listing, run, save, tracks, unmix, voice
from scipy.signal import fftconvolve

import bss
from bss.errors import InputError
from bss.pipeline import dereverb
from bss.pipeline.dereverb import dereverberated

EARLY = round(0.05 * RATE)


def in_a_hall(mics: int, seconds: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    """A voice at some microphones (M, n) with an echo that decays in 0.8 s, and the same with the first 50 ms of it alone."""
    rng = np.random.default_rng(0)
    time = np.arange(RATE) / RATE
    rooms = rng.normal(size=(mics, RATE)) * np.exp(-6.9 * time / 0.8) * 0.05
    rooms[:, 0] = 1.0
    dry = np.resize(voice("fiona"), round(seconds * RATE))
    heard, early = (np.stack([fftconvolve(dry, h)[: len(dry)] for h in parts]) for parts in (rooms, rooms[:, :EARLY]))
    return heard.astype(np.float32), early.astype(np.float32)


@pytest.mark.parametrize(("mics", "least"), [(1, 0.7), (2, 1.5)])
def test_it_is_closer_to_what_comes_early(mics: int, least: float) -> None:
    x, early = in_a_hall(mics)
    before, after = (float(bss.si_sdr(early[:1], y[:1])[0]) for y in (x, bss.dereverberate(x, RATE)))
    assert after > before + least


@pytest.mark.parametrize("sizes", [[1000], [70_000], [16_000, 1, 50_000]])
def test_blocks_of_any_size_give_the_same(sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dereverb, "STRETCH_SECONDS", 3.0)
    monkeypatch.setattr(dereverb, "FADE_SECONDS", 0.5)
    x, _ = in_a_hall(2)
    parts, at, k = [], 0, 0
    while at < x.shape[1]:
        parts.append(x[:, at : at + sizes[k % len(sizes)]])
        at, k = at + sizes[k % len(sizes)], k + 1
    found = list(dereverberated(parts, RATE))
    assert len(found) == 2
    assert max(part.shape[1] for part in found) <= 4 * RATE, "of a stretch, not of all that came"
    np.testing.assert_array_equal(np.concatenate(found, axis=1), bss.dereverberate(x, RATE))


def test_silence_stays_silent_and_its_neighbours_are_as_without_it() -> None:
    x, _ = in_a_hall(1, 3.0)
    both = bss.dereverberate(np.concatenate((x, np.zeros_like(x))), RATE)
    assert not both[1].any()
    np.testing.assert_array_equal(both[:1], bss.dereverberate(x, RATE))
    assert not bss.dereverberate(np.zeros(2 * RATE, np.float32), RATE).any()


def test_speech_without_echo_is_hardly_harmed() -> None:
    x = voice("fiona")[: 4 * RATE]
    assert float(bss.si_sdr(x[None], bss.dereverberate(x, RATE)[None])[0]) > 15


def test_what_is_too_short_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lasts 0\.50 s"):
        bss.dereverberate(hiss((RATE // 2,), 0.1).astype(np.float32), RATE)
    short = save(tmp_path / "short.wav", hiss((1, RATE // 2), 0.1))
    found = run("denoise", short, "--dereverb", "-o", tmp_path / "out")
    assert (found.exit_code, "echo is not learned" in found.stderr) == (3, True)
    assert not (tmp_path / "out").exists()


def test_denoise_takes_echo_out_first(tmp_path: Path) -> None:
    x, _ = in_a_hall(2, 4.0)
    hall = save(tmp_path / "hall.wav", 0.3 * x, subtype="FLOAT")
    found = run("denoise", hall, "--dereverb", "-o", tmp_path / "out", "--json")
    assert found.exit_code == 0, found.stderr
    assert json.loads(found.stdout)["dereverb"] is True
    wanted = bss.denoise(bss.dereverberate(bss.read(hall)[0], RATE), RATE)
    np.testing.assert_allclose(bss.read(tmp_path / "out/hall.wav")[0], wanted, atol=1e-6)


def test_unmix_takes_echo_out_of_its_tracks(tmp_path: Path) -> None:
    x = np.stack([[1.0, 0.4], [0.5, 1.0]]) @ np.stack([voice(name)[: 3 * RATE] for name in ("fiona", "edward")])
    mics = save(tmp_path / "mics.wav", 0.3 * x, subtype="FLOAT")
    unmix(mics, "-o", tmp_path / "out", "--dereverb", "--sources", "2")
    assert document(tmp_path / "out")["denoised"] == {"strength": 0.0, "dereverb": True}
    assert document(tmp_path / "out")["options"]["dereverb"] is True
    assert any("linear" in name for name in listing(tmp_path / "out"))
    linear = np.stack([bss.read(tmp_path / f"out/linear/source{k}.wav")[0][0] for k in (1, 2)])
    np.testing.assert_allclose(tracks(tmp_path / "out")[:2], bss.dereverberate(linear, RATE), atol=1e-5)
