"""Manifests, and what recordings are called."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from bss.batch.manifest import read_manifest
from bss.batch.recordings import Input, Recording, found_in, refuse_same_names
from bss.batch.settings import checked, columns, keywords
from bss.errors import InputError, UsageError


def manifest(folder: Path, text: str, name: str = "table.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_rows_of_a_recording_come_together(tmp_path: Path) -> None:
    text = "recording,file,channel,gain,sources,# note\nmonday,a.wav,1-2,,,x\ntuesday,t.flac,,,auto,\n\nmonday,b.wav,,6,3,y\n"
    monday, tuesday = read_manifest(manifest(tmp_path, text))
    assert monday.inputs == (Input(str(tmp_path / "a.wav"), (0, 1)), Input(str(tmp_path / "b.wav"), None, 6.0))
    assert (monday.name, dict(monday.options), monday.origin) == ("monday", {"n_sources": 3}, "table.csv, rows 2, 5")
    assert (tuesday.name, dict(tuesday.options), tuesday.origin) == ("tuesday", {"n_sources": None}, "table.csv, row 3")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_and_marks_of_other_programs(tmp_path: Path, separator: str) -> None:
    text = "\ufeff" + "\r\n".join(
        separator.join(cells) for cells in (("File", "Sources"), ("a, b.wav" if separator != "," else "a.wav", "2"))
    )
    (one,) = read_manifest(manifest(tmp_path, text))
    assert dict(one.options) == {"n_sources": 2}


def test_json_is_the_same(tmp_path: Path) -> None:
    rows = [{"recording": "monday", "file": ["a.wav", "b.wav"], "per-mic": True, "channel": [1, 2], "end": 2.5, "method": None}]
    for document in (rows, {"recordings": rows}):
        (one,) = read_manifest(manifest(tmp_path, json.dumps(document), "table.json"))
        assert [Path(entry.file).name for entry in one.inputs] == ["a.wav", "b.wav"]
        assert one.inputs[0].channels == (0, 1)
        assert dict(one.options) == {"per_mic": True, "end": 2.5}


def test_every_option_of_a_file_has_a_column(tmp_path: Path) -> None:
    values = {"n_sources": "2", "reference_mic": "2", "channels": "1-2", "method": "fastica", "effort": "fast", "device": "cpu",
              "sync": "off", "subtype": "float", "clip": "keep", "weights": "w.safetensors", "end": "3"}  # fmt: skip
    plain = {bool: "yes", int: "1", float: "1.5", type(None): "1", str: ""}
    row = {column: values.get(name, plain[type(keywords()[name])]) for column, name in columns().items()}
    (one,) = read_manifest(manifest(tmp_path, ",".join(["file", *row]) + "\nx.wav," + ",".join(f'"{v}"' for v in row.values())))
    assert set(one.options) == set(keywords())
    assert (one.options["reference_mic"], one.options["channels"], one.options["denoise"]) == (1, (0, 1), 1.0)
    checked(one.options)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,sources\na.wav,three\nb.wav,2\n,2\n", "2 rows cannot be used"),
        ("file,sources\na.wav,three\n", "row 2: sources is 'three' (expected a whole number, or auto)"),
        ("file,per-mic\na.wav,perhaps\n", "row 2: per-mic is 'perhaps' (expected yes or no)"),
        ("file,reference-mic\na.wav,0\n", "expected a microphone, counted from 1"),
        ("file,gain\na.wav,loud\n", "row 2: gain is 'loud'"),
        ("file,gain\na.wav,nan\n", "row 2: gain is nan"),
        ("file,channel\na.wav,0\n", "row 2: channel 0 is not a list of channels"),
        ("file,method\na.wav,magic\n", "row 2: method='magic' is not known"),
        ("recording,file,sources\nm,a.wav,2\nm,b.wav,3\n", "row 3: sources is 3, but another value in row 2"),
        ("recording,file,channel,channels\nm,a.wav,1,1-2\n", "m has both channel, of one file, and channels"),
        ("recording,file\n../m,a.wav\n", "row 2: '../m' cannot name a recording"),
        ("recording,file\nm,\n", "row 2: there is no file"),
        ("file,sorces\na.wav,2\n", "did you mean sources?"),
        ("file,file\na.wav,2\n", "two columns file"),
        ("recording\nm\n", "no column file"),
        ("file\na.wav,b.wav\n", "row 2: it has 2 cells for 1 columns"),
        ("file\n", "lists no recordings"),
        ("", "is empty"),
        ('file\n"a.wav\n', "this is not CSV"),
    ],
)
def test_what_is_wrong_is_said_with_its_row(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_manifest(manifest(tmp_path, text))
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["{", "3", '{"recordings": 3}', '["a.wav"]', '[{"file": 3}]', '[{"file": "a", "nonsense": 1}]'])
def test_json_that_is_no_list_of_recordings(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"table\.json"):
        read_manifest(manifest(tmp_path, text, "table.json"))


def test_a_manifest_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(tmp_path / "none.csv")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_folders_files_scenes_and_folders_of_folders(tmp_path: Path) -> None:
    touch(tmp_path, "all/b10/x.wav", "all/b9/mics/x.wav", "all/b9/truth/x.wav", "all/.hidden/x.wav", "all/notes/x.txt", "c.flac")
    found = found_in([tmp_path / "all", tmp_path / "c.flac"])
    assert [(one.name, one.inputs[0].file) for one in found] == [
        ("b9", str(tmp_path / "all/b9/mics")), ("b10", str(tmp_path / "all/b10")), ("c", str(tmp_path / "c.flac")),
    ]  # fmt: skip
    assert [one.name for one in found_in([f"{tmp_path}/all/b*"])] == ["b9", "b10"]


def test_names_that_are_not_different_take_the_folders_above(tmp_path: Path) -> None:
    touch(tmp_path, "one/a/x.wav", "two/a/x.wav")
    assert [one.name for one in found_in([tmp_path / "one", tmp_path / "two"])] == ["one/a", "two/a"]


@pytest.mark.parametrize("place", ["none", "empty", "x.txt", "", "none*"])
def test_places_without_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "empty/x.txt", "x.txt")
    with pytest.raises(InputError):
        found_in([place])


@pytest.mark.parametrize("name", ["", ".", "..", "/a", "a/../b", "a\\b", ".a", "a//b", " a", "summary.csv", "a\n"])
def test_names_that_cannot_be_folders(name: str) -> None:
    with pytest.raises(UsageError):
        Recording.of(name, "a.wav")


@pytest.mark.parametrize("names", [("a", "A"), ("a", "a/b")])
def test_recordings_that_would_share_a_folder(names: tuple[str, str]) -> None:
    with pytest.raises(InputError):
        refuse_same_names([Recording.of(name, "a.wav") for name in names])


def test_a_recording_travels() -> None:
    one = Recording.of("a", ["x.wav"], n_sources=2)
    assert pickle.loads(pickle.dumps(one)) == one


def test_unknown_options_are_refused() -> None:
    with pytest.raises(UsageError, match="did you mean n_sources"):
        checked({"n_source": 2})
