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
from bss.pipeline import success


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
    assert gain(truth) > 12
    assert gain(truth) > gain(half) + 2
    assert gain(half) > gain(nothing) + 2
    assert gain(nothing) < 1
    assert estimate(truth)["sentence"] == "well separated"
    assert "hardly separated" in str(estimate(nothing)["sentence"])


@pytest.mark.parametrize("harm", [leaking, swapped])
@pytest.mark.parametrize(
    ("pair", "low", "high", "words"),
    [
        ((1, 2), 0, 500, "talkers 2 and 3 still mixed below 500 Hz"),
        ((0, 2), 0, 700, "talkers 1 and 3 still mixed below 700 Hz"),
        ((0, 1), 2000, 8000, "talkers 1 and 2 still mixed above 2000 Hz"),
    ],
)
def test_the_sentence_names_who_and_where(harm: object, pair: tuple[int, int], low: int, high: int, words: str) -> None:
    more = {"share": 1.0} if harm is leaking else {}
    found = estimate(harm(images(), low=low, high=high, pair=pair, **more))  # type: ignore[operator]
    print(found["sentence"])
    assert words in str(found["sentence"])
