"""What result.json says of every source: where it is, when it sounds, how loud; and the order of the tracks."""

from __future__ import annotations

import numpy as np
import pytest
from recordings import RATE, desk, fit, hiss, own_mics, room, voice

import bss
from bss.pipeline.analysis import activity, ordering
from bss.pipeline.methods.shared.estimate import LinearEstimate, cross_spectra_of_tracks
from bss.signals.stft import Stft
from bss.solvers.result import Separation


def delayed(lags: list[list[float]], seconds: float = 3.0) -> np.ndarray:
    """(N, M, n) images of talkers that come to the microphones with these lags in samples."""
    n = round(seconds * RATE)
    f = np.fft.rfftfreq(n)
    spectra = [np.fft.rfft(voice(name)[:n]) for name in ("edward", "fiona")[: len(lags)]]
    images = [[np.fft.irfft(s * np.exp(-2j * np.pi * f * lag), n) for lag in row] for s, row in zip(spectra, lags, strict=True)]
    return np.asarray(images, np.float32)


@pytest.mark.parametrize("lags", [[[0.0, 3.0, -7.0], [0.0, -2.0, 5.0]], [[0.0, 0.5, 1.25], [0.0, -0.5, 40.0]]])
def test_delays_of_a_demixing(lags: list[list[float]]) -> None:
    images = delayed(lags)
    x = images.sum(0)
    stft = Stft(4096)
    X = stft.forward(x)
    f = np.arange(stft.n_bins)[:, None, None] / stft.n_fft
    A = np.exp(-2j * np.pi * f * np.asarray(lags).T) + 1e-2 * np.eye(3, 2)  # where phases are the same nothing can be told
    W = np.linalg.pinv(A).astype(np.complex64)
    X = X + np.float32(1e-3 * np.abs(X).mean()) * np.random.default_rng(0).normal(size=X.shape).astype(np.float32)
    estimate = LinearEstimate("fdica", Separation(W, X, np.zeros(0), 0, True, ""), X, stft, x.shape[1], {})
    for mic in range(3):
        found = ordering.delays(estimate, np.array([mic, mic]), 3, RATE)
        expected = np.asarray(lags) - np.asarray(lags)[:, [mic]]
        np.testing.assert_allclose(found * RATE, expected, atol=0.3)
        assert (found[:, mic] == 0).all()


def test_delays_of_tracks_that_no_matrix_makes() -> None:
    lags = [[0.0, 3.0, -7.0], [0.0, -2.0, 5.5]]
    images = delayed(lags)

    class Known:
        def image_powers(self) -> np.ndarray:
            return np.asarray(np.sum(images**2, axis=2))

        def cross_spectra(self, mics: np.ndarray) -> np.ndarray:
            return cross_spectra_of_tracks(lambda at: np.asarray(images[np.arange(2), at]), mics, 3, RATE)

    found = ordering.delays(Known(), np.array([0, 2]), 3, RATE)
    expected = np.array([lags[0], np.asarray(lags[1]) - lags[1][2]])
    np.testing.assert_allclose(found * RATE, expected, atol=0.13)


def test_a_desk_has_no_delays_and_its_sources_are_described() -> None:
    result = bss.unmix(desk(2, 3.0).mixture, RATE)
    for source, y in zip(result.info["sources"], result.sources, strict=True):
        assert set(source) == {
            "mic", "dominant_mic", "delays_ms", "level_dbfs", "active_level_dbfs", "active_share", "active_spans",
        }  # fmt: skip
        assert source["delays_ms"] == [0.0, 0.0]
        assert source["level_dbfs"] == pytest.approx(10 * np.log10(np.mean(y**2)), abs=0.01)
        assert source["active_level_dbfs"] >= source["level_dbfs"]


def test_the_delays_of_a_room_are_those_of_its_talkers() -> None:
    """A microphone of one's own is reached first."""
    images = own_mics(2, 6.0, rt60=0.15)
    result = bss.unmix(images.sum(0) + hiss(images.shape[1:], 1e-4), RATE, per_mic=True)
    for k, source in enumerate(result.info["sources"]):
        assert source["delays_ms"][k] == 0
        assert source["delays_ms"][1 - k] == pytest.approx(1e3 * (np.hypot(1.5, 0.3) - 0.3) / 343, abs=0.6)


def test_tracks_of_masks_are_described_too() -> None:
    result = bss.unmix(room(2, 2.0).mixture, RATE, n_sources=2, method="cacgmm")
    assert [len(source["delays_ms"]) for source in result.info["sources"]] == [2, 2]


def test_the_order_hangs_neither_on_the_seed_nor_on_the_order_of_solving() -> None:
    images = own_mics(3, 6.0)
    x = images.sum(0) + hiss(images.shape[1:], 1e-4)
    first = bss.unmix(x, RATE, n_sources=3)
    for seed in (1, 2):
        assert fit(first.sources, bss.unmix(x, RATE, n_sources=3, rng=seed).sources).argmax(1).tolist() == [0, 1, 2]


# activity


def bursts(spans: list[tuple[float, float]], seconds: float, rest: float = 0.0) -> np.ndarray:
    y = hiss((round(seconds * RATE),), 1.0)
    t = np.arange(y.size) / RATE
    return y * np.where(np.any([(t >= a) & (t < b) for a, b in spans], axis=0), 0.1, 0.1 * rest).astype(np.float32)


@pytest.mark.parametrize("rest", [0.0, 1e-3, 0.1])
@pytest.mark.parametrize("spans", [[(1.0, 3.0)], [(0.0, 2.0), (4.0, 5.0)], [(0.5, 1.0), (2.0, 2.5), (4.5, 6.0)]])
def test_spans(spans: list[tuple[float, float]], rest: float) -> None:
    """Also where what is left of others is 20 dB lower."""
    found = activity.measure(bursts(spans, 6.0, rest), RATE)
    np.testing.assert_allclose(found.spans, spans, atol=0.04)
    assert found.share == pytest.approx(sum(b - a for a, b in spans) / 6.0, abs=0.03)
    assert found.level_while_active == pytest.approx(-20.0, abs=0.5)


@pytest.mark.parametrize(
    ("y", "spans"),
    [
        (bursts([(0.0, 4.0)], 4.0), [(0.0, 4.0)]),
        (bursts([(1.0, 2.0), (2.2, 3.0)], 4.0), [(1.0, 3.0)]),
        (bursts([(1.0, 2.0), (3.0, 3.03)], 4.0), [(1.0, 2.0)]),
        (bursts([(0.1, 0.11)], 0.3), [(0.096, 0.128)]),
    ],
    ids=["all the time", "a pause for breath", "a click", "nothing but a click"],
)
def test_pauses_and_clicks(y: np.ndarray, spans: list[tuple[float, float]]) -> None:
    np.testing.assert_allclose(activity.measure(y, RATE).spans, spans, atol=0.04)


def test_silence_has_no_level() -> None:
    assert activity.measure(np.zeros(5000, np.float32), RATE).to_dict() == {
        "level_dbfs": None, "active_level_dbfs": None, "active_share": 0.0, "active_spans": [],
    }  # fmt: skip
