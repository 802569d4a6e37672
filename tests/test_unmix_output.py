"""`bss unmix`: the tracks, result.json, and the words."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recordings import RATE, desk, document, fit, listing, own_mics, room, run, save, save_each, spawn, tracks, unmix

from bss.pipeline.files.whole_files import FileOptions, announced
from bss.pipeline.planning.options import UnmixOptions
from bss.pipeline.planning.plan import plan
from bss.signals.files.audio import Recording
from bss.signals.files.parts import Channel

X = room(3, 2.0, seed=1).mixture
THIRD = "one sound beside the 2 talkers asked for went to noise.wav, though it may be a talker, too"


def test_dry_run_says_everything_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = save_each(tmp_path / "mics", X)
    done = unmix(*files, "--dry-run", "--json", "--sources", "2")
    plan = json.loads(done.stdout)
    assert listing(tmp_path) == ["mics"]
    assert (plan["dry_run"], plan["method"], plan["n_sources"]) == (True, "neural", 2)
    assert plan["channels"] == plan["used"] == files
    assert plan["memory_bytes"] > X.nbytes
    assert f"method: {plan['reason']}" in done.stderr
    real = json.loads(unmix(*files, "--json", "--sources", "2").stdout)
    planned = ("reason", "evidence", "n_sources", "used", "repairs")
    assert {key: real[key] for key in planned} == {key: plan[key] for key in planned}
    assert real["warnings"] == [*plan["warnings"], THIRD], "only the separation tells what the third sound is"


def test_json_is_what_result_json_holds(tmp_path: Path) -> None:
    files = save_each(tmp_path / "mics", X)
    done = unmix(*files, "-o", tmp_path / "out", "--json", "-n", "2", "--seed", "7")
    said = json.loads(done.stdout)
    assert said.pop("folder") == str(tmp_path / "out")
    assert said == document(tmp_path / "out")
    for promised in ("inputs", "channel_map", "repairs", "method", "reason", "n_iter", "loss", "versions", "warnings"):
        assert promised in said
    assert (said["seed"], said["n_sources"]) == (7, 2)
    assert said["outputs"] == ["source1.wav", "source2.wav", "noise.wav", "residual.wav"]
    assert said["warnings"] == [THIRD]
    assert {"read", "check", "sync", "choose", "separate"} == set(said["seconds"])
    assert all(value >= 0 for value in said["seconds"].values())
    assert said["options"]["sources"] == "2"


def test_overwrite_replaces_and_older_tracks_are_mentioned(tmp_path: Path) -> None:
    path, out = save(tmp_path / "x.wav", X), tmp_path / "out"
    unmix(path, "-o", out, "--sources", "2")
    before = (out / "source1.wav").read_bytes()
    refused = unmix(path, "-o", out, "--method", "fastica", code=3)
    assert "source1.wav already exists (and 3 more)" in refused.stderr
    assert (out / "source1.wav").read_bytes() == before
    (out / "source9.wav").write_bytes(before)
    done = unmix(path, "-o", out, "--method", "fastica", "--overwrite")
    assert f"warning: source9.wav, noise.wav, residual.wav in {out} are from an earlier run" in done.stderr
    assert (out / "source1.wav").read_bytes() != before
    assert (out / "source9.wav").read_bytes() == before


def test_per_mic_names_tracks_after_the_files(tmp_path: Path) -> None:
    images = own_mics(3, 3.0)
    x = images.sum(0)
    anna, rest = save(tmp_path / "anna.wav", x[0]), save(tmp_path / "rest.wav", x[1:])
    done = unmix(anna, rest, "--per-mic", "-o", tmp_path / "out")
    assert listing(tmp_path / "out") == ["anna.wav", "rest-1.wav", "rest-2.wav", "result.json"]
    assert "wrote anna.wav, rest-1.wav, rest-2.wav and result.json" in done.stderr
    names = ("anna", "rest-1", "rest-2")
    found = np.stack([soundfile.read(tmp_path / "out" / f"{name}.wav", dtype="float32")[0] for name in names])
    own = np.stack([images[k, k] for k in range(3)])
    assert fit(own, found).argmax(1).tolist() == [0, 1, 2]


def test_per_mic_with_files_of_one_name(tmp_path: Path) -> None:
    files = [save(tmp_path / folder / "mic.wav", row) for folder, row in zip(("a", "b", "c"), X, strict=True)]
    unmix(*files, "--per-mic", "--method", "fastica", "-o", tmp_path / "out")
    assert listing(tmp_path / "out") == ["mic-2.wav", "mic-3.wav", "mic.wav", "result.json"]


def test_a_dead_microphone_is_said_and_left_out(tmp_path: Path) -> None:
    files = save_each(tmp_path / "mics", np.vstack([X[:2], np.zeros((1, X.shape[1]))]))
    done = unmix(*files, "-o", tmp_path / "out", "-q", "--reference-mic", "3", "-n", "2")
    said = done.stderr.splitlines()
    assert [line.split(": ")[0] for line in said] == ["warning"] * 2, "warnings come through -q, and nothing else"
    assert "mic3.wav is digital silence" in said[0]
    assert "mic3.wav is left out, so " in said[1]
    assert listing(tmp_path / "out") == ["residual.wav", "result.json", "source1.wav", "source2.wav"]


@pytest.mark.parametrize(
    ("given", "wanted", "expected_subtype"),
    [("PCM_16", "same", "PCM_16"), ("PCM_24", "same", "PCM_24"), ("FLOAT", "same", "FLOAT"), ("PCM_U8", "same", "PCM_16"),
     ("ULAW", "same", "PCM_16"), ("PCM_16", "pcm24", "PCM_24"), ("PCM_16", "float", "FLOAT"), ("FLOAT", "pcm16", "PCM_16")],
)  # fmt: skip
def test_subtype(given: str, wanted: str, expected_subtype: str, tmp_path: Path) -> None:
    path = save(tmp_path / "x.wav", desk(2, 1.0).mixture, subtype=given)
    unmix(path, "-o", tmp_path / "out", "--method", "fastica", "--subtype", wanted)
    info = soundfile.info(tmp_path / "out" / "source1.wav")
    assert (info.subtype, info.channels) == (expected_subtype, 1)
    assert document(tmp_path / "out")["subtype"] == expected_subtype


def test_one_gain_for_all_or_floating_point(tmp_path: Path) -> None:
    """A floating-point recording beyond full scale: lowered together, and said; or kept as it is."""
    x = desk(2, 1.0).mixture
    words = [save(tmp_path / "x.wav", 2.5 * x / np.abs(x).max(), subtype="FLOAT"), "--method", "fastica", "--subtype", "pcm24"]
    done = unmix(*words, "-o", tmp_path / "common")
    gain = document(tmp_path / "common")["gain"]
    assert 0.3 < gain < 0.96
    assert f"warning: all tracks were lowered by {-20 * np.log10(gain):.1f} dB to avoid clipping" in done.stderr
    assert soundfile.info(tmp_path / "common/source1.wav").subtype == "PCM_24"
    kept = unmix(*words, "-o", tmp_path / "keep", "--clip", "keep")
    assert "lowered" not in kept.stderr
    assert document(tmp_path / "keep")["gain"] == 1.0
    assert soundfile.info(tmp_path / "keep/source1.wav").subtype == "FLOAT"
    np.testing.assert_allclose(tracks(tmp_path / "common"), gain * tracks(tmp_path / "keep"), atol=2.0**-22)
    assert np.abs(tracks(tmp_path / "common")).max() == pytest.approx(1.0, abs=1e-4)
    piped = spawn("unmix", *words, "-o", "-")
    np.testing.assert_array_equal(soundfile.read(io.BytesIO(piped.stdout), dtype="float32")[0].T, tracks(tmp_path / "common"))
    assert b"all tracks were lowered by" in piped.stderr


# words


def test_one_line_says_the_method_and_why(tmp_path: Path) -> None:
    done = unmix(save(tmp_path / "x.wav", X), "-o", tmp_path / "out")
    lines = [line for line in done.stderr.splitlines() if line.startswith("method: ")]
    assert len(lines) == 1
    assert lines[0] == f"method: {document(tmp_path / 'out')['reason']}"
    assert lines[0].endswith(" ms apart")


def test_ica_in_a_room_warns_with_the_delay(tmp_path: Path) -> None:
    done = unmix(save(tmp_path / "x.wav", X), "-o", tmp_path / "out", "--method", "fastica", "-n", "3")
    warned = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert len(warned) == 1
    assert "fastica will not separate this recording well" in warned[0]
    assert " ms apart; try --method auto" in warned[0]
    assert document(tmp_path / "out")["warnings"] == [warned[0].removeprefix("warning: ")]


def test_help_has_three_examples_and_every_option() -> None:
    text = run("unmix", "--help").stdout
    assert text.count("  bss unmix ") == 3
    for option in ("--sources", "--method", "--reference-mic", "--per-mic", "--start", "--end", "--subtype", "--clip", "--seed",
                   "--threads", "--dry-run", "--overwrite", "--json", "--quiet", "--verbose", "--debug"):  # fmt: skip
        assert option in text


def test_names_are_kept_for_talkers_that_were_not_counted() -> None:
    """Where more sounds are separated than were counted as talkers, another one may turn out to be a talker."""
    x = room(2, 3.0, n_mics=3).mixture
    recording = Recording(x, RATE, tuple(Channel("x.wav", k, 3) for k in range(3)), "WAV", "FLOAT")
    names = announced(recording, plan(x, RATE, UnmixOptions(n_sources=2)), FileOptions(linear=True))
    assert {"source1.wav", "source2.wav", "source3.wav", "linear/source3.wav", "noise.wav", "result.json"} <= set(names)
    assert "source4.wav" not in names


def test_nothing_to_continue_is_said(tmp_path: Path) -> None:
    done = unmix(save(tmp_path / "x.wav", desk(2, 2.0).mixture), "-o", tmp_path / "out", "--resume")
    assert f"there is no unfinished run in {tmp_path / 'out'}, so it begins from the start" in done.stderr
    assert "source2.wav" in listing(tmp_path / "out")
