"""What the listening report measures and draws."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from recordings import RATE, voice
from report_pages import noise

from bss.report.graphics.charts import chart
from bss.report.graphics.measure import Measured, measure
from bss.report.spans import overlaps


def measured(y: np.ndarray, block: int = 1 << 18, talkers: list[int] | None = None) -> Measured:
    parts = (y[:, start : start + block] for start in range(0, y.shape[1], block))
    return measure(parts, len(y), y.shape[1], RATE, list(range(len(y))) if talkers is None else talkers)


@pytest.mark.parametrize("block", [1000, 4097, 40_000])
def test_measurements_do_not_depend_on_the_blocks(block: int) -> None:
    y = np.stack([voice("edward")[:50_001], voice("fiona")[:50_001]])
    whole, pieces = measured(y), measured(y, block)
    assert np.array_equal(whole.peaks, pieces.peaks)
    assert np.allclose(whole.levels, pieces.levels)
    assert np.allclose(whole.spectrogram, pieces.spectrogram, rtol=1e-4, atol=1e-8)
    assert whole.shared is not None
    assert pieces.shared is not None
    assert np.allclose(whole.shared.level_db, pieces.shared.level_db, atol=0.01)


def test_peaks_and_levels_are_those_of_the_samples() -> None:
    y = noise(48_000, 0)[None]
    seen = measured(y)
    assert seen.peak == np.abs(y).max()
    assert np.isclose(seen.levels.mean(), np.mean(y.astype(np.float64) ** 2), rtol=1e-6)
    parts = np.abs(y[0]).reshape(seen.peaks.shape[1], -1).max(1)
    assert np.array_equal(seen.peaks[0], parts)


@pytest.mark.parametrize("hertz", [300, 1000, 6000])
def test_a_tone_is_at_its_frequency_while_it_sounds(hertz: int) -> None:
    t = np.arange(2 * RATE) / RATE
    y = (0.1 * np.sin(2 * np.pi * hertz * t) * (t >= 1)).astype(np.float32)[None]
    seen = measured(y)
    picture = seen.spectrogram[0]
    assert abs(seen.frequencies[picture.sum(1).argmax()] - hertz) < 0.05 * hertz + RATE / 512
    half = picture.shape[1] // 2
    assert picture[:, : half - 3].sum() < 1e-6 * picture[:, half + 3 :].sum()


def test_sound_in_two_tracks_is_found_when_and_where_it_is() -> None:
    n = 8 * RATE
    a, b = noise(n, 1), noise(n, 2)
    spectrum = np.fft.rfft(a)
    spectrum[: 8 * 1000] = 0  # a bin is an eighth of a hertz: what is left is above 1 kHz
    spectrum[8 * 2000 :] = 0  # and below 2 kHz
    leak = np.fft.irfft(spectrum, n).astype(np.float32)
    leak[: n // 2] = 0
    clean, mixed = measured(np.stack([a, b])).shared, measured(np.stack([a, 0.01 * b + 0.5 * leak])).shared
    assert clean is not None
    assert mixed is not None
    assert clean.level_db.max() < -12
    loud = mixed.level_db[0] > -8
    bands = [k for k, (low, high) in enumerate(zip(mixed.edges, mixed.edges[1:], strict=False)) if low >= 1000 and high <= 2000]
    assert np.allclose(mixed.level_db[0][bands][:, 2:], -6, atol=0.7)
    assert not loud[:, :2].any()
    assert not loud[[k for k in range(len(loud)) if k not in bands]].any()


@pytest.mark.parametrize("n", [1, 100, 600, 5000])
def test_short_tracks_have_pictures(n: int) -> None:
    seen = measured(np.stack([noise(n, 0), noise(n, 1)]))
    assert all(np.isfinite(values).all() for values in (seen.peaks, seen.levels, seen.spectrogram))


def test_overlap_of_three() -> None:
    spans = [[(0.0, 4.0)], [(1.0, 2.0), (3.0, 5.0)], [(1.5, 3.5), (6.0, 7.0)]]
    assert overlaps(spans) == [(1.0, 4.0)]
    assert overlaps([[(0.0, 1.0)], [(1.0, 2.0)]]) == []


def test_charts_are_true_to_their_axes() -> None:
    drawn = chart("x", "", "dB", [("a", [0, 5, 10], [-20.0, None, -75.0])], seconds=10, least_span=20, lowest=-60)
    assert drawn is not None
    places = {tick.text: tick.at for tick in drawn.rows}
    assert [piece.split()[0] for piece in drawn.lines[0].pieces] == [f"0.0,{places['-20']:.1f}", f"720.0,{places['-60']:.1f}"]
    steps = [b.at - a.at for a, b in pairwise(drawn.rows)]
    assert np.allclose(steps, steps[0], atol=0.2)
    assert [tick.text for tick in drawn.columns] == ["0:00", "0:02", "0:04", "0:06", "0:08", "0:10"]
    assert chart("x", "", "dB", [("a", [0], [None])], seconds=10, least_span=1) is None
