"""The blind estimate of success: what tracks still share, read from them alone, and the sentence about it."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from recordings import RATE, desk, document, fixture_room, hiss, improvement, own_mics, room, save_each, unmix
from scipy.signal import oaconvolve

import bss
from bss.pipeline.analysis import success


def images(n_sources: int = 3, seconds: float = 8.0) -> np.ndarray:
    """(N, n) what one microphone hears of each talker: tracks of a perfect separation."""
    return fixture_room(n_sources, 1, seconds)[:, 0]


def leaking(tracks: np.ndarray, share: float, low: float, high: float, pair: tuple[int, int]) -> np.ndarray:
    """Two of the tracks, from low to high Hz, with that much of the other one's amplitude, through another echo."""
    spectra = np.fft.rfft(tracks)
    f = np.fft.rfftfreq(tracks.shape[1], 1 / RATE)
    band = np.where((f >= low) & (f < high), spectra, 0)
    other = np.fft.irfft(band, tracks.shape[1])
    echo = np.random.default_rng(3).normal(size=1600) * np.exp(-np.arange(1600) / 300)
    echo /= np.linalg.norm(echo)
    out = np.array(tracks, np.float64)
    i, j = pair
    out[i] += share * oaconvolve(other[j], echo)[: tracks.shape[1]]
    out[j] += share * oaconvolve(other[i], echo)[: tracks.shape[1]]
    return out.astype(np.float32)


def swapped(tracks: np.ndarray, low: float, high: float, pair: tuple[int, int]) -> np.ndarray:
    """Two of the tracks with their frequencies from low to high Hz exchanged: what a wrong order of the bins does."""
    spectra = np.fft.rfft(tracks)
    f = np.fft.rfftfreq(tracks.shape[1], 1 / RATE)
    band = (f >= low) & (f < high)
    out = spectra.copy()
    out[np.ix_(pair, band)] = spectra[np.ix_(pair[::-1], band)]
    return np.fft.irfft(out, tracks.shape[1]).astype(np.float32)


def estimate(tracks: np.ndarray, **options: int) -> dict[str, object]:
    found = success.estimate(tracks, RATE, **{"n_mics": len(tracks), **options})
    assert found is not None
    return found


def gain(tracks: np.ndarray) -> float:
    return float(estimate(tracks)["predicted_si_sdr_gain_db"])  # type: ignore[arg-type]


@pytest.mark.parametrize("n_sources", [2, 3, 4])
def test_good_is_told_from_bad(n_sources: int) -> None:
    truth = images(n_sources)
    half = leaking(truth, 0.6, 0, RATE, (0, 1))
    nothing = np.tile(truth.sum(0), (n_sources, 1)) + hiss(truth.shape, 1e-4)
    assert gain(truth) > 15
    assert gain(half) < gain(truth) - 5
    assert gain(nothing) <= min(gain(half), 0)
    assert estimate(truth)["sentence"] == "well separated"
    assert "hardly separated" in str(estimate(nothing)["sentence"])


@pytest.mark.parametrize("harm", ["leaking", "swapped"])
@pytest.mark.parametrize(
    ("pair", "low", "high", "words"),
    [
        ((1, 2), 0, 500, "talkers 2 and 3 are still mixed below 500 Hz"),
        ((0, 2), 1400, 2800, "talkers 1 and 3 are still mixed from 1400 to 2800 Hz"),
        ((0, 1), 4000, 8000, "talkers 1 and 2 are still mixed above 4000 Hz"),
    ],
)
def test_the_sentence_names_who_and_where(harm: str, pair: tuple[int, int], low: int, high: int, words: str) -> None:
    tracks = swapped(images(), low, high, pair) if harm == "swapped" else leaking(images(), 1.0, low, high, pair)
    found = estimate(tracks)
    assert words in str(found["sentence"])
    assert "would help" in str(found["sentence"])
    assert gain(tracks) < gain(images()) - 1


def test_what_would_help_depends_on_the_recording() -> None:
    mixed = leaking(images(2), 1.0, 0, RATE, (0, 1))
    long = np.tile(mixed, 3)  # 24 s
    assert "A longer recording or microphones closer" in str(estimate(mixed)["sentence"])
    assert "more microphones" in str(estimate(long)["sentence"])
    assert "longer" not in str(estimate(long)["sentence"])
    assert "more microphones" not in str(estimate(long, n_mics=4)["sentence"])


