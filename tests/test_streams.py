"""Audio through pipes."""

from __future__ import annotations

import io
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from bss.errors import InputError, UsageError
from bss.signals.files.audio import load, probe
from bss.signals.streams import refuse_terminal, spool_stdin, write_stdout

X = (0.1 * np.random.default_rng(0).standard_normal((4, 30000))).astype(np.float32)

SUM_UP = (
    "import sys, numpy as np\n"
    "from bss.signals.files.audio import load, probe\n"
    "frames = [info.frames for info in probe(sys.argv[1:])]\n"
    "r = load(sys.argv[1:])\n"
    "np.save(sys.stdout.buffer, r.x)\n"
    "print(r.rate, frames, [c.name for c in r.channels], r.format, r.subtype, *r.repairs, sep='\\n', file=sys.stderr)\n"
)
PASS_ON = (
    "import sys\n"
    "from bss.signals.files.audio import load\n"
    "from bss.signals.streams import write_stdout\n"
    "r = load('-')\n"
    "write_stdout(r.x, r.rate, sys.argv[1])\n"
)


def python(code: str, *arguments: str, stdin: bytes | int = b"") -> tuple[int, bytes, str]:
    source = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, check=False, **source)
    return done.returncode, done.stdout, done.stderr.decode()


class Pipe(io.TextIOWrapper):
    """A text stream over bytes, like sys.stdin and sys.stdout."""

    def __init__(self, data: bytes = b"", terminal: bool = False) -> None:
        super().__init__(io.BytesIO(data))
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def streaming_wav(x: np.ndarray, rate: int, subtype: str) -> bytes:
    """A WAV as ffmpeg writes it into a pipe: no sizes."""
    file = io.BytesIO()
    sf.write(file, x.T, rate, format="WAV", subtype=subtype)
    data = bytearray(file.getvalue())
    at = data.index(b"data") + 4
    data[4:8] = data[at : at + 4] = b"\xff\xff\xff\xff"
    return bytes(data)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_stdin_of_unknown_length(tmp_path: Path, subtype: str) -> None:
    sf.write(tmp_path / "mono.wav", X[0], 16000)
    code, out, err = python(SUM_UP, "-", str(tmp_path / "mono.wav"), stdin=streaming_wav(X, 16000, subtype))
    assert code == 0, err
    np.testing.assert_allclose(np.load(io.BytesIO(out)), X[[0, 1, 2, 3, 0]], atol=2.0**-15)
    rate, frames, names, kind, actual = err.splitlines()
    assert (rate, frames, kind, actual) == ("16000", "[30000, 30000]", "WAV", subtype)
    assert names == f"['stdin[1]', 'stdin[2]', 'stdin[3]', 'stdin[4]', '{tmp_path}/mono.wav']"


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3", "WAV"])
def test_stdin_of_any_format(kind: str) -> None:
    file = io.BytesIO()
    sf.write(file, X[:2].T, 16000, format=kind)
    code, out, err = python(SUM_UP, "-", stdin=file.getvalue())
    assert code == 0, err
    assert np.load(io.BytesIO(out)).shape == (2, 30000)
    assert err.splitlines()[3] == kind


@pytest.mark.needs("ffmpeg")
@pytest.mark.parametrize("arguments", [("-f", "wav"), ("-f", "wav", "-rf64", "always"), ("-f", "flac"), ("-f", "matroska")])
def test_from_ffmpeg_and_to_ffmpeg(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    sf.write(tmp_path / "four.wav", X.T, 16000, subtype="PCM_16")
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        str(tmp_path / "four.wav"),
        "-c:a",
        "flac" if arguments[1] == "matroska" else "copy",
    ]
    if arguments[1] == "flac":
        command[-1] = "flac"
    with subprocess.Popen([*command, *arguments, "-"], stdout=subprocess.PIPE) as source:
        assert source.stdout is not None
        code, out, err = python(PASS_ON, "PCM_16", stdin=source.stdout.fileno())
    assert code == 0, err
    back = ["ffmpeg", "-v", "error", "-i", "pipe:0", "-f", "s16le", "-"]
    raw = subprocess.run(back, input=out, check=True, capture_output=True).stdout
    expected = sf.read(tmp_path / "four.wav", dtype="int16")[0]
    np.testing.assert_array_equal(np.frombuffer(raw, "<i2").reshape(-1, 4), expected)


