"""Reading and writing recordings: one array, one rate, one length, and every repair reported."""

from __future__ import annotations

import dataclasses
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from bss.errors import BssError, InputError, UsageError
from bss.signals.files.audio import Channel, load, probe, read, write
from bss.signals.resample import resample


def noise(m: int, n: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((m, n))).astype(np.float32)


def put(path: Path, x: np.ndarray, rate: int = 16000, **options: str) -> Path:
    sf.write(path, x.T, rate, **{"subtype": "FLOAT", **options})
    return path


def test_mixture_of_multichannel_and_mono_files(tmp_path: Path) -> None:
    a, b, c = noise(1, 800, 1), noise(3, 800, 2), noise(2, 800, 3)
    files = [put(tmp_path / "mic 1.wav", a), put(tmp_path / "Fläche.wav", b), put(tmp_path / "c.flac", c, subtype="PCM_24")]
    recording = load(files)
    np.testing.assert_allclose(recording.x, np.concatenate([a, b, c]), atol=2.0**-23)
    assert recording.x.dtype == np.float32
    assert recording.x.flags.c_contiguous
    assert (recording.rate, recording.format, recording.subtype, recording.repairs) == (16000, "WAV", "FLOAT", ())
    assert [channel.index for channel in recording.channels] == [0, 0, 1, 2, 0, 1]
    names = [channel.name.removeprefix(f"{tmp_path}/") for channel in recording.channels]
    assert names == ["mic 1.wav", "Fläche.wav[1]", "Fläche.wav[2]", "Fläche.wav[3]", "c.flac[1]", "c.flac[2]"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        recording.rate = 1  # type: ignore[misc]
    np.testing.assert_array_equal(load(files[::-1]).x[-1], a[0])


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are text on this system")
def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/mic\xff\xfe.wav"))
    write(path, noise(2, 100), 16000)
    np.testing.assert_array_equal(load(path).x, noise(2, 100))
    np.testing.assert_array_equal(load(tmp_path).x, noise(2, 100))


def test_folder_and_string(tmp_path: Path) -> None:
    for k in (10, 9, 1):
        put(tmp_path / f"mic{k}.wav", np.full((1, 100), k / 10, np.float32))
    (tmp_path / "notes.txt").write_text("not audio")
    np.testing.assert_allclose(load(str(tmp_path)).x[:, 0], [0.1, 0.9, 1.0])
    assert read(tmp_path)[0].shape == (3, 100)
    assert [info.path.name for info in probe([tmp_path])] == ["mic1.wav", "mic9.wav", "mic10.wav"]


def test_probe(tmp_path: Path) -> None:
    put(tmp_path / "a.wav", noise(4, 8000), 16000, subtype="PCM_24")
    (info,) = probe(tmp_path / "a.wav")
    assert (info.rate, info.channels, info.frames, info.seconds) == (16000, 4, 8000, 0.5)
    assert (info.format, info.subtype, info.note) == ("WAV", "PCM_24", "")


@pytest.mark.parametrize(("length", "doubt"), [(16000, False), (15999, False), (9000, False), (7999, True), (1, True)])
def test_shorter_files_are_padded(tmp_path: Path, length: int, doubt: bool) -> None:
    put(tmp_path / "long.wav", noise(1, 16000))
    short = put(tmp_path / "short.wav", noise(2, length, 1))
    recording = load([short, tmp_path / "long.wav"])
    assert recording.x.shape == (3, 16000)
    np.testing.assert_array_equal(recording.x[:2, :length], noise(2, length, 1))
    assert not recording.x[:2, length:].any()
    np.testing.assert_array_equal(recording.x[2], noise(1, 16000)[0])
    expected = [f"padded with {16000 - length} samples"] if length < 16000 else []
    assert [sentence.split(": ")[1].split(" (")[0] for sentence in recording.repairs] == expected
    assert all("short.wav: " in sentence for sentence in recording.repairs)
    assert any("does it belong" in sentence for sentence in recording.repairs) is doubt


@pytest.mark.parametrize(("rate", "other"), [(16000, 48000), (48000, 16000), (44100, 48000), (16000, 11025), (44100, 44099)])
def test_rates_are_converted_to_the_first_files(tmp_path: Path, rate: int, other: int) -> None:
    def tone(hz: int) -> np.ndarray:
        t = np.arange(hz) / hz
        return (0.5 * np.sin(2 * np.pi * 440 * t) * np.hanning(hz))[None].astype(np.float32)

    files = [put(tmp_path / "first.wav", tone(rate), rate), put(tmp_path / "other.wav", tone(other), other)]
    recording = load(files)
    assert recording.rate == rate
    assert recording.x.shape == (2, rate)
    np.testing.assert_allclose(recording.x[1], recording.x[0], atol=1e-4)
    (sentence,) = recording.repairs
    assert sentence == f"{files[1]}: resampled from {other} Hz to the {rate} Hz of {files[0]}"
    for start, end in ((0.0, 0.5), (0.23456, 0.76543), (0.5, None)):
        part = load(files, start=start, end=end)
        expected = recording.x[:, round(start * rate) : end and round(end * rate)]
        assert part.x.shape == expected.shape
        np.testing.assert_allclose(part.x, expected, atol=1e-5)


def test_resampling_keeps_bad_samples_where_they_are() -> None:
    x = noise(2, 4800)
    x[0, 960], x[1, 1500] = np.nan, np.inf
    y = resample(x, 48000, 16000)
    assert y.shape == (2, 1600)
    assert np.argwhere(~np.isfinite(y)).tolist() == [[0, 320], [1, 500]]
    assert np.isnan(y[0, 320])
    assert y[1, 500] == np.inf
    same = resample(x, 48000, 48000)
    np.testing.assert_array_equal(same, x)
    assert not np.shares_memory(same, x)
    with pytest.raises(UsageError, match="new_rate=0"):
        resample(x, 48000, 0)


def test_bad_samples_are_kept(tmp_path: Path) -> None:
    x = noise(2, 100)
    x[0, 3], x[1, 5], x[1, 6] = np.nan, np.inf, 2.5
    np.testing.assert_array_equal(load(put(tmp_path / "a.wav", x)).x, x)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0.0, None, (0, 16000)), (0.25, None, (4000, 16000)), (0.0, 0.5, (0, 8000)), (0.1, 0.2, (1600, 3200))],
)
def test_part(tmp_path: Path, start: float, end: float | None, expected: tuple[int, int]) -> None:
    put(tmp_path / "a.wav", noise(2, 16000))
    recording = load(tmp_path / "a.wav", start=start, end=end)
    np.testing.assert_array_equal(recording.x, noise(2, 16000)[:, slice(*expected)])
    assert recording.repairs == ()


