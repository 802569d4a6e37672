"""Writing results to a folder: all of them or none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from bss.errors import InputError, UsageError
from bss.signals.files import encode, writing
from bss.signals.files.audio import load
from bss.signals.files.writing import output_folder

X = (0.1 * np.random.default_rng(0).standard_normal((2, 4000))).astype(np.float32)


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_files_appear_together_at_the_end(tmp_path: Path) -> None:
    place = tmp_path / "new" / "sources ü"
    with output_folder(place, ["source1.wav", "mics/mic 1.flac", "result.json", "residual.wav"]) as out:
        out.audio("source1.wav", X[0], 16000, subtype="PCM_16")
        out.audio("mics/mic 1.flac", X, 16000)
        out.text("result.json", '{"naïve": 1}\n')
        visible = [name for name in tree(tmp_path) if not Path(name).name.startswith(".bss-")]
        assert visible == ["new", "new/sources ü", "new/sources ü/mics"]
    assert tree(place) == ["mics", "mics/mic 1.flac", "result.json", "source1.wav"]
    assert (place / "result.json").read_bytes() == '{"naïve": 1}\n'.encode()
    np.testing.assert_allclose(load(place / "source1.wav").x[0], X[0], atol=2.0**-16)
    np.testing.assert_allclose(load(place / "mics/mic 1.flac").x, X, atol=2.0**-24)
    mask = os.umask(0)
    os.umask(mask)
    assert {os.stat(place / name).st_mode & 0o777 for name in ("source1.wav", "result.json")} == {0o666 & ~mask}


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit, MemoryError])
@pytest.mark.parametrize("existing", ["", "sources", "sources/mics"])
def test_nothing_is_left_after_an_exception(tmp_path: Path, error: type[BaseException], existing: str) -> None:
    (tmp_path / existing).mkdir(parents=True, exist_ok=True)
    before = tree(tmp_path)

    def work() -> None:
        with output_folder(tmp_path / "sources", ["a.wav", "mics/b.wav", "r.json"]) as out:
            out.audio("a.wav", X, 16000)
            out.audio("mics/b.wav", X, 16000)
            out.text("r.json", "{}")
            raise error

    with pytest.raises(error):
        work()
    assert tree(tmp_path) == before


def test_interrupted_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> np.ndarray:
        raise KeyboardInterrupt

    monkeypatch.setattr(encode, "to_pcm", interrupted)
    with pytest.raises(KeyboardInterrupt), output_folder(tmp_path / "new", ["a.wav"]) as out:
        out.audio("a.wav", X, 16000, subtype="PCM_16")
    assert tree(tmp_path) == []


def test_ctrl_c_in_a_process(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time, numpy as np\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored where the tests run in the background
        "from bss.signals.files.writing import output_folder\n"
        f"with output_folder({str(tmp_path / 'new/deep')!r}, ['a.wav']) as out:\n"
        "    out.audio('a.wav', np.zeros((2, 1000)), 8000)\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert len(tree(tmp_path)) == 3
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert process.returncode != 0
    assert tree(tmp_path) == []


def test_failed_rename_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b.wav").write_bytes(b"old")
    replace, calls = os.replace, []

    def third_time_interrupted(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 3:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(writing.os, "replace", third_time_interrupted)

    def work() -> None:
        with output_folder(tmp_path, ["a.txt", "b.wav", "c.txt"], overwrite=True) as out:
            out.text("a.txt", "new")
            out.audio("b.wav", X, 16000)
            out.text("c.txt", "new")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert tree(tmp_path) == ["b.wav"]  # a.txt is removed again; b.wav is either the old or the new file, and complete
    assert load(tmp_path / "b.wav").x.shape == X.shape


def test_existing_files(tmp_path: Path) -> None:
    for name in ("a.txt", "other.txt"):
        (tmp_path / name).write_text("old")
    with pytest.raises(InputError, match=r"a\.txt already exists") as caught, output_folder(tmp_path, ["a.txt", "b.txt"]):
        pytest.fail("entered")
    assert "--overwrite" in caught.value.hint

    def fail() -> None:
        with output_folder(tmp_path, ["a.txt"], overwrite=True) as out:
            out.text("a.txt", "new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (tmp_path / "a.txt").read_text() == "old"
    with output_folder(tmp_path, ["a.txt", "b.txt"], overwrite=True) as out:
        out.text("a.txt", "new")
        assert (tmp_path / "a.txt").read_text() == "old"
    assert tree(tmp_path) == ["a.txt", "other.txt"]
    assert ((tmp_path / "a.txt").read_text(), (tmp_path / "other.txt").read_text()) == ("new", "old")


def test_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    def work() -> None:
        with output_folder(tmp_path, ["a.txt", "b.txt"]) as out:
            out.text("a.txt", "mine")
            out.text("b.txt", "mine")
            (tmp_path / "b.txt").write_text("theirs")

    with pytest.raises(InputError, match=r"b\.txt already exists"):
        work()
    assert tree(tmp_path) == ["b.txt"]
    assert (tmp_path / "b.txt").read_text() == "theirs"


def test_inputs_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mic1.wav").write_text("precious")
    (tmp_path / "link.wav").symlink_to("mic1.wav")
    for named in ("mic1.wav", "link.wav"):
        with (
            pytest.raises(InputError, match=r"mic1\.wav is one of the inputs"),
            output_folder(tmp_path, ["mic1.wav"], overwrite=True, inputs=[tmp_path / named]),
        ):
            pytest.fail("entered")
    assert (tmp_path / "mic1.wav").read_text() == "precious"


@contextmanager
def places(folder: Path) -> Iterator[dict[str, tuple[Path, list[str], str]]]:
    (folder / "file").write_text("")
    (folder / "full" / "a.wav").mkdir(parents=True)
    yield {
        "a file": (folder / "file", ["a.wav"], "file is not a folder"),
        "below a file": (folder / "file" / "new", ["a.wav"], "file is not a folder"),
        "subfolder is a file": (folder, ["file/a.wav"], "file is not a folder"),
        "read-only system": (Path("/proc/bss"), ["a.wav"], "the folder /proc/bss cannot be created"),
        "existing, takes no files": (Path("/proc"), ["a.wav"], "the folder /proc is not writable"),
        "a folder of that name": (folder / "full", ["a.wav"], "a.wav is a folder"),
        "too long a name": (folder / ("x" * 300), ["a.wav"], "cannot be written"),
    }


@pytest.mark.parametrize(
    "case", ["a file", "below a file", "subfolder is a file", "read-only system", "existing, takes no files",
             "a folder of that name", "too long a name"],
)  # fmt: skip
def test_unusable_places(tmp_path: Path, case: str) -> None:
    with places(tmp_path) as cases:
        directory, names, words = cases[case]
        if str(directory).startswith("/proc") and not Path("/proc/self").exists():
            pytest.skip("there is NO /proc here")
        before = tree(tmp_path)
        with pytest.raises(InputError) as caught, output_folder(directory, names, overwrite=True):
            pytest.fail("entered")
        assert words in str(caught.value)
        assert ("another name" if case == "too long a name" else "-o DIR") in caught.value.hint
        assert tree(tmp_path) == before


def test_too_little_room_is_said_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not enough disk space"), output_folder(tmp_path / "new", ["a"], needed_bytes=1 << 60):
        pytest.fail("entered")
    assert tree(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "subtype"),
    [("a.wav", "PCM_16"), ("a.wav", "FLOAT"), ("a.rf64", None), ("a.flac", None), ("a.ogg", None), ("a.txt", None)],
)
def test_disk_that_fills_up(tmp_path: Path, name: str, subtype: str | None) -> None:
    """A limit on file sizes acts like a full disk: some bytes are written, then no more."""
    x = (0.1 * np.random.default_rng(0).standard_normal((2, 200_000))).astype(np.float32)

    def work() -> None:
        with output_folder(tmp_path / "new", [name]) as out:
            if name == "a.txt":
                out.text(name, "x" * 100_000)
            else:
                out.audio(name, x, 16000, subtype=subtype)

    resource = pytest.importorskip("resource", reason="this system has NO limit on the size of files")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
        with pytest.raises(InputError, match="cannot") as caught:
            work()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert name in str(caught.value)
    assert tree(tmp_path) == []


def test_faults_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match=r"b\.wav"), output_folder(tmp_path / "new", ["a.wav"]) as out:
        out.audio("b.wav", X, 16000)
    for names in (["a", "a"], ["../a"], ["x/../../a"], ["/a"]):
        with pytest.raises(ValueError, match="names must be different"), output_folder(tmp_path / "new", names):
            pytest.fail("entered")
    with pytest.raises(UsageError, match="subtype VORBIS"), output_folder(tmp_path / "new", ["a.wav"]) as out:
        out.audio("a.wav", X, 16000, subtype="VORBIS")
    assert tree(tmp_path) == []


def test_a_file_that_failed_is_not_renamed(tmp_path: Path) -> None:
    with output_folder(tmp_path / "new", ["a.wav", "b.wav"]) as out:
        out.audio("a.wav", X, 16000)
        with pytest.raises(InputError, match=r"b\.wav would peak"):
            out.audio("b.wav", X + 3, 16000, subtype="PCM_16")
        out.audio("a.wav", X[0], 16000)  # once more: the last one counts
    assert tree(tmp_path / "new") == ["a.wav"]
    assert load(tmp_path / "new/a.wav").x.shape == (1, 4000)


def test_unused_folders_do_not_stay(tmp_path: Path) -> None:
    with output_folder(tmp_path / "new/deep", ["a.wav", "sub/b.wav"]):
        pass
    assert tree(tmp_path) == []


def test_explicit_format(tmp_path: Path) -> None:
    with output_folder(tmp_path, ["a.audio"]) as out:
        out.audio("a.audio", X, 16000, format="flac", subtype="PCM_16")
    assert sf.info(tmp_path / "a.audio").format == "FLAC"


def test_over_4_gib_becomes_rf64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert encode.encoded_bytes(2 * (1 << 29), "FLOAT") > encode.WAV_LIMIT > encode.encoded_bytes((1 << 30) - 20000, "FLOAT")
    monkeypatch.setattr(encode, "WAV_LIMIT", 20_000)
    with output_folder(tmp_path, ["long.wav", "short.wav"]) as out:
        out.audio("long.wav", X, 16000, subtype="FLOAT")
        out.audio("short.wav", X[:, :500], 16000, subtype="FLOAT")
    assert (tmp_path / "long.wav").read_bytes()[:4] == b"RF64"
    assert (tmp_path / "short.wav").read_bytes()[:4] == b"RIFF"
    np.testing.assert_array_equal(load(tmp_path / "long.wav").x, X)
