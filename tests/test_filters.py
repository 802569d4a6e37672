"""Filters apart from the recording: applied, saved, loaded, refused; and `bss apply`."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import RATE, desk, improvement, own_mics, room, run, save_each, tracks, voices
from scipy.signal import oaconvolve

import bss
from bss.errors import InputError, UsageError
from bss.pipeline.filters.models import Demixing
from bss.scenes.acoustics.rooms import Layout, respond

KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "desk": (desk, {}),
    "room": (room, {"method": "ilrma"}),
    "source model": (room, {}),
    "two passes of the source model": (room, {"effort": "best"}),
    "masks": (room, {"method": "cacgmm"}),
    "fastmnmf": (room, {"method": "fastmnmf"}),
}


@cache
def unmixed(kind: str) -> tuple[np.ndarray, bss.Unmixed]:
    make, options = KINDS[kind]
    x = make(2, 5.0, seed=1).mixture
    return x, bss.unmix(x, RATE, n_sources=2, **options)


def nearness(a: np.ndarray, b: np.ndarray) -> float:
    """Power of the difference of tracks in dB of their own."""
    return float(10 * np.log10((np.sum((a - b) ** 2) + 1e-20) / np.sum(a**2)))


@pytest.mark.parametrize(("kind", "least"), [(kind, -10.0 if kind in ("masks", "fastmnmf") else -90.0) for kind in KINDS])
def test_applied_to_their_own_recording_they_give_its_tracks(kind: str, least: float) -> None:
    """Of masks and fastmnmf the loudness of every talker in every frame is learned again, which is not the same."""
    x, result = unmixed(kind)
    assert nearness(result.sources, result.filters.apply(x)) < least


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_they_do_the_same(kind: str, tmp_path: Path) -> None:
    x, result = unmixed(kind)
    result.filters.save(tmp_path / "room.filters")
    again = bss.load_filters(tmp_path / "room.filters")
    assert replace(again, model=result.filters.model) == result.filters
    np.testing.assert_array_equal(again.apply(x), result.filters.apply(x))
    with pytest.raises(InputError, match=r"room\.filters"):
        result.filters.save(tmp_path / "room.filters")
    result.filters.save(tmp_path / "room.filters", overwrite=True)


def test_another_microphone_is_another_level() -> None:
    x, result = unmixed("desk")
    np.testing.assert_allclose(result.filters.apply(x, reference_mic=1).sum(0), x[1], atol=1e-5)
    np.testing.assert_allclose(result.filters.apply(x, reference_mic=1), bss.unmix(x, RATE, reference_mic=1).sources, atol=1e-5)


def test_tracks_of_close_microphones_stay_with_them() -> None:
    x = own_mics(2, 4.0).sum(0)
    result = bss.unmix(x, RATE, per_mic=True)
    assert result.filters.mics == (0, 1)
    assert nearness(result.sources, result.filters.apply(x)) < -90


def test_channels_that_were_left_out_are_left_out_again() -> None:
    x = desk(2, 2.0).mixture
    with_dead = np.stack([x[0], np.zeros_like(x[0]), x[1]])
    filters = bss.unmix(with_dead, RATE).filters
    assert (filters.used, filters.channels) == ((0, 2), ("channel 1", "channel 2", "channel 3"))
    np.testing.assert_allclose(filters.apply(with_dead).sum(0), x[0], atol=1e-5)
    with pytest.raises(UsageError, match="channel 2 was left out"):
        filters.apply(with_dead, reference_mic=1)


def test_one_talker_is_the_microphone() -> None:
    x = room(1, 9.0, n_mics=2, seed=4, rt60=0.3).mixture
    result = bss.unmix(x, RATE)
    assert result.method == "none"
    np.testing.assert_array_equal(result.filters.apply(x[:, :8000]), x[:1, :8000])


@pytest.mark.parametrize("kind", ["masks", "desk"])
def test_silence_in_silence_out(kind: str) -> None:
    np.testing.assert_array_equal(unmixed(kind)[1].filters.apply(np.zeros((2, 8000), np.float32)), 0)


def test_other_recordings_are_refused() -> None:
    x, result = unmixed("room")
    with pytest.raises(InputError, match="3 channels, but these filters were learned with 2"):
        result.filters.apply(np.concatenate([x, x[:1]]))
    with pytest.raises(InputError, match="at 8000 Hz, but these filters were learned at 16000 Hz"):
        result.filters.apply(x, rate=8000)
    with pytest.raises(InputError, match="NaN"):
        result.filters.apply(np.full_like(x, np.nan))


def broken(change: Any) -> bytes:
    """Filters of a desk, with one thing changed in what the file says."""
    from safetensors.numpy import load as read, save

    data = unmixed("desk")[1].filters.to_bytes()
    size = int.from_bytes(data[:8], "little")
    words = json.loads(data[8 : 8 + size])["__metadata__"]
    said, arrays = json.loads(words["filters"]), read(data)
    change(said, arrays)
    return bytes(save(arrays, {**words, "filters": json.dumps(said)}))


BROKEN: dict[str, tuple[Any, str]] = {
    "another schema": (lambda said, arrays: said.update(schema=9), "schema 9"),
    "no rate": (lambda said, arrays: said.pop("rate"), "'rate'"),
    "a rate of 0": (lambda said, arrays: said.update(rate=0), "rate=0"),
    "a microphone too many": (lambda said, arrays: said.update(used=[0, 1, 2]), "2 microphones, channels"),
    "a microphone that is not there": (lambda said, arrays: said.update(mics=[0, 7]), "2 talkers, microphones"),
    "an STFT that it has not": (lambda said, arrays: said.update(stft=[512, 128]), "demixing has shape"),
    "a matrix of another shape": (lambda said, arrays: arrays.update(mixing=np.zeros((3, 2))), "mixing has shape"),
    "NaN": (lambda said, arrays: arrays.update(demixing=np.full((2, 2), np.nan)), "NaN or infinite"),
    "no matrix": (lambda said, arrays: arrays.pop("demixing"), "'demixing'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_damaged_files_are_refused(case: str, tmp_path: Path) -> None:
    change, words = BROKEN[case]
    (tmp_path / "f").write_bytes(broken(change))
    with pytest.raises(InputError, match=words):
        bss.load_filters(tmp_path / "f")


@pytest.mark.parametrize(("content", "words"), [(b"", "contains no filters"), (b"RIFF" * 100, "contains no filters")])
def test_what_is_no_file_of_filters(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(InputError, match=words):
        bss.load_filters(tmp_path / "f")
    with pytest.raises(InputError, match="does not exist"):
        bss.load_filters(tmp_path / "nowhere")
    with pytest.raises(InputError, match="it contains a denoiser"):
        bss.load_filters(Path(bss.__file__).parent / "networks/weights/denoiser.safetensors")


def test_demixing_in_another_order() -> None:
    W, A = np.arange(4.0).reshape(2, 2), np.arange(4.0, 8.0).reshape(2, 2)
    turned = Demixing(W, A).ordered(np.array([1, 0]))
    np.testing.assert_array_equal(turned.W, W[::-1])
    np.testing.assert_array_equal(turned.A, A[:, ::-1])


def sessions(rt60: float) -> list[np.ndarray]:
    """(2, N, M, n) images of two sessions in one room: the same places, other voices."""
    mics = np.array([[3.0, 2.5, 1.2], [3.05, 2.5, 1.2]])
    talkers = np.array([[4.0, 3.4, 1.5], [2.0, 3.6, 1.5]])
    rirs = respond(Layout((6.0, 5.0, 3.0), mics, talkers), rt60, RATE).rirs
    found = []
    for first in (0, 2):
        heard = [[oaconvolve(v, h)[: v.size] for h in row] for v, row in zip(voices(2, 9.0, first=first), rirs, strict=True)]
        found.append(np.asarray(heard, np.float32) * np.float32(0.2))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("rt60", [0.2, 0.35])
def test_a_room_is_calibrated_once_and_serves_other_words(rt60: float) -> None:
    """Within 1 dB of separating the second session afresh."""
    monday, tuesday = sessions(rt60)
    filters = bss.unmix(monday.sum(0), RATE, n_sources=2).filters
    afresh = bss.unmix(tuesday.sum(0), RATE, n_sources=2).sources
    applied = filters.apply(tuesday.sum(0))
    gains = [improvement(tuesday[:, 0], y, tuesday.sum(0)[0]).mean() for y in (applied, afresh)]
    assert gains[0] > gains[1] - 1


def test_the_command(tmp_path: Path) -> None:
    x = room(2, 3.0).mixture
    files = save_each(tmp_path / "mics", x, subtype="FLOAT")
    kept = tmp_path / "room.filters"
    done = run("unmix", *files, "-n", "2", "-o", tmp_path / "out", "--save-filters", kept)
    assert done.exit_code == 0, done.stderr
    assert f"wrote the filters to {kept}" in done.stderr
    done = run("apply", kept, *files, "-o", tmp_path / "again", "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["outputs"] == ["source1.wav", "source2.wav"]
    assert json.loads((tmp_path / "again/apply.json").read_text())["filters"] == str(kept)
    assert nearness(tracks(tmp_path / "out"), tracks(tmp_path / "again")) < -60
    assert run("apply", kept, *files, "-o", tmp_path / "again").exit_code == 3, "tracks are there already"
    assert run("unmix", *files, "-o", tmp_path / "new", "--save-filters", kept).exit_code == 3, "so are the filters"
    assert not (tmp_path / "new").exists()


def test_the_command_refuses_another_recording(tmp_path: Path) -> None:
    kept = tmp_path / "room.filters"
    bss.unmix(desk(2, 2.0).mixture, RATE).filters.save(kept)
    three = save_each(tmp_path / "three", desk(3, 2.0).mixture)
    done = run("apply", kept, *three, "-o", tmp_path / "out")
    assert done.exit_code == 3
    assert "error: the recording has 3 channels, but these filters were learned with 2" in done.stderr
    other = save_each(tmp_path / "other", desk(2, 2.0).mixture, rate=8000)
    done = run("apply", kept, *other, "-o", tmp_path / "out")
    assert done.exit_code == 3
    assert "error: the recording is at 8000 Hz" in done.stderr
    assert not (tmp_path / "out").exists()