def test_end_beyond_the_end_is_said(tmp_path: Path) -> None:
    put(tmp_path / "a.wav", noise(2, 16000))
    recording = load(tmp_path / "a.wav", end=2.5)
    assert recording.x.shape == (2, 16000)
    assert recording.repairs == ("the requested end, 2.5 s, is after the end of the recording, 1.000 s",)


@pytest.mark.parametrize(
    ("start", "end", "error", "words"),
    [
        (-1, None, UsageError, "start=-1"),
        (0.5, 0.5, UsageError, "end=0.5"),
        (0.5, 0.1, UsageError, "end=0.1"),
        (float("nan"), None, UsageError, "start=nan"),
        (0, float("inf"), UsageError, "end=inf"),
        (0.5, 0.50001, UsageError, "no sample"),
        (1.0, None, InputError, "a.wav ends before the requested start, 1 s"),
    ],
)
def test_part_refused(tmp_path: Path, start: float, end: float | None, error: type[BssError], words: str) -> None:
    put(tmp_path / "a.wav", noise(2, 16000))
    with pytest.raises(error) as caught:
        load(tmp_path / "a.wav", start=start, end=end)
    assert words in str(caught.value)


def test_only_the_part_is_read(tmp_path: Path) -> None:
    """A FLAC that is damaged after the part: reading beyond it would fail."""
    write(tmp_path / "a.flac", noise(2, 160000), 16000)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    (tmp_path / "cut.flac").write_bytes(data[: len(data) // 2])
    np.testing.assert_allclose(load(tmp_path / "cut.flac", end=1.0).x, noise(2, 160000)[:, :16000], atol=2.0**-23)
    with pytest.raises(InputError, match="truncated"):
        load(tmp_path / "cut.flac")


def test_channel_names() -> None:
    assert Channel("b.wav", 1, 3).name == "b.wav[2]"
    assert Channel("b.wav", 0).name == "b.wav"
    assert Channel("-", 1, 2).name == "stdin[2]"


def test_read_logs_repairs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path / "a.wav", noise(1, 100))
    put(tmp_path / "b.wav", noise(1, 60))
    with caplog.at_level(logging.WARNING):
        x, rate = read([str(tmp_path / "a.wav"), str(tmp_path / "b.wav")])
    assert (x.shape, rate) == ((2, 100), 16000)
    assert [record.name for record in caplog.records] == ["bss"]
    assert "padded with 40 samples" in caplog.text


@pytest.mark.parametrize(("subtype", "bits"), [("PCM_U8", 8), ("PCM_16", 16), ("PCM_24", 24), ("FLOAT", 32)])
def test_read_and_write_change_no_sample(tmp_path: Path, subtype: str, bits: int) -> None:
    steps = np.random.default_rng(0).integers(-(1 << bits - 1), 1 << bits - 1, (2, 500)).astype(np.float64)
    x = (steps / (1 << bits - 1)).astype(np.float32)
    x[0, :2] = -1, 1 - 2.0 ** -(min(bits, 24) - 1)
    before = x.copy()
    write(tmp_path / "a.wav", x, 8000, subtype=subtype)
    np.testing.assert_array_equal(load(tmp_path / "a.wav").x, x)
    np.testing.assert_array_equal(x, before)
    write(tmp_path / "b.wav", load(tmp_path / "a.wav").x, 8000, subtype=subtype)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_pcm_is_rounded_to_nearest(tmp_path: Path) -> None:
    x = np.array([0.4, 0.6, -0.4, -0.6, 1.5, 32766.6, -32767.7, -32768, 32768]) / 32768
    write(tmp_path / "a.wav", x, 8000, subtype="PCM_16")
    expected = [0, 1, 0, -1, 2, 32767, -32768, -32768, 32767]
    assert sf.read(tmp_path / "a.wav", dtype="int16")[0].tolist() == expected


@pytest.mark.parametrize(
    ("name", "kind", "subtype"),
    [
        ("a.wav", "WAV", "FLOAT"),
        ("a.WAV", "WAV", "FLOAT"),
        ("a.flac", "FLAC", "PCM_24"),
        ("a.ogg", "OGG", "VORBIS"),
        ("a.opus", "OGG", "OPUS"),
        ("a.mp3", "MP3", "MPEG_LAYER_III"),
        ("a.w64", "W64", "FLOAT"),
        ("a.rf64", "RF64", "FLOAT"),
        ("a.caf", "CAF", "FLOAT"),
        ("a.aiff", "AIFF", "FLOAT"),
        ("new/folder/ä ö.wav", "WAV", "FLOAT"),
    ],
)
def test_write_by_suffix(tmp_path: Path, name: str, kind: str, subtype: str) -> None:
    write(tmp_path / name, noise(2, 48000), 48000)
    (info,) = probe(tmp_path / name)
    assert (info.format, info.subtype, info.channels, info.rate) == (kind, subtype, 2, 48000)
    assert 48000 <= info.frames <= 48000 + 2048
    assert [path.name for path in (tmp_path / name).parent.iterdir()] == [Path(name).name]


BAD_WRITES = [
    ("a.xyz", noise(1, 100), 16000, None, UsageError, "cannot write a.xyz"),
    ("a", noise(1, 100), 16000, None, UsageError, "cannot write a"),
    ("a.flac", noise(1, 100), 16000, "FLOAT", UsageError, "cannot write FLAC with subtype FLOAT"),
    ("a.wav", noise(1, 100), 16000, "PCM_12", UsageError, "cannot write WAV with subtype PCM_12"),
    ("a.wav", noise(1, 100), 0, None, UsageError, "rate=0"),
    ("a.wav", noise(1, 100), 16000.5, None, UsageError, "rate=16000.5"),
    ("a.wav", noise(1, 100) * np.nan, 16000, None, InputError, "NaN"),
    ("a.wav", noise(1, 100) + np.inf, 16000, None, InputError, "infinite"),
    ("a.wav", noise(1, 100) + 1.5, 16000, "PCM_16", InputError, "would peak at"),
    ("a.wav", noise(2, 100).T, 16000, None, InputError, "swapped"),
    ("a.wav", np.zeros((2, 3, 4)), 16000, None, InputError, "shape (2, 3, 4)"),
    ("a.wav", np.zeros((2, 0)), 16000, None, InputError, "is empty"),
    ("a.wav", np.zeros(100, np.int16), 16000, None, InputError, "int16"),
    ("a.mp3", noise(3, 2000), 16000, None, InputError, "3 channels at 16000 Hz as MP3"),
    ("a.flac", noise(9, 2000), 16000, None, InputError, "9 channels at 16000 Hz as FLAC"),
]


@pytest.mark.parametrize(("name", "x", "rate", "subtype", "error", "words"), BAD_WRITES)
def test_write_refused(
    tmp_path: Path, name: str, x: np.ndarray, rate: int, subtype: str | None, error: type[BssError], words: str
) -> None:
    with pytest.raises(error) as caught:
        write(tmp_path / "new" / name, x, rate, subtype=subtype)
    assert words in str(caught.value)
    assert ".part" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_write_replaces_only_when_told(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", noise(1, 100), 16000)
    before = (tmp_path / "a.wav").read_bytes()
    with pytest.raises(InputError, match=r"a\.wav already exists"):
        write(tmp_path / "a.wav", noise(1, 50), 16000)
    with pytest.raises(InputError, match="peak"):
        write(tmp_path / "a.wav", noise(1, 50) + 2, 16000, subtype="PCM_16", overwrite=True)
    assert (tmp_path / "a.wav").read_bytes() == before
    write(tmp_path / "a.wav", noise(1, 50), 16000, overwrite=True)
    assert probe(tmp_path / "a.wav")[0].frames == 50


SUFFIXES = (".wav", ".rf64", ".w64", ".aiff", ".caf", ".au")


def test_same_samples_same_bytes(tmp_path: Path) -> None:
    """Even in another second, although float files contain a time stamp."""
    floats = [(f"{subtype}{suffix}", subtype) for suffix in SUFFIXES for subtype in ("FLOAT", "DOUBLE")]
    names: list[tuple[str, str | None]] = [*floats, ("a.wav", "PCM_16"), ("b.wav", "PCM_24"), ("a.flac", None), ("a.mp3", None)]
    for folder in ("one", "two"):
        for name, subtype in names:
            write(tmp_path / folder / name, noise(2, 8000), 48000, subtype=subtype)
        time.sleep(1.1 if folder == "one" else 0)
    for name, _ in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
        assert np.isfinite(load(tmp_path / "one" / name).x).all()


def test_nothing_heavy_is_imported_for_reading(tmp_path: Path) -> None:
    put(tmp_path / "a.wav", noise(2, 100))
    code = f"import bss, sys; bss.read({str(tmp_path)!r}); print({{'librosa', 'torch', 'numba', 'scipy'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
