"""Reading files of every format, and files that state a wrong length."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from bss.errors import InputError
from bss.signals.files import headers
from bss.signals.files.audio import load, probe

RATE = 48000
N = 12000
LOSSLESS = {"PCM_S8": 7, "PCM_U8": 7, "PCM_16": 15, "PCM_24": 23, "PCM_32": 24, "FLOAT": 25, "DOUBLE": 25}


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    """Two channels (2, N) of low-passed noise, which lossy codecs keep, with peaks of 0.9."""
    noise = np.random.default_rng(0).standard_normal((2, N + 200))
    smooth = np.apply_along_axis(np.convolve, 1, noise, np.hanning(64), mode="valid")[:, :N]
    return (0.9 * smooth / np.abs(smooth).max()).astype(np.float32)


def writable() -> list[tuple[str, str, int]]:
    """(format, subtype, channels) of everything that soundfile can write of the supported formats."""
    mono = {"GSM610", "G721_32", "NMS_ADPCM_16", "NMS_ADPCM_24", "NMS_ADPCM_32"}
    cases = []
    for kind in ("WAV", "WAVEX", "RF64", "W64", "FLAC", "OGG", "MP3", "AIFF", "CAF", "AU"):
        for subtype in sf.available_subtypes(kind):
            unwritten = subtype in ("MPEG_LAYER_I", "MPEG_LAYER_II") or (kind, subtype) == ("WAV", "MPEG_LAYER_III")
            if not unwritten and not subtype.startswith(("DWVW", "G723")):
                cases.append((kind, subtype, 1 if subtype in mono else 2))
    return cases


@pytest.mark.parametrize(("kind", "subtype", "channels"), writable())
def test_every_format(tmp_path: Path, x: np.ndarray, kind: str, subtype: str, channels: int) -> None:
    rate = 8000 if channels == 1 else RATE
    sf.write(tmp_path / "a b ü.bin", x[:channels].T, rate, format=kind, subtype=subtype)
    (info,) = probe(tmp_path / "a b ü.bin")
    recording = load(tmp_path / "a b ü.bin")
    assert recording.repairs == ()
    assert recording.x.dtype == np.float32
    assert recording.x.shape == (channels, info.frames)
    assert (recording.rate, recording.format, recording.subtype) == (rate, info.format, info.subtype)
    assert info.rate == rate
    assert info.subtype == subtype
    assert N <= info.frames <= N + 2048  # codecs work in blocks
    if subtype in LOSSLESS:
        assert info.frames == N
        np.testing.assert_allclose(recording.x, x[:channels], atol=2.0 ** -LOSSLESS[subtype])
    else:
        assert max(np.corrcoef(recording.x[0, k : k + N - 2048], x[0, : N - 2048])[0, 1] for k in range(1300)) > 0.9
    part = load(tmp_path / "a b ü.bin", start=3000 / rate, end=7000 / rate)
    np.testing.assert_allclose(part.x, recording.x[:, 3000:7000], atol=2e-2 if subtype == "OPUS" else 1e-6)


@pytest.mark.parametrize(("kind", "subtype", "channels"), writable())
def test_every_format_cut_in_half(
    tmp_path: Path, x: np.ndarray, kind: str, subtype: str, channels: int, capfd: pytest.CaptureFixture[str]
) -> None:
    sf.write(tmp_path / "whole", np.tile(x, 4)[:channels].T, RATE if channels == 2 else 8000, format=kind, subtype=subtype)
    data = (tmp_path / "whole").read_bytes()
    (tmp_path / "cut.wav").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"cut\.wav") as caught:
        load(tmp_path / "cut.wav")
    assert caught.value.why
    assert caught.value.hint
    if kind not in ("CAF", "FLAC"):  # there the header does not show it, or is unreadable
        with pytest.raises(InputError, match=r"cut\.wav is truncated"):
            probe(tmp_path / "cut.wav")
    capfd.readouterr()  # mpg123 prints messages on stderr


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.wav", b"", "is empty"),
        ("text.wav", b"no audio at all\n" * 100, "cannot be read"),
        ("zeros.flac", bytes(9000), "cannot be read"),
        ("noise.mp3", np.random.default_rng(1).integers(0, 256, 50000, np.uint8).tobytes(), "cannot be read"),
        ("start.wav", b"RIFF\x24\x00\x00\x00WAVEfmt ", "cannot be read"),
        ("samples.raw", bytes(1000), "has no header"),
    ],
)
@pytest.mark.parametrize("with_ffmpeg", [pytest.param(True, marks=pytest.mark.needs("ffmpeg")), False])
def test_not_audio(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    with_ffmpeg: bool,
    name: str,
    content: bytes,
    words: str,
) -> None:
    if not with_ffmpeg:
        monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / name).write_bytes(content)
    for reader in (load, probe):
        with pytest.raises(InputError, match=name) as caught:
            reader(tmp_path / name)
        assert words in caught.value.what
        if words == "cannot be read":
            assert ("ffmpeg" in caught.value.hint) is not with_ffmpeg
            assert "ffmpeg" in caught.value.why
    capfd.readouterr()


def test_no_samples(tmp_path: Path) -> None:
    sf.write(tmp_path / "none.wav", np.zeros((0, 2)), RATE)
    for reader in (load, probe):
        with pytest.raises(InputError, match=r"none\.wav contains no samples"):
            reader(tmp_path / "none.wav")


def set_wav_sizes(path: Path, riff: int, data: int) -> None:
    """Overwrite the sizes in the header of a plain WAV file."""
    content = bytearray(path.read_bytes())
    content[4:8] = struct.pack("<I", riff)
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", data)
    path.write_bytes(content)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize(
    ("riff", "data"),
    [
        (0xFFFFFFFF, 0xFFFFFFFF),  # ffmpeg
        (0x7FFFF024, 0x7FFFF000),  # sox
        (0x80000024, 0x80000000),  # arecord
        (0, 0),  # a recorder that lost power
        (36, 0),
    ],
)
def test_wav_without_length(tmp_path: Path, x: np.ndarray, subtype: str, riff: int, data: int) -> None:
    path = tmp_path / "stream.wav"
    sf.write(path, x.T, RATE, subtype=subtype)
    whole = load(path)
    set_wav_sizes(path, riff, data)
    recording = load(path)
    np.testing.assert_array_equal(recording.x, whole.x)
    assert recording.subtype == subtype
    assert "stream.wav: its header does not state its length; all 0.250 s" in recording.repairs[0]
    assert probe(path)[0].frames == N
    part = load(path, start=0.1, end=0.2)
    np.testing.assert_array_equal(part.x, whole.x[:, 4800:9600])


@pytest.mark.parametrize("byte_order", ["LITTLE", "BIG"])
def test_wav_of_either_byte_order_without_length(tmp_path: Path, x: np.ndarray, byte_order: str) -> None:
    path = tmp_path / "stream.wav"
    for subtype in ("PCM_16", "PCM_24", "FLOAT"):
        sf.write(path, x.T, RATE, subtype=subtype, endian=byte_order)
        whole = load(path)
        set_wav_sizes(path, 0, 0)
        np.testing.assert_array_equal(load(path).x, whole.x)


def test_wav_that_promises_one_frame_too_many(tmp_path: Path, x: np.ndarray) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, x.T, RATE, subtype="PCM_16")
    size = 4 * N
    set_wav_sizes(path, 36 + size, size + 3)  # less than a frame: some programs include the padding
    assert load(path).x.shape == (2, N)
    set_wav_sizes(path, 36 + size, size + 4)
    with pytest.raises(InputError, match=r"a\.wav is truncated"):
        load(path)


def test_wav_with_chunks_around_the_samples(tmp_path: Path, x: np.ndarray) -> None:
    with sf.SoundFile(tmp_path / "a.wav", "w", RATE, 2, subtype="PCM_16") as file:
        file.title = "odd"
        file.write(x.T)
        file.comment = "behind the samples"
    recording = load(tmp_path / "a.wav")
    assert recording.x.shape == (2, N)
    assert recording.repairs == ()


@pytest.mark.programs
def test_several_ogg_streams_are_not_cut(tmp_path: Path, x: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.ogg", "b.ogg"):
        sf.write(tmp_path / name, x.T, RATE, format="OGG", subtype="VORBIS")
    (tmp_path / "ab.ogg").write_bytes((tmp_path / "a.ogg").read_bytes() + (tmp_path / "b.ogg").read_bytes())
    if headers.ogg_fault(tmp_path / "ab.ogg") == "":
        pytest.skip("libsndfile drew the same serial number twice")
    if shutil.which("ffmpeg"):
        assert load(tmp_path / "ab.ogg").x.shape[1] >= 2 * N
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"ab\.ogg cannot be read"):
        load(tmp_path / "ab.ogg")
