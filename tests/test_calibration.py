"""Every fitted number is documented, used, and fitted by `tools/calibrate.py`, which runs."""

from __future__ import annotations

import json
import re
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recordings import RATE, ROOT

sys.path.insert(0, str(ROOT / "tools"))

import calibrate
from calibration import cache, fits, steps
from calibration.measures import GROUPS, PER_ROOM, left_of_others

from bss.pipeline.calibration import fitted

NUMBERS = fitted()


@pytest.mark.parametrize("name", NUMBERS)
def test_a_fitted_number_says_what_it_is(name: str) -> None:
    number = NUMBERS[name]
    assert all((number.unit, number.meaning, number.data, number.error))
    assert date.fromisoformat(number.date) <= date.fromisoformat(number.checked.split(",")[0])
    values = number.value if isinstance(number.value, tuple) else (number.value,)
    assert np.isfinite(values).all()


def test_the_command_fits_every_number_and_no_other() -> None:
    known = [name for step in steps.STEPS.values() for name in step.units]
    assert sorted(known) == sorted(NUMBERS)
    assert {group for step in steps.STEPS.values() for group in step.groups} == set(GROUPS) == set(PER_ROOM)


def test_every_number_is_used() -> None:
    code = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "bss").rglob("*.py") if file.name != "calibration.py")
    assert {name for name in NUMBERS if not re.search(rf"calibration\.{name}\b", code)} == set()


def test_a_regression_finds_what_there_is() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3)) * [1, 10, 0.1]
    y = X @ [2.0, -0.3, 5.0] + 7 + 0.01 * rng.normal(size=400)
    np.testing.assert_allclose(fits.regression(X, y, np.ones(400)), [2.0, -0.3, 5.0, 7.0], rtol=0.01)
    doubled = fits.regression(np.vstack([X, X[:50]]), np.concatenate([y, y[:50]]), np.ones(450))
    weighted = fits.regression(X, y, np.repeat([2.0, 1.0], [50, 350]))
    np.testing.assert_allclose(weighted, doubled, rtol=1e-6)


def test_a_robust_regression_is_not_led_astray_by_a_few() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = X @ [2.0, -1.0] + 3 + 0.1 * rng.normal(size=200)
    y[:10] -= 40 * X[:10, 0]
    np.testing.assert_allclose(fits.robust_regression(X, y, 0.1), [2.0, -1.0, 3.0], atol=0.1)
    assert abs(fits.regression(X, y, np.ones(200))[0] - 2) > 0.5


@pytest.mark.parametrize(
    ("low", "high", "ratio", "expected"),
    [
        ([1, 2, 3], [5, 6], False, 4.0),
        ([1, 2, 4], [9, 16], True, 6.0),
        ([1, 2, 3, 9], [5, 6, 7, 8], False, 4.0),  # one on the wrong side
        ([1, np.nan, 3], [5, np.nan], False, 4.0),
    ],
)
def test_a_limit_parts_two_kinds_in_the_middle(low: list[float], high: list[float], ratio: bool, expected: float) -> None:
    assert fits.limit(np.array(low), np.array(high), ratio=ratio) == pytest.approx(expected)


def test_a_limit_of_one_kind_is_none() -> None:
    assert np.isnan(fits.limit(np.array([1.0]), np.array([np.nan])))


def test_the_middle_of_the_longest_plateau() -> None:
    assert fits.plateau(np.arange(8.0), np.array([1, 2, 0, 2, 2, 2, 1, 2])) == 4.0


def test_what_is_left_of_another_talker() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.normal(size=(2, 4 * RATE)) * np.repeat(rng.random((2, 80)) ** 2, RATE // 20, axis=1)).astype(np.float32)
    clean = left_of_others(truth, truth + 1e-6 * truth[::-1])
    mixed = left_of_others(truth, np.tile(truth.sum(0), (2, 1)))
    half = left_of_others(truth, truth + 0.5 * truth[::-1])
    assert np.max(clean) < -15
    np.testing.assert_allclose(mixed, 0, atol=0.01)
    assert (half > clean + 3).all()
    assert (half < mixed - 1).all()


def test_a_better_number_is_told_from_chance() -> None:
    rng = np.random.default_rng(0)
    scenes = [{"x": rng.normal(5.0, 1.0)} for _ in range(64)]
    step = fits.Step(
        (), {"MEAN": "1"}, lambda seen: {"MEAN": float(np.mean([s["x"] for s in seen]))},
        lambda values, seen: {"MEAN": np.array([abs(s["x"] - values["MEAN"]) for s in seen])},
    )  # fmt: skip
    (off,), (right,) = (fits.evaluated(step, scenes, {"MEAN": old}) for old in (2.0, 5.0))
    assert off.better > off.doubt > 0
    assert abs(right.better) < 0.1
    assert off.spread == pytest.approx(1 / 8, rel=0.5)
    assert "<-" in calibrate.table([off])
    assert "<-" not in calibrate.table([right])


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for kind in ("rain", "wind"):
        (tmp_path / "noise" / kind).mkdir(parents=True)
        soundfile.write(tmp_path / "noise" / kind / "1.wav", 0.1 * rng.standard_normal(3 * RATE), RATE)
    return tmp_path / "noise"


@pytest.mark.slow
def test_the_whole_of_it_on_two_rooms(tmp_path: Path, noise: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--rooms", "2", "--seconds", "2", "--processes", "1", "--cache", str(tmp_path / "cache"), "--noise", str(noise)]
    calibrate.main([*options, "--out", str(tmp_path / "new.json")])
    said = capsys.readouterr()
    rows = json.loads((tmp_path / "new.json").read_text(encoding="utf-8"))["numbers"]
    assert [row["name"] for row in rows] == [name for step in steps.STEPS.values() for name in step.units]
    assert all(f"| {name} |" in said.out for name in NUMBERS)
    assert rows[0]["error_old"] < 20
    calibrate.main([*options, "--only", "counting", "choice"])
    assert "scenes" not in capsys.readouterr().err, "what was measured is not measured again"


def test_an_ended_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[cache.Job] = []

    def measure(group: str, k: int, sources: object) -> dict[str, np.ndarray]:
        if len(measured) == 3:
            raise KeyboardInterrupt
        measured.append((group, k))
        return {"k": np.array(k)}

    monkeypatch.setattr(cache, "measure", measure)
    jobs = [("rooms", k) for k in range(5)]
    with pytest.raises(KeyboardInterrupt):
        cache.measured(tmp_path, jobs, None, processes=1, done=lambda i, n: None)
    first = list(measured)
    measured.clear()
    cache.measured(tmp_path, jobs, None, processes=1, done=lambda i, n: None)
    assert first + measured == jobs
    assert [int(scene["k"]) for scene in cache.held(tmp_path, "rooms", 5)] == list(range(5))


@pytest.mark.parametrize(("options", "said"), [(["--rooms", "1"], "two at least"), (["--only", "speech"], "--noise is missing")])
def test_options_that_cannot_work(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        calibrate.main(options)
    assert said in capsys.readouterr().err
