"""Recordings read in pieces: the same samples as the whole, whatever the pieces, the formats and the rates."""

from __future__ import annotations

import os
import shutil
import sys
from itertools import pairwise
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import soundfile as sf
from test_audio import noise, put

from bss.errors import InputError, UsageError
from bss.signals.files.audio import load
from bss.signals.files.blocks import ArrayBlocks, ChosenBlocks, FileBlocks, open_blocks
from bss.signals.resample import Resampling, resample

FORMATS = [
    ("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "FLOAT"), ("wav", "PCM_U8"), ("wav", "ULAW"),
    ("wav", "IMA_ADPCM"), ("wav", "GSM610"), ("w64", "FLOAT"), ("w64", "PCM_24"),
    ("rf64", "PCM_16"), ("aiff", "PCM_16"), ("au", "PCM_32"), ("caf", "ALAC_16"), ("flac", "PCM_16"), ("flac", "PCM_24"),
    ("ogg", "VORBIS"), ("mp3", "MPEG_LAYER_III"),
]  # fmt: skip


def spans(n: int) -> list[tuple[int, int]]:
    """Pieces out of order, of every size, empty ones, and the whole."""
    edges = np.sort(np.random.default_rng(0).integers(0, n, 9))
    pieces = [(int(a), int(b)) for a, b in pairwise(edges)]
    return [*pieces[::-1], (0, 1), (n - 1, n), (n // 2, n // 2), (0, n), *pieces]


def same(blocks: FileBlocks, x: np.ndarray) -> None:
    for start, stop in spans(x.shape[1]):
        y = blocks.read(start, stop)
        assert y.dtype == np.float32
        np.testing.assert_array_equal(y, x[:, start:stop])


@pytest.mark.parametrize(("suffix", "subtype"), FORMATS)
@pytest.mark.parametrize("span", [(0.0, None), (0.31, 1.7)])
def test_every_format(tmp_path: Path, suffix: str, subtype: str, span: tuple[float, float | None]) -> None:
    n_mics, rate = (1, 8000) if subtype == "GSM610" else (2, 16000)
    path = put(tmp_path / f"a.{suffix}", noise(n_mics, 2 * rate), rate, subtype=subtype)
    wanted = load(path, start=span[0], end=span[1])
    with open_blocks(path, start=span[0], end=span[1]) as blocks:
        assert (blocks.rate, blocks.n, blocks.n_mics) == (rate, wanted.x.shape[1], n_mics)
        assert (blocks.channels, blocks.format, blocks.subtype) == (wanted.channels, wanted.format, wanted.subtype)
        assert blocks.names == tuple(channel.name for channel in wanted.channels)
        same(blocks, wanted.x)
        np.testing.assert_array_equal(blocks.whole(), wanted.x)


@pytest.mark.needs("ffmpeg")
def test_a_format_that_ffmpeg_decodes(tmp_path: Path) -> None:
    put(tmp_path / "a.wav", noise(2, 32000))
    os.system(f"ffmpeg -nostdin -v error -i '{tmp_path}/a.wav' '{tmp_path}/a.m4a'")
    wanted = load(tmp_path / "a.m4a")
    with open_blocks(tmp_path / "a.m4a") as blocks:
        assert blocks.format == "M4A"
        same(blocks, wanted.x)


@pytest.mark.parametrize(("rate", "other"), [(16000, 48000), (48000, 16000), (44100, 48000), (16000, 11025), (44100, 44099)])
@pytest.mark.parametrize("span", [(0.0, None), (0.23456, 1.76543)])
def test_other_rates_and_lengths(tmp_path: Path, rate: int, other: int, span: tuple[float, float | None]) -> None:
    files = [put(tmp_path / "a.wav", noise(1, 2 * rate), rate), put(tmp_path / "b.wav", noise(3, round(1.5 * other), 1), other)]
    wanted = load(files, start=span[0], end=span[1])
    with open_blocks(files, start=span[0], end=span[1]) as blocks:
        assert blocks.repairs == wanted.repairs
        shares: list[float] = []
        blocks.prepare(shares.append)
        assert shares == sorted(shares)
        assert shares[-1] == pytest.approx(1)
        blocks.prepare(shares.append)
        assert shares[-1] == pytest.approx(1), "it is converted only once"
        same(blocks, wanted.x)


@pytest.mark.parametrize("size", [1, 7, 160, 5000])
def test_resampling_in_pieces_keeps_bad_samples_where_they_are(size: int) -> None:
    x = noise(3, 4800)
    at = np.random.default_rng(1).integers(0, 4800, 40)
    x[0, at], x[1, 1500:1600], x[2, [0, 4799]] = np.nan, np.inf, -np.inf
    for rate, new in ((48000, 16000), (16000, 44100), (11025, 16000)):
        stream = Resampling(rate, new, 3)
        parts = [*(stream.push(x[:, k : k + size]) for k in range(0, 4800, size)), stream.end()]
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), resample(x, rate, new))


def test_samples_that_are_not_finite_are_those_of_the_file(tmp_path: Path) -> None:
    x = noise(2, 16000)
    x[1, 8000] = np.nan
    path = put(tmp_path / "a.wav", x)
    with open_blocks(path) as blocks:
        same(blocks, x)


def test_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "a.wav", noise(2, 16000))
    with path.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        with open_blocks("-") as blocks:
            assert blocks.names == ("stdin[1]", "stdin[2]")
            same(blocks, noise(2, 16000))


