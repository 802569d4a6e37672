"""Simulated recorders with faults: each is what it says, and leaves the rest of the scene as it was."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import bss
from bss.errors import UsageError
from bss.scenes import clocks, faults
from bss.scenes.faults import Agc, Drift, Dropout, Fault, Gap, Hum, Offset

RATE = 8000
SECONDS = 4.0


def scene(*given: Fault, n_mics: int = 3, **options: Any) -> bss.Scene:
    """Two talkers who never pause, in free space and without noise, unless the options say otherwise."""
    voices = np.random.default_rng(0).laplace(size=(2, int(RATE * SECONDS)))
    return bss.mix(voices, RATE, n_mics=n_mics, faults=given, **{"rt60": 0.0, "snr_db": np.inf, "rng": 3} | options)


def lag(late: np.ndarray, early: np.ndarray) -> float:
    """By how many seconds `late` is behind `early`, from the phases of their cross-spectrum."""
    spectrum = np.fft.rfft(late, 2 * len(late)) * np.fft.rfft(early, 2 * len(early)).conj()
    whole = int(np.argmax(np.fft.irfft(spectrum)))
    whole -= 2 * len(late) if whole > len(late) else 0
    omega = 2 * np.pi * np.fft.rfftfreq(2 * len(late))
    use = slice(len(omega) // 10, len(omega) // 2)  # up to half the highest frequency
    rest = spectrum[use] * np.exp(1j * omega[use] * whole)
    weights = np.abs(rest)
    fraction = -np.sum(weights * omega[use] * np.angle(rest)) / np.sum(weights * omega[use] ** 2)
    return (whole + fraction) / RATE


def lag_at(faulty: bss.Scene, right: bss.Scene, mic: int, t: float, seconds: float = 0.5) -> float:
    """By how much sound is late in the file of `mic` around t seconds."""
    part = slice(int(RATE * (t - seconds / 2)), int(RATE * (t + seconds / 2)))
    return lag(faulty.mixture[mic, part], right.mixture[mic, part])


def same(a: np.ndarray, b: np.ndarray) -> None:
    """Equal but for one gain common to all, as the loudest sample of a scene is always the same."""
    gain = float(np.sum(a * b) / np.sum(b * b))
    np.testing.assert_allclose(a, gain * b, atol=2e-6)


# ---------------------------------------------------------------- clocks


@pytest.mark.parametrize("seconds", [0.25, 0.25003, 1.7, -0.3, -0.30002])
def test_offset(seconds: float) -> None:
    right, late = scene(), scene(Offset(seconds, 1))
    shift = round(seconds * RATE)
    now, then = (late.mixture[1], right.mixture[1]) if seconds > 0 else (right.mixture[1], late.mixture[1])
    n = len(now) - abs(shift)
    part = slice(200, n - 200)  # the twin has no sound before its start
    measured = np.sign(seconds) * (abs(shift) / RATE - lag(now[:n][part], then[abs(shift) :][part]))
    assert measured == pytest.approx(seconds, abs=1e-6)
    if seconds == shift / RATE:  # whole samples are not touched
        gain = late.mixture[0, 100] / right.mixture[0, 100]
        a, b = (now / gain, then) if seconds > 0 else (now, then / gain)
        np.testing.assert_allclose(a[:n][part], b[abs(shift) :][part], atol=1e-6 if seconds > 0 else 1e-4)


def test_an_offset_longer_than_the_recording() -> None:
    late = scene(Offset(30.0, 2))
    assert late.mixture.shape == scene().mixture.shape
    assert late.mixture[2].std() == pytest.approx(late.mixture[0].std(), rel=0.1)  # everybody goes on talking


@pytest.mark.parametrize("ppm", [41.3, -300.0, 10_000.0])
def test_drift(ppm: float) -> None:
    """A fast clock takes more samples per second, so that sound comes later and later in its file."""
    right, drifting = scene(), scene(Drift(ppm, 1))
    for t in (0.5, 1.5, 2.5, 3.0):
        moment = t / (1 + ppm * 1e-6)
        window = slice(int(RATE * t) - 200, int(RATE * t) + 200)
        back = clocks.interpolate(right.mixture[1], RATE * moment + np.arange(-200, 200) / (1 + ppm * 1e-6))
        assert lag(drifting.mixture[1, window], back) == pytest.approx(0, abs=1e-6)
        if abs(ppm) < 1000:
            assert lag_at(drifting, right, 1, t) == pytest.approx(t * ppm * 1e-6, abs=3e-6)


def test_a_clock_whose_rate_changes() -> None:
    right, drifting = scene(), scene(Drift(200, 1), Drift(-100, 1, at=2.0))
    assert lag_at(drifting, right, 1, 1.0) == pytest.approx(200e-6, abs=3e-6)
    assert lag_at(drifting, right, 1, 3.0) == pytest.approx(400e-6 - 100e-6, abs=3e-6)


@pytest.mark.parametrize("seconds", [0.01, 0.0101, -0.02])
def test_gap(seconds: float) -> None:
    right, lossy = scene(), scene(Gap(2, seconds, at=1.5))
    same(lossy.mixture[2, : int(1.5 * RATE)], right.mixture[2, : int(1.5 * RATE)])
    assert lag_at(lossy, right, 2, 3.0) == pytest.approx(-seconds, abs=1e-6)
    assert np.abs(lossy.mixture[2, -RATE // 10 :]).min() >= 0
    assert lossy.mixture[2, -RATE // 10 :].std() > 0.5 * right.mixture[2].std()  # it goes on to the end


def test_offset_drift_and_gap_together_are_what_scene_json_says() -> None:
    right, faulty = scene(), scene(Offset(0.2, 1), Drift(150, 1), Gap(1, 0.05, at=2.0))
    clock = faulty.info["clocks"][1]
    assert faulty.info["clocks"][0] == [{"file_s": 0.0, "time_s": 0.0, "ppm": 0.0}]
    for t in (1.0, 3.0):
        segment = [s for s in clock if s["file_s"] <= t][-1]
        moment = segment["time_s"] + (t - segment["file_s"]) / (1 + segment["ppm"] * 1e-6)
        window = np.arange(-1500, 1500)
        expected = clocks.interpolate(right.mixture[1], RATE * moment + window / (1 + 150e-6))
        assert lag(faulty.mixture[1, int(RATE * t) + window], expected) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("share", [0.05, 0.4, 0.8, 0.9])
def test_interpolation_between_samples(share: float) -> None:
    """Tones up to 90 % of the highest frequency."""
    x = np.sin(np.pi * share * np.arange(4000))
    at = np.linspace(100.3, 3800.7, 3701)
    assert np.abs(clocks.interpolate(x, at) - np.sin(np.pi * share * at)).max() < (1e-3 if share < 0.85 else 1e-2)


def test_interpolation_at_samples_and_outside() -> None:
    x = np.random.default_rng(0).normal(size=300)
    np.testing.assert_array_equal(clocks.interpolate(x, np.arange(300.0)), x)
    np.testing.assert_array_equal(clocks.interpolate(x, np.array([-500.0, -100.5, 900.2])), 0)


# ---------------------------------------------------------------- channels


def test_dropout() -> None:
    right, dead = scene(), scene(Dropout(1), Dropout(2, 1.0, 1.5))
    n = dead.mixture.shape[1]
    assert not dead.mixture[1, n // 2 :].any()
    assert not dead.mixture[2, RATE : int(1.5 * RATE)].any()
    same(dead.mixture[1, : n // 2], right.mixture[1, : n // 2])
    same(dead.mixture[2, int(1.5 * RATE) :], right.mixture[2, int(1.5 * RATE) :])
    same(dead.mixture[0], right.mixture[0])


def test_a_dead_first_microphone_has_its_truth() -> None:
    right, dead = scene(), scene(Dropout(0, 0.0))
    assert not dead.mixture[0].any()
    np.testing.assert_array_equal(dead.images, right.images)


@pytest.mark.parametrize("hertz", [50.0, 60.0])
def test_hum(hertz: float) -> None:
    humming = scene(Hum(2, hertz))
    x = humming.mixture[2]
    spectrum = np.abs(np.fft.rfft(x)) ** 2
    tones = [round(h * hertz * SECONDS) for h in (1, 2, 3, 5)]
    assert spectrum[tones].sum() / spectrum.sum() > 0.8
    assert x.std() == pytest.approx(humming.mixture[0].std(), rel=0.01)
    heard = np.correlate(x, humming.images[:, 2].sum(0), "full")
    assert np.abs(heard).max() < 0.05 * np.linalg.norm(x) * np.linalg.norm(humming.images[:, 2].sum(0))


def test_agc() -> None:
    """The gain brings loud and quiet spans of the others to one level."""
    loud = np.repeat([1.0, 0.1, 1.0, 0.1], RATE)
    voices = np.random.default_rng(0).laplace(size=(2, 4 * RATE)) * loud
    made = bss.mix(voices, RATE, n_mics=3, rt60=0, faults=[Agc(1)], rng=3)
    ratio = [[x[(k + 1) * RATE - 2000 : (k + 1) * RATE].std() for k in range(4)] for x in made.mixture]
    assert ratio[0][0] / ratio[0][1] > 9
    assert ratio[1][0] / ratio[1][1] < 2
    assert abs(np.corrcoef(made.mixture[1], made.mixture[[0, 2]].mean(0))[0, 1]) > 0.7
    assert np.abs(made.mixture).max() <= 0.5 + 1e-6


# ---------------------------------------------------------------- the scene around them


@pytest.mark.parametrize(("given", "spoilt"), [
    ([Offset(0.5, 1)], [1]), ([Drift(50, 2)], [2]), ([Gap(1, 0.01)], [1]), ([Dropout(2)], [2]), ([Hum(1)], [1]), ([Agc(2)], [2]),
])  # fmt: skip
def test_the_rest_is_that_of_the_same_seed(given: list[Fault], spoilt: list[int]) -> None:
    options: dict[str, Any] = {"snr_db": 20, "rt60": 0.2}
    right, faulty = scene(**options), scene(*given, **options)
    same(faulty.images, right.images)
    same(faulty.sources, right.sources)
    others = [mic for mic in range(3) if mic not in spoilt]
    same(faulty.mixture[others], right.mixture[others])
    assert np.abs(np.corrcoef(faulty.mixture[spoilt[0]], right.mixture[spoilt[0]])[0, 1]) < 0.999
    for key in ("mics", "talkers", "absorption"):
        assert faulty.info[key] == right.info[key]


def test_without_a_microphone_all_others_have_it() -> None:
    made = scene(Offset(2.0), Drift(80), Offset(0.5, 2), n_mics=5)
    said = {(fault["kind"], fault["mic"]): fault for fault in made.info["faults"]}
    assert set(said) == {(kind, mic) for kind in ("offset", "drift") for mic in (2, 3, 4, 5)}
    assert said["offset", 3]["seconds"] == 0.5
    drawn = [said["offset", mic]["seconds"] for mic in (2, 4, 5)]
    assert all(0.5 <= seconds <= 2.0 for seconds in drawn)
    assert len(set(drawn)) == 3
    ppm = [said["drift", mic]["ppm"] for mic in (2, 3, 4, 5)]
    assert all(20 <= abs(p) <= 80 for p in ppm)
    again, other = scene(Offset(2.0), Drift(80), n_mics=5), scene(Offset(2.0), Drift(80), n_mics=5, rng=4)
    np.testing.assert_array_equal(again.mixture[1], scene(Offset(2.0), Drift(80), n_mics=5).mixture[1])
    assert other.info["faults"] != again.info["faults"]


def test_faults_as_json_and_back() -> None:
    given = (Offset(2.0), Offset(0.5, 2), Drift(41.3, 1, 3.0), Gap(1, 0.01), Dropout(2, 1.0, 2.0), Hum(3, 60.0), Agc(0))
    assert faults.from_json(json.loads(json.dumps(faults.to_json(given)))) == given
    assert faults.to_json([Hum(2)])[0] == {"kind": "hum", "mic": 3, "hertz": 50.0}  # counted from 1, like the files


@pytest.mark.parametrize("entry", [{"kind": "fire", "mic": 1}, {"kind": "agc"}, {"kind": "hum", "mic": "x"}, 3, {"mic": 2},
                                   {"kind": "agc", "mic": 2, "more": 1}])  # fmt: skip
def test_no_fault_in_json(entry: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        faults.from_json([entry])


@pytest.mark.parametrize(("given", "said"), [
    ([Offset(1.0, 3)], "offset: there is no microphone 4"),
    ([Offset(1.0, 0)], "microphone 1 cannot have one"),
    ([Drift(30, 0)], "drift: microphone 1 cannot have one"),
    ([Gap(0, 0.1)], "gap: microphone 1 cannot have one"),
    ([Offset(float("nan"), 1)], "offset: nan is out of range"),
    ([Offset(1e5, 1)], "up to 3600 seconds"),
    ([Drift(2e4)], "up to 10000 parts per million"),
    ([Drift(0.0, 1)], "drift: 0 is out of range"),
    ([Gap(1, 0.1, at=9.0)], "9 s is not within the recording of 4 s"),
    ([Dropout(1, 5.0)], "dropout: 5 to 4 s is no part"),
    ([Dropout(1, 2.0, 1.0)], "dropout: 2 to 1 s is no part"),
    ([Hum(1, 0.0)], "hum: 0 Hz is out of range"),
    ([Offset(1.0, 1), Offset(2.0, 1)], "both offset and offset"),
    ([Drift(10), Drift(20)], "drift has two values"),
    ([Hum(1), Agc(1)], "microphone 2 has both agc and hum|microphone 2 has both hum and agc"),
    (["offset"], "is not a fault"),
    ([Hum(1.5)], "not a whole number"),  # type: ignore[arg-type]
])  # fmt: skip
def test_wrong_faults(given: list[Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        scene(*given)


@pytest.mark.parametrize("fault", [Offset(1.0), Drift(20), Agc(0)])
def test_faults_that_need_another_microphone(fault: Fault) -> None:
    with pytest.raises(UsageError, match="only one microphone"):
        scene(fault, n_mics=1)


def test_faults_on_a_desk() -> None:
    made = scene(Offset(0.5, 1), Dropout(2), instantaneous=True)
    assert not made.mixture[2, 2 * RATE :].any()
    np.testing.assert_allclose(made.mixture[1, : -RATE // 2], made.images[:, 1, RATE // 2 :].sum(0), atol=1e-6)
