"""`bss denoise`, and `bss unmix --denoise` and `--linear`: what is written, what is said, what is refused."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recordings import RATE, fixture_room, hiss, listing, run, save, save_each, unmix, voice

import bss
from bss.networks.denoiser.files import denoise_file
from bss.signals.files.decode import opened


@pytest.fixture
def noisy(tmp_path: Path) -> str:
    return save(tmp_path / "talk.wav", (voice("fiona")[: 3 * RATE] + hiss((3 * RATE,), 0.05))[None])


def test_one_file_to_a_folder_or_to_a_name(noisy: str, tmp_path: Path) -> None:
    found = run("denoise", noisy, "-o", tmp_path / "out", "--json")
    assert found.exit_code == 0, found.stderr
    document = json.loads(found.stdout)
    assert document["results"][0]["power_change_db"] < -1
    assert listing(tmp_path / "out") == ["talk.wav"]
    y, rate = soundfile.read(tmp_path / "out/talk.wav", dtype="float32")
    x, _ = bss.read(noisy)
    assert rate == RATE
    np.testing.assert_allclose(y, bss.denoise(x, RATE)[0], atol=2 / 32768)
    assert soundfile.info(tmp_path / "out/talk.wav").subtype == "PCM_16"
    again = run("denoise", noisy, "-o", tmp_path / "clean.flac")
    assert again.exit_code == 0, again.stderr
    assert soundfile.info(tmp_path / "clean.flac").format == "FLAC"


def test_many_files_keep_names_rates_and_channels(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = save(tmp_path / "a/x.wav", hiss((2, 8000), 0.1), 44_100, "FLOAT")
    second = save(tmp_path / "b/x.wav", hiss((1, 4000), 0.1), 8_000)
    found = run("denoise", first, second, "-o", tmp_path / "out")
    assert found.exit_code == 0, found.stderr
    assert listing(tmp_path / "out") == ["x-2.wav", "x.wav"]
    one, two = (soundfile.info(tmp_path / "out" / name) for name in ("x.wav", "x-2.wav"))
    assert (one.samplerate, one.channels, one.frames, one.subtype) == (44_100, 2, 8000, "FLOAT")
    assert (two.samplerate, two.channels, two.frames) == (8_000, 1, 4000)


def test_strength_zero_is_the_recording(noisy: str, tmp_path: Path) -> None:
    assert run("denoise", noisy, "-o", tmp_path / "same.wav", "--strength", "0", "--subtype", "float").exit_code == 0
    np.testing.assert_array_equal(bss.read(tmp_path / "same.wav")[0], bss.read(noisy)[0])


@pytest.mark.parametrize(("rate", "channels"), [(RATE, 1), (44_100, 2)])
def test_block_by_block_as_in_one_piece(rate: int, channels: int, tmp_path: Path) -> None:
    x = np.stack([np.resize(voice(name), 18 * rate) for name in ("fiona", "edward")[:channels]])  # of more than one block
    x = 0.1 * x + hiss(x.shape, 0.02)
    heard = save(tmp_path / "talk.wav", x, rate, "FLOAT")
    assert run("denoise", heard, "-o", tmp_path / "out").exit_code == 0
    np.testing.assert_array_equal(bss.read(tmp_path / "out/talk.wav")[0], bss.denoise(np.float32(x), rate))


def test_memory_does_not_grow_with_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bss.networks.denoiser.denoise.BLOCK_SECONDS", 1.0)
    monkeypatch.setattr("bss.networks.denoiser.files.BLOCK", 8000)

    def most_held(seconds: int) -> int:
        save(tmp_path / f"{seconds}.wav", hiss((1, seconds * 8000), 0.1), 8000)
        with opened(tmp_path / f"{seconds}.wav") as reader:
            tracemalloc.start()
            denoise_file(reader, tmp_path / "out.wav", name="out.wav", subtype="PCM_16")
            held = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return held

    most_held(1)  # what is read once and kept
    short, long = (most_held(seconds) for seconds in (10, 20))  # the encoder waits for 8 s
    assert long - short < 10 * 8000 * 4 / 4, "a part of what the samples alone would take"


def test_what_would_clip_is_lowered_by_one_gain(tmp_path: Path) -> None:
    x = np.stack([voice("fiona")[: 2 * RATE], voice("edward")[: 2 * RATE]])
    x *= 3 / np.abs(x).max()
    loud = save(tmp_path / "loud.wav", x, subtype="FLOAT")
    found = run("denoise", loud, "-o", tmp_path / "out", "--subtype", "pcm16", "--json")
    assert found.exit_code == 0, found.stderr
    assert "warning: loud.wav was lowered by" in found.stderr
    gain = json.loads(found.stdout)["results"][0]["gain"]
    quiet = bss.denoise(np.float32(x), RATE)
    assert gain == pytest.approx(1 / np.abs(quiet).max(), rel=1e-3)
    np.testing.assert_allclose(bss.read(tmp_path / "out/loud.wav")[0], gain * quiet, atol=1 / 32768)
    flac = run("denoise", loud, "-o", tmp_path / "loud.flac")  # asked for nothing that would lower it
    assert (flac.exit_code, "would peak at" in flac.stderr) == (3, True)
    assert not (tmp_path / "loud.flac").exists()


def test_one_bad_file_and_nothing_is_written(noisy: str, tmp_path: Path) -> None:
    x = hiss((1, 20 * RATE), 0.1)
    x[0, 18 * RATE] = np.nan
    bad = save(tmp_path / "bad.wav", x, subtype="FLOAT")
    found = run("denoise", noisy, bad, "-o", tmp_path / "out")
    assert found.exit_code == 3
    assert f"channel 1 of {bad} holds NaN or infinite samples, the first at {18 * RATE}" in found.stderr
    assert not (tmp_path / "out").exists()


def test_through_pipes(noisy: str) -> None:
    found = run("denoise", "-", "-o", "-", stdin=Path(noisy).read_bytes())
    assert found.exit_code == 0, found.stderr
    assert found.stdout_bytes[:4] == b"RIFF"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--strength", "2"], 2, "--strength 2 is out of range"),
        (["--weights", "no.safetensors"], 3, "no.safetensors does not exist"),
        (["--subtype", "pcm17"], 2, "pcm17"),
        (["-o", ""], 2, "empty name"),
        (["-o", "-", "--json"], 2, "both want stdout"),
    ],
)
def test_what_is_refused(words: list[str], code: int, said: str, noisy: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    found = run("denoise", noisy, *words)
    assert found.exit_code == code, found.stderr
    assert said in found.stderr + found.stdout
    assert sorted(tmp_path.iterdir()) == before


def test_nothing_is_replaced_unasked_and_inputs_never(noisy: str, tmp_path: Path) -> None:
    assert run("denoise", noisy, "-o", tmp_path / "out").exit_code == 0
    again = run("denoise", noisy, "-o", tmp_path / "out")
    assert again.exit_code == 3
    assert "exists" in again.stderr
    assert run("denoise", noisy, "-o", tmp_path / "out", "-y").exit_code == 0
    kept = Path(noisy).read_bytes()
    assert run("denoise", noisy, "-o", noisy, "-y").exit_code == 3
    assert Path(noisy).read_bytes() == kept


# ---- as a part of unmix


@pytest.mark.slow
def test_unmix_keeps_the_linear_tracks_beside_denoised_ones(tmp_path: Path) -> None:
    mics = save_each(tmp_path / "mics", fixture_room(seconds=4.0).sum(0))
    unmix(*mics, "--denoise", "--strength", "0.8", "--subtype", "float", "-o", tmp_path / "out", "--sources", "2")
    assert listing(tmp_path / "out") == ["linear", "residual.wav", "result.json", "source1.wav", "source2.wav"]
    assert listing(tmp_path / "out/linear") == ["source1.wav", "source2.wav"]
    document = json.loads((tmp_path / "out/result.json").read_text())
    assert document["denoised"] == {"strength": 0.8, "dereverb": False}
    assert "linear/source1.wav" in document["outputs"]
    x, _ = bss.read([mics[0]])
    tracks = [bss.read(tmp_path / "out" / f"{name}.wav")[0][0] for name in ("source1", "source2", "residual")]
    np.testing.assert_allclose(np.sum(tracks, axis=0), x[0], atol=1e-4)
    plain = bss.unmix(bss.read(mics)[0], RATE, n_sources=2)
    filtered = plain.sources if plain.linear is None else plain.linear
    np.testing.assert_allclose(bss.read(tmp_path / "out/linear/source1.wav")[0][0], filtered[0], atol=1e-5)
    quiet = plain.denoised(0.8)
    np.testing.assert_allclose(tracks[0], quiet.sources[0], atol=1e-5)
    assert np.abs(quiet.sources - plain.sources).max() > 1e-3


def test_linear_says_where_there_are_no_others(tmp_path: Path) -> None:
    mics = save_each(tmp_path / "mics", fixture_room(seconds=2.0).sum(0))
    found = unmix(*mics, "--linear", "-o", tmp_path / "out", "--sources", "2", "--method", "auxiva")
    assert "already the linear ones" in found.stderr
    assert not (tmp_path / "out/linear").exists()


def test_strength_without_denoise_is_refused(tmp_path: Path) -> None:
    mics = save_each(tmp_path / "mics", fixture_room(seconds=2.0).sum(0))
    found = unmix(*mics, "--strength", "0.5", "-o", tmp_path / "out", code=2)
    assert "--denoise --strength 0.5" in found.stderr
