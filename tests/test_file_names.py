"""Names of outputs that a file system does not take are refused before the work."""

from __future__ import annotations

from pathlib import Path

import pytest

from bss.errors import InputError
from bss.signals import file_names
from bss.signals.files.writing import output_folder


@pytest.mark.parametrize(
    ("name", "why"),
    [("CON.wav", "device"), ("nul", "device"), ("com1.tar.gz", "device"),
        ("a:b.wav", "':'"), ("a?.wav", "takes no"), ("a.wav.", "dots"),
     ("a ", "dots and spaces"), ("a\nb.wav", "takes no")],
)  # fmt: skip
def test_names_that_windows_does_not_take(name: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        file_names.refuse_impossible([Path("out") / name], system="nt")
    file_names.refuse_impossible([Path("out") / name], system="posix")


@pytest.mark.parametrize("name", ["console.wav", "com10.wav", "mic 1.wav", "ä.wav", ".hidden", "aux1.wav"])
def test_names_that_windows_takes(name: str) -> None:
    file_names.refuse_impossible([Path("out") / name], system="nt")


@pytest.mark.parametrize(("name", "why"), [("ä" * 200 + ".wav", "too long"), ("a\0.wav", "zero byte")])
def test_names_that_no_disk_takes_are_refused_before_the_work(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(InputError, match=why), output_folder(tmp_path / "new", [name, "b.wav"]):
        pytest.fail("entered")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ignores", [True, False])
def test_names_that_differ_in_capital_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ignores: bool) -> None:
    monkeypatch.setattr(file_names, "_ignores_case", lambda folder: ignores)

    def work() -> None:
        with output_folder(tmp_path / "new", ["Anna.wav", "anna.wav", "deep/ANNA.wav"]) as out:
            out.text("Anna.wav", "1")
            out.text("anna.wav", "2")

    if ignores:
        with pytest.raises(InputError, match=r"Anna\.wav and anna\.wav are one file here"):
            work()
        assert list(tmp_path.iterdir()) == []
    else:
        work()


def test_whether_capital_letters_are_told_apart(tmp_path: Path) -> None:
    told = not (tmp_path / "A").exists()
    (tmp_path / "a").touch()
    assert file_names._ignores_case(tmp_path) == (told and (tmp_path / "A").exists())
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