def test_the_same_errors_as_of_load(tmp_path: Path) -> None:
    put(tmp_path / "a.wav", noise(2, 16000))
    (tmp_path / "cut.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:20_000])
    (tmp_path / "text.wav").write_text("not audio")
    for name, options in (
        ("b.wav", {}), ("cut.wav", {}), ("text.wav", {}), ("a.wav", {"start": 2.0}), ("a.wav", {"start": 0.5, "end": 0.5}),
        ("a.wav", {"start": 0.5, "end": 0.50001}),
    ):  # fmt: skip
        with pytest.raises((InputError, UsageError)) as expected:
            load(tmp_path / name, **options)
        with pytest.raises(type(expected.value)) as raised:
            open_blocks(tmp_path / name, **options)
        assert str(raised.value) == str(expected.value)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("change", ["cut", "grown", "removed", "replaced"])
def test_a_file_that_changes_while_it_is_read(tmp_path: Path, suffix: str, change: str) -> None:
    path = tmp_path / f"a.{suffix}"
    sf.write(path, noise(2, 400_000).T, 16000)
    with open_blocks(path) as blocks:
        if suffix != "ogg":  # which is read once, into a temporary file
            blocks.read(0, 16000)
        if change == "cut":
            os.truncate(path, path.stat().st_size // 2)
        elif change == "grown":
            with path.open("ab") as file:
                file.write(b"more")
        else:
            path.unlink()
        if change == "replaced":
            sf.write(path, noise(2, 400_000).T, 16000)
        with pytest.raises(InputError, match=rf"a\.{suffix} changed while it was being read") as raised:
            blocks.read(300_000, 400_000)
    assert "copy the file" in raised.value.hint


def test_what_was_copied_does_not_change(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    sf.write(path, noise(2, 40_000).T, 16000)
    wanted = load(path).x
    with open_blocks(path) as blocks:
        blocks.prepare()
        path.unlink()
        same(blocks, wanted)


def test_no_space_for_a_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    sf.write(path, noise(2, 40_000).T, 16000)
    with (
        open_blocks(path) as blocks,
        mock.patch("shutil.disk_usage", return_value=shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000)),  # type: ignore[attr-defined]
        pytest.raises(
            InputError, match=r"a\.ogg cannot be converted\nabout 0.3 MB are needed in .*, 0.0 MB are free\nTry: .*TMPDIR"
        ),
    ):
        blocks.read(0, 1)


def test_temporary_files_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    sf.write(tmp_path / "a.ogg", noise(2, 40_000).T, 16000)
    with open_blocks(tmp_path / "a.ogg") as blocks:
        blocks.read(0, 1000)
    assert not list((tmp_path / "tmp").iterdir())


def test_arrays_and_chosen_channels() -> None:
    x = noise(3, 1000)
    blocks = ArrayBlocks(x, 16000, ["a", "b", "c"])
    assert (blocks.n, blocks.n_mics, blocks.names) == (1000, 3, ("a", "b", "c"))
    y = blocks.read(10, 20)
    np.testing.assert_array_equal(y, x[:, 10:20])
    y[:] = 0
    assert x[:, 10:20].all(), "the array is not written to"
    some = ChosenBlocks(blocks, (2, 0))
    assert (some.n, some.n_mics, some.names, some.rate) == (1000, 2, ("c", "a"), 16000)
    np.testing.assert_array_equal(some.read(3, 5), x[[2, 0], 3:5])
    for span in ((-1, 3), (5, 4), (0, 1001)):
        with pytest.raises(ValueError, match="not inside a recording of 1000"):
            blocks.read(*span)
