"""The gallery: its pictures and sounds are there, small, made by its script, and played on the site."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import bss

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/gallery.md").read_text(encoding="utf-8")


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / f"tools/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def shown() -> list[str]:
    """The files that the page names."""
    return re.findall(r"\]\(((?:pictures|sounds)/[^)]+)\)", PAGE)


def test_the_page_shows_what_is_there_and_no_other() -> None:
    kept = [*(ROOT / "docs/sounds").iterdir(), *(ROOT / "docs/pictures").glob("gallery-*")]
    assert sorted(shown()) == sorted(path.relative_to(ROOT / "docs").as_posix() for path in kept)
    most = {".mp3": 40_000, ".png": 180_000}
    assert [path.name for path in kept if path.stat().st_size > most[path.suffix]] == []
    assert sum(path.stat().st_size for path in kept) < 900_000


@pytest.mark.parametrize("name", [name for name in shown() if name.endswith(".mp3")])
def test_a_sound_is_heard(name: str) -> None:
    x, rate = bss.read(ROOT / "docs" / name)
    assert (x.shape[0], rate) == (1, 16_000)
    assert 3.9 < x.shape[1] / rate < 4.2
    assert 0.005 < np.sqrt(np.mean(x**2)) < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two-talkers", "noise"])
def test_the_script_makes_them_again(name: str, tmp_path: Path) -> None:
    """The same files, and the number that the page says."""
    pytest.importorskip("matplotlib", reason="matplotlib is NOT installed: the pictures of the gallery go UNTESTED")
    gallery = tool("gallery")
    case = gallery.CASES[name]()
    made = sorted(path.relative_to(tmp_path).as_posix() for path in gallery.write(name, case, tmp_path))
    assert made == sorted(file for file in shown() if Path(file).stem.removeprefix("gallery-").startswith(name))
    section = PAGE.split(f"gallery-{name}.png")[0].split("## ")[-1]
    (said,) = re.findall(r"([\d.]+) dB[.:]?$|by ([\d.]+) dB", section.replace("\n", " ").split("![")[0].strip())
    assert float("".join(said)) == pytest.approx(case.gain_db, abs=1.0)  # machines round differently
    for file in made:
        if file.endswith(".mp3"):
            ours, kept = bss.read(tmp_path / file)[0], bss.read(ROOT / "docs" / file)[0]
            n = min(ours.shape[1], kept.shape[1])
            assert np.corrcoef(ours[0, :n], kept[0, :n])[0, 1] > 0.9


def test_links_to_sounds_become_players_and_others_do_not() -> None:
    page = '<a href="../sounds/a.mp3">talker 1</a> <a href="../commands/">commands</a>'
    html = tool("audio_players").on_page_content(page, page=None)
    assert '<audio controls preload="none" src="../sounds/a.mp3" aria-label="talker 1"></audio>' in html
    assert html.endswith('<a href="../commands/">commands</a>')
