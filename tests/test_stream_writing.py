"""Tracks written as they come: the same bytes as tracks in memory, all of them or none."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import soundfile as sf

import bss
from bss.errors import InputError, SolverError
from bss.pipeline.files.track_files import StoredTracks, without_noise, write_stacked, write_tracks
from bss.pipeline.record import DenoisedRecord
from bss.pipeline.result import Unmixed
from bss.signals.files import encode, track_store
from bss.signals.files.track_store import TrackStore
from bss.signals.files.writing import output_folder

N = 70_001
RATE = 16_000


def signals(*names: str, scale: float = 0.3, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: scale * rng.uniform(-1, 1, N).astype(np.float32) for name in names}


def stored(folder: Path, tracks: dict[str, np.ndarray], sizes: Sequence[int] = (1, 4000, 30_000)) -> TrackStore:
    """A store with these tracks, written in blocks of these sizes in turn."""
    folder.mkdir(exist_ok=True)
    store, at, k = TrackStore(folder), 0, 0
    store.open(list(tracks))
    while at < N:
        store.write({name: y[at : at + sizes[k % len(sizes)]] for name, y in tracks.items()})
        at, k = at + sizes[k % len(sizes)], k + 1
    return store


@pytest.fixture(scope="module")
def any_result() -> Unmixed:
    rng = np.random.default_rng(0)
    return bss.unmix(rng.laplace(size=(2, 2)) @ rng.laplace(0, 0.05, (2, RATE)), RATE, n_sources=2)


def in_memory(result: Unmixed, tracks: dict[str, np.ndarray], keep_noise: bool, strength: float | None) -> Unmixed:
    """A result with these tracks."""

    def rows(start: str) -> np.ndarray | None:
        found = [y for name, y in tracks.items() if name.startswith(start)]
        return np.stack(found) if found else None

    sources = rows("source")
    assert sources is not None
    names = tuple(f"source{k + 1}" for k in range(len(sources)))
    made = replace(
        result, sources=sources, names=names, residual=tracks.get("residual"), linear=rows("linear/"), noise=rows("noise"),
        keep_noise=keep_noise,
    )  # fmt: skip
    return made if strength is None else made.denoised(strength, dereverb=strength < 1)


def the_same_files(one: Path, other: Path) -> None:
    names = sorted(str(p.relative_to(one)) for p in one.rglob("*.wav"))
    assert names == sorted(str(p.relative_to(other)) for p in other.rglob("*.wav"))
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


CASES = [
    ({"source1": 0.3, "source2": 0.5}, "PCM_16", "common", False, None),
    ({"source1": 0.3, "source2": 2.5, "residual": 0.1}, "PCM_16", "common", False, None),
    ({"source1": 0.3, "source2": 2.5, "residual": 0.1}, "PCM_24", "keep", False, None),
    ({"source1": 0.3, "noise1": 0.9, "noise2": 0.9, "residual": 0.1}, "PCM_16", "common", False, None),
    ({"source1": 0.3, "noise1": 0.9, "noise2": 0.9, "linear/source1": 3.0}, "PCM_32", "common", True, None),
    ({"source1": 0.3, "noise1": 0.9, "residual": 0.2, "linear/source1": 0.5}, "FLOAT", "common", False, None),
    ({"source1": 0.3, "source2": 0.2, "residual": 0.2}, "FLOAT", "common", False, 0.8),
    ({"source1": 0.3, "source2": 0.2, "linear/source1": 0.2, "linear/source2": 0.1}, "PCM_16", "common", False, 1.0),
]


@pytest.mark.parametrize(("levels", "subtype", "clip", "keep_noise", "strength"), CASES)
def test_the_bytes_are_those_of_tracks_in_memory(
    tmp_path: Path,
    any_result: Unmixed,
    levels: dict[str, float],
    subtype: str,
    clip: str,
    keep_noise: bool,
    strength: float | None,
) -> None:
    tracks = {name: signals(name, scale=scale, seed=k)[name] for k, (name, scale) in enumerate(levels.items())}
    whole = in_memory(any_result, tracks, keep_noise, strength)
    wanted = whole.save(tmp_path / "whole", subtype=subtype, clip=clip, linear=True)
    names = tuple(name for name in tracks if name.startswith("source"))
    kept = StoredTracks(stored(tmp_path / "store", tracks), names, keep_noise)
    if strength is not None:
        kept = without_noise(kept, RATE, DenoisedRecord(strength, strength < 1), tmp_path / "store" / "quiet")
    announced = [f"{name}.wav" for name in kept.tracks()]
    with output_folder(tmp_path / "pieces", announced) as out:
        written = write_tracks(out, kept, RATE, subtype, clip)
    the_same_files(tmp_path / "whole", tmp_path / "pieces")
    assert (written.gain, written.subtype, list(written.files)) == (wanted["gain"], wanted["subtype"], wanted["outputs"])


def test_talkers_get_their_names(tmp_path: Path) -> None:
    tracks = signals("source1", "source2", "linear/source1", "linear/source2")
    kept = StoredTracks(stored(tmp_path / "store", tracks), ("anna", "ben"))
    assert list(kept.tracks()) == ["anna", "ben", "linear/anna", "linear/ben"]
    write_stacked(tmp_path / "x.wav", kept, RATE, "FLOAT", "common")
    x, _ = sf.read(tmp_path / "x.wav", dtype="float32")
    np.testing.assert_array_equal(x.T, [tracks["source1"], tracks["source2"]])


def test_longer_than_wav_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "WAV_LIMIT", 100_000)
    kept = StoredTracks(stored(tmp_path / "store", signals("source1")), ("source1",))
    with output_folder(tmp_path / "out", ["source1.wav"]) as out:
        write_tracks(out, kept, RATE, "PCM_16", "common")
    assert (tmp_path / "out/source1.wav").read_bytes()[:4] == b"RF64"
    assert sf.info(tmp_path / "out/source1.wav").frames == N


def test_a_store_is_cut_and_continued(tmp_path: Path) -> None:
    tracks = signals("a", "linear/b")
    store = stored(tmp_path / "s", tracks)
    store.flush()
    store.cut(1000)
    again = TrackStore(tmp_path / "s")
    again.open(["a", "linear/b"])
    assert again.n == 1000
    again.write({name: y[1000:] for name, y in tracks.items()})
    for name, y in tracks.items():
        np.testing.assert_array_equal(again.read(name, 0, N), y)
        np.testing.assert_array_equal(np.concatenate(list(again.blocks(name)), axis=1)[0], y)
    with (tmp_path / "s/1.f32").open("ab") as file:  # a block of which only one track was written
        file.write(bytes(10))
    once_more = TrackStore(tmp_path / "s")
    once_more.open(["a", "linear/b"])
    assert once_more.n == N
    with pytest.raises(ValueError, match="fewer than"):
        once_more.cut(N + 1)


def test_what_is_no_block_is_refused(tmp_path: Path) -> None:
    store = stored(tmp_path / "s", signals("a", "b"))
    for block in (
        {"a": np.zeros(3)},
        {"a": np.zeros(3), "b": np.zeros(4)},
        {"a": np.zeros(3), "b": np.zeros(3), "c": np.zeros(3)},
    ):
        with pytest.raises((ValueError, KeyError)):
            store.write(block)
    with pytest.raises(SolverError, match="track b of the result contains NaN"):
        store.write({"a": np.zeros(2, np.float32), "b": np.array([0, np.nan], np.float32)})


def test_the_disk_gets_full(tmp_path: Path) -> None:
    """The system allows no more than 100 kB per file: 25,000 samples."""
    program = (
        "import sys, signal, resource, numpy as np; from pathlib import Path\n"
        "from bss.signals.files.track_store import TrackStore\n"
        "from bss.errors import InputError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "store = TrackStore(Path(sys.argv[1])); store.open(['a'])\n"
        "try:\n    [store.write({'a': np.zeros(10_000, np.float32)}) for _ in range(9)]\n"
        "except InputError as error:\n    print(store.n, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"20000 the tracks cannot be written to {tmp_path}\nFile too large\nTry: free some space")


def test_space_is_asked_for_before_the_work(tmp_path: Path) -> None:
    with (
        mock.patch("shutil.disk_usage", return_value=shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000)),  # type: ignore[attr-defined]
        pytest.raises(
            InputError, match=f"there is not enough disk space in {tmp_path}\nabout 2.0 MB are needed, 0.0 MB are free"
        ),
    ):
        track_store.refuse_full(tmp_path, 2_000_000)
