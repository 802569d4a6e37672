"""Choosing: delay-free mixtures get ICA, rooms the convolutive family; the window; the words that go with it."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np
import pytest
from recordings import RATE, desk, fixture_room, hiss, own_mics, room, voices

from bss.errors import InputError, UsageError
from bss.pipeline.analysis.delay_free import DELAY_FREE, delayed_coherence, residual_coherence
from bss.pipeline.analysis.recording import Analysis
from bss.pipeline.planning import choose as choosing, windows
from bss.pipeline.planning.choose import Choice
from bss.pipeline.planning.options import UnmixOptions
from bss.pipeline.planning.windows import medium_window
from bss.signals.resample import resample


def choose(x: np.ndarray, rate: int, *, n_sources: int | None = None, method: str = "auto") -> Choice:
    """The choice for x (M, n), of as many talkers as microphones where nothing else is said."""
    return choosing.choose(Analysis(x, rate), n_sources or len(x), UnmixOptions(method=method))


def said(choice: Choice) -> str:
    """What a failing test should show."""
    return f"{choice.method.name}: {choice.reason} {choice.evidence}"


@pytest.mark.parametrize("snr_db", [60.0, 30.0, 15.0])
@pytest.mark.parametrize("n_sources", [2, 3, 4])
@pytest.mark.parametrize("seed", [0, 1])
def test_delay_free_mixtures_get_fastica(n_sources: int, snr_db: float, seed: int) -> None:
    """Random matrices, of length from 1 to 8 s."""
    x = desk(n_sources, 1.0 + 7 * seed, seed=seed, snr_db=snr_db).mixture
    choice = choose(x, RATE)
    assert choice.method.name == "fastica", said(choice)
    assert (choice.stft, choice.warnings) == (None, ())
    assert choice.delays.delay_free
    assert "at the same time" in choice.reason


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_the_rate_does_not_decide(rate: int) -> None:
    mixed = desk(2, 3.0, seed=2).mixture
    assert choose(resample(mixed, RATE, rate), rate).method.name == "fastica"
    assert choose(resample(room(2, 3.0, seed=2).mixture, RATE, rate), rate).method.name == "neural"


@pytest.mark.parametrize("level", [1e-3, 1.0, 1e3])
def test_neither_the_level_nor_a_fader_nor_a_wire_decides(level: float) -> None:
    """Channels 40 dB apart, one of them inverted."""
    faders = level * np.array([[1.0], [-0.01]], np.float32)
    assert choose(faders * desk(2, 3.0).mixture, RATE).method.name == "fastica"
    assert choose(faders * room(2, 3.0).mixture, RATE).method.name == "neural"


def test_more_channels_than_talkers_on_a_desk() -> None:
    x = desk(2, 3.0, n_mics=4, snr_db=30.0).mixture
    assert choose(x, RATE).method.name == "fastica"
    assert choose(x, RATE, n_sources=2).method.name == "fastica"


@pytest.mark.parametrize("spacing", [0.01, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("rt60", [0.15, 0.5])
@pytest.mark.parametrize("n", [2, 3])
def test_rooms_get_the_convolutive_family(n: int, rt60: float, spacing: float) -> None:
    scene = room(n, 3.0, rt60=rt60, spacing=spacing, seed=n)
    choice = choose(scene.mixture, RATE)
    assert choice.method.name == "neural", said(choice)
    assert choice.stft is not None
    assert choice.stft.n_fft == 8 * choice.stft.hop
    assert not choice.delays.delay_free


@pytest.mark.parametrize("spacing", [0.02, 0.5])
def test_delays_without_echo_get_the_convolutive_family(spacing: float) -> None:
    choice = choose(room(2, 3.0, rt60=0.0, spacing=spacing, seed=3).mixture, RATE)
    assert choice.method.name == "neural", said(choice)


@pytest.mark.parametrize("near", [0.1, 0.3])
@pytest.mark.parametrize("apart", [0.8, 1.5])
@pytest.mark.parametrize("n", [2, 3])
def test_a_microphone_for_everyone_is_still_a_room(n: int, apart: float, near: float) -> None:
    """ICA cannot take out the others, 6 to 20 dB below, who come late; that little of them is left must not mislead."""
    images = own_mics(n, 3.0, near=near, apart=apart)
    choice = choose(images.sum(0) + hiss(images.shape[1:], 1e-3), RATE)
    assert choice.method.name == "neural", said(choice)
    assert choice.evidence["residual_coherence"] < 0.35, "the talkers were meant to be nearly apart"


def test_a_talker_moved_by_one_sample_is_found() -> None:
    a, b = voices(2, 4.0)
    late = np.concatenate([[0.0], b[:-1]])
    x = np.stack([a + 0.7 * b, 0.6 * a + late]) + hiss((2, a.size), 1e-4)
    assert choose(np.float32(x), RATE).method.name == "neural"
    assert choose(np.float32(np.stack([a + 0.7 * b, 0.6 * a + b]) + hiss((2, a.size), 1e-4)), RATE).method.name == "fastica"


def test_the_measured_delay_is_told() -> None:
    """Microphones a metre apart hear a talker in line with them 2.9 ms apart at most."""
    scene = room(2, 4.0, spacing=1.0, seed=5)
    truth = np.abs(np.diff(np.asarray(scene.info["delays_s"]), axis=1)).max()
    choice = choose(scene.mixture, RATE)
    in_ms = choice.evidence["largest_delay_ms"]
    assert in_ms == pytest.approx(1e3 * truth, abs=0.3)
    assert f"up to {in_ms:.2f} ms apart" in choice.reason


@pytest.mark.parametrize("method", ["fastica", "infomax", "picard-o", "jade"])
def test_ica_on_an_echoic_recording_warns_with_the_delay(method: str) -> None:
    x = fixture_room(2, 2, 4.0).sum(0)
    choice = choose(x, RATE, method=method)
    assert (choice.method.name, choice.stft, choice.reason) == (method, None, f"{method}, as requested")
    assert len(choice.warnings) == 1
    words = re.fullmatch(
        rf"{method} will not separate this recording well: .* up to ([\d.]+) ms apart; try --method auto", *choice.warnings
    )
    assert words is not None, choice.warnings
    assert 0.02 < float(words[1]) < 0.16  # microphones 5 cm apart: 0.146 ms at most


@pytest.mark.parametrize("method", ["auxiva", "ilrma"])
def test_the_convolutive_family_on_a_desk_is_kept_with_a_word(method: str) -> None:
    choice = choose(desk(2, 3.0).mixture, RATE, method=method)
    assert choice.method.name == method
    assert choice.stft is not None
    assert len(choice.warnings) == 1
    assert "FastICA would separate this recording better" in choice.warnings[0]


@pytest.mark.parametrize(("method", "make"), [("fastica", desk), ("infomax", desk), ("auxiva", room), ("ilrma", room)])
def test_a_method_that_suits_has_no_warning(method: str, make: Any) -> None:
    choice = choose(make(2, 3.0).mixture, RATE, method=method)
    assert (choice.method.name, choice.warnings) == (method, ())


def test_more_talkers_than_microphones_get_masks() -> None:
    choice = choose(room(3, 3.0, n_mics=2).mixture, RATE, n_sources=3)
    assert choice.method.name == "cacgmm"
    assert "more talkers (3) than microphones (2)" in choice.reason


def test_the_loudest_part_decides() -> None:
    """Half a minute of steps and chairs before the meeting, which a trial of the first seconds would take for it."""
    quiet = 0.002 * np.tile(desk(2, 8.0).mixture, 4)
    loud = np.tile(room(2, 8.0).mixture, 3)
    choice = choose(np.concatenate([quiet, loud], axis=1), RATE)
    assert choice.method.name == "neural"
    assert choice.evidence["trial_seconds"] == 20.0


def test_the_recording_is_not_written_to() -> None:
    x = room(2, 2.0).mixture
    x.flags.writeable = False
    choose(x, RATE)


def test_a_named_method_that_is_none() -> None:
    with pytest.raises(UsageError, match=r"method='ilmra' is not known\nTry: did you mean 'ilrma'"):
        choose(desk().mixture, RATE, method="ilmra")


@pytest.mark.parametrize(
    ("rate", "expected"), [(8_000, 2048), (11_025, 2048), (16_000, 4096), (22_050, 4096), (44_100, 8192), (48_000, 16_384)]
)
def test_the_window_of_a_recording_of_ten_seconds(rate: int, expected: int) -> None:
    """The power of two next to 256 ms."""
    stft = medium_window(10 * rate, rate)
    assert (stft.n_fft, stft.hop) == (expected, expected // 4)
    assert 0.18 < stft.n_fft / rate < 0.36


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
@pytest.mark.parametrize("seconds", [0.15, 0.5, 1.0, 2.0, 5.0])
def test_short_recordings_get_shorter_windows(rate: int, seconds: float) -> None:
    n = round(seconds * rate)
    stft = medium_window(n, rate)
    n_fft = stft.n_fft
    assert stft.n_frames(n) >= windows.FEWEST_FRAMES
    longest = medium_window(10 * rate, rate).n_fft
    doubled = -(-(n + 1.5 * n_fft) // (n_fft // 2))
    assert n_fft == longest or doubled < windows.FEWEST_FRAMES, "no longer than it may be, and no shorter than it must"


@pytest.mark.parametrize(("n", "rate"), [(1, 16_000), (800, 16_000), (800, 48_000), (2, 8_000)])
def test_too_short_for_any_window(n: int, rate: int) -> None:
    with pytest.raises(InputError, match=rf"the recording is only {n / rate:.2f} s long \({n} samples\)\n.*\nTry: a longer part"):
        medium_window(n, rate)


def spectra(seed: int, n_frames: int, gain: complex = 0.0) -> np.ndarray:
    """(F, 2, T) independent noises, the second with `gain` times the first in it."""
    rng = np.random.default_rng(seed)
    Y = rng.standard_normal((65, 2, n_frames)) + 1j * rng.standard_normal((65, 2, n_frames))
    Y[:, 1] += gain * Y[:, 0]
    return Y.astype(np.complex64)


def test_coherences_of_known_spectra() -> None:
    assert residual_coherence(spectra(0, 4000)) == pytest.approx(1 / 4000, rel=0.5)
    assert residual_coherence(spectra(0, 4000, gain=1.0)) == pytest.approx(0.5, abs=0.02)
    assert residual_coherence(spectra(0, 4000, gain=1e6)) == pytest.approx(1.0, abs=1e-3)
    chance = [delayed_coherence(spectra(seed, 400)) for seed in range(8)]
    assert np.mean([c for c in chance if c is not None]) == pytest.approx(1.0, abs=0.15)


def test_the_imaginary_part_tells_a_delay_from_leakage() -> None:
    leaks, late = delayed_coherence(spectra(1, 400, gain=0.5)), delayed_coherence(spectra(1, 400, gain=0.5j))
    assert leaks is not None
    assert late is not None
    assert leaks < DELAY_FREE < 10 < late


@pytest.mark.parametrize("n_frames", [1, 2, 7])
def test_too_few_frames_to_tell_chance(n_frames: int) -> None:
    assert delayed_coherence(spectra(0, n_frames)) is None


def test_silence_has_no_delayed_coherence() -> None:
    assert delayed_coherence(np.zeros((65, 2, 100), np.complex64)) is None


@pytest.mark.parametrize("kind", ["constant beside noise", "the same noise"])
def test_recordings_in_which_ica_finds_nothing_get_the_convolutive_family(kind: str) -> None:
    noise = partial(hiss, (3 * RATE,), 0.1)
    x = np.stack([noise(), np.full(3 * RATE, 0.1, np.float32) if kind.startswith("constant") else noise()])
    choice = choose(x, RATE)
    assert choice.method.name == "neural"
    assert choice.evidence["delayed_coherence_over_chance"] is None
