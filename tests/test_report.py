"""The listening report: what it says, that names cannot break it, and when it is refused."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recordings import RATE, document, listing, save, tracks, voice
from report_pages import FAULTY, change, noise, page, replace_tracks, result

import bss
from bss.errors import InputError, UsageError
from bss.report import sound
from bss.report.material import MICROPHONE, TALKER, ArraySignal, Material, Track
from bss.report.page import report
from bss.report.rendering import visible

ODD = ('"><img src=x onerror=alert(1)>', "\x1b[31mred", "</script><script>alert(2)</script>")


# what the page says


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return result(tmp_path_factory.mktemp("report"))


def test_a_good_result_in_words(sources: Path, tmp_path: Path) -> None:
    made = report(sources, tmp_path / "a.html")
    seen = page(made.path)
    for words in (
        "2 talkers were separated from 3.0 seconds of a recording with 2 microphones", "Well separated", "mixing desk",
        "No faults of the microphones were found", "Talker 1", "source2", "Two or more speak at the same time",
    ):  # fmt: skip
        assert words in seen.text, words
    assert made.notes == ()
    assert made.tracks == (str(sources.parent / "mics/mic1.wav"), "source1", "source2")
    assert seen.data["seconds"] == 3.0
    assert len(seen.data["peaks"]) == len(made.tracks)


def test_a_difficult_result_in_words(tmp_path: Path) -> None:
    folder = result(tmp_path, channels=["mic1.wav", "mic2.wav"], used=["mic1.wav", "mic2.wav"], reference="mic1.wav", **FAULTY)
    seen = page(report(folder).path)
    for words in (
        "Partly separated: talkers 1 and 2 are still mixed below 500 Hz.", "about 8 dB clearer", "talker 1 moves",
        "mic2.wav is dead for a while", "0:00.5 to 0:01, 1:01 to 1:02", "Talker 1 moved between 0:00.4 and 0:01.6.",
        "mic2.wav started 0.250 s later, has a clock that is 31.5 parts per million slow, lost 10.0 ms at 0:01.5",
        "Where talkers move", "Clocks of the recorders", "most is left from 100 to 500 Hz",
    ):  # fmt: skip
        assert words in seen.text, words
    assert seen.text.count("mic2.wav is dead for a while") == 1, "a fault is said once"


def test_the_sound_in_the_page_is_that_of_the_tracks(sources: Path, tmp_path: Path) -> None:
    texts = [s for s in page(report(sources, tmp_path / "a.html").path).scripts if re.fullmatch(r"[A-Za-z0-9+/=]{1000,}", s)]
    heard = []
    for k, text in enumerate(texts):
        (tmp_path / f"{k}.flac").write_bytes(base64.b64decode(text))
        heard.append(soundfile.read(tmp_path / f"{k}.flac", dtype="float32")[0])
    mic = soundfile.read(sources.parent / "mics/mic1.wav", dtype="float32")[0]
    assert np.abs(np.stack(heard) - np.stack([mic, *tracks(sources)])).max() <= 2**-15


def test_scores_of_a_file(sources: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.json"
    scores.write_text('{"scores": [{"reference": "anna.wav", "estimate": null, "si_sdr": 12.34, "sir": null}], "mean": {}}')
    text = page(report(sources, tmp_path / "a.html", scores=scores).path).text
    assert "Scores against the truth" in text
    assert "anna.wav" in text
    assert "12.3 dB" in text
    assert "SIR" not in text, "no column without a number"


def test_of_arrays(tmp_path: Path) -> None:
    x = np.stack([soundfile.read(p, dtype="float32")[0] for p in sorted((_desk(tmp_path)).glob("*.wav"))])
    done = bss.unmix(x, RATE)
    text = page(done.report(tmp_path / "a.html")).text
    assert "the first track is the sum of all others" in text
    assert "To do it again" in text
    assert "bss unmix" not in text, "there are no files to name in a command"
    assert "the sum of all others" not in page(done.report(tmp_path / "a.html", mixture=x, overwrite=True)).text
    with pytest.raises(InputError, match="shape"):
        done.report(tmp_path / "b.html", mixture=x[:, :-1])
    files = bss.unmix_file(tmp_path / "mics", tmp_path / "out")
    assert files.report() == tmp_path / "out" / "report.html"


def _desk(folder: Path) -> Path:
    result(folder)
    return folder / "mics"


# what it must withstand


def test_names_and_messages_are_text(tmp_path: Path) -> None:
    folder = result(tmp_path)
    names = [*ODD[:2]]
    for old, new in zip(("source1", "source2"), names, strict=True):
        (folder / f"{old}.wav").rename(folder / f"{new}.wav")
    change(folder, outputs=[f"{name}.wav" for name in names], warnings=[*ODD], repairs=[*ODD], reason=ODD[2], per_mic=True,
           options={"weights": ODD[2]})  # fmt: skip
    odd = tmp_path / ODD[0]
    folder.rename(odd)
    seen = page(report(odd).path)
    assert [name for _, name, _ in seen.attributes if name.startswith("on")] == []
    assert "alert" not in "".join(s for s in seen.scripts if not s.startswith("{"))
    assert '"><img src=x onerror=alert(1)>' in seen.text
    assert "</script><script>alert(2)</script>" in seen.text
    assert "\x1b" not in seen.source
    assert "\\x1b[31mred" in seen.text
    assert all(seen.data["lanes"])


def test_browsers_run_these_scripts_and_no_other(sources: Path, tmp_path: Path) -> None:
    seen = page(report(sources, tmp_path / "a.html").path)
    (policy,) = [value for tag, name, value in seen.attributes if tag == "meta" and value.startswith("default-src")]
    assert policy.startswith("default-src 'none'")
    scripts = [s for s in seen.scripts if "use strict" in s]
    assert len(scripts) == 3
    assert "Redistribution and use in source and binary forms" in scripts[0], "its licence goes with the player"
    for script in scripts:
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
    assert "unsafe" not in policy.split("script-src")[1]


def test_the_page_names_no_other_machine(sources: Path, tmp_path: Path) -> None:
    seen = page(report(sources, tmp_path / "a.html").path)
    addresses = [value for _, name, value in seen.attributes if name in ("src", "href", "srcset", "data", "action")]
    assert addresses
    assert all(address.startswith("data:image/png;base64,") for address in addresses)


def test_control_characters_and_bytes_that_are_no_text() -> None:
    assert visible("a\x00b\nc\udcffü \u202e") == "a\\x00b\\nc\\udcffü \\u202e"


# where the recording is


def test_a_recording_that_is_gone_is_said_and_replaced_by_the_sum(tmp_path: Path) -> None:
    folder = result(tmp_path)
    (tmp_path / "mics").rename(tmp_path / "elsewhere")
    made = report(folder)
    assert "was not there" in made.notes[0]
    assert made.tracks[0] == "sum of the tracks"
    assert report(folder, tmp_path / "b.html", mixture=tmp_path / "elsewhere").notes == ()
    save(tmp_path / "elsewhere" / "mic2.wav", voice("fiona")[: 2 * RATE])
    save(tmp_path / "elsewhere" / "mic1.wav", voice("fiona")[: 2 * RATE])
    with pytest.raises(InputError, match="not the recording that was separated"):
        report(folder, tmp_path / "c.html", mixture=tmp_path / "elsewhere")
    assert not (tmp_path / "c.html").exists()


def test_a_part_of_a_recording_is_heard_from_where_it_began(tmp_path: Path) -> None:
    folder = result(tmp_path, 4.0)
    record = document(folder)
    for name in ("source1", "source2"):
        y, rate = soundfile.read(folder / f"{name}.wav", dtype="float32")
        save(folder / f"{name}.wav", y[RATE : 3 * RATE], rate)
    change(folder, samples=2 * RATE, options={**record["options"], "start": 1.0, "end": 3.0})
    made = report(folder)
    assert made.notes == ()
    assert page(made.path).data["seconds"] == 2.0
    assert "--start 1 --end 3" in page(made.path).text


# sizes, and what is beside the page


def material(seconds: float, n_tracks: int, rate: int = RATE) -> Material:
    silent = ArraySignal(np.zeros(0, np.float32))
    tracks = [Track("mic", MICROPHONE, silent), *(Track(f"s{k}", TALKER, silent) for k in range(n_tracks - 1))]
    return Material("x", rate, round(seconds * rate), tuple(tracks))


@pytest.mark.parametrize(
    ("seconds", "n_tracks", "rate", "inside", "kind"),
    [
        (30, 6, 16_000, True, "FLAC"), (600, 5, 16_000, True, "MP3"), (300, 5, 48_000, True, "MP3"),
        (3600, 4, 16_000, False, "MP3"),
        (60, 2, 44_100, True, "FLAC"), (600, 4, 44_100, True, "MP3"), (600, 6, 48_000, False, "MP3"),
    ],
)  # fmt: skip
def test_how_the_page_has_the_sound(seconds: float, n_tracks: int, rate: int, inside: bool, kind: str) -> None:
    chosen = sound.choose(material(seconds, n_tracks, rate))
    assert (chosen.inside, chosen.kind) == (inside, kind)
    assert chosen.kind == "FLAC" or chosen.rate in sound.MP3_BITS


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_compressed_sound_is_small_and_as_long(rate: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    y = np.resize(np.concatenate([voice("edward"), voice("fiona")]), 20 * rate).astype(np.float32)
    one = Material("x", rate, y.size, (Track("mic", MICROPHONE, ArraySignal(y)),))
    lossy = sound.Sound(True, "MP3", min(rate, 24_000))
    text = sound.inlined(lossy, one.tracks[0], one)
    assert capfd.readouterr().err == "", "the decoder complains where it has to begin in the middle"
    (tmp_path / "a.mp3").write_bytes(base64.b64decode(text))
    heard, _ = soundfile.read(tmp_path / "a.mp3")
    assert abs(heard.size - 20 * lossy.rate) <= 1
    assert len(text) <= 20 * sound.MP3_BITS[lossy.rate] / 8 * 4 / 3


def test_tracks_louder_than_full_scale_are_played_softer(tmp_path: Path) -> None:
    folder = result(tmp_path)
    y = tracks(folder)
    for k, row in enumerate(y):
        soundfile.write(folder / f"source{k + 1}.wav", 2 * row / np.abs(row).max(), RATE, subtype="FLOAT")
    assert "softer than the tracks are" in page(report(folder).path).text


def test_of_a_long_recording_the_page_plays_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "INSIDE_BYTES", 0)
    monkeypatch.setattr(sound, "LOSSLESS_SAMPLES", 0)
    folder = result(tmp_path)
    replace_tracks(folder, noise(RATE, 0), noise(RATE, 1))
    made = report(folder, tmp_path / "pages" / "my page.html")
    assert made.files == ("my%20page_files/track1.mp3", "../sources/source1.wav", "../sources/source2.wav")
    assert listing(tmp_path / "pages") == ["my page.html", "my page_files"]
    assert all((tmp_path / "pages" / name.replace("%20", " ")).is_file() for name in made.files)
    with pytest.raises(InputError, match="already exists"):
        report(folder, tmp_path / "pages" / "my page.html")
    assert made.path.stat().st_size < 1.5e6


# two results


def test_two_results_are_matched(tmp_path: Path) -> None:
    a, b = result(tmp_path / "a"), result(tmp_path / "b")
    first = tracks(a)
    for k, row in enumerate(first[::-1]):
        save(b / f"source{k + 1}.wav", 0.5 * row)
    made = report(a, tmp_path / "both.html", other=b)
    seen = page(made.path)
    labels = [lane["label"] for lane in seen.data["lanes"]]
    assert made.notes == ()
    assert labels == [
        "Microphone", "Talker 1, sources (1)", "Talker 2, sources (2)", "Talker 2, sources (1)", "Talker 1, sources (2)",
    ]  # fmt: skip
    assert [lane["quiet"] for lane in seen.data["lanes"]] == [True, False, True, False, True]
    for k in range(2):
        save(b / f"source{k + 1}.wav", noise(first.shape[1], k))
    assert "may be of different recordings" in report(a, made.path, other=b, overwrite=True).notes[0]
    change(b, samples=document(b)["samples"] - 1)
    with pytest.raises(InputError, match="not the track of"):
        report(a, tmp_path / "c.html", other=b)


# refusals


def test_refusals(sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"neither result\.json nor scene\.json"):
        report(sources.parent)
    with pytest.raises(InputError, match="no folder"):
        report(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="both given"):
        report(sources, tmp_path / "a.html", truth="x", scores="y")
    with pytest.raises(UsageError, match="one result"):
        report(sources, tmp_path / "a.html", other=sources, scores="y")
    with pytest.raises(InputError, match="holds no scores"):
        report(sources, tmp_path / "a.html", scores=sources / "result.json")
    (tmp_path / "a.html").write_text("mine")
    with pytest.raises(InputError, match="already exists"):
        report(sources, tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text() == "mine"
    report(sources, tmp_path / "a.html", overwrite=True)
    assert (tmp_path / "a.html").stat().st_size > 1e5
    with pytest.raises(InputError, match="one of the inputs"):
        report(sources, sources / "source1.wav", overwrite=True)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(InputError, match=r"bss-toolkit\[report\]"):
        report(sources, tmp_path / "b.html")
