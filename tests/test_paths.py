"""File arguments: folders, globs, names that do not exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from bss.errors import InputError
from bss.signals.files.paths import STDIN, expand, natural_key

TREE = (
    "mics/mic1.wav",
    "mics/mic10.wav",
    "mics/mic2.WAV",
    "mics/notes.txt",
    "mics/.hidden.wav",
    "mics/._mic1.wav",
    "mics/sub/deep.flac",
    "empty/readme.md",
    "wrapped/mics/a.wav",
    "odd/take[1].wav",
    "odd/take1.wav",
    "odd/Große Höhle 2.flac",
    "odd/data.dat",
    "odd/-",
)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in TREE:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["mics"], ["mics/mic1.wav", "mics/mic2.WAV", "mics/mic10.wav"]),
        (["mics/"], ["mics/mic1.wav", "mics/mic2.WAV", "mics/mic10.wav"]),
        (["mics/mic1*.wav"], ["mics/mic1.wav", "mics/mic10.wav"]),
        (["mics/*"], ["mics/mic1.wav", "mics/mic2.WAV", "mics/mic10.wav"]),
        (["mics/mic?.*"], ["mics/mic1.wav", "mics/mic2.WAV"]),
        (["mics/**/*.flac"], ["mics/sub/deep.flac"]),
        (["*/sub"], ["mics/sub/deep.flac"]),
        (["mics/mic10.wav", "mics/mic1.wav"], ["mics/mic10.wav", "mics/mic1.wav"]),
        (["odd/take1.wav", "mics"], ["odd/take1.wav", "mics/mic1.wav", "mics/mic2.WAV", "mics/mic10.wav"]),
        (["odd/take[1].wav"], ["odd/take[1].wav"]),
        (["odd/take[0-9].wav"], ["odd/take1.wav"]),
        (["odd/Große Höhle 2.flac"], ["odd/Große Höhle 2.flac"]),
        (["odd/Gro*"], ["odd/Große Höhle 2.flac"]),
        (["odd/*.dat"], ["odd/data.dat"]),
        (["mics/notes.txt"], ["mics/notes.txt"]),
        (["mics/.hidden.wav"], ["mics/.hidden.wav"]),
        ("mics/mic1.wav", ["mics/mic1.wav"]),
        (Path("mics/mic1.wav"), ["mics/mic1.wav"]),
        (["-"], ["-"]),
        (["mics/mic1.wav", "-"], ["mics/mic1.wav", "-"]),
    ],
)
def test_expand(tree: Path, patterns: list[str], expected: list[str]) -> None:
    assert expand(patterns) == [Path(name) for name in expected]
    assert expand(expand(patterns)) == expand(patterns)


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        ([], ["there are no audio files"]),
        ([""], ["a file name is empty"]),
        (["mics/mic3.wav"], ["mics/mic3.wav does not exist", "did you mean", "mics/mic1.wav"]),
        (["MICS/x.wav"], ["MICS/x.wav does not exist", "no folder MICS"]),
        (["mics/MIC2.wav"], ["did you mean mics/mic2.WAV"]),
        (["nowhere/a.wav"], ["nowhere/a.wav does not exist", "no folder nowhere"]),
        (["quite-other.wav"], ["quite-other.wav does not exist", "check its name"]),
        (["mics/*.mp3"], ["no file matches mics/*.mp3"]),
        (["empty"], ["the folder empty contains no audio files"]),
        (["wrapped"], ["the folder wrapped contains no audio files", "wrapped/mics"]),
        (["empt*"], ["the folder empty contains no audio files"]),
        (["mics/mic1.wav", "mics/mic1.wav"], ["mics/mic1.wav is named twice"]),
        (["mics", "mics/mic1.wav"], ["mics/mic1.wav is named twice"]),
        (["mics/mic1.wav", "odd/../mics/mic1.wav"], ["is named twice", "also as mics/mic1.wav"]),
        (["-", "-"], ["stdin is named twice", "only once"]),
        (["/dev/null"], ["/dev/null is not a regular file"]),
        (["x" * 300], ["does not exist"]),
        (["mics/" + "x" * 300 + "/*.wav"], ["no file matches"]),
        (["mics/a\0b.wav"], ["does not exist"]),
    ],
)
def test_refused(tree: Path, patterns: list[str], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        expand(patterns)
    for word in words:
        assert word in str(caught.value)


def test_link_twice_and_broken_link(tree: Path) -> None:
    (tree / "same.wav").symlink_to("mics/mic1.wav")
    (tree / "gone.wav").symlink_to("mics/gone.wav")
    with pytest.raises(InputError, match=r"same\.wav is named twice \(also as mics/mic1\.wav\)"):
        expand(["mics/mic1.wav", "same.wav"])
    with pytest.raises(InputError, match=r"gone\.wav links to a file that does not exist"):
        expand(["gone.wav"])


def test_a_file_called_dash_is_not_stdin(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "odd")
    assert expand(["./-"]) == [tree / "odd/-"]
    assert expand(["-"]) == [STDIN]


def test_natural_order() -> None:
    names = ["b1", "a10", "a2", "a02", "A1", "a", "1", "10", "2", "mic1-take10", "mic1-take9"]
    expected = ["1", "2", "10", "a", "A1", "a02", "a2", "a10", "b1", "mic1-take9", "mic1-take10"]
    assert sorted(names, key=natural_key) == expected
