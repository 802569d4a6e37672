"""WPE: the filters are those of the papers' equations and of another implementation, and late echo goes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference_prediction as reference
from signals_for_tests import RATE, complex_normal, spectra, voices

import bss
from bss.backends.cpu import threads
from bss.errors import BssError, InputError, UsageError

COMPLEX = [np.complex64, np.complex128]


def echoing(
    n_mics: int, dtype: Any = np.complex128, n_frames: int = 200, bins: int = 5, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """X (F, M, T) with a decaying echo from all microphones to all, three frames late and later; and S without it."""
    rng = np.random.default_rng(seed)
    S = complex_normal(rng, bins, n_mics, n_mics) @ spectra(bins, n_mics, n_frames, seed)
    X = S.copy()
    for k in range(3, 7):
        B = 0.5 ** (k - 1) / np.sqrt(n_mics) * complex_normal(rng, bins, n_mics, n_mics)
        X[:, :, k:] += B @ S[:, :, :-k]
    return X.astype(dtype), S


def power_of(X: np.ndarray) -> np.ndarray:
    """Some power (F, T), at the level of X and not that of X itself."""
    return np.asarray(np.abs(X[:, 0]) ** 2 + 0.1 * np.mean(np.abs(X) ** 2))


def assert_near(got: np.ndarray, want: np.ndarray, tolerance: float) -> None:
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= tolerance * np.abs(want).max()


# ---- against the equations


@pytest.mark.parametrize("n_frames", [150, 700])
@pytest.mark.parametrize(
    ("n_mics", "taps", "delay"), [(1, 1, 1), (1, 4, 3), (2, 1, 2), (2, 4, 3), (3, 3, 1), (4, 2, 3), (5, 3, 2)]
)
def test_the_filters_are_the_paper_s(n_mics: int, taps: int, delay: int, n_frames: int) -> None:
    X, _ = echoing(n_mics, n_frames=n_frames)
    kept = X.copy()
    for n_iter in (1, 3):
        result = bss.wpe(X, taps=taps, delay=delay, n_iter=n_iter)
        assert_near(result.filters, reference.wpe(X, taps, delay, n_iter), 1e-6)
        assert (result.taps, result.delay, result.n_iter) == (taps, delay, n_iter)
    np.testing.assert_array_equal(X, kept)


@pytest.mark.parametrize("context", [1, 3, 1000])
def test_the_power_is_averaged_over_its_neighbours(context: int) -> None:
    X, _ = echoing(2)
    result = bss.wpe(X, taps=3, context=context)
    assert_near(result.filters, reference.wpe(X, 3, 3, 3, context), 1e-6)
    assert np.abs(result.filters - bss.wpe(X, taps=3).filters).max() > 1e-3


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e5])
def test_the_first_round_weighs_with_the_power_that_is_given(scale: float) -> None:
    X, _ = echoing(2)
    X *= scale
    result = bss.wpe(X, taps=3, n_iter=2, context=1, power=power_of(X))
    assert_near(result.filters, reference.wpe(X, 3, 3, 2, 1, power_of(X)), 1e-6)
    assert np.abs(result.filters - bss.wpe(X, taps=3, n_iter=2, context=1).filters).max() > 1e-3


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize(("n_mics", "delay"), [(1, 1), (2, 3), (3, 2)])
def test_the_spectra_are_the_recording_without_what_the_filters_predict(n_mics: int, delay: int, dtype: Any) -> None:
    X, _ = echoing(n_mics, dtype)
    result = bss.wpe(X, taps=4, delay=delay)
    assert result.spectra.dtype == result.filters.dtype == dtype
    assert_near(result.spectra, reference.without_prediction(X, result.filters, delay), 20 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(result.apply(X), result.spectra)
    other, _ = echoing(n_mics, dtype, n_frames=90, seed=3)
    assert_near(result.apply(other), reference.without_prediction(other, result.filters, delay), 20 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(result.spectra[:, :, :delay], X[:, :, :delay])  # nothing was heard before


@pytest.mark.parametrize(("n_mics", "taps", "delay"), [(1, 4, 3), (2, 5, 3), (3, 4, 2), (4, 3, 1)])
def test_the_spectra_are_those_of_nara_wpe(n_mics: int, taps: int, delay: int) -> None:
    nara = pytest.importorskip("nara_wpe.wpe", reason="nara_wpe is not installed: WPE is not compared with it")
    X, _ = echoing(n_mics)
    for context in (0, 2):
        result = bss.wpe(X, taps=taps, delay=delay, context=context)
        assert_near(result.spectra, nara.wpe(X, taps=taps, delay=delay, iterations=3, psd_context=context), 1e-6)


def test_single_precision_is_near_double() -> None:
    X, _ = echoing(2)
    assert_near(bss.wpe(X.astype(np.complex64), taps=4).spectra, bss.wpe(X, taps=4).spectra, 1e-3)


def test_the_same_bytes_on_any_number_of_threads() -> None:
    X, _ = echoing(2, np.complex64, bins=40)

    def run(count: int) -> bytes:
        with threads.limited(count):
            return bss.wpe(X, taps=4).spectra.tobytes()

    assert len({run(count) for count in (1, 2, 3, 16)}) == 1


# ---- what it is for


@pytest.mark.parametrize("n_mics", [2, 3])
def test_echo_goes_and_the_sound_stays(n_mics: int) -> None:
    X, S = echoing(n_mics, n_frames=1500)
    dry = bss.wpe(X, taps=8).spectra
    before, after = (10 * np.log10(np.sum(np.abs(a - S) ** 2) / np.sum(np.abs(S) ** 2)) for a in (X, dry))
    assert after < before - 8


def test_a_voice_in_a_reverberant_room_gets_nearer_to_its_early_sound() -> None:
    rng = np.random.default_rng(0)
    n = 4 * RATE
    s = voices(1, n)[0]
    h = 0.1 * rng.standard_normal((2, 6400)) * np.exp(-np.arange(6400) / 1200)  # 0.5 s
    h[:, 0] = 1
    early = np.convolve(h[0, :512], s)[:n]
    x = np.stack([np.convolve(h[m], s)[:n] for m in range(2)]).astype(np.float32)
    stft = bss.Stft(512, 128)
    dry = stft.inverse(bss.wpe(stft.forward(x)).spectra, n)
    assert bss.si_sdr(early, dry[0]) > bss.si_sdr(early, x[0]) + 2


# ---- silence and other trouble


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize("where", [(2,), (..., 7), (..., slice(50, 120)), (3, 1), (slice(1, None),), (..., slice(3, None))])
def test_silence_gives_zeros_and_never_nan(where: Any, dtype: Any) -> None:
    X, _ = echoing(2, dtype)
    X[where] = 0
    result = bss.wpe(X, taps=4)
    assert np.isfinite(result.spectra).all()
    assert np.isfinite(result.filters).all()
    silent = ~X.any(axis=(1, 2))
    assert not result.spectra[silent].any()
    assert not result.filters[silent].any()
    assert np.sum(np.abs(result.spectra) ** 2) <= 1.01 * np.sum(np.abs(X) ** 2)


def test_digital_silence_teaches_nothing() -> None:
    X, _ = echoing(2)
    longer = np.concatenate([X, np.zeros((5, 2, 60))], axis=2)
    assert_near(bss.wpe(longer, taps=4).filters, bss.wpe(X, taps=4).filters, 1e-6)


@pytest.mark.parametrize("dtype", COMPLEX)
def test_a_microphone_twice_over_is_as_good_as_once(dtype: Any) -> None:
    X, _ = echoing(2, dtype)
    twice = bss.wpe(X[:, [0, 1, 0, 1]], taps=4).spectra
    assert_near(twice[:, :2], bss.wpe(X, taps=4).spectra, 1e-3)
    assert_near(twice[:, 2:], twice[:, :2], 1e-4)


@pytest.mark.parametrize("level", [1e-12, 1e-3, 1e6])
def test_level_changes_nothing(level: float) -> None:
    X, _ = echoing(2, np.complex64)
    scaled = bss.wpe(X * np.float32(level), taps=3).spectra
    assert_near(scaled / np.float32(level), bss.wpe(X, taps=3).spectra, 1e-4)


def test_a_quiet_microphone_is_as_good_as_a_loud_one() -> None:
    X, _ = echoing(2)
    gain = np.array([1, 1e-5])[:, None]
    quiet, loud = (bss.wpe(a, taps=3, n_iter=1, power=power_of(X)).spectra for a in (X * gain, X))
    assert_near(quiet / gain, loud, 1e-6)


def test_no_more_taps_than_the_recording_is_long_enough_for() -> None:
    X, _ = echoing(2, n_frames=83)
    result = bss.wpe(X, taps=30, delay=3)
    assert result.taps == 10
    assert "10 taps and not 30" in result.message
    assert "taps" not in bss.wpe(X, taps=10, delay=3).message
    assert np.sum(np.abs(result.spectra) ** 2) > 0.3 * np.sum(np.abs(X) ** 2)
    with pytest.raises(InputError, match="at least 11 frames"):
        bss.wpe(X[:, :, :10], delay=3)
    assert bss.wpe(X[:, :, :11], delay=3).taps == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"taps": 0}, "taps=0"), ({"taps": 1.5}, "taps=1.5"), ({"delay": 0}, "delay=0"), ({"delay": "3"}, "delay='3'"),
        ({"n_iter": 0}, "n_iter=0"), ({"context": -1}, "context=-1"), ({"power": np.ones((5, 7))}, "shape \\(5, 7\\)"),
        ({"power": -np.ones((5, 200))}, "negative"), ({"power": np.full((5, 200), np.nan)}, "NaN"),
        ({"power": 1j * np.ones((5, 200))}, "complex128"),
    ],
)  # fmt: skip
def test_options_that_cannot_work_are_named(options: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        bss.wpe(echoing(2)[0], **options)


@pytest.mark.parametrize(
    ("X", "text"),
    [
        (np.zeros((5, 2, 200), complex), "silent"), (np.ones((5, 200), complex), r"\(5, 200\)"), ([[1]], "list"),
        (np.full((5, 2, 200), np.nan + 0j), "NaN"), (np.ones((5, 2, 200)), "float64"),
    ],
)  # fmt: skip
def test_recordings_that_cannot_be_used_are_refused(X: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        bss.wpe(X)


def test_filters_are_for_their_microphones_and_bins() -> None:
    result = bss.wpe(echoing(2)[0], taps=2)
    for other in (echoing(3)[0], echoing(2, bins=6)[0]):
        with pytest.raises(BssError, match="the filters are for 5 bins and 2 microphones"):
            result.apply(other)