def test_level_and_order_of_the_tracks_do_not_count() -> None:
    tracks = leaking(images(3), 0.8, 0, 700, (1, 2))
    expected = gain(tracks)
    assert estimate(tracks) == estimate(tracks.copy())
    assert gain(tracks * np.float32(1e-3)) == pytest.approx(expected, abs=0.1)
    for order in permutations(range(3)):
        assert gain(tracks[list(order)]) == pytest.approx(expected, abs=0.1)


def test_a_silent_track_is_left_out() -> None:
    tracks = images(3)
    with_silence = np.insert(leaking(tracks[:2], 1.0, 0, 500, (0, 1)), 1, 0, axis=0)
    found = estimate(with_silence)
    assert "talkers 1 and 3 are still mixed" in str(found["sentence"])
    assert "2" not in str(found["sentence"]).split(": ")[1].split("mixed")[0]
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(("kept", "level"), [(0, 0.0), (1, 0.0), (1, 1e-30)])
def test_nothing_is_said_of_fewer_than_two_tracks_that_sound(kept: int, level: float) -> None:
    tracks = images(2)
    tracks[kept:] *= np.float32(level)
    assert success.estimate(tracks, RATE, n_mics=2) is None
    assert success.estimate(tracks[:1], RATE, n_mics=2) is None


@pytest.mark.parametrize(("n", "rate"), [(1, RATE), (4000, RATE), (80_000, 1000), (80_000, 3900)])
def test_nothing_is_said_of_what_is_too_short_or_too_dull(n: int, rate: int) -> None:
    assert success.estimate(images(2)[:, :n], rate, n_mics=2) is None


@pytest.mark.parametrize("rate", [4000, 8000, 11_025, 44_100, 48_000, 192_000])
def test_other_rates(rate: int) -> None:
    from bss.signals.resample import resample

    truth = np.asarray(resample(images(2, 4.0), RATE, rate), np.float32)
    found = success.estimate(truth, rate, n_mics=2)
    assert found is not None
    assert found["sentence"] == "well separated"
    assert found["bands"][-1]["hz"][1] <= min(rate / 2, 8000)


def test_single_clicks_and_constants_are_numbers() -> None:
    clicks = np.zeros((2, RATE * 2), np.float32)
    clicks[:, RATE] = 1.0
    for tracks in (clicks, np.ones_like(clicks), clicks + hiss(clicks.shape, 0.1)):
        json.dumps(success.estimate(tracks, RATE, n_mics=2), allow_nan=False)


def test_of_a_long_recording_the_middle_is_looked_at() -> None:
    tracks = np.tile(images(2), 9)  # 72 s
    expected = estimate(tracks)
    tracks[:, : 5 * RATE] = tracks[:, -5 * RATE :] = 0.5
    assert estimate(tracks) == expected


def test_unmix_says_how_well_it_worked() -> None:
    scene = room(2, 8.0, rt60=0.2, seed=2)
    result = bss.unmix(scene.mixture, RATE, n_sources=2)
    found = result.info["success"]
    truth = float(improvement(scene.images[:, 0], result.sources, scene.mixture[0]).mean())
    assert found["predicted_si_sdr_gain_db"] == pytest.approx(truth, abs=6)
    assert "separated" in found["sentence"]
    assert [pair["talkers"] for pair in found["bands"][0]["pairs"]] == [[1, 2]]


def test_plain_ica() -> None:
    found = bss.unmix(desk(3, 4.0).mixture, RATE).info["success"]
    assert found == {"predicted_si_sdr_gain_db": None, "sentence": "well separated", "bands": []}
    wrong = bss.unmix(room(2, 4.0).mixture, RATE, method="fastica").info["success"]
    assert wrong["sentence"].startswith("talkers 1 and 2 are still mixed: plain ICA cannot undo")


def test_what_was_not_calibrated_has_no_estimate() -> None:
    x = room(2, 3.0).mixture
    assert bss.unmix(x, RATE, n_sources=1).info["success"] is None
    assert bss.unmix(x, RATE, n_sources=2, method="cacgmm").info["success"] is None
    assert bss.unmix(own_mics(2).sum(0), RATE, per_mic=True).info["success"] is None


def test_the_command_says_it(tmp_path: Path) -> None:
    mics = save_each(tmp_path / "mics", room(2, 4.0).mixture)
    said = unmix(*mics, "-n", "2", "-o", tmp_path / "out").stderr
    found = document(tmp_path / "out")["success"]
    line = next(line for line in said.splitlines() if line.startswith("success: "))
    assert found["sentence"] in line
    assert f"about {found['predicted_si_sdr_gain_db']:.0f} dB" in line
    assert "success" not in unmix(*mics, "-n", "2", "-q", "-o", tmp_path / "quiet").stderr
