"""`bss.unmix` as programs meet it: what it takes and refuses, its progress, its errors, and what it saves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from recordings import RATE, desk, fit, room

import bss
from bss.errors import InputError, SolverError, UsageError
from bss.pipeline.methods.neural import Neural
from bss.pipeline.methods.shared.base import Task
from bss.pipeline.result import Unmixed

# what it takes, and what it refuses


def test_floats_of_any_width_and_lists() -> None:
    x = desk(2, 1.0, snr_db=40.0).mixture
    expected = bss.unmix(x, RATE).sources
    assert expected.dtype == np.float32
    for same in (x.astype(np.float64), x.tolist(), np.asfortranarray(x), x[:, ::-1][:, ::-1], x.astype(">f4")):
        np.testing.assert_array_equal(bss.unmix(same, RATE).sources, expected)
    half = bss.unmix(x.astype(np.float16), RATE).sources
    assert half.dtype == np.float32
    assert (np.diag(fit(expected, half)) > 30).all()


@pytest.mark.parametrize("scale", [3e-3, 100.0, 32768.0])
def test_the_level_of_the_recording_does_not_matter(scale: float) -> None:
    x = room(2, 2.0).mixture
    np.testing.assert_allclose(
        bss.unmix(np.float32(scale) * x, RATE).sources, scale * bss.unmix(x, RATE).sources, atol=2e-3 * scale
    )


GOOD = desk(2, 1.0).mixture
REFUSED: list[tuple[str, Any, dict[str, Any], type[Exception], str]] = [
    ("integers", (GOOD * 32767).astype(np.int16), {}, InputError, "int16 numbers\n.*float.*\nTry: x = x.astype"),
    ("complex", GOOD + 0j, {}, InputError, "complex64 values"),
    ("words", [["a", "b"]], {}, InputError, "values"),
    ("one axis", GOOD[0], {}, InputError, r"shape \(16000,\)"),
    ("swapped axes", GOOD.T, {}, InputError, "16000 channels of 2 samples\nthe axes seem to be swapped.*\nTry: x.T"),
    ("no samples", GOOD[:, :0], {}, InputError, "is empty"),
    ("one channel", GOOD[:1], {}, InputError, "the recording has only one channel"),
    ("silence", 0 * GOOD, {}, InputError, "both channels are silent"),
    ("NaN everywhere", np.nan * GOOD, {}, InputError, "none of the 2 channels is usable"),
    ("too short", room(2, 2.0).mixture[:, :800], {}, InputError, r"only 0.05 s long \(800 samples\)"),
    ("rate 0", GOOD, {"rate": 0}, UsageError, "rate=0 is out of range"),
    ("rate and a half", GOOD, {"rate": 16000.5}, UsageError, "rate=16000.5 is not a whole number"),
    ("no talkers", GOOD, {"n_sources": 0}, UsageError, "n_sources=0 is out of range"),
    ("half a talker", GOOD, {"n_sources": 2.5}, UsageError, "n_sources=2.5 is not a whole number"),
    ("3 talkers by ICA", GOOD, {"n_sources": 3, "method": "fastica"}, UsageError, "3 talkers requested, but there are only 2"),
    ("unknown method", GOOD, {"method": "fasica"}, UsageError, "Try: did you mean 'fastica'"),
    ("no method", GOOD, {"method": None}, UsageError, "method=None is not known"),
    ("unknown device", GOOD, {"device": "abacus"}, UsageError, "device='abacus' is not known"),
    ("microphone 3 of 2", GOOD, {"reference_mic": 2}, UsageError, "reference_mic=2 is out of range"),
    ("microphone -1", GOOD, {"reference_mic": -1}, UsageError, "reference_mic=-1 is out of range"),
    (
        "per_mic and 1 talker",
        GOOD,
        {"per_mic": True, "n_sources": 1},
        UsageError,
        "1 talker requested, but one track per microphone makes 2",
    ),
    ("a name for one of two", GOOD, {"names": ["a"]}, UsageError, "1 names for 2 channels"),
    ("seed -1", GOOD, {"rng": -1}, UsageError, "rng=-1 is out of range"),
    ("no seed", GOOD, {"rng": None}, UsageError, "rng=None is not a whole number"),
    ("a generator", GOOD, {"rng": np.random.default_rng(0)}, UsageError, "is not a whole number"),
]


@pytest.mark.parametrize(("x", "options", "kind", "says"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_refused(x: Any, options: dict[str, Any], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        bss.unmix(x, **{"rate": RATE, **options})


def test_options_are_refused_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bss.pipeline.planning.plan.preflight", lambda *_: pytest.fail("it has begun to work"))
    for options in ({"method": "ica"}, {"n_sources": 0}, {"reference_mic": 9}, {"device": "abacus"}, {"rng": -1}):
        with pytest.raises(UsageError):
            bss.unmix(GOOD, RATE, **options)  # type: ignore[arg-type]


# progress, and what goes wrong inside


@pytest.mark.parametrize(
    "method", ["fastica", "infomax", "picard-o", "jade", "auxiva", "fdica", "ilrma", "neural", "fastmnmf", "cacgmm"]
)
def test_progress_rises_to_one(method: str) -> None:
    seen: list[float] = []
    bss.unmix(room(2, 1.5).mixture, RATE, method=method, progress=seen.append)
    assert len(seen) > 2
    assert seen == sorted(seen)
    assert 0 < seen[0] < 1
    assert seen[-1] == 1.0


def test_an_exception_of_the_progress_callback_ends_the_work() -> None:
    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bss.unmix(room(2, 1.5).mixture, RATE, progress=stop)


def test_a_solver_that_diverges_is_tried_once_more_in_double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Any] = []
    learn = Neural.learn

    def diverging(method: Neural, task: Task) -> Any:
        tried.append(task.x.dtype)
        if len(tried) == 1:
            raise SolverError("ILRMA diverged")
        return learn(method, task)

    monkeypatch.setattr(Neural, "learn", diverging)
    result = bss.unmix(room(2, 2.0).mixture, RATE)
    assert tried == [np.float32, np.float64]
    assert "ILRMA diverged in single precision, so it was repeated in double precision" in result.warnings
    assert result.sources.dtype == np.float32


def test_a_solver_that_diverges_twice_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def diverging(*_: Any, **__: Any) -> Any:
        raise SolverError("ILRMA diverged", "", "something else")

    monkeypatch.setattr(Neural, "learn", diverging)
    with pytest.raises(SolverError, match="ILRMA diverged"):
        bss.unmix(room(2, 2.0).mixture, RATE)


# saving


@pytest.fixture(scope="module")
def unmixed() -> Unmixed:
    scene = room(2, 2.0, n_mics=3)
    return bss.unmix(scene.mixture, RATE, n_sources=2, names=["left", "right", "spare"], rng=5)


def test_save_writes_tracks_and_what_is_known_of_them(unmixed: Unmixed, tmp_path: Path) -> None:
    written = unmixed.save(tmp_path / "deep" / "sources")
    folder = tmp_path / "deep" / "sources"
    assert sorted(p.name for p in folder.iterdir()) == ["residual.wav", "result.json", "source1.wav", "source2.wav"]
    for name, y in (*zip(("source1", "source2"), unmixed.sources, strict=True), ("residual", unmixed.residual)):
        found, rate = soundfile.read(folder / f"{name}.wav", dtype="float32")
        assert rate == RATE
        np.testing.assert_array_equal(found, y)
    document = json.loads((folder / "result.json").read_text())
    assert document == json.loads(json.dumps(written))
    assert (document["schema"], document["method"], document["reason"]) == (2, unmixed.method, unmixed.reason)
    assert document["channels"] == document["used"] == ["left", "right", "spare"]
    assert (document["reference"], document["seed"], document["rate"]) == ("left", 5, RATE)
    assert document["samples"] == unmixed.sources.shape[1]
    assert document["outputs"] == ["source1.wav", "source2.wav", "residual.wav"]
    assert (document["gain"], document["subtype"]) == (1.0, "FLOAT")
    assert document["n_iter"] == sum(len(loss) for loss in document["loss"].values()) > 0
    assert document["loss"]["fdica"][0] > document["loss"]["fdica"][-1]
    assert {"check", "sync", "choose", "separate"} == set(document["seconds"])
    assert {"bss", "python", "numpy", "scipy", "machine"} <= set(document["versions"])
    assert document["versions"]["bss"] == bss.__version__
    assert document["warnings"] == list(unmixed.warnings)
    assert {"findings", "evidence", "n_fft", "hop", "converged", "message", "sources", "n_sources"} <= set(document)


def test_save_replaces_nothing_unasked(unmixed: Unmixed, tmp_path: Path) -> None:
    (tmp_path / "source2.wav").write_text("mine")
    with pytest.raises(InputError, match=r"source2\.wav already exists"):
        unmixed.save(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["source2.wav"]
    assert (tmp_path / "source2.wav").read_text() == "mine"
    unmixed.save(tmp_path, overwrite=True)
    assert soundfile.info(tmp_path / "source2.wav").frames == unmixed.sources.shape[1]


LOUD = [("PCM_16", "common"), ("PCM_24", "common"), ("PCM_16", "keep"), ("FLOAT", "common")]


@pytest.mark.parametrize(("subtype", "clip"), LOUD)
def test_loud_tracks(tmp_path: Path, subtype: str, clip: str) -> None:
    """One gain for all in PCM, true levels in floating point."""
    result = bss.unmix(np.float32(6) * desk(2, 1.0).mixture, RATE)
    loudest = np.abs(result.sources).max()
    assert loudest > 1
    document = result.save(tmp_path, subtype=subtype, clip=clip)
    kept = clip == "keep" or subtype == "FLOAT"
    assert document["gain"] == (1.0 if kept else pytest.approx(1 / loudest, rel=1e-3))
    assert document["subtype"] == ("FLOAT" if kept else subtype)
    for k, y in enumerate(result.sources):
        found, _ = soundfile.read(tmp_path / f"source{k + 1}.wav")
        np.testing.assert_allclose(found, document["gain"] * y, atol=2.0**-15)


def test_save_refuses_what_it_does_not_know(unmixed: Unmixed, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="clip='hard' is not known"):
        unmixed.save(tmp_path / "a", clip="hard")
    with pytest.raises(UsageError, match="PCM_12"):
        unmixed.save(tmp_path / "b", subtype="PCM_12")
    assert list(tmp_path.iterdir()) == []