def test_truncated_stdin_is_named() -> None:
    file = io.BytesIO()
    sf.write(file, X.T, 16000, format="WAV")
    code, out, err = python(SUM_UP, "-", stdin=file.getvalue()[:50000])
    assert (code, out) == (1, b"")
    assert "InputError: stdin is truncated" in err


@pytest.mark.parametrize(
    ("stdin", "error", "words"),
    [
        (Pipe(), InputError, "stdin is empty"),
        (Pipe(b"not audio" * 9), InputError, "stdin cannot be read"),
        (Pipe(terminal=True), UsageError, "stdin is a terminal"),
        (None, UsageError, "stdin is not available"),
        (io.StringIO("text"), UsageError, "stdin is not available"),
    ],
)
def test_stdin_refused(monkeypatch: pytest.MonkeyPatch, stdin: io.TextIOBase | None, error: type[Exception], words: str) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    for reader in (load, probe):
        with pytest.raises(error) as caught:
            reader("-")
        assert words in str(caught.value)


def test_stdin_may_appear_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe(streaming_wav(X, 16000, "PCM_16")))
    with pytest.raises(InputError, match="stdin is named twice"):
        load(["-", "-"])


def test_each_stdin_is_kept_by_itself_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = []
    for k in (1, 2):
        monkeypatch.setattr(sys, "stdin", Pipe(streaming_wav(X[:k], 16000, "FLOAT")))
        assert probe("-")[0].channels == k
        np.testing.assert_array_equal(load("-").x, X[:k])
        paths.append(spool_stdin())
        assert spool_stdin() == paths[-1]
    monkeypatch.undo()
    assert paths[0] != paths[1]
    assert not any(path.parent.exists() for path in paths)


def test_no_room_for_stdin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdin", Pipe(b"RIFF"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(InputError, match="No space left on device") as caught:
        spool_stdin()
    assert "TMPDIR" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_stdout_to_a_file_has_true_sizes(tmp_path: Path) -> None:
    code, out, err = python(PASS_ON, "PCM_24", stdin=streaming_wav(X, 16000, "FLOAT"))
    assert code == 0, err
    assert len(out) == 8 + int.from_bytes(out[4:8], "little")
    (tmp_path / "out.wav").write_bytes(out)
    recording = load(tmp_path / "out.wav")
    assert (recording.subtype, recording.repairs) == ("PCM_24", ())
    np.testing.assert_allclose(recording.x, X, atol=2.0**-24)


def test_stdout_refuses_a_terminal() -> None:
    master, slave = pty.openpty()
    code = "import numpy as np; from bss.signals.streams import write_stdout; write_stdout(np.zeros((2, 100)), 8000, 'PCM_16')"
    done = subprocess.run([sys.executable, "-c", code], stdout=slave, stderr=subprocess.PIPE, check=False)
    os.close(slave)
    os.set_blocking(master, False)
    try:
        written = os.read(master, 100)
    except OSError:  # no data, or the other end is closed
        written = b""
    os.close(master)
    assert b"UsageError: stdout is a terminal" in done.stderr
    assert written == b""


def test_stdout_that_takes_no_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with pytest.raises(UsageError, match="stdout accepts text only"):
        refuse_terminal()
    monkeypatch.setattr(sys, "stdout", Pipe(terminal=True))
    with pytest.raises(UsageError, match="stdout is a terminal"):
        write_stdout(X, 16000, "PCM_16")


def test_stdout_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = Pipe()
    monkeypatch.setattr(sys, "stdout", pipe)
    with pytest.raises(InputError, match="stdout would peak"):
        write_stdout(X + 2, 16000, "PCM_16")
    assert pipe.buffer.getvalue() == b""  # type: ignore[attr-defined]
    write_stdout(X, 16000, "FLOAT")
    pipe.buffer.seek(0)
    np.testing.assert_array_equal(sf.read(pipe.buffer, dtype="float32")[0].T, X)


def test_reader_of_stdout_that_goes_away() -> None:
    x = np.tile(X, 20)
    code = PASS_ON.replace("write_stdout(", "sys.stdout.write(''); write_stdout(")
    with subprocess.Popen(
        [sys.executable, "-c", code, "FLOAT"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(streaming_wav(x, 16000, "FLOAT"))
        process.stdin.close()
        process.stdout.read(100)
        process.stdout.close()
        said = process.stderr.read().decode()
        process.wait(60)
    assert process.returncode == 1
    assert "InputError: stdout was closed before all audio was written" in said
    assert "Exception ignored" not in said
