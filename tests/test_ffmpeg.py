"""Files made by ffmpeg, and files that only ffmpeg reads."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from bss.errors import InputError
from bss.signals.files.audio import load, probe

RATE = 48000
N = 12000
pytestmark = pytest.mark.needs("ffmpeg")


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    """Two channels (2, N) of low-passed noise, which lossy codecs keep, with peaks of 0.9."""
    noise = np.random.default_rng(0).standard_normal((2, N + 200))
    smooth = np.apply_along_axis(np.convolve, 1, noise, np.hanning(64), mode="valid")[:, :N]
    return (0.9 * smooth / np.abs(smooth).max()).astype(np.float32)


def mp3(path: Path, x: np.ndarray, *options: str) -> None:
    sf.write(path.with_suffix(".wav"), x.T, RATE)
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(path.with_suffix(".wav")), *options, str(path)]
    subprocess.run(command, check=True)


@pytest.mark.parametrize(
    ("options", "native"),
    [
        ((), True),
        (("-q:a", "4"), True),
        (("-write_xing", "0"), True),
        (("-write_xing", "0", "-q:a", "4"), False),  # libsndfile stops at half of it
        (("-ar", "24000", "-ac", "1", "-write_xing", "0"), True),  # as gTTS sends them
    ],
)
def test_mp3_lengths(
    tmp_path: Path, x: np.ndarray, options: tuple[str, ...], native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    loud_and_quiet = np.concatenate([np.tile(x, 6), 1e-4 * np.tile(x, 6), np.tile(x, 6)], axis=1)
    mp3(tmp_path / "a.mp3", loud_and_quiet, *options)
    seconds = loud_and_quiet.shape[1] / RATE
    recording = load(tmp_path / "a.mp3")
    assert seconds <= recording.x.shape[1] / recording.rate <= seconds + 0.15
    assert abs(probe(tmp_path / "a.mp3")[0].seconds - recording.x.shape[1] / recording.rate) < 0.1
    monkeypatch.setenv("PATH", str(tmp_path))
    if native:
        np.testing.assert_array_equal(load(tmp_path / "a.mp3").x, recording.x)
    else:
        with pytest.raises(InputError, match=r"a\.mp3 cannot be read"):
            load(tmp_path / "a.mp3")


@pytest.mark.parametrize(
    ("name", "codec", "subtype", "atol"),
    [
        ("größer 1.m4a", "aac", "AAC", None),
        ("-dash: 12:30.m4a", "alac", "PCM_16", 2.0**-15),
        ("a.wv", "wavpack", "PCM_16", 2.0**-15),
        ("a.wma", "wmav2", "WMAV2", None),
        ("a.mka", "pcm_f32le", "FLOAT", 0),
        ("a.webm", "libopus", "OPUS", None),
    ],
)
def test_other_formats_by_ffmpeg(
    tmp_path: Path, x: np.ndarray, name: str, codec: str, subtype: str, atol: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sf.write(tmp_path / "a.wav", np.tile(x, 8).T, RATE, subtype="FLOAT" if atol == 0 else "PCM_16")
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(tmp_path / "a.wav"), "-c:a", codec, f"file:{tmp_path / name}"]
    subprocess.run(command, check=True)
    recording = load(tmp_path / name)
    (info,) = probe(tmp_path / name)
    assert (recording.rate, recording.x.shape[0], recording.subtype) == (RATE, 2, subtype)
    assert (info.rate, info.channels, info.subtype) == (RATE, 2, subtype)
    assert abs(info.seconds - 2) < 0.1
    assert abs(recording.x.shape[1] - 8 * N) < 2048
    if atol is not None:
        np.testing.assert_allclose(recording.x, np.tile(x, 8), atol=atol)
    np.testing.assert_array_equal(load(tmp_path / name, start=0.5, end=1).x, recording.x[:, RATE // 2 : RATE])
    content = (tmp_path / name).read_bytes()
    (tmp_path / f"cut{Path(name).suffix}").write_bytes(content[: int(len(content) * 0.6)])
    if codec != "wmav2":  # whose packets do not reveal how many are missing
        with pytest.raises(InputError, match=r"cut\."):
            load(tmp_path / f"cut{Path(name).suffix}")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="ffmpeg, which supports more formats, is not installed"):
        load(tmp_path / name)


def test_tracks_are_not_dropped(tmp_path: Path, x: np.ndarray) -> None:
    sf.write(tmp_path / "a.wav", x.T, RATE)
    base = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(tmp_path / "a.wav")]
    subprocess.run([*base, "-map", "0:a", "-map", "0:a", "-c:a", "aac", str(tmp_path / "two.mka")], check=True)
    video = ["-f", "lavfi", "-i", "color=size=16x16:duration=1", str(tmp_path / "mute.mkv")]
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *video], check=True)
    for reader in (load, probe):
        with pytest.raises(InputError, match=r"two\.mka contains several audio tracks"):
            reader(tmp_path / "two.mka")
        with pytest.raises(InputError, match=r"mute\.mkv contains no audio"):
            reader(tmp_path / "mute.mkv")


@pytest.mark.parametrize("arguments", [("-f", "w64", "-c:a", "pcm_f32le"), ("-f", "wav", "-rf64", "always"), ("-f", "flac")])
@pytest.mark.parametrize("piped", [True, False])
def test_headers_of_ffmpeg(tmp_path: Path, x: np.ndarray, arguments: tuple[str, ...], piped: bool) -> None:
    sf.write(tmp_path / "a.wav", x.T, RATE, subtype="PCM_16")
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(tmp_path / "a.wav"), *arguments]
    if piped:
        done = subprocess.run([*command, "-"], check=True, stdout=subprocess.PIPE)
        (tmp_path / "b.wav").write_bytes(done.stdout)
    else:
        subprocess.run([*command, str(tmp_path / "b.wav")], check=True)
    recording = load(tmp_path / "b.wav")
    np.testing.assert_array_equal(recording.x, load(tmp_path / "a.wav").x)
    assert (recording.subtype == "FLOAT") == ("pcm_f32le" in arguments)
