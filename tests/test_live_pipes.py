"""WAV through pipes while it is made: any header, any size of what comes at once, and an end that is too early."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from click.testing import Result
from long_recordings import images, save_long
from recordings import fit, run

import bss
from bss.errors import InputError
from bss.signals.live import WavInput, WavOutput

RATE = 8000
X = (0.3 * np.random.default_rng(0).uniform(-1, 1, (3, 4001))).astype(np.float32)


class Pipe(io.RawIOBase):
    """A stream that gives at most so many bytes at once, and cannot seek."""

    def __init__(self, data: bytes, at_once: int) -> None:
        self.data, self.at_once, self.at = data, at_once, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        part = self.data[self.at : self.at + min(size, self.at_once)]
        self.at += len(part)
        return part


def wav(tmp_path: Path, subtype: str, kind: str = "WAV", endian: str = "FILE") -> bytes:
    sf.write(tmp_path / "x.wav", X.T, RATE, subtype=subtype, format=kind, endian=endian)
    return (tmp_path / "x.wav").read_bytes()


def received(data: bytes, at_once: int = 1 << 20) -> np.ndarray:
    stream = WavInput(Pipe(data, at_once))  # type: ignore[arg-type]
    assert (stream.rate, stream.channels) == (RATE, 3)
    blocks = list(stream.blocks())
    assert all(block.shape == (3, RATE // 50) for block in blocks[:-1])
    return np.concatenate(blocks, axis=1)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64"])
def test_what_comes_is_what_is_in_the_file(tmp_path: Path, subtype: str, kind: str) -> None:
    data = wav(tmp_path, subtype, kind)
    expected = sf.read(tmp_path / "x.wav", dtype="float32")[0].T
    for at_once in (7, 4096, 1 << 20):
        np.testing.assert_array_equal(received(data, at_once), expected)


def test_big_endian(tmp_path: Path) -> None:
    np.testing.assert_array_equal(received(wav(tmp_path, "FLOAT", endian="BIG")), X)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_a_header_that_does_not_know_the_length(tmp_path: Path, size: int) -> None:
    data = bytearray(wav(tmp_path, "PCM_16"))
    at = data.index(b"data") + 4
    data[at : at + 4] = size.to_bytes(4, "little")
    stream = WavInput(io.BytesIO(bytes(data)))
    assert stream.declared is None
    assert received(bytes(data)).shape == X.shape


def test_a_stream_that_ends_early(tmp_path: Path) -> None:
    data = wav(tmp_path, "PCM_16")
    stream = WavInput(io.BytesIO(data[: len(data) - 12_000]))
    came = []
    with pytest.raises(InputError, match=r"stdin ended early\n0\.25 of 0\.50 s came") as raised:
        came.extend(stream.blocks())
    assert sum(block.shape[1] for block in came) == 2001
    assert raised.value.exit_code == 3
    cut = bytearray(data[:-3])
    at = cut.index(b"data") + 4
    cut[at : at + 4] = b"\xff" * 4
    with pytest.raises(InputError, match="stdin ended within a sample"):
        list(WavInput(io.BytesIO(bytes(cut))).blocks())


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "stdin is empty"), (b"fLaC" + bytes(100), "stdin is no WAV"), (b"RIFF\0\0\0\0WAVEfmt ", "stdin is no WAV")],
)
def test_what_is_no_wav(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        WavInput(io.BytesIO(data))


def test_a_compressed_wav(tmp_path: Path) -> None:
    sf.write(tmp_path / "x.wav", X[0], RATE, subtype="IMA_ADPCM")
    with pytest.raises(InputError, match="the WAV on stdin is compressed"):
        WavInput(io.BytesIO((tmp_path / "x.wav").read_bytes()))


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT"])
def test_what_is_written_can_be_read(subtype: str) -> None:
    place = io.BytesIO()
    out = WavOutput(place, RATE, 3, subtype)
    for start in range(0, X.shape[1], 160):
        out.write(X[:, start : start + 160])
    out.write(X[:, :0])
    y = received(place.getvalue())
    step = {"PCM_16": 2.0**-15, "PCM_24": 2.0**-23}.get(subtype, 1e-9)
    np.testing.assert_allclose(y, X, atol=0.51 * step, rtol=2**-24)
    assert out.clipped == 0


def test_what_is_too_loud_is_counted() -> None:
    place = io.BytesIO()
    out = WavOutput(place, RATE, 1, "PCM_16")
    out.write(np.array([[0.5, 1.5, -2.0]], np.float32))
    assert out.clipped == 2
    (block,) = WavInput(place := io.BytesIO(place.getvalue())).blocks()
    np.testing.assert_allclose(block, [[0.5, 1.0, -1.0]], atol=1e-4)


def test_nobody_listens_any_more() -> None:
    class Closed(io.BytesIO):
        def flush(self) -> None:
            raise BrokenPipeError

    with pytest.raises(InputError, match="stdout was closed"):
        WavOutput(Closed(), RATE, 1, "FLOAT")


def unmix_live(data: bytes, *more: str, code: int = 0) -> Result:
    done = run("unmix", "--live", "-", "-o", "-", *more, stdin=data)
    assert done.exit_code == code, done.stderr
    return done


@pytest.mark.slow
def test_the_command_separates_what_comes(tmp_path: Path) -> None:
    data = Path(save_long(tmp_path / "x.wav", 20)).read_bytes()
    done = unmix_live(data, "-n", "2", "--effort", "fast")
    y = np.concatenate(list(WavInput(io.BytesIO(done.stdout_bytes)).blocks()), axis=1)
    assert y.shape == (2, 20 * 16_000)
    assert "live: 2 microphones at 16000 Hz, 2 tracks, " in done.stderr
    assert "filters are known after " in done.stderr
    end = slice(15 * 16_000, None)
    before = bss.si_sdr(images(20)[:, 0, end], images(20).sum(0)[:1, end].repeat(2, 0))
    assert (fit(images(20)[:, 0, end], y[:, end]).max(1) > before + 5).all()


def test_the_command_gives_what_came_before_a_stream_ended_early(tmp_path: Path) -> None:
    data = Path(save_long(tmp_path / "x.wav", 5)).read_bytes()
    done = unmix_live(data[:-100_000], "-n", "2", "--subtype", "pcm16", code=3)
    assert "error: stdin ended early\n  why: 4.22 of 5.00 s came" in done.stderr
    came = WavInput(io.BytesIO(done.stdout_bytes))
    assert (came.subtype, came.declared) == ("PCM_16", None)
    assert sum(block.shape[1] for block in came.blocks()) == (5 * 16_000 * 2 - 25_000) // 2


def test_one_microphone_is_too_few(tmp_path: Path) -> None:
    sf.write(tmp_path / "x.wav", X[0], RATE)
    done = unmix_live((tmp_path / "x.wav").read_bytes(), code=3)
    assert "error: what comes from stdin has only one channel\n  why: blind separation needs at least two" in done.stderr
    assert done.stdout_bytes == b""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.wav", "-o", "-"], "--live reads a WAV from stdin and writes one to stdout"),
        (["-", "-o", "out"], "--live reads a WAV from stdin and writes one to stdout"),
        (["-", "-o", "-", "--method", "ilrma"], "--live and --method cannot be combined"),
        (["-", "-o", "-", "--per-mic"], "--live and --per-mic cannot be combined"),
    ],
)
def test_what_has_no_use_while_a_recording_goes_on(words: list[str], message: str) -> None:
    done = run("unmix", "--live", *words)
    assert done.exit_code == 2
    assert f"error: {message}" in done.stderr
    assert "try: arecord" in done.stderr
